import type { Address, InstanceDetails, InstanceWant, Present, Stamp } from '@landfall/adapters/contract.ts';
import type { DomainStatistics } from './domain-statistics.ts';
import type { Domain } from './domain-xml.ts';
import { gpusOf, hasItsGpus } from './hand-over.ts';
import { macOf } from './identity.ts';
import { existingChildren, type Sidecar } from './machine-files.ts';
import type { Setting } from './setting.ts';
import type { Lease } from './virsh-networks.ts';

/** `readyOn` of a machine that was made to be off. */
export const readyWhileOff = 'off';

/** Reference of a child file. */
export function childRef(uuid: string, file: string): string {
  return `${uuid}/${file}`;
}

export interface Sight {
  domain: Domain;
  statistics?: DomainStatistics;
  leases: readonly Lease[];
}

/** Looks at one domain with everything an observation tells. Undefined where there is none. */
export async function sightOf(setting: Setting, uuid: string): Promise<Sight | undefined> {
  const domain = await setting.libvirt.find(uuid);
  if (!domain) return undefined;
  const statistics = (await setting.libvirt.statistics(uuid)).get(domain.name);
  return { domain, statistics, leases: await leasesOf(setting, [domain]) };
}

/** The leases of every network that a running domain of these is in. */
export async function leasesOf({ libvirt, network }: Setting, domains: readonly Domain[]): Promise<Lease[]> {
  const running = domains.filter(({ id }) => id !== undefined);
  const networks = new Set(running.map(({ record }) => record?.network?.ref ?? network));
  const leases: Lease[] = [];
  for (const one of networks) leases.push(...(await libvirt.leases(one)));
  return leases;
}

/** The address the guest has by DHCP, while it runs. */
export function addressOf({ domain, leases }: Pick<Sight, 'domain' | 'leases'>): string | undefined {
  if (domain.id === undefined) return undefined;
  const mac = domain.mac ?? macOf(domain.uuid);
  return leases.findLast((lease) => lease.mac === mac)?.address;
}

function powerOf({ domain, statistics }: Sight): InstanceDetails['power'] {
  if (domain.id === undefined) return 'stopped';
  switch (statistics?.state) {
    case 'stopping':
      return 'stopping';
    case 'paused':
      return 'pending';
    case 'off':
    case 'crashed':
      return 'stopped';
    default:
      return 'running';
  }
}

export function detailsOf({ gpus }: Setting, sight: Sight, children: string[]): InstanceDetails {
  const { domain, statistics } = sight;
  const handedOver = gpusOf(domain, gpus).length;
  const address = addressOf(sight);
  const addresses: Address[] = address === undefined ? [] : [{ type: 'internal', address }];
  return {
    power: powerOf(sight),
    vcpus: domain.vcpus,
    memoryGiB: domain.memoryMiB / 1024,
    ...(handedOver > 0 ? { gpus: handedOver } : {}),
    instanceType: domain.record?.instanceType ?? 'custom',
    addresses,
    ssh:
      address === undefined || domain.record?.user === ''
        ? undefined
        : { host: address, port: 22, user: domain.record?.user ?? 'root' },
    reboots: domain.record?.reboots ?? 0,
    children,
    metrics: domain.id === undefined ? undefined : statistics?.metrics,
  };
}

export function stateOf({ domain }: Sight, power?: 'running' | 'stopped'): 'creating' | 'ready' {
  const readyOn = domain.record?.readyOn;
  // Nothing in it has to answer to us.
  if (domain.record?.adopted) return 'ready';
  if (domain.id !== undefined) return readyOn === domain.id ? 'ready' : 'creating';
  // Off: usable once it was, or when off is what is wanted.
  return readyOn !== undefined || power === 'stopped' ? 'ready' : 'creating';
}

/** Which wanted fields differ from what is seen. */
function diffOf({ gpus }: Setting, sight: Sight, details: InstanceDetails, spec: InstanceWant): string[] {
  const { record } = sight.domain;
  const diff: string[] = [];
  if (details.power !== spec.power) diff.push('power');
  if (details.vcpus !== spec.vcpus) diff.push('vcpus');
  if (!hasMemory(sight.domain, spec)) diff.push('memoryGiB');
  if (!record?.adopted && !hasItsGpus(sight.domain, spec, gpus)) diff.push('gpu');
  if (record?.diskGiB !== spec.diskGiB) diff.push('diskGiB');
  if (record?.reboots !== spec.reboots) diff.push('reboots');
  if (!sameFirewalls(record?.firewalls ?? [], spec.firewalls ?? [])) diff.push('firewalls');
  if (!sameLabels(record?.labels ?? {}, spec.labels)) diff.push('labels');
  return diff;
}

/** A size that is no whole number of MiB, which ours never are, libvirt rounds up for as long as the machine runs. */
export function hasMemory(
  { memoryMiB }: Pick<Domain, 'memoryMiB'>,
  { memoryGiB }: Pick<InstanceWant, 'memoryGiB'>,
): boolean {
  return Math.abs(memoryMiB - memoryGiB * 1024) < 1;
}

/** In any order. */
export function sameFirewalls(a: readonly string[], b: readonly string[]): boolean {
  return new Set([...a, ...b]).size === new Set(a).size && new Set(a).size === new Set(b).size;
}

export function sameLabels(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** The observation of a domain of ours. */
export async function presentDomain(
  setting: Setting,
  sight: Sight,
  stamp: Stamp,
  spec?: InstanceWant,
): Promise<Present<'Instance'>> {
  const { uuid } = sight.domain;
  const files = await existingChildren(setting.storage, uuid);
  const details = detailsOf(
    setting,
    sight,
    files.map(({ file }) => childRef(uuid, file)),
  );
  return {
    presence: 'present',
    ref: uuid,
    stamp,
    location: setting.location,
    state: stateOf(sight, spec?.power),
    details,
    diff: spec ? diffOf(setting, sight, details, spec) : [],
  };
}

/** The observation of files without a domain: a creation that was cut short. */
export async function presentFiles(
  setting: Setting,
  uuid: string,
  sidecar: Sidecar,
  spec?: InstanceWant,
): Promise<Present<'Instance'>> {
  const files = await existingChildren(setting.storage, uuid);
  const children = files.map(({ file }) => childRef(uuid, file));
  return {
    presence: 'present',
    ref: uuid,
    stamp: sidecar.stamp,
    location: setting.location,
    state: 'creating',
    details: {
      power: 'pending',
      vcpus: 0,
      memoryGiB: 0,
      instanceType: 'custom',
      addresses: [],
      reboots: 0,
      children,
    },
    diff: spec ? ['power', 'vcpus', 'memoryGiB', 'diskGiB'] : [],
  };
}
