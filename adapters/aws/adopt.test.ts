import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTagsCommand, DeleteTagsCommand, EC2Client, type Tag } from '@aws-sdk/client-ec2';
import { simulatedAws } from '../../test/simulators/aws/subject.ts';
import { items, textAt } from '../../test/simulators/aws/xml.ts';
import { context, errorOf, removeFully } from '../conformance/probe.ts';
import { releaseFully } from '../conformance/releasing.ts';
import type { Kind, Want } from '../contract.ts';
import { adoptTagged } from './adopt.ts';
import { vpcs } from './adopt-network.ts';
import type { Account } from './clients.ts';
import { whyRefused } from './discover.ts';
import { describeAll } from './objects.ts';
import { adopterTag, stampAsTags, stampTags } from './stamp.ts';

let aws: Awaited<ReturnType<typeof simulatedAws>>;
let ec2: EC2Client;

beforeAll(async () => {
  aws = await simulatedAws({ ensureWaitMs: 1500 });
  const credentials = { accessKeyId: 'simulated', secretAccessKey: 'simulated' };
  ec2 = new EC2Client({ region: 'us-east-1', endpoint: aws.simulator.endpoint, credentials });
}, 60_000);
afterAll(() => aws?.close(), 30_000);

const tagsAt = async (ref: string) =>
  (await aws.simulator.truth()).find((thing) => thing.ref === ref)?.tags ?? {};

/** Another adopter’s tag: it comes before or after ours by name. */
const otherAdopter = (order: 'before' | 'after') =>
  `${stampTags.adopter}${order === 'before' ? '0' : 'z'}-other/${randomUUID()}`;

async function adoption(tags: Record<string, string>) {
  const ref = await aws.simulator.plant('us-east-1', { Name: 'theirs', ...tags });
  const { spec, ...want } = aws.want(randomUUID(), 1);
  const { image: _, ...rest } = spec;
  const toAdopt: Want<'Instance'> = { ...want, spec: rest, adopted: { ref, settled: false } };
  return { ref, want: toAdopt, adopt: async () => (await aws.adapter()).adopt(toAdopt, context()) };
}

const now = () => new Date().toISOString();

test('who comes after another adopter gives up, and leaves nothing of its own', async () => {
  const other = otherAdopter('before');
  const at = now();
  const { ref, adopt } = await adoption({ [other]: at });
  await errorOf(adopt(), 'Conflict');
  expect(await tagsAt(ref)).toEqual({ Name: 'theirs', [other]: at });
}, 30_000);

test('who comes before another waits for it: until it gave up, or has it', async () => {
  const key = otherAdopter('after');
  const gives = await adoption({ [key]: now() });
  const given = gives.adopt();
  await sleep(400);
  expect(await tagsAt(gives.ref)).not.toHaveProperty([stampTags.broker]);
  await ec2.send(new DeleteTagsCommand({ Resources: [gives.ref], Tags: [{ Key: key }] }));
  expect(await given).toMatchObject({ ref: gives.ref, stamp: gives.want.stamp });
  const keys = Object.keys(await tagsAt(gives.ref));
  expect(keys.filter((each) => each.startsWith(stampTags.adopter))).toEqual([]);

  const takes = await adoption({ [key]: now() });
  const taken = errorOf(takes.adopt(), 'Conflict');
  await sleep(400);
  const stamp = { broker: 'other', project: 'theirs', resource: randomUUID(), attempt: 1 };
  const Tags = stampAsTags(stamp, 'Instance');
  await ec2.send(new CreateTagsCommand({ Resources: [takes.ref], Tags }));
  await taken;
  expect(await tagsAt(takes.ref)).toMatchObject({ [stampTags.broker]: 'other' });
}, 30_000);

test('an adopter that never ends is waited for, but not for ever; one long dead is passed over', async () => {
  const stuck = await adoption({ [otherAdopter('after')]: now() });
  await errorOf(stuck.adopt(), 'Conflict');
  expect(await tagsAt(stuck.ref)).not.toHaveProperty([stampTags.broker]);
  const dead = await adoption({ [otherAdopter('before')]: '2020-01-01T00:00:00.000Z' });
  expect(await dead.adopt()).toMatchObject({ ref: dead.ref });
}, 30_000);

