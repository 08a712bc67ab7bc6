import type { VirtualMachine } from '@azure/arm-compute';
import type { NetworkInterface } from '@azure/arm-network';
import type { InstanceDetails, InstanceWant, Location, Present, Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere, readingAll } from './clients.ts';
import { meaningOf } from './errors.ts';
import { firewallsOf, readInterface, refsOfFirewalls } from './interface.ts';
import { idOf, isMade, madeAt, notOurs, type ObjectKind, type Place, placeOf, refAt } from './objects.ts';
import { carries, groupName, namesThatDiffer, stampOf, stampTags, type Tags } from './stamp.ts';
import { findStamped, readPages, regionOf } from './tagged.ts';

/** A machine with its run-time view, whosever it is. */
export function readMachine(account: Account, { group, name }: Place): Promise<VirtualMachine | undefined> {
  return ifThere(account.compute.virtualMachines.get(group, name, { expand: 'instanceView' }));
}

/** The machine of one attempt with its run-time view, or undefined. @throws ProviderError `Conflict` for a foreign one (A5). */
export async function findMachine(
  account: Account,
  place: Place,
  stamp: Target['stamp'],
): Promise<VirtualMachine | undefined> {
  const machine = await readMachine(account, place);
  if (machine && !carries(machine.tags, stamp)) throw notOurs(place.name);
  return machine;
}

/**
 * The target's machine and where it is: by the name of the attempt and by the reference, because those are seen at once, else by
 * its tags, the newest attempt's first.
 * @throws ProviderError `Conflict` for a foreign one (A5).
 */
export async function findTarget(
  account: Account,
  target: Pick<Target, 'stamp' | 'location' | 'ref'>,
): Promise<{ machine: VirtualMachine; place: Place } | undefined> {
  const { stamp, location, ref } = target;
  const { attempt } = stamp;
  const named = attempt === undefined ? undefined : madeAt({ ...stamp, attempt }, location.region);
  for (const place of [named, placeOf(ref)]) {
    const machine = place && (await findMachine(account, place, stamp));
    if (machine) return { machine, place };
  }
  const machines = (await findStamped(account, target)).filter(({ kind }) => kind === 'virtualMachine');
  for (const { place } of machines.sort((one, other) => attemptOf(other.tags) - attemptOf(one.tags))) {
    const machine = await findMachine(account, place, stamp);
    if (machine) return { machine, place };
  }
  return undefined;
}

const attemptOf = (tags: Tags): number => stampOf(tags)?.attempt ?? 0;

/** Azure's words for the machine's power, absent until it first ran. */
export function powerOf(machine: Pick<VirtualMachine, 'instanceView'>): string | undefined {
  return machine.instanceView?.statuses
    ?.map(({ code }) => /^PowerState\/(.+)$/.exec(code ?? '')?.[1])
    .find((power) => power !== undefined);
}

/** Machines that do not run, by group and name: most run, and then there is little to keep. Null of one that never did. */
export type Resting = Record<string, InstanceDetails['power'] | null>;

/** What a list of machines' states says of one. */
interface Status {
  id?: string;
  properties?: Pick<VirtualMachine, 'instanceView'>;
}

/** Asks for the power of every machine of the subscription: one question, however many there are. */
export async function readResting(account: Account): Promise<Resting> {
  const resting: Resting = {};
  const all = `/subscriptions/${account.subscription}/providers/Microsoft.Compute/virtualMachines?api-version=2026-04-01&statusOnly=true`;
  for await (const page of readPages<Status>(account, all))
    for (const { id, properties } of page) {
      const power = powers[powerOf(properties ?? {}) ?? ''];
      const place = power === 'running' ? undefined : placeOf(id);
      if (place) resting[keyOf(place)] = power ?? null;
    }
  return resting;
}

export function powerIn(resting: Resting | undefined, place: Place): InstanceDetails['power'] | undefined {
  const power = resting?.[keyOf(place)];
  return power === undefined ? 'running' : (power ?? undefined);
}

