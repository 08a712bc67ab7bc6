import type { protos } from '@google-cloud/compute';
import type { CallContext, Quota, SiteOffer } from '../contract.ts';
import { type Account, reading } from './clients.ts';
import { regionOf } from './places.ts';

type IMachineType = protos.google.cloud.compute.v1.IMachineType;

/** Machine types × zones × markets of the site's regions. Compute Engine's API has no prices: the catalogue's are used. */
export async function* readOffers(account: Account, context: CallContext): AsyncIterable<SiteOffer> {
  const scopes = account.clients.machineTypes
    .aggregatedListAsync({ project: await account.project() }, account.call)
    [Symbol.asyncIterator]();
  for (;;) {
    context.signal.throwIfAborted();
    context.heartbeat();
    const next = await reading(scopes.next());
    if (next.done) return;
    const [scope, { machineTypes }] = next.value;
    const zone = scope.replace(/^zones\//, '');
    if (!account.regions.includes(regionOf(zone))) continue;
    for (const type of machineTypes ?? []) yield* offersOf(type, zone);
  }
}

function* offersOf(type: IMachineType, zone: string): Iterable<SiteOffer> {
  if (!type.name || !type.guestCpus || !type.memoryMb || type.deprecated?.state === 'DELETED') return;
  const [gpu] = type.accelerators ?? [];
  for (const market of ['onDemand', 'spot'] as const)
    yield {
      region: regionOf(zone),
      zone,
      instanceType: type.name,
      market,
      vcpus: type.guestCpus,
      memoryGiB: type.memoryMb / 1024,
      architecture: type.architecture === 'ARM64' ? 'arm64' : 'x86_64',
      gpuName: gpu?.guestAcceleratorType ?? undefined,
      gpuCount: gpu?.guestAcceleratorCount ?? 0,
      burstable: type.isSharedCpu ?? false,
      currency: 'USD',
    };
}

/** The project's quotas in a region, by Compute Engine's own metric names, e.g. `CPUS`. */
export async function readQuota(account: Account, region: string): Promise<Quota[]> {
  const project = await account.project();
  const [found] = await reading(account.clients.regions.get({ project, region }, account.call));
  return (found.quotas ?? []).map(({ metric, limit, usage }) => ({
    region,
    resource: String(metric),
    limit: limit ?? 0,
    used: usage ?? 0,
  }));
}
