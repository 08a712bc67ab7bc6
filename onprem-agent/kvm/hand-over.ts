import type { InstanceWant } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import type { Gpu } from '../host/gpus.ts';
import type { Domain } from './domain-xml.ts';
import type { Setting } from './setting.ts';
import type { Libvirt } from './virsh.ts';

/** What a domain has of these GPUs: those whose own function is handed over to it. */
export function gpusOf({ hostDevices }: Pick<Domain, 'hostDevices'>, gpus: readonly Gpu[]): Gpu[] {
  return gpus.filter(({ address }) => hostDevices.includes(address));
}

/** One that is to be off may lack some: they may be gone from the host. */
export function hasItsGpus(
  domain: Pick<Domain, 'hostDevices'>,
  { gpu, power }: Pick<InstanceWant, 'gpu' | 'power'>,
  gpus: readonly Gpu[],
): boolean {
  return power === 'stopped' || gpusOf(domain, gpus).length === (gpu?.count ?? 0);
}

/**
 * The GPUs that a machine is to have: those that it has, then free ones. Which are taken libvirt's domains say, ours or not,
 * as they run and as they start next; so call it while nothing else is placed, and define the machine before that ends.
 * Throws CapacityExhausted where too few of the model are left.
 */
export async function gpusFor(
  { gpus, libvirt }: Pick<Setting, 'gpus' | 'libvirt'>,
  uuid: string,
  wanted: InstanceWant['gpu'],
): Promise<Gpu[]> {
  if (!wanted) return [];
  const domains = await everyDefinition(libvirt);
  const devicesOf = (those: readonly Domain[]) => new Set(those.flatMap(({ hostDevices }) => hostDevices));
  const own = devicesOf(domains.filter((domain) => domain.uuid === uuid));
  const taken = devicesOf(domains.filter((domain) => domain.uuid !== uuid));
  const free = gpus.filter(({ functions }) => !functions.some((one) => taken.has(one)));
  const kept = free.filter(({ address }) => own.has(address));
  const others = free.filter((gpu) => gpu.model === wanted.name && !kept.includes(gpu));
  if (kept.length + others.length >= wanted.count) return [...kept, ...others].slice(0, wanted.count);
  throw new ProviderError(
    'CapacityExhausted',
    `this host has ${kept.length + others.length} of ${gpus.length} GPUs free, and ${wanted.count} of model ${wanted.name} are wanted`,
  );
}

/** The GPUs that are not held by machines that are not Landfall's: no claim in the ledger stands for those. */
export async function gpusForGuests({ gpus, libvirt }: Pick<Setting, 'gpus' | 'libvirt'>): Promise<Gpu[]> {
  if (gpus.length === 0) return [];
  const strangers = (await everyDefinition(libvirt)).filter(({ record }) => record === undefined);
  const held = new Set(strangers.flatMap(({ hostDevices }) => hostDevices));
  return gpus.filter(({ functions }) => !functions.some((one) => held.has(one)));
}

/** Of a running domain both: what it has, and what it starts with next. */
async function everyDefinition(libvirt: Libvirt): Promise<Domain[]> {
  return [...(await libvirt.all()), ...(await libvirt.allInactive())];
}
