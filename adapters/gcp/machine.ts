import type { protos } from '@google-cloud/compute';
import type { InstanceDetails, InstanceWant, Location, Present, Target } from '../contract.ts';
import { aggregated } from './aggregated.ts';
import { type Account, finding } from './clients.ts';
import { deathOf, hiding, notOurs, parseRef, refOf, unreachable } from './collections.ts';
import { lastOf, regionOf } from './places.ts';
import { readSshRule, sshRuleRef, sshTag, wantsSsh } from './ssh.ts';
import { carries, machineName, mutableLabels, stampFilter, stampLabels, stampOf } from './stamp.ts';

type IInstance = protos.google.cloud.compute.v1.IInstance;

/** An instance with what we always read of it. */
export type Machine = IInstance & { name: string; zone: string; labels: Record<string, string> };

export function machineOf(instance: IInstance): Machine {
  return {
    ...instance,
    name: instance.name ?? '',
    zone: lastOf(instance.zone),
    labels: instance.labels ?? {},
  };
}

export const machineRef = ({ zone, name }: Pick<Machine, 'zone' | 'name'>): string =>
  refOf({ collection: 'instances', scope: `zones/${zone}`, name });

export async function findByName(account: Account, zone: string, name: string): Promise<Machine | undefined> {
  const request = { project: await account.project(), zone, instance: name };
  const found = await finding(account.clients.instances.get(request, account.call));
  return found && machineOf(found);
}

/**
 * The machines with the target's stamp: by name where the attempt and its zone are known, because that is seen at once, by
 * reference where one is given, and by label in every zone. Newest attempt first.
 * @throws ProviderError `Conflict` when the reference is a machine that does not carry the stamp (A5); `Unavailable` when none was
 * found and a zone could not be reached.
 */
export async function findMachines(
  account: Account,
  target: Pick<Target, 'stamp' | 'location' | 'ref'>,
): Promise<Machine[]> {
  const { attempt, ...stamp } = target.stamp;
  const { zone } = target.location;
  const at = parseRef('instances', target.ref);
  const [named, referred, listed] = await Promise.all([
    attempt !== undefined && zone ? findByName(account, zone, machineName({ ...stamp, attempt })) : undefined,
    at && findByName(account, lastOf(at.scope), at.name),
    listByStamp(account, target.stamp),
  ]);
  if (referred && !carries(referred.labels, target.stamp)) throw notOurs(machineRef(referred));
  const ours = [named, referred, ...listed.machines].filter(
    (machine): machine is Machine => machine !== undefined && carries(machine.labels, target.stamp),
  );
  const away = hiding(account, target, listed.away);
  if (ours.length === 0 && away.length > 0) throw unreachable(away);
  const attemptOf = (machine: Machine) => stampOf(machine.labels)?.attempt ?? 0;
  return [...new Map(ours.map((machine) => [machineRef(machine), machine])).values()].sort(
    (a, b) => attemptOf(b) - attemptOf(a),
  );
}

async function listByStamp(
  account: Account,
  stamp: Parameters<typeof stampFilter>[0],
): Promise<{ machines: Machine[]; away: string[] }> {
  const { scopes, away } = await aggregated(account, 'instances', stampFilter(stamp));
  return { machines: scopes.flatMap(([, { instances }]) => (instances ?? []).map(machineOf)), away };
}

/** Every machine with the stamp, in all zones. @throws ProviderError `Unavailable` when a zone could not be reached. */
export async function findByStamp(
  account: Account,
  stamp: Parameters<typeof stampFilter>[0],
): Promise<Machine[]> {
  const { machines, away } = await listByStamp(account, stamp);
  const hidden = hiding(account, { stamp }, away);
  if (hidden.length > 0) throw unreachable(hidden);
  return machines;
}

/** The machine of this attempt was there and is not. */
export const deathOfMachine = (zone: string, name: string) => deathOf(machineRef({ zone, name }));

/** References of what a machine brings with it: its boot disk, and the rule that lets SSH in. A volume is nobody's child. */
export function childrenOf(machine: Machine): string[] {
  const tags = machine.tags?.items ?? [];
  // Its name is a digest, which costs more than all else that is read of a machine in a list.
  const stamp = tags.some(isTagOfOurs) ? stampOf(machine.labels) : undefined;
  const letsSshIn = stamp && tags.includes(sshTag(stamp));
  return [...bootDisksOf(machine), ...(letsSshIn ? [sshRuleRef(stamp)] : [])];
}

/** A disk that outlives the machine, as one that was adopted may have it, is somebody else's. */
export function bootDisksOf(machine: Machine): string[] {
  const scope = `zones/${machine.zone}`;
  return (machine.disks ?? []).flatMap(({ source, boot, autoDelete }) =>
    source && boot && autoDelete ? [refOf({ collection: 'disks', scope, name: lastOf(source) })] : [],
  );
}

export interface Size {
  vcpus: number;
  memoryGiB: number;
}

/** By zone and machine type. */
export type Sizes = Map<string, Size>;

export async function addSize(account: Account, sizes: Sizes, machine: Machine): Promise<void> {
  const key = sizeKey(machine);
  if (sizes.has(key)) return;
  const project = await account.project();
  const machineType = lastOf(machine.machineType);
  const type = await finding(
    account.clients.machineTypes.get({ project, zone: machine.zone, machineType }, account.call),
  );
  sizes.set(key, { vcpus: type?.guestCpus ?? 0, memoryGiB: (type?.memoryMb ?? 0) / 1024 });
}

/** One for all machines of a size: what is asked for once. */
export const sizeKey = (machine: Machine): string => `${machine.zone}/${lastOf(machine.machineType)}`;