/** Azure writes both in any case. */
const keyOf = ({ group, name }: Place): string => `${group}/${name}`.toLowerCase();

/**
 * `failed` is a machine that never ran. One that ran, and then could not be started again, is `ready` and stopped:
 * nobody may replace the user's machine for it (R11).
 */
export function stateOf(machine: VirtualMachine): Present['state'] {
  const { provisioningState } = machine;
  if (provisioningState === 'Deleting') return 'removing';
  if (powerOf(machine) !== undefined) return provisioningState === 'Creating' ? 'creating' : 'ready';
  return provisioningState === 'Failed' ? 'failed' : 'creating';
}

/** Why a machine failed: Azure keeps the operation's code and words in the run-time view. */
export function failureOf(machine: VirtualMachine): ProviderError {
  const failure = machine.instanceView?.statuses?.find(({ code }) =>
    /^ProvisioningState\/failed/i.test(code ?? ''),
  );
  const providerCode = failure?.code?.split('/')[2] ?? 'ProvisioningFailed';
  const words = failure?.message ?? 'the machine could not be made';
  return new ProviderError(meaningOf(providerCode, words) ?? 'Conflict', `${providerCode}: ${words}`, {
    providerCode,
  });
}

export function detailsOf(
  machine: VirtualMachine,
  size: { vcpus: number; memoryGiB: number },
  { addresses }: Pick<Reached, 'addresses'>,
  children: string[],
): InstanceDetails {
  const azurePower = powerOf(machine);
  const power = powers[azurePower ?? ''] ?? 'pending';
  const user = machine.osProfile?.adminUsername;
  const host = (addresses.find(({ type }) => type === 'external') ?? addresses[0])?.address;
  return {
    power,
    ...size,
    instanceType: machine.hardwareProfile?.vmSize ?? '',
    addresses,
    ssh: user && host && power === 'running' ? { host, port: 22, user } : undefined,
    reboots: Number(machine.tags?.[stampTags.reboots] ?? 0),
    children,
  };
}

/** What was made for the machine. */
function childrenMade(account: Account, { group, name }: Place, { nic, own }: Reached): string[] {
  const children: ObjectKind[] = ['networkInterface', 'disk'];
  if (nic?.networkSecurityGroup) children.push('networkSecurityGroup');
  if (own) children.push('publicIPAddress');
  return children.map((kind) => idOf(account, group, kind, name));
}

/** What goes with a machine that was adopted: all else of it outlives it, and is somebody else's. */
function childrenKept(account: Account, { networkProfile, storageProfile }: VirtualMachine): string[] {
  const { osDisk, dataDisks = [] } = storageProfile ?? {};
  const parts: [ObjectKind, string | undefined, string | undefined][] = [
    ...(networkProfile?.networkInterfaces ?? []).map(
      ({ id, deleteOption }): [ObjectKind, string | undefined, string | undefined] => [
        'networkInterface',
        id,
        deleteOption,
      ],
    ),
    ...[...(osDisk ? [osDisk] : []), ...dataDisks].map(
      ({ managedDisk, deleteOption }): [ObjectKind, string | undefined, string | undefined] => [
        'disk',
        managedDisk?.id,
        deleteOption,
      ],
    ),
  ];
  return parts.flatMap(([kind, id, deleteOption]) => {
    const place = placeOf(id);
    return place && deleteOption === 'Delete' ? [refAt(account, kind, place)] : [];
  });
}

const powers: Record<string, InstanceDetails['power']> = {
  running: 'running',
  starting: 'pending',
  stopping: 'stopping',
  deallocating: 'stopping',
  // Stopped from inside: no longer running, still paid for. Starting it, or stopping it by us, puts that right.
  stopped: 'stopped',
  deallocated: 'stopped',
};

/** How a machine is reached. */
export interface Reached {
  nic?: NetworkInterface;
  /** Whether a public address was made for it: its child, also while a reserved one takes its place. */
  own: boolean;
  addresses: InstanceDetails['addresses'];
}

