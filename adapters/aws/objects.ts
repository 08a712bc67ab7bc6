import {
  type Address,
  DeleteInternetGatewayCommand,
  DeleteNetworkInterfaceCommand,
  DeleteSecurityGroupCommand,
  DeleteSnapshotCommand,
  DeleteSubnetCommand,
  DeleteVolumeCommand,
  DeleteVpcCommand,
  DeregisterImageCommand,
  DescribeAddressesCommand,
  DescribeImagesCommand,
  DescribeImportSnapshotTasksCommand,
  DescribeInternetGatewaysCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSnapshotsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
  type EC2Client,
  type Filter,
  type Image,
  type ImportSnapshotTask,
  type InternetGateway,
  type NetworkInterface,
  ReleaseAddressCommand,
  type SecurityGroup,
  type Snapshot,
  type Subnet,
  type Tag,
  type Volume,
  type Vpc,
} from '@aws-sdk/client-ec2';
import type { Listed, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { changing, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { endImport } from './import-task.ts';
import { stampFilters } from './stamp.ts';

/** EC2's objects other than instances, by our word for each. */
export interface Raw {
  volume: Volume;
  networkInterface: NetworkInterface;
  securityGroup: SecurityGroup;
  snapshot: Snapshot;
  image: Image;
  /** While it carries a stamp: what will be the snapshot of an image. */
  importTask: ImportSnapshotTask;
  vpc: Vpc;
  subnet: Subnet;
  internetGateway: InternetGateway;
  address: Address;
}
export type ObjectKind = keyof Raw;

/** An object of EC2, in the part that all have. */
export interface Found<K extends ObjectKind = ObjectKind> {
  ref: string;
  providerKind: K;
  tags: Tag[];
  state: Listed['state'];
  zone?: string;
  createdAt?: string;
  raw: Raw[K];
}

/** The objects that the filters match, so many a page at most, or the one of this id. */
export type Query = { Filters: Filter[]; MaxResults?: number } | { id: string };

interface Page<K extends ObjectKind> {
  objects: Found<K>[];
  next?: string;
}

interface Reader<K extends ObjectKind> {
  /** What every id of the kind begins with. */
  prefix: string;
  read(ec2: EC2Client, query: Query, NextToken: string | undefined): Promise<[Raw[K][], string | undefined]>;
  common(raw: Raw[K]): {
    ref?: string;
    tags?: Tag[];
    state?: Found['state'];
    zone?: string;
    at?: Date | string;
  };
  remove(ec2: EC2Client, ref: string): Promise<unknown>;
}

/** Ids as one parameter, filters as another; EC2 takes no page token beside ids. */
const ask = <N extends string>(query: Query, ids: N, NextToken?: string) =>
  ('id' in query ? { [ids]: [query.id] } : { ...query, NextToken }) as {
    [name in N]?: string[];
  } & { Filters?: Filter[]; MaxResults?: number; NextToken?: string };

const readers: { [K in ObjectKind]: Reader<K> } = {
  volume: {
    prefix: 'vol-',
    async read(ec2, query, token) {
      const page = await ec2.send(new DescribeVolumesCommand(ask(query, 'VolumeIds', token)));
      return [page.Volumes ?? [], page.NextToken];
    },
    common: (raw) => ({
      ref: raw.VolumeId,
      tags: raw.Tags,
      state: states.volume[raw.State ?? ''],
      zone: raw.AvailabilityZone,
      at: raw.CreateTime,
    }),
    remove: (ec2, VolumeId) => ec2.send(new DeleteVolumeCommand({ VolumeId })),
  },
  networkInterface: {
    prefix: 'eni-',
    async read(ec2, query, token) {
      const page = await ec2.send(
        new DescribeNetworkInterfacesCommand(ask(query, 'NetworkInterfaceIds', token)),
      );
      return [page.NetworkInterfaces ?? [], page.NextToken];
    },
    common: (raw) => ({ ref: raw.NetworkInterfaceId, tags: raw.TagSet, zone: raw.AvailabilityZone }),
    remove: (ec2, NetworkInterfaceId) => ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId })),
  },
  securityGroup: {
    prefix: 'sg-',
    async read(ec2, query, token) {
      const page = await ec2.send(new DescribeSecurityGroupsCommand(ask(query, 'GroupIds', token)));
      return [page.SecurityGroups ?? [], page.NextToken];
    },
    common: (raw) => ({ ref: raw.GroupId, tags: raw.Tags }),
    remove: (ec2, GroupId) => ec2.send(new DeleteSecurityGroupCommand({ GroupId })),
  },
  snapshot: {
    prefix: 'snap-',
    async read(ec2, query, token) {
      const page = await ec2.send(
        new DescribeSnapshotsCommand({ ...ask(query, 'SnapshotIds', token), OwnerIds: ['self'] }),
      );
      return [page.Snapshots ?? [], page.NextToken];
    },
    common: (raw) => ({
      ref: raw.SnapshotId,
      tags: raw.Tags,
      state: states.snapshot[raw.State ?? ''],
      at: raw.StartTime,
    }),
    remove: (ec2, SnapshotId) => ec2.send(new DeleteSnapshotCommand({ SnapshotId })),
  },
  image: {
    prefix: 'ami-',
    async read(ec2, query, token) {
      const page = await ec2.send(
        new DescribeImagesCommand({
          ...ask(query, 'ImageIds', token),
          Owners: ['self'],
          IncludeDisabled: true,
        }),
      );
      return [page.Images ?? [], page.NextToken];
    },
    common: (raw) => ({
      ref: raw.ImageId,
      tags: raw.Tags,
      state: states.image[raw.State ?? ''],
      at: raw.CreationDate,
    }),
    remove: (ec2, ImageId) => ec2.send(new DeregisterImageCommand({ ImageId })),
  },
  importTask: {
    prefix: 'import-snap-',
    async read(ec2, query, NextToken) {
      if ('id' in query) {
        const page = await ec2.send(new DescribeImportSnapshotTasksCommand({ ImportTaskIds: [query.id] }));
        return [page.ImportSnapshotTasks ?? [], undefined];
      }
      // By which filters EC2 finds tasks is not published: their tags are compared here.
      const page = await ec2.send(new DescribeImportSnapshotTasksCommand({ NextToken }));
      const matches = ({ Tags = [] }: ImportSnapshotTask) =>
        query.Filters.every(({ Name, Values }) =>
          Tags.some(({ Key, Value = '' }) => Name === `tag:${Key}` && Values?.includes(Value)),
        );
      return [(page.ImportSnapshotTasks ?? []).filter(matches), page.NextToken];
    },
    common: (raw) => ({
      ref: raw.ImportTaskId,
      tags: raw.Tags,
      state: states.importTask[raw.SnapshotTaskDetail?.Status ?? ''],
    }),
    remove: endImport,
  },
  vpc: {
    prefix: 'vpc-',
    async read(ec2, query, token) {
      const page = await ec2.send(new DescribeVpcsCommand(ask(query, 'VpcIds', token)));
      return [page.Vpcs ?? [], page.NextToken];
    },
    common: (raw) => ({ ref: raw.VpcId, tags: raw.Tags, state: states.vpc[raw.State ?? ''] }),
    remove: (ec2, VpcId) => ec2.send(new DeleteVpcCommand({ VpcId })),
  },
  subnet: {
    prefix: 'subnet-',
    async read(ec2, query, token) {
      const page = await ec2.send(new DescribeSubnetsCommand(ask(query, 'SubnetIds', token)));
      return [page.Subnets ?? [], page.NextToken];
    },
    common: (raw) => ({
      ref: raw.SubnetId,
      tags: raw.Tags,
      state: states.subnet[raw.State ?? ''],
      zone: raw.AvailabilityZone,
    }),
    remove: (ec2, SubnetId) => ec2.send(new DeleteSubnetCommand({ SubnetId })),
  },
  internetGateway: {
    prefix: 'igw-',
    async read(ec2, query, token) {
      const page = await ec2.send(
        new DescribeInternetGatewaysCommand(ask(query, 'InternetGatewayIds', token)),
      );
      return [page.InternetGateways ?? [], page.NextToken];
    },
    common: (raw) => ({ ref: raw.InternetGatewayId, tags: raw.Tags }),
    remove: (ec2, InternetGatewayId) => ec2.send(new DeleteInternetGatewayCommand({ InternetGatewayId })),
  },
  address: {
    prefix: 'eipalloc-',
    async read(ec2, query) {
      // EC2 gives all addresses at once.
      const { AllocationIds, Filters } = ask(query, 'AllocationIds');
      const page = await ec2.send(new DescribeAddressesCommand({ AllocationIds, Filters }));
      return [page.Addresses ?? [], undefined];
    },
    common: (raw) => ({ ref: raw.AllocationId, tags: raw.Tags }),
    remove: (ec2, AllocationId) => ec2.send(new ReleaseAddressCommand({ AllocationId })),
  },
};