/** `TERMINATED` is Compute Engine's word for stopped. A machine in repair comes back by itself. */
const powers: Record<string, InstanceDetails['power']> = {
  PENDING: 'pending',
  PROVISIONING: 'pending',
  STAGING: 'pending',
  REPAIRING: 'pending',
  RUNNING: 'running',
  PENDING_STOP: 'stopping',
  STOPPING: 'stopping',
  SUSPENDING: 'stopping',
  DEPROVISIONING: 'stopping',
  STOPPED: 'stopped',
  SUSPENDED: 'stopped',
  TERMINATED: 'stopped',
};

export function powerOf(machine: Machine): InstanceDetails['power'] {
  return powers[String(machine.status)] ?? 'pending';
}

/** Nothing that is asked of it can keep it. */
export function isGoing(machine: Machine): boolean {
  return machine.status === 'DEPROVISIONING';
}

export function instanceState(machine: Machine): Present['state'] {
  if (isGoing(machine)) return 'removing';
  return powerOf(machine) === 'pending' ? 'creating' : 'ready';
}

export function rebootsOf(machine: Machine): number {
  return Number(machine.labels[stampLabels.reboots] ?? 0);
}

export function locationOf(machine: Machine): Location {
  return { region: regionOf(machine.zone), zone: machine.zone };
}

export function detailsOf(machine: Machine, sizes: Sizes): InstanceDetails {
  const addresses: InstanceDetails['addresses'] = [];
  for (const nic of machine.networkInterfaces ?? []) {
    if (nic.networkIP) addresses.push({ type: 'internal', address: nic.networkIP });
    for (const { natIP } of nic.accessConfigs ?? [])
      if (natIP) addresses.push({ type: 'external', address: natIP });
  }
  const host = (addresses.find(({ type }) => type === 'external') ?? addresses[0])?.address;
  const user = machine.labels[stampLabels.user];
  return {
    power: powerOf(machine),
    ...(sizes.get(sizeKey(machine)) ?? { vcpus: 0, memoryGiB: 0 }),
    instanceType: lastOf(machine.machineType),
    addresses,
    ssh: user && host && machine.status === 'RUNNING' ? { host, port: 22, user } : undefined,
    reboots: rebootsOf(machine),
    children: childrenOf(machine),
  };
}

/** The machine as the contract shows it. @throws ProviderError `Conflict` when it carries no stamp. */
export async function toPresent(account: Account, machine: Machine, want?: InstanceWant): Promise<Present> {
  const stamp = stampOf(machine.labels);
  if (!stamp) throw notOurs(machineRef(machine));
  const sizes: Sizes = new Map();
  if (want && want.instanceType === lastOf(machine.machineType))
    sizes.set(sizeKey(machine), { vcpus: want.vcpus, memoryGiB: want.memoryGiB });
  const [, letsSshIn] = await Promise.all([
    addSize(account, sizes, machine),
    want && wantsSsh(want) ? readSshRule(account, stamp) : undefined,
  ]);
  const diff = want ? differences(machine, want) : [];
  if (want && wantsSsh(want) && !letsSshIn && !diff.includes('firewalls')) diff.push('firewalls');
  return {
    presence: 'present',
    ref: machineRef(machine),
    stamp,
    location: locationOf(machine),
    state: instanceState(machine),
    details: detailsOf(machine, sizes),
    diff,
  };
}

/** The network tags of ours that the machine should have. */
export function wantedTags(machine: Machine, want: InstanceWant): string[] {
  const stamp = stampOf(machine.labels);
  // Who reaches a machine that was adopted its owner has settled; one that we made before let go of has a tag of ours for it.
  if (want.image === undefined) return (machine.tags?.items ?? []).filter(isTagOfOurs).sort();
  return [...(want.firewalls ?? []).map(lastOf), ...(stamp && wantsSsh(want) ? [sshTag(stamp)] : [])].sort();
}

/** Tags that are not by us are somebody's own. */
export const isTagOfOurs = (tag: string): boolean => tag.startsWith('landfall-');

export function hasTags(machine: Machine, wanted: string[]): boolean {
  return (machine.tags?.items ?? []).filter(isTagOfOurs).sort().join() === wanted.join();
}

/** Can it be reached from outside, by an address of its own or a reserved one? */
export function isPublic(machine: Machine): boolean {
  return (machine.networkInterfaces ?? []).some(({ accessConfigs }) => (accessConfigs ?? []).length > 0);
}

/** Fields of the wanted spec that the machine does not have. What Compute Engine fixes at creation is not compared. */
export function differences(machine: Machine, want: InstanceWant): string[] {
  const diff: string[] = [];
  if (powerOf(machine) !== want.power) diff.push('power');
  if (lastOf(machine.machineType) !== want.instanceType) diff.push('instanceType');
  if (rebootsOf(machine) < want.reboots) diff.push('reboots');
  if (!hasTags(machine, wantedTags(machine, want))) diff.push('firewalls');
  if (want.publicAddress && !isPublic(machine)) diff.push('publicAddress');
  if (machine.labels[stampLabels.name] !== want.name) diff.push('name');
  if (Object.entries(want.labels).some(([key, value]) => machine.labels[key] !== value)) diff.push('labels');
  return diff;
}

/** The machine's labels as they should be, or nothing when they are. */
export function betterLabels(machine: Machine, want: InstanceWant): Record<string, string> | undefined {
  const wanted = mutableLabels(want);
  const same = Object.entries(wanted).every(([key, value]) => machine.labels[key] === value);
  return same ? undefined : { ...machine.labels, ...wanted };
}
