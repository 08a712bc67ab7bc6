import {
  AllocateAddressCommand,
  CreateSecurityGroupCommand,
  CreateSnapshotCommand,
  CreateVolumeCommand,
  CreateVpcCommand,
  DescribeAddressesCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeInternetGatewaysCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSnapshotsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
  type EC2Client,
  type Filter,
  RegisterImageCommand,
  type ResourceType,
  RunInstancesCommand,
  type Tag,
  TerminateInstancesCommand,
  waitUntilSnapshotCompleted,
  waitUntilVolumeAvailable,
} from '@aws-sdk/client-ec2';
import type { Kind } from '@landfall/adapters';
import { openAccount } from '@landfall/adapters/aws/clients.ts';
import { resolveImage } from '@landfall/adapters/aws/image.ts';
import { awsCredentials, createAwsAdapter } from '@landfall/adapters/aws/index.ts';
import { deleteObject, type ObjectKind } from '@landfall/adapters/aws/objects.ts';
import { stampTags } from '@landfall/adapters/aws/stamp.ts';
import type { Truth } from '@landfall/adapters/conformance/subject.ts';
import { secretOf } from '@landfall/adapters/secret.ts';
import { kindOfMain, resized, wantOf } from '../simulators/aws/subject.ts';
import { askedBy, foreignStamp, type LiveAccount, type LiveSubject, patienceOf, runMark } from './subject.ts';

/** What exists and is the run's: stamped by the adapter, or marked as planted. */
interface Found {
  ref: string;
  providerKind: 'instance' | ObjectKind;
  tags: Record<string, string>;
}

/** An AWS account for the suites. What is asked of it here goes past the adapter, by EC2's own calls. */
export async function liveAws(account: LiveAccount): Promise<LiveSubject> {
  const { spec, run } = account;
  const [region = ''] = spec.regions ?? [];
  const location = { region, zone: account.zone ?? `${region}a` };
  const secret = secretOf(spec);
  const options = {
    site: 'live',
    regions: [region],
    endpoint: spec.endpoint,
    credentials: secret && (await awsCredentials(secret)),
    profile: spec.credentials?.source === 'profile' ? spec.credentials.profile : undefined,
    ...patienceOf(account),
  };
  const ec2 = openAccount(options).ec2(region);
  const stamped = [{ Name: `tag:${stampTags.broker}`, Values: [run] }];
  const planted = [{ Name: `tag:${runMark}`, Values: [run] }];
  /** What was planted and then adopted is both. */
  const existing = async () => {
    const found = await Promise.all([existingOf(ec2, stamped), existingOf(ec2, planted)]);
    return [...new Map(found.flat().map((thing) => [thing.ref, thing])).values()];
  };
  const truth = async (): Promise<Truth[]> =>
    (await existing()).map(({ ref, providerKind, tags }) => {
      const attempt = tags[stampTags.attempt];
      return {
        ref,
        providerKind,
        machine: providerKind === 'instance',
        kind: kindOfMain(providerKind, tags),
        broker: tags[stampTags.broker],
        resource: tags[stampTags.resource],
        attempt: attempt === undefined ? undefined : Number(attempt),
      };
    });
  return {
    provider: 'aws',
    ...askedBy(run, location, wantOf),
    resized,
    adapter: async () => createAwsAdapter(options),
    truth,
    async plantForeign(resource, broker, kind = 'Instance') {
      const tags: Record<string, string> = { [runMark]: run, Name: `${run} foreign` };
      if (broker)
        Object.assign(tags, {
          [stampTags.broker]: broker,
          [stampTags.project]: 'theirs',
          [stampTags.resource]: resource,
          [stampTags.attempt]: '1',
          [stampTags.kind]: kind,
        });
      const image = wantOf(foreignStamp(resource, run), location).spec.image!;
      return plant(ec2, location.zone, kind, tags, async () => (await resolveImage(ec2, image)).id);
    },
    async uproot() {
      const refused: string[] = [];
      // In an order in which each is free once those before it are gone: a snapshot is its image's while that exists.
      for (const kind of ['instance', 'image', ...kindsOfObjects] as const)
        for (const { ref, providerKind } of await existingOf(ec2, planted)) {
          if (providerKind !== kind) continue;
          const removal =
            kind === 'instance'
              ? ec2.send(new TerminateInstancesCommand({ InstanceIds: [ref] }))
              : deleteObject(ec2, { providerKind: kind, ref });
          await removal.catch((error: Error) => refused.push(`${ref}: ${error.message}`));
        }
      return refused;
    },
    remains: async () => (await truth()).map(({ ref }) => ref),
    close: async () => ec2.destroy(),
  };
}

const kindsOfObjects = [
  'networkInterface',
  'volume',
  'snapshot',
  'address',
  'securityGroup',
  'subnet',
  'internetGateway',
  'vpc',
] as const;

