import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** What is known of an offer beside its size and price; absent = not known. */
export interface KnownFacts {
  /** Carbon intensity of the region's grid, g CO2e per kWh. */
  carbon?: number;
  /** Sustained network bandwidth over all cards, Gbit/s. */
  networkGbps?: number;
  /** Disks that are part of the machine and go with it; 0 = none. */
  localDiskGiB?: number;
  /** Memory of one GPU; 0 = no GPU. */
  gpuMemoryGiB?: number;
  /** `Intel`, `AMD`, or who designed the Arm processor: `AWS`, `Google`, `Ampere`, `Microsoft`. */
  cpuVendor?: string;
  /** Fraction of machines that the provider takes back in a month; 0 on demand. */
  interruptionRate?: number;
}

/** Names of {@link KnownFacts}. */
export const KNOWN_FACTS = [
  'carbon',
  'networkGbps',
  'localDiskGiB',
  'gpuMemoryGiB',
  'cpuVendor',
  'interruptionRate',
] as const satisfies (keyof KnownFacts)[];

/** The shipped file, which `generate-facts.py` writes: [Gbit/s, disk GiB, GiB of one GPU, processor's maker]. */
interface FactsFile {
  carbon: Record<string, Record<string, number>>;
  aws: Record<string, [number, number, number | null, string]>;
}

let loaded: FactsFile | undefined;

function file(): FactsFile {
  loaded ??= JSON.parse(
    gunzipSync(readFileSync(new URL('./facts/facts.json.gz', import.meta.url))).toString('utf8'),
  ) as FactsFile;
  return loaded;
}

/** Carbon intensity of a region's grid, g CO2e per kWh (sources: `facts/manifest.json`). */
export function gridCarbonOf(provider: string, region: string): number | undefined {
  const regions = file().carbon[provider];
  return regions !== undefined && Object.hasOwn(regions, region) ? regions[region] : undefined;
}

/**
 * What an instance type is like: of AWS as it describes the type, of GCP and Azure what the type's name says for certain
 * (https://cloud.google.com/compute/docs/cpu-platforms, https://cloud.google.com/compute/docs/gpus,
 * https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions).
 */
export function machineFactsOf(provider: string, instanceType: string): KnownFacts {
  if (provider === 'aws') {
    const known = file().aws;
    const found = Object.hasOwn(known, instanceType) ? known[instanceType] : undefined;
    if (found === undefined) return {};
    const [networkGbps, localDiskGiB, gpuMemoryGiB, cpuVendor] = found;
    return { networkGbps, localDiskGiB, cpuVendor, ...(gpuMemoryGiB === null ? {} : { gpuMemoryGiB }) };
  }
  if (provider === 'gcp') return gcpMachine(instanceType);
  if (provider === 'azure') return azureMachine(instanceType);
  return {};
}

/** E2 is missing: it runs on Intel or AMD, whichever is free. */
const GCP_VENDORS: Record<string, string> = Object.fromEntries(
  Object.entries({
    Intel: 'n1 n2 n4 c2 c3 c4 m1 m2 m3 h3 a2 a3 g2 z3 x4 f1 g1',
    AMD: 'n2d n4d t2d c2d c3d c4d g4',
    Ampere: 't2a',
    Google: 'c4a n4a',
  }).flatMap(([vendor, series]) => series.split(' ').map((name) => [name, vendor])),
);
/** Series whose GPU is part of the machine, by the start of the type's name. */
const GCP_GPU_MEMORY: [string, number][] = [
  ['a2-highgpu-', 40],
  ['a2-megagpu-', 40],
  ['a2-ultragpu-', 80],
  ['a3-edgegpu-', 80],
  ['a3-highgpu-', 80],
  ['a3-megagpu-', 80],
  ['a3-ultragpu-', 141],
  ['g2-standard-', 24],
];

function gcpMachine(instanceType: string): KnownFacts {
  const series = instanceType.split('-')[0]!;
  const cpuVendor = Object.hasOwn(GCP_VENDORS, series) ? GCP_VENDORS[series] : undefined;
  const gpu = GCP_GPU_MEMORY.find(([start]) => instanceType.startsWith(start));
  return {
    ...(cpuVendor === undefined ? {} : { cpuVendor }),
    ...(gpu === undefined ? {} : { gpuMemoryGiB: gpu[1] }),
  };
}

/** D and E from version 3 on, B version 2 and F version 2: there the feature letter tells the processor. */
function azureMachine(instanceType: string): KnownFacts {
  const match = /^Standard_(D|E|F|B)C?\d+(?:-\d+)?([a-z]*)_v(\d+)$/.exec(instanceType);
  if (match === null) return {};
  const [, family, features, version] = match as unknown as [string, string, string, string];
  const number = Number(version);
  if (number < (family === 'D' || family === 'E' ? 3 : 2)) return {};
  if (features.includes('a')) return { cpuVendor: 'AMD' };
  if (!features.includes('p')) return { cpuVendor: 'Intel' };
  return { cpuVendor: number >= 6 ? 'Microsoft' : 'Ampere' };
}

/** One fact of an offer. A machine known to have no GPU has no GPU memory; on demand nothing is taken back. */
export function knownFact(
  fact: keyof KnownFacts,
  offer: {
    provider: string;
    region: string;
    instanceType: string;
    market: string;
    gpuCount: number;
    interruptionRate?: number | null;
  },
): number | string | undefined {
  switch (fact) {
    case 'carbon':
      return gridCarbonOf(offer.provider, offer.region);
    case 'interruptionRate':
      return offer.market === 'onDemand' ? 0 : (offer.interruptionRate ?? undefined);
    case 'gpuMemoryGiB':
      return (
        machineFactsOf(offer.provider, offer.instanceType).gpuMemoryGiB ??
        (offer.gpuCount === 0 ? 0 : undefined)
      );
    default:
      return machineFactsOf(offer.provider, offer.instanceType)[fact];
  }
}
