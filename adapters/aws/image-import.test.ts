import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { simulatedAws } from '../../test/simulators/aws/subject.ts';
import { context, ensureReady, errorOf, listAll, removeFully, truthOf } from '../conformance/probe.ts';
import type { Adapter, CallContext, ImageUrl, Target, Want } from '../contract.ts';

jest.setTimeout(120_000);

/** What importing is at EC2; what every provider promises of it is in the conformance suite. */
let aws: Awaited<ReturnType<typeof simulatedAws>>;
let adapter: Adapter;
const location = { region: 'us-east-1' };
const vmdk: ImageUrl = { url: 's3://disks/golden.vmdk', format: 'vmdk' };

beforeAll(async () => {
  aws = await simulatedAws();
  adapter = await aws.adapter();
}, 300_000);
beforeEach(() => aws.simulator.reset());
afterAll(() => aws?.close());

const wantOf = (source: ImageUrl = vmdk, attempt = 1): Want<'Image'> => ({
  kind: 'Image',
  spec: { name: 'golden', labels: { team: 'a' }, source, architecture: 'x86_64' },
  stamp: { broker: aws.broker, project: 'test', resource: randomUUID(), attempt },
  location,
});
const targetOf = ({ stamp }: Want<'Image'>): Target<'Image'> => ({ kind: 'Image', stamp, location });
const callsOf = (action: string) => aws.simulator.calls.filter((call) => call.action === action);
const kindsOf = async ({ stamp }: Want<'Image'>) =>
  (await truthOf(aws, stamp.resource)).map(({ providerKind }) => providerKind).sort();
/** Whether anything at all is left, ours or not. */
const leftOver = async () => (await aws.simulator.truth()).map(({ providerKind }) => providerKind);

test.each([
  ['s3://disks/a/golden.vmdk', 'vmdk', 'VMDK'],
  ['https://disks.s3.us-east-1.amazonaws.com/a/golden.vmdk', 'vhd', 'VHD'],
  ['https://s3.us-east-1.amazonaws.com/disks/a/golden.vmdk', 'raw', 'RAW'],
] as const)('%s is imported as %s, and the snapshot is the image’s own', async (url, format, Format) => {
  const want = wantOf({ url, format });
  const image = await ensureReady(adapter, want);
  expect(callsOf('ImportSnapshot').map(({ parameters }) => parameters)).toEqual([
    expect.objectContaining({
      'DiskContainer.Format': Format,
      'DiskContainer.UserBucket.S3Bucket': 'disks',
      'DiskContainer.UserBucket.S3Key': 'a/golden.vmdk',
      'TagSpecification.1.ResourceType': 'import-snapshot-task',
    }),
  ]);
  expect(image).toMatchObject({
    diff: [],
    details: { sizeGiB: 8, children: [expect.stringMatching(/^snap-/)] },
  });
  expect(await kindsOf(want)).toEqual(['image', 'snapshot']);
  await removeFully(adapter, { ...targetOf(want), ref: image.ref });
  expect(await leftOver()).toEqual([]);
});

test('an import that takes longer than one call is told as creating, and goes on by what the heartbeat named', async () => {
  aws.simulator.faults.set({ kind: 'transitions', createMs: 1500 });
  // Its tags cannot be seen at first.
  aws.faults.set({ kind: 'lag', lists: 2 }, 'Image');
  const want = wantOf();
  let told: unknown;
  const heartbeat: CallContext['heartbeat'] = (details) => {
    told = details ?? told;
  };
  const impatient = await aws.adapter({ ensureWaitMs: 300 });
  const begun = await impatient.ensure(want, { ...context(), heartbeat });
  expect(begun).toMatchObject({ state: 'creating', ref: expect.stringMatching(/^import-snap-/) });
  expect(told).toEqual({ task: begun.ref });
  expect(await adapter.observe({ ...targetOf(want), ref: begun.ref }, want)).toMatchObject({
    presence: 'present',
    ref: begun.ref,
    state: 'creating',
  });
  const { items } = await listAll(adapter, aws.broker);
  expect(items).toMatchObject([{ ref: begun.ref, kind: 'Image', child: false, state: 'creating' }]);
  const done = await (await aws.adapter()).ensure(want, { ...context(), resumed: told });
  expect(done).toMatchObject({ state: 'ready', ref: expect.stringMatching(/^ami-/) });
  expect(callsOf('ImportSnapshot')).toHaveLength(1);
});

test.each([
  ['the snapshot gets its stamp', 'CreateTags'],
  ['the task loses it', 'DeleteTags'],
  ['the image is registered', 'RegisterImage'],
])('what ends before %s is taken up there, and nothing is imported twice', async (_, action) => {
  const want = wantOf();
  aws.simulator.faults.set({ kind: 'denied', action });
  const error = await errorOf(adapter.ensure(want, context()), 'Denied');
  expect(error.details.made).toEqual([expect.stringMatching(/^(import-)?snap-/)]);
  expect(await kindsOf(want)).not.toEqual([]);
  await ensureReady(await aws.adapter(), want);
  expect(await kindsOf(want)).toEqual(['image', 'snapshot']);
  const tokens = callsOf('ImportSnapshot').map(({ parameters }) => parameters.ClientToken);
  expect(new Set(tokens).size).toBe(1);
  await removeFully(adapter, targetOf(want));
  expect(await leftOver()).toEqual([]);
});