/** All of every kind that the filters match. Without a page size EC2 answers such a list whole. */
async function existingOf(ec2: EC2Client, Filters: Filter[]): Promise<Found[]> {
  const found: Found[] = [];
  const add = (providerKind: Found['providerKind'], ref: string | undefined, tags: Tag[] | undefined) => {
    if (!ref) return;
    const named = (tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]);
    found.push({ ref, providerKind, tags: Object.fromEntries(named) });
  };
  const self = { Filters, OwnerIds: ['self'] };
  const [machines, volumes, nics, groups, snapshots, images, vpcs, subnets, gateways, addresses] =
    await Promise.all([
      ec2.send(new DescribeInstancesCommand({ Filters })),
      ec2.send(new DescribeVolumesCommand({ Filters })),
      ec2.send(new DescribeNetworkInterfacesCommand({ Filters })),
      ec2.send(new DescribeSecurityGroupsCommand({ Filters })),
      ec2.send(new DescribeSnapshotsCommand(self)),
      ec2.send(new DescribeImagesCommand({ Filters, Owners: ['self'] })),
      ec2.send(new DescribeVpcsCommand({ Filters })),
      ec2.send(new DescribeSubnetsCommand({ Filters })),
      ec2.send(new DescribeInternetGatewaysCommand({ Filters })),
      ec2.send(new DescribeAddressesCommand({ Filters })),
    ]);
  for (const { Instances = [] } of machines.Reservations ?? [])
    for (const { InstanceId, State, Tags } of Instances)
      if (State?.Name !== 'terminated') add('instance', InstanceId, Tags);
  for (const { VolumeId, Tags } of volumes.Volumes ?? []) add('volume', VolumeId, Tags);
  for (const { NetworkInterfaceId, TagSet } of nics.NetworkInterfaces ?? [])
    add('networkInterface', NetworkInterfaceId, TagSet);
  for (const { GroupId, Tags } of groups.SecurityGroups ?? []) add('securityGroup', GroupId, Tags);
  for (const { SnapshotId, Tags } of snapshots.Snapshots ?? []) add('snapshot', SnapshotId, Tags);
  for (const { ImageId, Tags } of images.Images ?? []) add('image', ImageId, Tags);
  for (const { VpcId, Tags } of vpcs.Vpcs ?? []) add('vpc', VpcId, Tags);
  for (const { SubnetId, Tags } of subnets.Subnets ?? []) add('subnet', SubnetId, Tags);
  for (const { InternetGatewayId, Tags } of gateways.InternetGateways ?? [])
    add('internetGateway', InternetGatewayId, Tags);
  for (const { AllocationId, Tags } of addresses.Addresses ?? []) add('address', AllocationId, Tags);
  return found;
}

/** Makes something of the kind with these tags alone, as somebody else would; answers its id. */
async function plant(
  ec2: EC2Client,
  AvailabilityZone: string,
  kind: Kind,
  tags: Record<string, string>,
  image: () => Promise<string>,
): Promise<string> {
  const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  const tagged = (ResourceType: ResourceType) => ({ TagSpecifications: [{ ResourceType, Tags }] });
  /** What something else is made of: of the run, and nobody's resource. */
  const part = (ResourceType: ResourceType) => ({
    TagSpecifications: [{ ResourceType, Tags: Tags.filter(({ Key }) => Key === runMark) }],
  });
  const patience = { client: ec2, minDelay: 2, maxWaitTime: 900 };
  const volume = (how = tagged('volume')) =>
    ec2.send(new CreateVolumeCommand({ AvailabilityZone, Size: 1, VolumeType: 'gp3', ...how }));
  const snapshot = async (how = tagged('snapshot')) => {
    const { VolumeId = '' } = await volume(part('volume'));
    await waitUntilVolumeAvailable(patience, { VolumeIds: [VolumeId] });
    return (await ec2.send(new CreateSnapshotCommand({ VolumeId, ...how }))).SnapshotId;
  };
  const plants: Record<Kind, () => Promise<string | undefined>> = {
    async Instance() {
      const answer = await ec2.send(
        new RunInstancesCommand({
          ImageId: await image(),
          InstanceType: 't3.micro',
          MinCount: 1,
          MaxCount: 1,
          TagSpecifications: [
            ...tagged('instance').TagSpecifications,
            ...part('volume').TagSpecifications,
            ...part('network-interface').TagSpecifications,
          ],
        }),
      );
      return answer.Instances?.[0]?.InstanceId;
    },
    Volume: async () => (await volume()).VolumeId,
    Snapshot: () => snapshot(),
    async Image() {
      const SnapshotId = await snapshot(part('snapshot'));
      await waitUntilSnapshotCompleted(
        { client: ec2, minDelay: 2, maxWaitTime: 900 },
        { SnapshotIds: [SnapshotId ?? ''] },
      );
      const root = '/dev/xvda';
      const answer = await ec2.send(
        new RegisterImageCommand({
          Name: `${tags.Name} ${SnapshotId}`,
          RootDeviceName: root,
          BlockDeviceMappings: [{ DeviceName: root, Ebs: { SnapshotId } }],
          ...tagged('image'),
        }),
      );
      return answer.ImageId;
    },
    Network: async () =>
      (await ec2.send(new CreateVpcCommand({ CidrBlock: '10.200.0.0/16', ...tagged('vpc') }))).Vpc?.VpcId,
    async Firewall() {
      const named = { GroupName: `${tags.Name} ${Date.now()}`, Description: 'theirs' };
      return (await ec2.send(new CreateSecurityGroupCommand({ ...named, ...tagged('security-group') })))
        .GroupId;
    },
    Address: async () =>
      (await ec2.send(new AllocateAddressCommand({ Domain: 'vpc', ...tagged('elastic-ip') }))).AllocationId,
  };
  const ref = await plants[kind]();
  if (!ref) throw new Error(`EC2 made a ${kind} and named no id`);
  return ref;
}
