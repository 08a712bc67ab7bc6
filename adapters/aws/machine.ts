import {
  DescribeInstancesCommand,
  DescribeInstanceTypesCommand,
  type DescribeInstanceTypesCommandOutput,
  type EC2Client,
  type Filter,
  type Instance,
  type _InstanceType as InstanceTypeName,
} from '@aws-sdk/client-ec2';
import type { InstanceDetails, InstanceWant, Interruption, Location, Present, Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { reading } from './clients.ts';
import { meaningOf, providerCodeOf } from './errors.ts';
import { attemptName, carries, namedDiff, stampFilters, stampOf, stampTags, tagValue } from './stamp.ts';

/** An EC2 instance whose id and state are known. */
export type Machine = Instance & { InstanceId: string };

export function stateOf(machine: Machine): string {
  return machine.State?.Name ?? 'pending';
}

/** Terminated machines stay in EC2's answers for about an hour. */
export function isDead(machine: Machine): boolean {
  return stateOf(machine) === 'terminated' || stateOf(machine) === 'shutting-down';
}

/** Every machine that the filters match, over all pages. */
async function describe(
  ec2: EC2Client,
  query: { InstanceIds: string[] } | { Filters: Filter[] },
): Promise<Machine[]> {
  const found: Machine[] = [];
  let token: string | undefined;
  do {
    const page = await reading(ec2.send(new DescribeInstancesCommand({ ...query, NextToken: token })));
    for (const reservation of page.Reservations ?? [])
      for (const instance of reservation.Instances ?? [])
        if (instance.InstanceId) found.push({ ...instance, InstanceId: instance.InstanceId });
    token = page.NextToken || undefined;
  } while (token);
  return found;
}

/** One machine by its id, or nothing when EC2 does not know it (yet). */
export async function findById(ec2: EC2Client, id: string): Promise<Machine | undefined> {
  try {
    return (await describe(ec2, { InstanceIds: [id] }))[0];
  } catch (error) {
    const code = providerCodeOf(error);
    if (code === 'InvalidInstanceID.NotFound' || code === 'InvalidInstanceID.Malformed') return undefined;
    throw error;
  }
}

/**
 * The machines with the target's stamp, terminated ones included: by stamp, and by reference where one is given,
 * because the two become visible at different times. Living first, newest attempt first.
 * @throws ProviderError `Conflict` when the reference is a machine that does not carry the stamp (A5).
 */
export async function findMachines(
  ec2: EC2Client,
  target: Pick<Target, 'stamp' | 'ref'>,
): Promise<Machine[]> {
  const [named, stamped] = await Promise.all([
    target.ref?.startsWith('i-') ? findById(ec2, target.ref) : undefined,
    describe(ec2, { Filters: stampFilters(target.stamp) }),
  ]);
  // EC2 takes the tags off a machine some time after its end, and shows it a while longer: it is no other's for that.
  const isBareCorpse = named && stateOf(named) === 'terminated' && !stampOf(named.Tags);
  if (named && !isBareCorpse && !carries(named.Tags, target.stamp))
    throw new ProviderError(
      'Conflict',
      `${named.InstanceId} does not carry the stamp of ${target.stamp.resource}`,
      {
        providerCode: 'NotOurs',
      },
    );
  const all =
    named && !stamped.some((machine) => machine.InstanceId === named.InstanceId)
      ? [named, ...stamped]
      : stamped;
  const attempt = (machine: Machine) => stampOf(machine.Tags)?.attempt ?? 0;
  return all.sort((a, b) => Number(isDead(a)) - Number(isDead(b)) || attempt(b) - attempt(a));
}

/** Why a dead machine is dead, as an error: its token can never make another one (R4). */
export function deathOf(machine: Machine): ProviderError {
  const reason = machine.StateReason?.Code || 'InstanceTerminated';
  const why = machine.StateReason?.Message || machine.StateTransitionReason || stateOf(machine);
  return new ProviderError(
    meaningOf(reason) ?? 'Conflict',
    `${machine.InstanceId} of this attempt is ${stateOf(machine)} (${why}): only a new attempt can make another`,
    { providerCode: 'InstanceTerminated', made: [machine.InstanceId, ...childrenOf(machine)] },
  );
}

/** Reasons of EC2's own for stopping or terminating a spot machine. */
const interruptions = ['Server.SpotInstanceTermination', 'Server.SpotInstanceShutdown'];

/** That EC2 took the machine away, where it did: running machines keep the reason of an earlier stop. */
export function interruptionOf(machine: Machine): Interruption | undefined {
  const reason = interruptions.find((code) => machine.StateReason?.Code === code);
  const runs = stateOf(machine) === 'running' || stateOf(machine) === 'pending';
  return reason && !runs ? { reason } : undefined;
}

/** References of what a machine brings with it, as far as its own description names them. */
export function childrenOf(machine: Machine): string[] {
  const all = [
    ...groupsOf(machine).flatMap(({ id, own }) => (own ? [id] : [])),
    // What outlives the machine is somebody else's: an attached volume.
    ...(machine.BlockDeviceMappings ?? []).map(({ Ebs }) =>
      Ebs?.DeleteOnTermination ? Ebs.VolumeId : undefined,
    ),
    ...(machine.NetworkInterfaces ?? []).map((nic) => nic.NetworkInterfaceId),
  ];
  return [...new Set(all.filter((ref) => ref !== undefined))];
}

/** The security groups of a machine; `own` is the one that was made for its attempt, the others are Firewalls. */
function groupsOf(machine: Machine): { id: string; own: boolean }[] {
  const groups = machine.SecurityGroups?.length
    ? machine.SecurityGroups
    : (machine.NetworkInterfaces ?? []).flatMap((nic) => nic.Groups ?? []);
  const stamp = stampOf(machine.Tags);
  const name = stamp && attemptName(stamp);
  return groups.flatMap(({ GroupId, GroupName }) =>
    GroupId ? [{ id: GroupId, own: GroupName === name }] : [],
  );
}

/** The security groups that the machine should have, where it has others. EC2 lets no machine be without any. */
export function otherGroups(machine: Machine, want: InstanceWant): string[] | undefined {
  const groups = groupsOf(machine);
  const has = groups.filter(({ own }) => !own).map(({ id }) => id);
  const firewalls = [...new Set(want.firewalls ?? [])];
  if (has.length === firewalls.length && firewalls.every((id) => has.includes(id))) return undefined;
  const wanted = [...groups.filter(({ own }) => own).map(({ id }) => id), ...firewalls];
  return wanted.length > 0 ? wanted : undefined;
}

/** vCPUs and memory by instance type. */
export type Sizes = Map<string, { vcpus: number; memoryGiB: number }>;

export async function readSizes(ec2: EC2Client, types: Iterable<string>): Promise<Sizes> {
  const names = [...new Set(types)] as InstanceTypeName[];
  const sizes: Sizes = new Map();
  // EC2 takes at most 100 names at once.
  for (let at = 0; at < names.length; at += 100) {
    const answer: DescribeInstanceTypesCommandOutput = await reading(
      ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: names.slice(at, at + 100) })),
    );
    for (const type of answer.InstanceTypes ?? [])
      sizes.set(type.InstanceType ?? '', {
        vcpus: type.VCpuInfo?.DefaultVCpus ?? 0,
        memoryGiB: (type.MemoryInfo?.SizeInMiB ?? 0) / 1024,
      });
  }
  return sizes;
}

