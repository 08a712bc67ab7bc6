import { DescribeInstancesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { Adopting, Kind, Present, Removal, Target, Want } from '../contract.ts';
import { known, managedBy, ofAnotherInstallation, type Tool, type Unmanaged } from '../discovery.ts';
import { adoptTagged, type Taggable } from './adopt.ts';
import { type Account, reading } from './clients.ts';
import { discoverOver, labelsOf, pageSize, tools } from './discover.ts';
import { describeAll, describeOne, describePage, type Found, type ObjectKind } from './objects.ts';
import { takeOff } from './release.ts';
import { untilGone } from './remove.ts';
import { type OtherKind, present, type Shape, type View } from './resource.ts';
import { carries, stampFilters, stampOf, tagValue } from './stamp.ts';

interface Reason {
  why: string;
  part?: true;
}

/** What discovery says of the objects of a kind that can be adopted. */
interface Look<M extends ObjectKind> {
  /** Tools beside those that mark machines. */
  tools: Tool[];
  shown(object: Found<M>): Partial<Unmanaged>;
  /** Of those objects that cannot be adopted because of others at EC2: the reason, by their ids. `part`: of a machine, and nothing by itself. */
  bound(ec2: EC2Client, objects: Found<M>[]): Promise<Map<string, Reason>>;
}

const volumes: Look<'volume'> = {
  tools: [
    { mark: /^(kubernetes\.io\/created-for\/|ebs\.csi\.aws\.com\/)/, by: () => 'a Kubernetes cluster' },
  ],
  shown: ({ raw }) => ({
    ...known('diskGiB', raw.Size),
    ...known('type', raw.VolumeType),
    ...known('attachedTo', raw.Attachments?.[0]?.InstanceId),
  }),
  async bound(ec2, objects) {
    const held = await disksOf(ec2, objects);
    const reasons = objects.flatMap(({ ref, raw: { Attachments: attachments = [] } }): [string, Reason][] => {
      if (attachments.length > 1) return [[ref, { why: `it is attached to ${attachments.length} machines` }]];
      const disk = held.get(ref);
      if (disk?.isRoot) return [[ref, { why: `it is the root disk of ${disk.machine}`, part: true }]];
      if (!disk?.goesToo) return [];
      const why = `it is deleted with ${disk.machine}: switch its DeleteOnTermination off first`;
      return [[ref, { why }]];
    });
    return new Map(reasons);
  },
};

/** What the volumes are to the machines that they are attached to. */
async function disksOf(
  ec2: EC2Client,
  objects: Found<'volume'>[],
): Promise<Map<string | undefined, { machine?: string; isRoot: boolean; goesToo: boolean }>> {
  const machines = objects.flatMap(({ raw }) => raw.Attachments?.map(({ InstanceId }) => InstanceId) ?? []);
  const Values = [...new Set(machines)].filter((id) => id !== undefined);
  if (Values.length === 0) return new Map();
  const Filters = [{ Name: 'instance-id', Values }];
  const answer = await reading(ec2.send(new DescribeInstancesCommand({ Filters })));
  const disks = (answer.Reservations ?? [])
    .flatMap(({ Instances }) => Instances ?? [])
    .flatMap(({ InstanceId: machine, BlockDeviceMappings = [], RootDeviceName }) =>
      BlockDeviceMappings.map(({ DeviceName, Ebs }) => {
        const isRoot = DeviceName === RootDeviceName;
        return [Ebs?.VolumeId, { machine, isRoot, goesToo: Ebs?.DeleteOnTermination ?? false }] as const;
      }),
    );
  return new Map(disks);
}

const snapshots: Look<'snapshot'> = {
  tools: [
    { mark: /^aws:backup:source-resource$/, by: () => 'AWS Backup' },
    { mark: /^aws:dlm:lifecycle-policy-id$/, by: (value) => `the lifecycle policy ${value}` },
  ],
  shown: ({ raw }) => ({ ...known('diskGiB', raw.VolumeSize), ...known('volume', raw.VolumeId) }),
  async bound(ec2, objects) {
    if (objects.length === 0) return new Map();
    // Filtered here: a snapshot says nothing of the images that stand on it.
    const images = await describeAll(ec2, 'image', []);
    return new Map(
      images.flatMap(({ ref, raw }) =>
        (raw.BlockDeviceMappings ?? []).flatMap(({ Ebs }): [string, Reason][] =>
          Ebs?.SnapshotId ? [[Ebs.SnapshotId, { why: `the image ${ref} stands on it` }]] : [],
        ),
      ),
    );
  },
};

const addresses: Look<'address'> = {
  tools: [],
  shown: ({ raw }) => ({
    ...known('attachedTo', raw.InstanceId || undefined),
    addresses: raw.PublicIp ? [{ type: 'external', address: raw.PublicIp }] : [],
  }),
  bound: async (_, objects) =>
    new Map(
      objects.flatMap(({ ref, raw }): [string, Reason][] => {
        if (raw.ServiceManaged) return [[ref, { why: `it is managed by ${raw.ServiceManaged}` }]];
        return raw.AssociationId && !raw.InstanceId
          ? [[ref, { why: `it leads to ${raw.NetworkInterfaceId}, which is no machine's` }]]
          : [];
      }),
    ),
};

const looks = { volume: volumes, snapshot: snapshots, address: addresses };

/** Adopting and releasing resources whose life is that of one EC2 object, by its tags alone. */
export function adoptingOther<K extends OtherKind, M extends keyof typeof looks, V extends View<K>>(
  account: Account,
  shape: Shape<K, M, V>,
): Adopting<K> {
  const { kind, main } = shape;
  const look = looks[main] as unknown as Look<M>;

  /** Why each cannot be adopted; absent of one that can. */
  async function reasonsFor(ec2: EC2Client, objects: Found<M>[]): Promise<Map<string, Reason>> {
    const reasons = await look.bound(ec2, objects);
    for (const { ref, tags } of objects) {
      const tool = managedBy([...tools, ...look.tools], labelsOf(tags), 'tag');
      const why = stampOf(tags) ? ofAnotherInstallation : tool;
      if (why) reasons.set(ref, { ...reasons.get(ref), why });
    }
    return reasons;
  }

  const taggable: Taggable<Found<M>> = {
    kind,
    async find(ec2, ref) {
      const object = await describeOne(ec2, main, ref);
      return object?.state === 'removing' ? undefined : object;
    },
    refOf: ({ ref }) => ref,
    tagsOf: ({ tags }) => tags,
    whyRefused: async (ec2, object) => (await reasonsFor(ec2, [object])).get(object.ref)?.why,
  };

  return {
    discover: (query, context) =>
      discoverOver(account, query, context, async (ec2, region, { ref, broker }, token) => {
        const named = ref === undefined ? undefined : await describeOne(ec2, main, ref);
        const page =
          ref === undefined
            ? await describePage(ec2, main, { Filters: [], MaxResults: pageSize }, token)
            : { objects: named ? [named] : [] };
        const theirs = page.objects.filter(
          ({ state, tags }) => state !== 'removing' && stampOf(tags)?.broker !== broker,
        );
        const reasons = await reasonsFor(ec2, theirs);
        // The root disk of a machine is found with the machine; alone it is only shown to who names it.
        const alone = theirs.filter((object) => ref !== undefined || !reasons.get(object.ref)?.part);
        const items = alone.map(
          (object): Unmanaged => ({
            kind,
            ref: object.ref,
            ...known('name', tagValue(object.tags, 'Name')),
            location: { region, ...known('zone', object.zone) },
            state: object.state,
            addresses: [],
            labels: labelsOf(object.tags),
            ...known('createdAt', object.createdAt),
            ...look.shown(object),
            ...known('refused', reasons.get(object.ref)?.why),
          }),
        );
        return { items, ...('next' in page ? known('next', page.next) : {}) };
      }),
    async adopt(want, context) {
      const { location } = want as Want<Kind>;
      const object = await adoptTagged(account, want as Want<never>, context, taggable);
      const ec2 = account.ec2(location.region);
      return present(shape, location.region, object, await shape.view(ec2, object)) as Present<K>;
    },
    release(target, context): Promise<Removal> {
      account.checkRegion(target.location.region);
      const ec2 = account.ec2(target.location.region);
      return untilGone(account, target, context, async () => {
        const objects = await stamped(ec2, main, target);
        for (const { ref, tags } of objects) {
          context.signal.throwIfAborted();
          await takeOff(ec2, [ref], tags, target.stamp);
        }
        return objects.length === 0;
      });
    },
  };
}

/** By reference too, for as long as that carries the stamp: what was tagged just now is not found by its tags at once. */
async function stamped<M extends ObjectKind>(ec2: EC2Client, main: M, target: Target): Promise<Found<M>[]> {
  const [named, found] = await Promise.all([
    target.ref === undefined ? undefined : describeOne(ec2, main, target.ref),
    describeAll(ec2, main, stampFilters(target.stamp)),
  ]);
  const ours = named && carries(named.tags, target.stamp) ? [named] : [];
  return [...ours, ...found.filter(({ ref }) => ref !== named?.ref)];
}