test('who has written its stamp waits until it is to be seen, whoever shows itself meanwhile: given up, it would stay there', async () => {
  const mine = adopterTag({ broker: 'b', resource: 'r' });
  const other = `${stampTags.adopter}a-other/r`;
  const tags: Tag[] = [];
  /** Written, and not to be seen yet. */
  let hidden: Tag[] = [];
  const send = async ({ input }: CreateTagsCommand) => {
    const written = input.Tags!;
    if (written[0]?.Key === mine) tags.push(...written);
    else hidden = written;
    return {};
  };
  let looks = 0;
  const found = await adoptTagged(
    {
      checkRegion: () => {},
      ec2: () => ({ send }),
      pollMs: 1,
      ensureWaitMs: 20_000,
    } as unknown as Account,
    {
      location: { region: 'us-east-1' },
      stamp: { broker: 'b', project: 'p', resource: 'r', attempt: 1 },
      adopted: { ref: 'vol-1', settled: false },
    },
    context(),
    {
      kind: 'Volume',
      find: async () => {
        // The first look after the stamp sees another adopter, the second the stamp.
        if (hidden.length > 0 && looks++ === 0) tags.push({ Key: other, Value: now() });
        else if (looks > 1) tags.push(...hidden);
        return { tags: [...tags] };
      },
      refOf: () => 'vol-1',
      tagsOf: ({ tags: all }) => all,
      whyRefused: async () => undefined,
    },
  );
  expect(found.tags).toContainEqual({ Key: stampTags.broker, Value: 'b' });
});

test.each([
  ['aws:autoscaling:groupName', 'the Auto Scaling group'],
  ['aws:ec2:fleet-id', 'the fleet'],
  ['aws:eks:cluster-name', 'the EKS cluster'],
  ['kubernetes.io/cluster/prod', 'a Kubernetes cluster'],
  ['karpenter.sh/nodepool', 'Karpenter'],
  ['aws:cloudformation:stack-name', 'the CloudFormation stack'],
])('what carries %s is managed by %s', (Key, by) => {
  const machine = { InstanceId: 'i-1', State: { Name: 'running' }, Tags: [{ Key, Value: 'web' }] } as const;
  expect(whyRefused({ ...machine, Tags: [...machine.Tags] })).toContain(`it is managed by ${by}`);
});

test('a launch template, or any tag of its owner’s, refuses nothing', () => {
  const Tags = [
    { Key: 'aws:ec2launchtemplate:id', Value: 'lt-1' },
    { Key: 'team', Value: 'shop' },
  ];
  expect(whyRefused({ InstanceId: 'i-1', State: { Name: 'running' }, Tags })).toBeUndefined();
});

const discovered = async (kind: Kind, ref?: string) => {
  const { items: found } = await (await aws.adapter()).discover({ kind, broker: aws.broker, ref }, context());
  return found;
};
const plant = (kind: Kind, tags: Record<string, string> = {}) => aws.simulator.plant('us-east-1', tags, kind);
const direct = (action: string, parameters: Record<string, string> = {}) =>
  aws.simulator.direct('us-east-1', action, parameters);

/** Why it is refused, as it is shown; adopting it all the same says so, and leaves no tag. */
async function refusal(kind: 'Volume' | 'Snapshot' | 'Network' | 'Address', ref: string): Promise<string> {
  const [found] = await discovered(kind, ref);
  const named = { name: 'adopted', labels: {} };
  const specs = {
    Volume: { ...named, sizeGiB: 1, type: 'ssd' },
    Snapshot: { ...named, volume: '' },
    Network: { ...named, cidr: '10.200.0.0/16', subnets: [] },
    Address: named,
  };
  const { stamp, location } = aws.want(randomUUID(), 1);
  const want = { kind, stamp, location, spec: specs[kind], adopted: { ref, settled: false } } as Want<Kind>;
  const { message } = await errorOf((await aws.adapter()).adopt(want, context()), 'Conflict');
  expect(message).toContain(found?.refused);
  expect(Object.keys(await tagsAt(ref)).filter((key) => key.startsWith('landfall'))).toEqual([]);
  return found!.refused!;
}

test('the root disk of a machine is found with the machine, and is not to be had alone', async () => {
  const machine = await plant('Instance');
  const filter = { 'Filter.1.Name': 'attachment.instance-id', 'Filter.1.Value.1': machine };
  const ref = textAt(items(await direct('DescribeVolumes', filter), 'volumeSet')[0], 'volumeId') ?? '';
  expect((await discovered('Volume')).map((item) => item.ref)).not.toContain(ref);
  expect(await refusal('Volume', ref)).toBe(`it is the root disk of ${machine}`);
});

test('a data disk that is deleted with its machine, or that Kubernetes made, is shown with the reason', async () => {
  const machine = await plant('Instance');
  const volume = await plant('Volume');
  await direct('AttachVolume', { VolumeId: volume, InstanceId: machine, Device: '/dev/sdf' });
  const [free] = await discovered('Volume', volume);
  expect(free).toMatchObject({ attachedTo: machine, diskGiB: 1, type: 'gp3' });
  expect(free?.refused).toBeUndefined();
  await direct('ModifyInstanceAttribute', {
    InstanceId: machine,
    'BlockDeviceMapping.1.DeviceName': '/dev/sdf',
    'BlockDeviceMapping.1.Ebs.DeleteOnTermination': 'true',
  });
  expect(await refusal('Volume', volume)).toBe(
    `it is deleted with ${machine}: switch its DeleteOnTermination off first`,
  );
  const claimed = await plant('Volume', { 'kubernetes.io/created-for/pvc/name': 'data' });
  expect(await refusal('Volume', claimed)).toContain('it is managed by a Kubernetes cluster');
});