test('an import whose snapshot is gone is forgotten when the image is removed', async () => {
  const want = wantOf();
  aws.simulator.faults.set({ kind: 'denied', action: 'CreateTags' });
  await errorOf(adapter.ensure(want, context()), 'Denied');
  const snapshot = (await aws.simulator.truth()).find(({ providerKind }) => providerKind === 'snapshot');
  await aws.simulator.direct('us-east-1', 'DeleteSnapshot', { SnapshotId: snapshot?.ref ?? '' });
  await removeFully(adapter, targetOf(want));
  expect(await leftOver()).toEqual([]);
});

test('a snapshot that has no stamp yet goes with the import that made it', async () => {
  const want = wantOf();
  aws.simulator.faults.set({ kind: 'denied', action: 'CreateTags' });
  await errorOf(adapter.ensure(want, context()), 'Denied');
  expect(await leftOver()).toEqual(['snapshot', 'importTask']);
  await removeFully(adapter, targetOf(want));
  expect(await leftOver()).toEqual([]);
});

test('an import that is under way is cancelled when the image is removed', async () => {
  aws.simulator.faults.set({ kind: 'transitions', createMs: 60_000 });
  const want = wantOf();
  await (await aws.adapter({ ensureWaitMs: 100 })).ensure(want, context());
  await removeFully(adapter, targetOf(want));
  expect(callsOf('CancelImportTask')).toHaveLength(1);
  expect(await leftOver()).toEqual([]);
  expect((await listAll(adapter, aws.broker)).items).toEqual([]);
});

test('what EC2 cannot read as a disk is told in its words, again for the same attempt, and leaves nothing', async () => {
  const want = wantOf();
  aws.simulator.faults.set({ kind: 'noDisk' });
  for (const call of [1, 2]) {
    const error = await errorOf(adapter.ensure(want, context()), 'Invalid');
    expect({ call, message: error.message }).toMatchObject({
      message: expect.stringContaining(
        'ClientError: Disk validation failed [Unsupported specified file format]',
      ),
    });
    expect(error.details).toMatchObject({ field: '/source/url', providerCode: 'ClientError', made: [] });
  }
  expect(await adapter.observe(targetOf(want), want)).toEqual({ presence: 'absent' });
  expect(await leftOver()).toEqual([]);
  await ensureReady(adapter, { ...want, stamp: { ...want.stamp, attempt: 2 } });
});

test.each([
  ['unreadable', 'User does not have access to the S3 object (disks/golden.vmdk).'],
  [
    'noImportRole',
    'The service role vmimport provided does not exist or does not have sufficient permissions',
  ],
] as const)('a refused import (%s) is told in EC2’s words', async (kind, words) => {
  aws.simulator.faults.set({ kind });
  const error = await errorOf(adapter.ensure(wantOf(), context()), 'Invalid');
  expect(error.message).toBe(`InvalidParameter: ${words}`);
  expect(error.details.field).toBe('/source/url');
  expect(await leftOver()).toEqual([]);
});

test('a label that the image may not have is refused before its disk is imported', async () => {
  const want = wantOf();
  const reserved = { ...want, spec: { ...want.spec, labels: { Name: 'x' } } };
  for (const call of [adapter.validate(reserved), adapter.ensure(reserved, context())])
    expect((await errorOf(call, 'Invalid')).details.field).toBe('/labels/Name');
  expect(callsOf('ImportSnapshot')).toEqual([]);
});

test('who may not look at imports imports nothing, and lists all the same', async () => {
  aws.simulator.faults.set({ kind: 'denied', action: 'DescribeImportSnapshotTasks', times: 3 });
  await errorOf(adapter.ensure(wantOf(), context()), 'Denied');
  expect(callsOf('ImportSnapshot')).toEqual([]);
  expect(await listAll(adapter, aws.broker)).toEqual({ items: [], complete: true });
  const target = targetOf(wantOf());
  expect(await adapter.observe(target)).toEqual({ presence: 'absent' });
});

test('a released image keeps its snapshot, and its import is nobody’s', async () => {
  const want = wantOf();
  const image = await ensureReady(adapter, want);
  for (let done = false; !done; )
    ({ done } = await adapter.release({ ...targetOf(want), ref: image.ref }, context()));
  expect(await leftOver()).not.toContain('importTask');
  const left = (await aws.simulator.truth()).map(({ ref }) => ref);
  expect(left).toEqual(expect.arrayContaining([image.ref, ...image.details.children]));
  expect((await listAll(adapter, aws.broker)).items).toEqual([]);
});

test('validate asks EC2 whether it would, and makes nothing', async () => {
  const want = wantOf();
  await adapter.validate(want);
  expect(aws.simulator.calls.at(-1)).toMatchObject({
    action: 'ImportSnapshot',
    status: 412,
    parameters: { DryRun: 'true' },
  });
  expect(await leftOver()).toEqual([]);
});

test('describe says what URLs it takes', async () => {
  const { capabilities, facts } = await adapter.describe();
  expect(capabilities.find(({ kind }) => kind === 'Image')?.verbs).toMatchObject({ import: true });
  expect(facts.imports).toMatch(/^s3:\/\//);
});

afterEach(() => {
  expect(aws.simulator.calls.filter(({ problems }) => problems.length > 0)).toEqual([]);
  expect([...new Set(aws.simulator.calls.flatMap(({ misfits }) => misfits))]).toEqual([]);
});
