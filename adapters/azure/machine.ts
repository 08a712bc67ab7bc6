import type { VirtualMachine } from '@azure/arm-compute';
import type { InstanceDetails, InstanceWant, Location, Present, Stamp, Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere, readingAll } from './clients.ts';
import { meaningOf } from './errors.ts';
import { idOf, kindOf, type ObjectKind } from './objects.ts';
import { carries, groupName, mutableTags, objectName, stampOf, stampTags, type Tags } from './stamp.ts';

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

/** An object of one attempt, found by its tags. */
export interface Tagged {
  id: string;
  name: string;
  kind: ObjectKind;
  tags: Tags;
  location?: string;
  provisioningState?: string;
  createdAt?: string;
}

/** A page of everything in the region with this tag, over all types. */
export async function findTagged(
  account: Account,
  broker: string,
  region: string,
  tag: { name: string; value: string },
  continuationToken?: string,
): Promise<{ found: Tagged[]; next?: string }> {
  const group = groupName(broker, region);
  const filter = `tagName eq '${tag.name}' and tagValue eq '${tag.value}'`;
  const options = { filter, expand: 'createdTime,provisioningState' };
  const pages = account.resources.resources.listByResourceGroup(group, options).byPage({ continuationToken });
  const answer = await ifThere(pages.next());
  // Without a group there is nothing in it.
  if (!answer || answer.done) return { found: [] };
  const found = answer.value.flatMap((item): Tagged[] => {
    const kind = kindOf(item.type);
    if (!kind || !item.name) return [];
    const { name, tags = {}, location, provisioningState, createdTime } = item;
    const id = idOf(account, group, kind, name);
    return [
      {
        id,
        name,
        kind,
        tags,
        location,
        provisioningState,
        createdAt: createdTime?.toISOString(),
      },
    ];
  });
  return { found, next: answer.value.continuationToken };
}

/** The attempts that a target means: the one it names, else every one that something carries the stamp of. Newest first. */
export async function attemptsOf(account: Account, { stamp, location }: Target): Promise<Stamp[]> {
  if (stamp.attempt !== undefined) return [{ ...stamp, attempt: stamp.attempt }];
  const attempts = new Set<number>();
  let next: string | undefined;
  do {
    const tag = { name: stampTags.resource, value: stamp.resource };
    const page = await findTagged(account, stamp.broker, location.region, tag, next);
    for (const { tags } of page.found) if (carries(tags, stamp)) attempts.add(stampOf(tags)?.attempt ?? 0);
    next = page.next;
  } while (next);
  return [...attempts].sort((one, other) => other - one).map((attempt) => ({ ...stamp, attempt }));
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

export function detailsOf(
  account: Account,
  group: string,
  machine: VirtualMachine,
  size: { vcpus: number; memoryGiB: number },
  addresses: InstanceDetails['addresses'],
): InstanceDetails {
  const azurePower = powerOf(machine);
  const power = powers[azurePower ?? ''] ?? 'pending';
  const user = machine.osProfile?.adminUsername;
  const host = (addresses.find(({ type }) => type === 'external') ?? addresses[0])?.address;
  const name = machine.name ?? '';
  const children: ObjectKind[] = ['networkInterface', 'networkSecurityGroup', 'disk'];
  if (addresses.some(({ type }) => type === 'external')) children.push('publicIPAddress');
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

async function addressesOf(
  account: Account,
  group: string,
  name: string,
): Promise<InstanceDetails['addresses']> {
  const [nic, external] = await Promise.all([
    ifThere(account.network.networkInterfaces.get(group, name)),
    ifThere(account.network.publicIPAddresses.get(group, name)),
  ]);
  const addresses: InstanceDetails['addresses'] = [];
  for (const { privateIPAddress } of nic?.ipConfigurations ?? [])
    if (privateIPAddress) addresses.push({ type: 'internal', address: privateIPAddress });
  if (external?.ipAddress) addresses.push({ type: 'external', address: external.ipAddress });
  return addresses;
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
  const [size, addresses] = await Promise.all([
    want?.instanceType === type
      ? { vcpus: want.vcpus, memoryGiB: want.memoryGiB }
      : sizeOf(account, region, type),
    addressesOf(account, group, name),
  ]);
  return {
    presence: 'present',
    ref: idOf(account, group, 'virtualMachine', name),
    stamp: stampOf(machine.tags) ?? stamp,
    location: locationOf(machine, region),
    state: stateOf(machine),
    details: detailsOf(account, group, machine, size, addresses),
    diff: want ? differences(machine, want) : [],
  };
}

/** Fields of the wanted spec that the machine does not have. What Azure fixes at creation is not compared. */
export function differences(machine: VirtualMachine, want: InstanceWant): string[] {
  const diff: string[] = [];
  if (powers[powerOf(machine) ?? ''] !== want.power) diff.push('power');
  if (machine.hardwareProfile?.vmSize !== want.instanceType) diff.push('instanceType');
  if (Number(machine.tags?.[stampTags.reboots] ?? 0) < want.reboots) diff.push('reboots');
  if (machine.tags?.[stampTags.name] !== want.name) diff.push('name');
  if (Object.entries(want.labels).some(([key, value]) => machine.tags?.[key] !== value)) diff.push('labels');
  return diff;
}

/** The machine's tags with name and labels as wanted, or undefined when they are right: Azure replaces all tags at once. */
export function tagsToWrite(machine: VirtualMachine, want: InstanceWant): Tags | undefined {
  const wanted = mutableTags(want);
  if (Object.entries(wanted).every(([key, value]) => machine.tags?.[key] === value)) return undefined;
  return { ...machine.tags, ...wanted };
}
