import { DescribeInstancesCommand, type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import type { CallContext } from '../contract.ts';
import {
  type DiscoveryPage,
  type DiscoveryQuery,
  known,
  managedBy,
  notAPage,
  ofAnotherInstallation,
  readPage,
  type Tool,
  type Unmanaged,
  writePage,
} from '../discovery.ts';
import { ProviderError } from '../errors.ts';
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

/** Objects on one page: a page travels through a workflow, whose payloads stay small. */
export const pageSize = 50;

/** Tags by which other tools mark the machines that they replace or remove by themselves, and what to call each. */
export const tools: Tool[] = [
  { mark: /^aws:autoscaling:groupName$/, by: (value) => `the Auto Scaling group ${value}` },
  { mark: /^aws:(ec2:fleet-id|ec2spot:fleet-request-id)$/, by: (value) => `the fleet ${value}` },
  { mark: /^(aws:)?eks:cluster-name$/, by: (value) => `the EKS cluster ${value}` },
  { mark: /^karpenter\.sh\/nodepool$/, by: (value) => `Karpenter (node pool ${value})` },
  { mark: /^kubernetes\.io\/cluster\//, by: () => 'a Kubernetes cluster', uses: 'shared' },
  { mark: /^elasticbeanstalk:environment-name$/, by: (value) => `Elastic Beanstalk (${value})` },
  { mark: /^aws:cloudformation:stack-name$/, by: (value) => `the CloudFormation stack ${value}` },
];

/** Why a machine that is not ours cannot be adopted, for a person; undefined where it can. */
export function whyRefused(machine: Machine): string | undefined {
  if (isDead(machine)) return 'it is being terminated';
  if (stampOf(machine.Tags)) return ofAnotherInstallation;
  return managedBy(tools, labelsOf(machine.Tags), 'tag');
}

/** Where a discovery goes on: one region, one of EC2's pages at a time. */
interface Cursor {
  region: number;
  token?: string;
}

/** What one of EC2's pages has that is not ours. */
export type ReadUnmanaged = (
  ec2: EC2Client,
  region: string,
  query: DiscoveryQuery,
  token: string | undefined,
) => Promise<{ items: Unmanaged[]; next?: string }>;

/** Machines of the site's regions without our stamp; see `discoverOver`. */
export function discoverMachines(
  account: Account,
  query: DiscoveryQuery,
  context: CallContext,
): Promise<DiscoveryPage> {
  return discoverOver(account, query, context, async (ec2, region, asked, token) => {
    const { machines, next } = await read(ec2, asked, token);
    const theirs = machines.filter(
      (machine) => !isDead(machine) && stampOf(machine.Tags)?.broker !== query.broker,
    );
    return { items: await described(ec2, region, theirs), next };
  });
}

/**
 * One page over the site's regions. A region that cannot be read is skipped with `complete: false`, as in a list.
 * @throws ProviderError `Invalid` for a page that no answer gave.
 */
export async function discoverOver(
  account: Account,
  query: DiscoveryQuery,
  { signal }: CallContext,
  readPageOf: ReadUnmanaged,
): Promise<DiscoveryPage> {
  const cursor = readCursor(query.page);
  const region = account.regions[cursor.region];
  if (region === undefined) throw notAPage();
  signal.throwIfAborted();
  const after = cursor.region + 1 < account.regions.length ? { region: cursor.region + 1 } : undefined;
  try {
    const { items, next } = await readPageOf(account.ec2(region), region, query, cursor.token);
    const following = next ? { ...cursor, token: next } : after;
    return { items, ...(following ? { nextPage: writePage(following) } : {}), complete: true };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    // Of the only region nothing is known: that is an error, and says what is wrong.
    if (account.regions.length === 1) throw error;
    account.warn(`discovery of ${region} failed: ${error.message}`, error);
    return {
      items: [],
      ...(after ? { nextPage: writePage(after) } : {}),
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
    ...known('name', tagValue(machine.Tags, 'Name')),
    location: locationOf(machine, region),
    state: instanceState(machine),
    power,
    ...known('instanceType', machine.InstanceType),
    market: machine.InstanceLifecycle === 'spot' ? 'spot' : 'onDemand',
    ...(machine.Architecture === 'x86_64' || machine.Architecture === 'arm64'
      ? { architecture: machine.Architecture }
      : {}),
    ...sizes.get(machine.InstanceType ?? ''),
    ...known('diskGiB', diskGiB),
    ...known('image', machine.ImageId),
    addresses,
    labels: labelsOf(machine.Tags),
    ...known('createdAt', machine.LaunchTime?.toISOString()),
    ...known('refused', refused),
  };
}

/** The tags but the name. */
export function labelsOf(tags: Tag[] = []): Record<string, string> {
  return Object.fromEntries(
    tags.flatMap(({ Key, Value }) => (Key && Key !== 'Name' ? [[Key, Value ?? '']] : [])),
  );
}

function readCursor(page: string | undefined): Cursor {
  if (page === undefined) return { region: 0 };
  return readPage<Cursor>(
    page,
    ({ region = -1, token }) =>
      Number.isInteger(region) && region >= 0 && (token === undefined || typeof token === 'string'),
  );
}