/** EC2's states that are not `ready`. */
type Stated = 'volume' | 'snapshot' | 'image' | 'importTask' | 'vpc' | 'subnet';
const states: Record<Stated, Record<string, Listed['state']>> = {
  volume: { creating: 'creating', error: 'failed', deleting: 'removing' },
  snapshot: { pending: 'creating', error: 'failed' },
  image: {
    pending: 'creating',
    transient: 'creating',
    failed: 'failed',
    invalid: 'failed',
    error: 'failed',
  },
  // One that is completed has yet to hand its stamp to its snapshot.
  importTask: { active: 'creating', completed: 'creating', deleting: 'removing' },
  vpc: { pending: 'creating', deleting: 'removing' },
  subnet: { pending: 'creating', failed: 'failed', 'failed-insufficient-capacity': 'failed' },
};

/** States of what EC2 only remembers. */
const gone = new Set<string | undefined>(['deleted', 'deregistered']);

export const objectKinds = Object.keys(readers) as ObjectKind[];

/** One page of the objects of a kind that the query matches. */
export async function describePage<K extends ObjectKind>(
  ec2: EC2Client,
  kind: K,
  query: Query,
  token?: string,
): Promise<Page<K>> {
  const reader: Reader<K> = readers[kind];
  const [raws, next] = await reading(reader.read(ec2, query, token));
  const objects = raws.flatMap((raw): Found<K>[] => {
    const said = 'State' in raw ? raw.State : 'ImportTaskId' in raw && raw.SnapshotTaskDetail?.Status;
    if (said && gone.has(said)) return [];
    const { ref = '', tags = [], state = 'ready', zone, at } = reader.common(raw);
    const createdAt = at instanceof Date ? at.toISOString() : at;
    return [{ ref, providerKind: kind, tags, state, zone, createdAt, raw }];
  });
  return { objects, next: next || undefined };
}