export function locationOf(machine: Machine, region: string): Location {
  return { region, zone: machine.Placement?.AvailabilityZone };
}

export function instanceState(machine: Machine): Present['state'] {
  if (isDead(machine)) return 'removing';
  return stateOf(machine) === 'pending' ? 'creating' : 'ready';
}

export function detailsOf(machine: Machine, sizes: Sizes): InstanceDetails {
  const state = stateOf(machine);
  const size = sizes.get(machine.InstanceType ?? '') ?? { vcpus: 0, memoryGiB: 0 };
  const addresses: InstanceDetails['addresses'] = [];
  if (machine.PrivateIpAddress) addresses.push({ type: 'internal', address: machine.PrivateIpAddress });
  if (machine.PublicIpAddress) addresses.push({ type: 'external', address: machine.PublicIpAddress });
  const user = tagValue(machine.Tags, stampTags.user);
  const host = machine.PublicIpAddress ?? machine.PrivateIpAddress;
  return {
    power: state === 'running' || state === 'stopped' || state === 'pending' ? state : 'stopping',
    ...size,
    instanceType: machine.InstanceType ?? '',
    addresses,
    ssh: user && host && state === 'running' ? { host, port: 22, user } : undefined,
    reboots: Number(tagValue(machine.Tags, stampTags.reboots) ?? 0),
    children: childrenOf(machine),
    interrupted: interruptionOf(machine),
  };
}

/** The machine as the contract shows it. @throws ProviderError `Conflict` when it carries no stamp. */
export async function toPresent(
  ec2: EC2Client,
  region: string,
  machine: Machine,
  want?: InstanceWant,
): Promise<Present> {
  const stamp = stampOf(machine.Tags);
  if (!stamp)
    throw new ProviderError('Conflict', `${machine.InstanceId} carries no stamp`, {
      providerCode: 'NotOurs',
    });
  const sizes =
    want && want.instanceType === machine.InstanceType
      ? new Map([[want.instanceType, { vcpus: want.vcpus, memoryGiB: want.memoryGiB }]])
      : await readSizes(ec2, machine.InstanceType ? [machine.InstanceType] : []);
  return {
    presence: 'present',
    ref: machine.InstanceId,
    stamp,
    location: locationOf(machine, region),
    state: instanceState(machine),
    details: detailsOf(machine, sizes),
    diff: want ? differences(machine, want) : [],
  };
}

/** Fields of the wanted spec that the machine does not have. What EC2 fixes at creation is not compared. */
export function differences(machine: Machine, want: InstanceWant): string[] {
  const diff: string[] = [];
  if (stateOf(machine) !== want.power) diff.push('power');
  if (machine.InstanceType !== want.instanceType) diff.push('instanceType');
  if (Number(tagValue(machine.Tags, stampTags.reboots) ?? 0) < want.reboots) diff.push('reboots');
  if (otherGroups(machine, want)) diff.push('firewalls');
  return [...diff, ...namedDiff(machine.Tags, want)];
}