/** @param made where it was made by us, and with it perhaps a public address; absent of one that was adopted. */
export async function reachedBy(account: Account, machine: VirtualMachine, made?: Place): Promise<Reached> {
  const { publicIPAddresses } = account.network;
  const at = placeOf(machine.networkProfile?.networkInterfaces?.[0]?.id) ?? made;
  const [nic, own] = await Promise.all([
    at && readInterface(account, at.group, at.name),
    made && ifThere(publicIPAddresses.get(made.group, made.name)),
  ]);
  const addresses: InstanceDetails['addresses'] = [];
  for (const { privateIPAddress, publicIPAddress } of nic?.ipConfigurations ?? []) {
    if (privateIPAddress) addresses.push({ type: 'internal', address: privateIPAddress });
    const place = placeOf(publicIPAddress?.id);
    const external =
      place &&
      (place.name === made?.name ? own : await ifThere(publicIPAddresses.get(place.group, place.name)));
    if (external?.ipAddress) addresses.push({ type: 'external', address: external.ipAddress });
  }
  return { nic, own: own !== undefined, addresses };
}

async function sizeOf(
  account: Account,
  region: string,
  type: string,
): Promise<{ vcpus: number; memoryGiB: number }> {
  for (const size of await readSizes(account, region))
    if (size.name === type)
      return { vcpus: size.numberOfCores ?? 0, memoryGiB: (size.memoryInMB ?? 0) / 1024 };
  return { vcpus: 0, memoryGiB: 0 };
}

/** Every size of the region; a machine's own answer names only its size. */
export function readSizes(account: Account, region: string) {
  return readingAll(account.compute.virtualMachineSizes.list(region));
}

export function locationOf({ location = '', zones }: { location?: string; zones?: string[] }): Location {
  return { region: regionOf(location), zone: zones?.[0] };
}

/** The machine as the contract shows it. @throws ProviderError `Conflict` when it carries no stamp. */
export async function toPresent(
  account: Account,
  { machine, place }: { machine: VirtualMachine; place: Place },
  want?: InstanceWant,
): Promise<Present> {
  const stamp = stampOf(machine.tags);
  if (!stamp) throw notOurs(place.name);
  const location = locationOf(machine);
  const made = madeAt(stamp, location.region);
  const ours = isMade(place, made);
  const type = machine.hardwareProfile?.vmSize ?? '';
  const [size, reached] = await Promise.all([
    want?.instanceType === type
      ? { vcpus: want.vcpus, memoryGiB: want.memoryGiB }
      : sizeOf(account, location.region, type),
    reachedBy(account, machine, ours ? made : undefined),
  ]);
  const children = ours ? childrenMade(account, made, reached) : childrenKept(account, machine);
  return {
    presence: 'present',
    ref: refAt(account, 'virtualMachine', place),
    stamp,
    location,
    state: stateOf(machine),
    details: detailsOf(machine, size, reached, children),
    diff: want
      ? differences(account, groupName(stamp.broker, location.region), machine, reached.nic, want)
      : [],
  };
}

/** Who reaches a machine that was adopted, which has no image, its owner has settled: firewalls of ours hold in our networks. */
export function hasOwnFirewalls({ image, firewalls = [] }: InstanceWant): boolean {
  return image !== undefined || firewalls.length > 0;
}

/** Fields of the wanted spec that the machine does not have. What Azure fixes at creation is not compared. */
function differences(
  account: Account,
  group: string,
  machine: VirtualMachine,
  nic: NetworkInterface | undefined,
  want: InstanceWant,
): string[] {
  const diff: string[] = [];
  if (powers[powerOf(machine) ?? ''] !== want.power) diff.push('power');
  if (machine.hardwareProfile?.vmSize !== want.instanceType) diff.push('instanceType');
  if (Number(machine.tags?.[stampTags.reboots] ?? 0) < want.reboots) diff.push('reboots');
  const firewalls = refsOfFirewalls(account, group, want);
  if (hasOwnFirewalls(want) && firewallsOf(account, group, nic).join() !== firewalls.join())
    diff.push('firewalls');
  return [...diff, ...namesThatDiffer(machine.tags, want)];
}