test('a snapshot that an image stands on, and an address that leads to no machine, are shown with the reason', async () => {
  const machine = await plant('Instance');
  const image = textAt(await direct('CreateImage', { InstanceId: machine, Name: 'golden' }), 'imageId') ?? '';
  const [made] = await describeAll(ec2, 'image', [{ Name: 'image-id', Values: [image] }]);
  const snapshot = made?.raw.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId ?? '';
  expect(await refusal('Snapshot', snapshot)).toBe(`the image ${image} stands on it`);
  const subnet = textAt(items(await direct('DescribeSubnets'), 'subnetSet')[0], 'subnetId') ?? '';
  const network = await direct('CreateNetworkInterface', { SubnetId: subnet });
  const NetworkInterfaceId = textAt(network, 'networkInterface', 'networkInterfaceId') ?? '';
  const address = await plant('Address');
  await direct('AssociateAddress', { AllocationId: address, NetworkInterfaceId });
  expect(await refusal('Address', address)).toBe(`it leads to ${NetworkInterfaceId}, which is no machine's`);
});

const subnetsOf = async (vpc: string) => {
  const answer = await direct('DescribeSubnets', { 'Filter.1.Name': 'vpc-id', 'Filter.1.Value.1': vpc });
  return items(answer, 'subnetSet').map((subnet) => textAt(subnet, 'subnetId') ?? '');
};
const tag = (ref: string, Key: string, Value: string) =>
  ec2.send(new CreateTagsCommand({ Resources: [ref], Tags: [{ Key, Value }] }));
const made = async (action: string, parameters: Record<string, string>, ...path: string[]) =>
  textAt(await direct(action, parameters), ...path) ?? '';

/** A network of somebody's with a second subnet and a gateway, and how to adopt it. */
async function theirNetwork() {
  const ref = await plant('Network', { Name: 'Shop' });
  const [front = ''] = await subnetsOf(ref);
  await tag(front, 'Name', 'front');
  const back = { VpcId: ref, CidrBlock: '10.200.2.0/24', AvailabilityZone: 'us-east-1a' };
  const other = await made('CreateSubnet', back, 'subnet', 'subnetId');
  const gateway = await made('CreateInternetGateway', {}, 'internetGateway', 'internetGatewayId');
  await direct('AttachInternetGateway', { InternetGatewayId: gateway, VpcId: ref });
  const [found] = await discovered('Network', ref);
  const { stamp } = aws.want(randomUUID(), 1);
  const spec = { name: 'net', labels: {}, cidr: found?.cidr ?? '', subnets: found?.subnets ?? [] };
  const location = { region: 'us-east-1' };
  const want: Want<'Network'> = { kind: 'Network', stamp, location, spec, adopted: { ref, settled: false } };
  return {
    ref,
    front,
    other,
    gateway,
    found,
    want,
    target: { kind: 'Network', stamp, location, ref } as const,
  };
}

test('a network is shown with its subnets by their names, or by their ids where these can be no names of ours', async () => {
  const { ref, other, front, found } = await theirNetwork();
  expect(found).toMatchObject({ name: 'Shop', location: { region: 'us-east-1' }, cidr: '10.200.0.0/16' });
  expect(found?.subnets).toEqual([
    { name: 'front', cidr: '10.200.1.0/24', zone: 'us-east-1b' },
    { name: other, cidr: '10.200.2.0/24', zone: 'us-east-1a' },
  ]);
  expect(found?.refused).toBeUndefined();
  await tag(other, 'Name', 'front');
  const [twins] = await discovered('Network', ref);
  expect(twins?.subnets?.map(({ name }) => name).sort()).toEqual([front, other].sort());
  // A cluster only uses it: it says so itself.
  await tag(ref, 'kubernetes.io/cluster/prod', 'shared');
  expect((await discovered('Network', ref))[0]?.refused).toBeUndefined();
  await tag(other, 'kubernetes.io/cluster/prod', 'owned');
  expect(await refusal('Network', ref)).toBe(
    `of its ${other}: it is managed by a Kubernetes cluster (tag kubernetes.io/cluster/prod)`,
  );
}, 60_000);

