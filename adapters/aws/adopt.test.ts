import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTagsCommand, DeleteTagsCommand, EC2Client, type Tag } from '@aws-sdk/client-ec2';
import { simulatedAws } from '../../test/simulators/aws/subject.ts';
import { items, textAt } from '../../test/simulators/aws/xml.ts';
import { context, errorOf } from '../conformance/probe.ts';
import type { Kind, Want } from '../contract.ts';
import { adoptTagged } from './adopt.ts';
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
async function refusal(kind: 'Volume' | 'Snapshot' | 'Address', ref: string): Promise<string> {
  const [found] = await discovered(kind, ref);
  const named = { name: 'adopted', labels: {} };
  const specs = {
    Volume: { ...named, sizeGiB: 1, type: 'ssd' },
    Snapshot: { ...named, volume: '' },
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
