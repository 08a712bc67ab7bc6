/** What the simulated Azure sells: few sizes, of each sort that matters. */
export interface Size {
  name: string;
  family: string;
  vcpus: number;
  memoryGiB: number;
  architecture: 'x64' | 'Arm64';
  gpus: number;
  spot: boolean;
  /** Not sold to this subscription. */
  restricted?: boolean;
}

const size = (
  name: string,
  family: string,
  vcpus: number,
  memoryGiB: number,
  more: Partial<Size> = {},
): Size => ({ name, family, vcpus, memoryGiB, architecture: 'x64', gpus: 0, spot: true, ...more });

export const sizes: Size[] = [
  size('Standard_B1s', 'standardBSFamily', 1, 1, { spot: false }),
  size('Standard_B2s', 'standardBSFamily', 2, 4, { spot: false }),
  size('Standard_B2ms', 'standardBSFamily', 2, 8, { spot: false }),
  size('Standard_D2s_v5', 'standardDSv5Family', 2, 8),
  size('Standard_D4s_v5', 'standardDSv5Family', 4, 16),
  size('Standard_D2ps_v5', 'standardDPSv5Family', 2, 8, { architecture: 'Arm64' }),
  size('Standard_NC4as_T4_v3', 'standardNCASv3_T4Family', 4, 28, { gpus: 1 }),
  size('Standard_M416ms_v2', 'standardMSv2Family', 416, 11400, { restricted: true }),
];

export const zones = ['1', '2', '3'];

/** Most virtual CPUs that may run in a region, altogether and per family. */
export const coreLimit = 100;

export const images = [
  { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', architecture: 'x64' },
  { publisher: 'Debian', offer: 'debian-12', sku: '12-arm64', architecture: 'Arm64' },
  { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', architecture: 'x64' },
].map((image) => ({ ...image, versions: ['0.20251001.1', '0.20261019.2'] }));

/** A row of `Microsoft.Compute/skus` as Azure writes it. */
export function skuRow(region: string, sold: Size): object {
  const capabilities = {
    vCPUs: String(sold.vcpus),
    MemoryGB: String(sold.memoryGiB),
    CpuArchitectureType: sold.architecture,
    LowPriorityCapable: sold.spot ? 'True' : 'False',
    ...(sold.gpus > 0 ? { GPUs: String(sold.gpus) } : {}),
  };
  return {
    resourceType: 'virtualMachines',
    name: sold.name,
    tier: 'Standard',
    family: sold.family,
    locations: [region],
    locationInfo: [{ location: region, zones, zoneDetails: [] }],
    capabilities: Object.entries(capabilities).map(([name, value]) => ({ name, value })),
    restrictions: sold.restricted
      ? [
          {
            type: 'Location',
            values: [region],
            restrictionInfo: { locations: [region] },
            reasonCode: 'NotAvailableForSubscription',
          },
        ]
      : [],
  };
}