test('a network that cannot be said in our words, or is another’s, is shown with the reason', async () => {
  const all = items(await direct('DescribeVpcs'), 'vpcSet');
  const byDefault = all.find((vpc) => textAt(vpc, 'isDefault') === 'true');
  expect(await refusal('Network', textAt(byDefault, 'vpcId') ?? '')).toContain(
    'the default VPC of its region',
  );
  const wide = await plant('Network');
  await direct('AssociateVpcCidrBlock', { VpcId: wide, CidrBlock: '10.201.0.0/16' });
  expect(await refusal('Network', wide)).toContain(
    'several ranges of IPv4 addresses (10.200.0.0/16, 10.201.0.0/16)',
  );
  const bare = await made('CreateVpc', { CidrBlock: '10.9.0.0/16' }, 'vpc', 'vpcId');
  expect(await refusal('Network', bare)).toContain('it has no subnet');
  const costly = { CidrBlock: '10.9.0.0/16', InstanceTenancy: 'dedicated' };
  expect(await refusal('Network', await made('CreateVpc', costly, 'vpc', 'vpcId'))).toContain(
    'hardware of their own (tenancy dedicated)',
  );
  const [vpc] = await describeAll(ec2, 'vpc', [{ Name: 'vpc-id', Values: [await plant('Network')] }]);
  // As one sees a VPC of another account: without the security group that every VPC has.
  const shared = { ...vpc!, raw: { ...vpc!.raw, OwnerId: '999999999999' } };
  expect((await vpcs.look(ec2, [shared])).get(shared.ref)?.refused).toContain(
    'it is shared by another account (999999999999)',
  );
}, 60_000);

test('what of a network an interrupted adoption did not tag is tagged by the next; released, none of it is', async () => {
  const { ref, front, other, gateway, want, target } = await theirNetwork();
  const parts = [ref, front, other, gateway];
  await ec2.send(
    new CreateTagsCommand({ Resources: [ref, front], Tags: stampAsTags(want.stamp, 'Network') }),
  );
  const adapter = await aws.adapter();
  const adopted = await adapter.adopt(want, context());
  expect(adopted).toMatchObject({
    stamp: want.stamp,
    state: 'ready',
    details: { cidr: '10.200.0.0/16', subnets: [{ name: 'front', ref: front }, { ref: other }] },
  });
  expect([...adopted.details.children].sort()).toEqual([front, other, gateway].sort());
  for (const part of parts)
    expect(await tagsAt(part)).toMatchObject({ [stampTags.resource]: want.stamp.resource });
  await releaseFully(adapter, target);
  for (const part of parts)
    expect(Object.keys(await tagsAt(part)).filter((key) => key.startsWith('landfall'))).toEqual([]);
}, 60_000);

test('an adopted network keeps its routes, and stays whole while something of its owner’s is in it', async () => {
  const { ref, front, want, target } = await theirNetwork();
  const adapter = await aws.adapter();
  await adapter.adopt(want, context());
  const labelled = { ...want.spec, labels: { team: 'shop' } };
  const settled: Want<'Network'> = { ...want, spec: labelled, adopted: { ref, settled: true } };
  expect(await adapter.ensure(settled, context())).toMatchObject({ ref, state: 'ready', diff: [] });
  const within = { 'Filter.1.Name': 'vpc-id', 'Filter.1.Value.1': ref };
  const tables = items(await direct('DescribeRouteTables', within), 'routeTableSet');
  expect(tables.flatMap((table) => items(table, 'routeSet'))).toHaveLength(1);

  const VpcId = ref;
  const table = await made('CreateRouteTable', { VpcId }, 'routeTable', 'routeTableId');
  const list = await made('CreateNetworkAcl', { VpcId }, 'networkAcl', 'networkAclId');
  const ServiceName = 'com.amazonaws.us-east-1.s3';
  const gatewayTo = { VpcId, ServiceName, VpcEndpointType: 'Gateway' };
  const endpoint = await made('CreateVpcEndpoint', gatewayTo, 'vpcEndpoint', 'vpcEndpointId');
  const subnet = await made('CreateSubnet', { VpcId, CidrBlock: '10.200.3.0/24' }, 'subnet', 'subnetId');
  const refused = await errorOf(adapter.remove(target, context()), 'Conflict');
  for (const each of [table, list, endpoint, subnet]) expect(refused.message).toContain(each);
  expect(await subnetsOf(ref)).toEqual(expect.arrayContaining([front, subnet]));
  await direct('DeleteRouteTable', { RouteTableId: table });
  await direct('DeleteNetworkAcl', { NetworkAclId: list });
  await direct('DeleteVpcEndpoints', { 'VpcEndpointId.1': endpoint });
  await direct('DeleteSubnet', { SubnetId: subnet });
  await removeFully(adapter, target);
  expect((await aws.simulator.truth()).map((thing) => thing.ref)).not.toContain(ref);
}, 60_000);
