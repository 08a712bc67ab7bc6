/** What the simulated Google Cloud offers: a few of Compute Engine's own zones, machine types and public images. */

export const zonesOfRegions: Record<string, string[]> = {
  'us-central1': ['us-central1-a', 'us-central1-b', 'us-central1-c'],
  'europe-west1': ['europe-west1-b', 'europe-west1-c', 'europe-west1-d'],
};

export interface MachineType {
  name: string;
  guestCpus: number;
  memoryMb: number;
  architecture: 'X86_64' | 'ARM64';
  isSharedCpu: boolean;
  accelerators?: { guestAcceleratorType: string; guestAcceleratorCount: number }[];
}

const x86 = (name: string, guestCpus: number, memoryMb: number, isSharedCpu = false): MachineType => ({
  name,
  guestCpus,
  memoryMb,
  architecture: 'X86_64',
  isSharedCpu,
});

export const machineTypes: MachineType[] = [
  x86('e2-micro', 2, 1024, true),
  x86('e2-small', 2, 2048, true),
  x86('e2-medium', 2, 4096, true),
  x86('e2-standard-2', 2, 8192),
  x86('e2-standard-4', 4, 16_384),
  x86('n2-standard-2', 2, 8192),
  x86('n2-standard-8', 8, 32_768),
  { ...x86('t2a-standard-1', 1, 4096), architecture: 'ARM64' },
  {
    ...x86('g2-standard-4', 4, 16_384),
    accelerators: [{ guestAcceleratorType: 'nvidia-l4', guestAcceleratorCount: 1 }],
  },
];

/** Public images by project and family. */
export const images = [
  {
    project: 'debian-cloud',
    family: 'debian-12',
    name: 'debian-12-bookworm-v20261014',
    architecture: 'X86_64',
  },
  {
    project: 'debian-cloud',
    family: 'debian-12-arm64',
    name: 'debian-12-bookworm-arm64-v20261014',
    architecture: 'ARM64',
  },
  {
    project: 'ubuntu-os-cloud',
    family: 'ubuntu-2404-lts-amd64',
    name: 'ubuntu-2404-noble-amd64-v20261020',
    architecture: 'X86_64',
  },
];

/** vCPUs that a project may have in a region. */
export const cpuLimit = 200;

export function regionOf(zone: string): string {
  return zone.replace(/-[a-z]$/, '');
}

export function zoneExists(zone: string): boolean {
  return zonesOfRegions[regionOf(zone)]?.includes(zone) ?? false;
}
