import type { ResourceSku } from '@azure/arm-compute';
import type { CallContext, Quota, SiteOffer } from '../contract.ts';
import { type Account, readingAll } from './clients.ts';

/** Sizes × regions × zones × markets that this subscription may use; prices are the catalogue's. */
export async function* readOffers(account: Account, context: CallContext): AsyncIterable<SiteOffer> {
  for (const region of account.regions) {
    context.signal.throwIfAborted();
    context.heartbeat();
    const filter = `location eq '${region}'`;
    for (const sku of await readingAll(account.compute.resourceSkus.list({ filter })))
      if (sku.resourceType === 'virtualMachines') yield* offersOf(sku, region);
  }
}

function* offersOf(sku: ResourceSku, region: string): Iterable<SiteOffer> {
  const capability = (name: string) => sku.capabilities?.find((one) => one.name === name)?.value;
  const restrictions = sku.restrictions ?? [];
  if (!sku.name || restrictions.some(({ type }) => type === 'Location')) return;
  const vcpus = Number(capability('vCPUsAvailable') ?? capability('vCPUs'));
  const memoryGiB = Number(capability('MemoryGB'));
  if (!(vcpus > 0 && memoryGiB > 0)) return;
  const closed = new Set(restrictions.flatMap(({ restrictionInfo }) => restrictionInfo?.zones ?? []));
  const open = (sku.locationInfo?.[0]?.zones ?? []).filter((zone) => !closed.has(zone)).sort();
  const gpuCount = Number(capability('GPUs') ?? 0);
  const markets =
    capability('LowPriorityCapable') === 'True' ? (['onDemand', 'spot'] as const) : (['onDemand'] as const);
  // A region without zones, or a size that is in none, is one place.
  for (const zone of open.length > 0 ? open : [undefined])
    for (const market of markets)
      yield {
        region,
        zone,
        instanceType: sku.name,
        market,
        vcpus,
        memoryGiB,
        architecture: capability('CpuArchitectureType') === 'Arm64' ? 'arm64' : 'x86_64',
        gpuName: gpuCount > 0 ? gpuNameOf(sku.name) : undefined,
        gpuCount,
        burstable: /^Standard_B/.test(sku.name),
        currency: 'USD',
      };
}

/** Azure writes the accelerator into the size's name only, e.g. `Standard_NC4as_T4_v3`. */
function gpuNameOf(size: string): string | undefined {
  return /_(T4|A10|A100|H100|H200|V100|V710|MI300X)_/i.exec(size)?.[1]?.toUpperCase();
}

/** Cores and machines by Azure's own names, e.g. `cores`, `standardDSv5Family`. */
export async function readQuota(account: Account, region: string): Promise<Quota[]> {
  const rows = await readingAll(account.compute.usage.list(region));
  return rows.flatMap(({ name, limit, currentValue }) =>
    name?.value ? [{ region, resource: name.value, limit: Number(limit), used: Number(currentValue) }] : [],
  );
}
