import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTagsCommand, DeleteTagsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { simulatedAws } from '../../test/simulators/aws/subject.ts';
import { context, errorOf } from '../conformance/probe.ts';
import type { Want } from '../contract.ts';
import { whyRefused } from './discover.ts';
import { stampAsTags, stampTags } from './stamp.ts';

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
