import { DescribeInstancesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { Adopting, Kind, Present, Removal, Target, Want } from '../contract.ts';
import { known, managedBy, ofAnotherInstallation, type Tool, type Unmanaged } from '../discovery.ts';
import { adoptTagged, type Taggable } from './adopt.ts';
import { vpcs } from './adopt-network.ts';
import { type Account, reading } from './clients.ts';
import { discoverOver, labelsOf, pageSize, tools } from './discover.ts';
import {
  describeAll,
  describeOne,
  describePage,
  describeStamped,
  type Found,
  type ObjectKind,
} from './objects.ts';
import { takeOff } from './release.ts';
import { untilGone } from './remove.ts';
import { type OtherKind, present, type Shape, type View } from './resource.ts';
import { carries, stampFilters, stampOf, tagValue } from './stamp.ts';

/** What discovery says of an object beyond its tags and place. */
export interface Sight extends Partial<Unmanaged> {
  /** It is a part of a machine, and nothing by itself. */
  part?: true;
}

/** What discovery says of the objects of a kind that can be adopted. */
export interface Look<M extends ObjectKind> {
  /** Tools beside those that mark machines. */
  tools: Tool[];
  /** Objects on one page. */
  pageSize: number;
  /** By their ids; `refused` where others at EC2, or what they are, are in the way. */
  look(ec2: EC2Client, objects: Found<M>[]): Promise<Map<string, Sight>>;
  /** What is adopted with one, and released with it. */
  parts?(ec2: EC2Client, object: Found<M>): Promise<Found[]>;
}

const eachOf = <M extends ObjectKind>(
  objects: Found<M>[],
  sight: (object: Found<M>) => Sight,
): Map<string, Sight> => new Map(objects.map((object) => [object.ref, sight(object)]));

const volumes: Look<'volume'> = {
  tools: [
    { mark: /^(kubernetes\.io\/created-for\/|ebs\.csi\.aws\.com\/)/, by: () => 'a Kubernetes cluster' },
  ],
  pageSize,
  async look(ec2, objects) {
    const held = await disksOf(ec2, objects);
    const bound = ({ ref, raw: { Attachments: attachments = [] } }: Found<'volume'>): Sight => {
      if (attachments.length > 1) return { refused: `it is attached to ${attachments.length} machines` };
      const disk = held.get(ref);
      if (disk?.isRoot) return { refused: `it is the root disk of ${disk.machine}`, part: true };
      return disk?.goesToo
        ? { refused: `it is deleted with ${disk.machine}: switch its DeleteOnTermination off first` }
        : {};
    };
    return eachOf(objects, (object) => ({
      ...known('diskGiB', object.raw.Size),
      ...known('type', object.raw.VolumeType),
      ...known('attachedTo', object.raw.Attachments?.[0]?.InstanceId),
      ...bound(object),
    }));
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
  pageSize,
  async look(ec2, objects) {
    // Filtered here: a snapshot says nothing of the images that stand on it.
    const images = objects.length > 0 ? await describeAll(ec2, 'image', []) : [];
    const standing = new Map(
      images.flatMap(({ ref, raw }) =>
        (raw.BlockDeviceMappings ?? []).map(({ Ebs }) => [Ebs?.SnapshotId, ref] as const),
      ),
    );
    return eachOf(objects, ({ ref, raw }) => ({
      ...known('diskGiB', raw.VolumeSize),
      ...known('volume', raw.VolumeId),
      ...(standing.has(ref) ? { refused: `the image ${standing.get(ref)} stands on it` } : {}),
    }));
  },
};

const addresses: Look<'address'> = {
  tools: [],
  pageSize,
  look: async (_, objects) =>
    eachOf(objects, ({ raw }) => ({
      ...known('attachedTo', raw.InstanceId || undefined),
      addresses: raw.PublicIp ? [{ type: 'external', address: raw.PublicIp }] : [],
      ...(raw.ServiceManaged
        ? { refused: `it is managed by ${raw.ServiceManaged}` }
        : raw.AssociationId && !raw.InstanceId
          ? { refused: `it leads to ${raw.NetworkInterfaceId}, which is no machine's` }
          : {}),
    })),
};

const images: Look<'image'> = {
  tools: snapshots.tools,
  pageSize,
  look: async (_, objects) =>
    eachOf(objects, ({ raw }) => {
      const { Architecture: architecture, Platform, RootDeviceType, RootDeviceName, State } = raw;
      const root = raw.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === RootDeviceName);
      const isKnown = architecture === 'x86_64' || architecture === 'arm64';
      return {
        ...known('diskGiB', root?.Ebs?.VolumeSize),
        ...(isKnown ? { architecture } : { refused: `it is for ${architecture}` }),
        ...(Platform ? { refused: `it is of ${Platform}, which Landfall cannot set up` } : {}),
        ...(RootDeviceType === 'ebs' ? {} : { refused: 'its machines have no root disk that lasts' }),
        ...(State === 'disabled' ? { refused: 'it is disabled: enable it first' } : {}),
      };
    }),
};

const looks = { volume: volumes, snapshot: snapshots, address: addresses, image: images, vpc: vpcs };

/** Adopting and releasing resources whose life is that of one EC2 object, by its tags alone. */
export function adoptingOther<K extends OtherKind, M extends keyof typeof looks, V extends View<K>>(
  account: Account,
  shape: Shape<K, M, V>,
): Adopting<K> {
  const { kind, main } = shape;
  const look = looks[main] as unknown as Look<M>;

  /** What is seen of each, and why it cannot be adopted. */
  async function sightsOf(ec2: EC2Client, objects: Found<M>[]): Promise<Map<string, Sight>> {
    const sights = await look.look(ec2, objects);
    for (const { ref, tags } of objects) {
      const tool = managedBy([...tools, ...look.tools], labelsOf(tags), 'tag');
      const refused = stampOf(tags) ? ofAnotherInstallation : tool;
      if (refused) sights.set(ref, { ...sights.get(ref), refused });
    }
    return sights;
  }

  const taggable: Taggable<Found<M>> = {
    kind,
    async find(ec2, ref) {
      const object = await describeOne(ec2, main, ref);
      return object?.state === 'removing' ? undefined : object;
    },
    refOf: ({ ref }) => ref,
    tagsOf: ({ tags }) => tags,
    whyRefused: async (ec2, object) => (await sightsOf(ec2, [object])).get(object.ref)?.refused,
    ...(look.parts ? { parts: look.parts } : {}),
  };

  return {
    discover: (query, context) =>
      discoverOver(account, query, context, async (ec2, region, { ref, broker }, token) => {
        const named = ref === undefined ? undefined : await describeOne(ec2, main, ref);
        const page =
          ref === undefined
            ? await describePage(ec2, main, { Filters: [], MaxResults: look.pageSize }, token)
            : { objects: named ? [named] : [] };
        const theirs = page.objects.filter(
          ({ state, tags }) => state !== 'removing' && stampOf(tags)?.broker !== broker,
        );
        const sights = await sightsOf(ec2, theirs);
        // The root disk of a machine is found with the machine; alone it is only shown to who names it.
        const alone = theirs.filter((object) => ref !== undefined || !sights.get(object.ref)?.part);
        const items = alone.map((object): Unmanaged => {
          const { part: _, ...sight } = sights.get(object.ref) ?? {};
          return {
            kind,
            ref: object.ref,
            ...known('name', tagValue(object.tags, 'Name')),
            location: { region, ...known('zone', object.zone) },
            state: object.state,
            addresses: [],
            labels: labelsOf(object.tags),
            ...known('createdAt', object.createdAt),
            ...sight,
          };
        });
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
        const mains = await stamped(ec2, main, target);
        // Who sees it without our stamp sees all of it so: what belongs to it comes first.
        const parts = await Promise.all([
          ...mains.map((object) => look.parts?.(ec2, object) ?? []),
          ...shape.removal
            .filter((each) => each !== main)
            .map((each) => describeStamped(ec2, each, target.stamp)),
        ]);
        const ours = parts.flat().filter(({ tags }) => carries(tags, target.stamp));
        for (const { ref, tags } of [...ours, ...mains]) {
          context.signal.throwIfAborted();
          await takeOff(ec2, [ref], tags, target.stamp);
        }
        return ours.length + mains.length === 0;
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