/** All objects of a kind that the filters match, over pages. */
export async function describeAll<K extends ObjectKind>(
  ec2: EC2Client,
  kind: K,
  Filters: Filter[],
): Promise<Found<K>[]> {
  const found: Found<K>[] = [];
  let token: string | undefined;
  do {
    const page: Page<K> = await describePage(ec2, kind, { Filters }, token);
    found.push(...page.objects);
    token = page.next;
  } while (token);
  return found;
}

/**
 * Whether a failed look at import tasks says that we have none: who may not look at them, or where EC2 has no imports, imports nothing,
 * since nothing is imported before one is looked for.
 */
export function saysNoImports(kind: string, error: unknown): boolean {
  if (kind !== 'importTask') return false;
  const code = providerCodeOf(error) ?? '';
  return isProviderError(error, 'Denied') || ['InvalidAction', 'UnsupportedOperation'].includes(code);
}

/** Everything of a kind with the stamp. */
export async function describeStamped<K extends ObjectKind>(
  ec2: EC2Client,
  kind: K,
  stamp: Target['stamp'],
): Promise<Found<K>[]> {
  try {
    return await describeAll(ec2, kind, stampFilters(stamp));
  } catch (error) {
    if (saysNoImports(kind, error)) return [];
    throw error;
  }
}

/** One object by its id, or nothing when EC2 does not know it (yet), or when the id is none of the kind. */
export async function describeOne<K extends ObjectKind>(
  ec2: EC2Client,
  kind: K,
  id: string,
): Promise<Found<K> | undefined> {
  if (!id.startsWith(readers[kind].prefix)) return undefined;
  try {
    return (await describePage(ec2, kind, { id })).objects[0];
  } catch (error) {
    const unknown = /\.(NotFound|Malformed|Unavailable)$|^InvalidConversionTaskId/;
    if (unknown.test(providerCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Deletes an object. @throws ProviderError `NotFound`, or `Conflict` while something uses it. */
export async function deleteObject(
  ec2: EC2Client,
  object: Pick<Found, 'providerKind' | 'ref'>,
): Promise<void> {
  await changing(readers[object.providerKind].remove(ec2, object.ref));
}
