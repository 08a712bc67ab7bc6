import { DescribeInstancesCommand, type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import type { CallContext } from '../contract.ts';
import type { DiscoveryPage, DiscoveryQuery, Unmanaged } from '../discovery.ts';
import { ProviderError } from '../errors.ts';
import { adoptedKind } from '../kinds.ts';
import { type Account, reading } from './clients.ts';
import {
  detailsOf,
  findById,
  instanceState,
  isDead,
  locationOf,
  type Machine,
  readSizes,
  type Sizes,
} from './machine.ts';
import { describeAll } from './objects.ts';
import { stampOf, tagValue } from './stamp.ts';

/** Machines on one page: a page travels through a workflow, whose payloads stay small. */
const pageSize = 50;

/** Tags by which other tools mark the machines that they replace or remove by themselves, and what to call each. */
const tools: { mark: RegExp; by: (value: string) => string }[] = [
  { mark: /^aws:autoscaling:groupName$/, by: (value) => `the Auto Scaling group ${value}` },
  { mark: /^aws:(ec2:fleet-id|ec2spot:fleet-request-id)$/, by: (value) => `the fleet ${value}` },
  { mark: /^(aws:)?eks:cluster-name$/, by: (value) => `the EKS cluster ${value}` },
  { mark: /^karpenter\.sh\/nodepool$/, by: (value) => `Karpenter (node pool ${value})` },
  { mark: /^kubernetes\.io\/cluster\//, by: () => 'a Kubernetes cluster' },
  { mark: /^elasticbeanstalk:environment-name$/, by: (value) => `Elastic Beanstalk (${value})` },
  { mark: /^aws:cloudformation:stack-name$/, by: (value) => `the CloudFormation stack ${value}` },
];

/** Why a machine that is not ours cannot be adopted, for a person; undefined where it can. */
export function whyRefused(machine: Machine): string | undefined {
  if (isDead(machine)) return 'it is being terminated';
  if (stampOf(machine.Tags)) return 'it carries the stamp of another Landfall installation';
  for (const { mark, by } of tools) {
    const tag = machine.Tags?.find(({ Key = '' }) => mark.test(Key));
    if (tag) return `it is managed by ${by(tag.Value ?? '')} (tag ${tag.Key})`;
  }
  return undefined;
}

/** Where a discovery goes on: one region, one of EC2's pages at a time. */
interface Cursor {
  region: number;
  token?: string;
}

/**
 * Machines of the site's regions without our stamp. A region that cannot be read is skipped with `complete: false`, as in a list.
 * @throws ProviderError `Invalid` for another kind, and for a page that no answer gave.
 */
export async function discoverMachines(
  account: Account,
  query: DiscoveryQuery,
  { signal }: CallContext,
): Promise<DiscoveryPage> {
  adoptedKind(query.kind, ['Instance']);
  const cursor = readCursor(query.page);
  const region = account.regions[cursor.region];
  if (region === undefined) throw notAPage();
  signal.throwIfAborted();
  const after = cursor.region + 1 < account.regions.length ? { region: cursor.region + 1 } : undefined;
  const ec2 = account.ec2(region);
  try {
    const { machines, next } = await read(ec2, query, cursor.token);
    const theirs = machines.filter(
      (machine) => !isDead(machine) && stampOf(machine.Tags)?.broker !== query.broker,
    );
    const following = next ? { ...cursor, token: next } : after;
    return {
      items: await described(ec2, region, theirs),
      ...(following ? { nextPage: Buffer.from(JSON.stringify(following)).toString('base64url') } : {}),
      complete: true,
    };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    // Of the only region nothing is known: that is an error, and says what is wrong.
    if (account.regions.length === 1) throw error;
    account.warn(`discovery of ${region} failed: ${error.message}`, error);
    return {
      items: [],
      ...(after ? { nextPage: Buffer.from(JSON.stringify(after)).toString('base64url') } : {}),
      complete: false,
    };
  }
}

async function read(
  ec2: EC2Client,
  { ref }: DiscoveryQuery,
  NextToken?: string,
): Promise<{ machines: Machine[]; next?: string }> {
  if (ref !== undefined) {
    const machine = await findById(ec2, ref);
    return { machines: machine ? [machine] : [] };
  }
  const answer = await reading(ec2.send(new DescribeInstancesCommand({ MaxResults: pageSize, NextToken })));
  const machines = (answer.Reservations ?? [])
    .flatMap((reservation) => reservation.Instances ?? [])
    .filter((instance): instance is Machine => instance.InstanceId !== undefined);
  return { machines, next: answer.NextToken || undefined };
}

async function described(ec2: EC2Client, region: string, machines: Machine[]): Promise<Unmanaged[]> {
  if (machines.length === 0) return [];
  const disks = machines.flatMap((machine) => rootDisk(machine) ?? []);
  const [sizes, volumes] = await Promise.all([
    readSizes(
      ec2,
      machines.flatMap((machine) => machine.InstanceType ?? []),
    ),
    disks.length > 0 ? describeAll(ec2, 'volume', [{ Name: 'volume-id', Values: disks }]) : [],
  ]);
  const diskSizes = new Map(volumes.map(({ ref, raw }) => [ref, raw.Size]));
  return machines.map((machine) => unmanaged(machine, region, sizes, diskSizes.get(rootDisk(machine) ?? '')));
}

const rootDisk = ({ BlockDeviceMappings, RootDeviceName }: Machine): string | undefined =>
  BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === RootDeviceName)?.Ebs?.VolumeId;

function unmanaged(machine: Machine, region: string, sizes: Sizes, diskGiB: number | undefined): Unmanaged {
  const { power, addresses } = detailsOf(machine, sizes);
  const refused = whyRefused(machine);
  return {
    kind: 'Instance',
    ref: machine.InstanceId,
    ...present('name', tagValue(machine.Tags, 'Name')),
    location: locationOf(machine, region),
    state: instanceState(machine),
    power,
    ...present('instanceType', machine.InstanceType),
    market: machine.InstanceLifecycle === 'spot' ? 'spot' : 'onDemand',
    ...(machine.Architecture === 'x86_64' || machine.Architecture === 'arm64'
      ? { architecture: machine.Architecture }
      : {}),
    ...sizes.get(machine.InstanceType ?? ''),
    ...present('diskGiB', diskGiB),
    ...present('image', machine.ImageId),
    addresses,
    labels: labelsOf(machine.Tags),
    ...present('createdAt', machine.LaunchTime?.toISOString()),
    ...present('refused', refused),
  };
}

/** The field, where there is a value. */
function present<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]?: V });
}

function labelsOf(tags: Tag[] = []): Record<string, string> {
  return Object.fromEntries(
    tags.flatMap(({ Key, Value }) => (Key && Key !== 'Name' ? [[Key, Value ?? '']] : [])),
  );
}

function notAPage(): ProviderError {
  return new ProviderError('Invalid', 'the page is not one of this discovery');
}

function readCursor(page: string | undefined): Cursor {
  if (page === undefined) return { region: 0 };
  try {
    const { region, token } = JSON.parse(Buffer.from(page, 'base64url').toString('utf8')) as Cursor;
    if (Number.isInteger(region) && region >= 0 && (token === undefined || typeof token === 'string'))
      return { region, ...(token === undefined ? {} : { token }) };
  } catch {
    // not even JSON
  }
  throw notAPage();
}
