import type { VirtualMachine } from '@azure/arm-compute';
import type { NetworkInterface } from '@azure/arm-network';
import type { InstanceDetails, InstanceWant, Location, Present, Stamp } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere, readingAll } from './clients.ts';
import { meaningOf } from './errors.ts';
import { firewallsOf, readInterface, refsOfFirewalls } from './interface.ts';
import { idOf, type ObjectKind, placeOf } from './objects.ts';
import { carries, groupName, namesThatDiffer, objectName, stampOf, stampTags } from './stamp.ts';

/** The machine of one attempt with its run-time view, or undefined. @throws ProviderError `Conflict` for a foreign one (A5). */
export async function findMachine(
  account: Account,
  region: string,
  stamp: Stamp,
): Promise<VirtualMachine | undefined> {
  const group = groupName(stamp.broker, region);
  const name = objectName(stamp);
  const machine = await ifThere(account.compute.virtualMachines.get(group, name, { expand: 'instanceView' }));
  if (machine && !carries(machine.tags, stamp))
    throw new ProviderError('Conflict', `${name} does not carry its stamp`, { providerCode: 'NotOurs' });
  return machine;
}

/** Azure's words for the machine's power, absent until it first ran. */
export function powerOf(machine: VirtualMachine): string | undefined {
  return machine.instanceView?.statuses
    ?.map(({ code }) => /^PowerState\/(.+)$/.exec(code ?? '')?.[1])
    .find((power) => power !== undefined);
}

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

function detailsOf(
  account: Account,
  group: string,
  machine: VirtualMachine,
  size: { vcpus: number; memoryGiB: number },
  { nic, own, addresses }: Reached,
): InstanceDetails {
  const azurePower = powerOf(machine);
  const power = powers[azurePower ?? ''] ?? 'pending';
  const user = machine.osProfile?.adminUsername;
  const host = (addresses.find(({ type }) => type === 'external') ?? addresses[0])?.address;
  const name = machine.name ?? '';
  const children: ObjectKind[] = ['networkInterface', 'disk'];
  if (nic?.networkSecurityGroup) children.push('networkSecurityGroup');
  if (own) children.push('publicIPAddress');
  return {
    power,
    ...size,
    instanceType: machine.hardwareProfile?.vmSize ?? '',
    addresses,
    ssh: user && host && power === 'running' ? { host, port: 22, user } : undefined,
    reboots: Number(machine.tags?.[stampTags.reboots] ?? 0),
    children: children.map((kind) => idOf(account, group, kind, name)),
  };
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
interface Reached {
  nic?: NetworkInterface;
  /** Whether a public address was made for it: its child, also while a reserved one takes its place. */
  own: boolean;
  addresses: InstanceDetails['addresses'];
}

async function reachedBy(account: Account, group: string, name: string): Promise<Reached> {
  const { publicIPAddresses } = account.network;
  const [nic, own] = await Promise.all([
    readInterface(account, group, name),
    ifThere(publicIPAddresses.get(group, name)),
  ]);
  const addresses: InstanceDetails['addresses'] = [];
  for (const { privateIPAddress, publicIPAddress } of nic?.ipConfigurations ?? []) {
    if (privateIPAddress) addresses.push({ type: 'internal', address: privateIPAddress });
    const place = placeOf(publicIPAddress?.id);
    const external =
      place && (place.name === name ? own : await ifThere(publicIPAddresses.get(place.group, place.name)));
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

export function locationOf(machine: { location?: string; zones?: string[] }, region: string): Location {
  return { region, zone: machine.zones?.[0] };
}

/** The machine as the contract shows it. */
export async function toPresent(
  account: Account,
  region: string,
  machine: VirtualMachine,
  stamp: Stamp,
  want?: InstanceWant,
): Promise<Present> {
  const group = groupName(stamp.broker, region);
  const name = objectName(stamp);
  const type = machine.hardwareProfile?.vmSize ?? '';
  const [size, reached] = await Promise.all([
    want?.instanceType === type
      ? { vcpus: want.vcpus, memoryGiB: want.memoryGiB }
      : sizeOf(account, region, type),
    reachedBy(account, group, name),
  ]);
  return {
    presence: 'present',
    ref: idOf(account, group, 'virtualMachine', name),
    stamp: stampOf(machine.tags) ?? stamp,
    location: locationOf(machine, region),
    state: stateOf(machine),
    details: detailsOf(account, group, machine, size, reached),
    diff: want ? differences(account, group, machine, reached.nic, want) : [],
  };
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
  if (firewallsOf(account, group, nic).join() !== firewalls.join()) diff.push('firewalls');
  return [...diff, ...namesThatDiffer(machine.tags, want)];
}
