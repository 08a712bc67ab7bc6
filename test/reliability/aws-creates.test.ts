import { EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { type AwsSite, awsSite, graceMs } from './aws-site.ts';
import { type Estate, pause, startEstate, until } from './estate-with.ts';
import { interrupter } from './interrupter.ts';
import { machinesOf, nothingIsLeft, oneMachine, removeFully, truthOf } from './outcomes.ts';

/** R1–R6 on AWS: what goes wrong while a machine is made, from the request to the outcome. */
let site: AwsSite;
let estate: Estate;
const activities = interrupter();

beforeAll(async () => {
  site = await awsSite();
  estate = await startEstate([site], { interceptors: activities.interceptors });
}, 300_000);
afterEach(async () => {
  activities.interrupt(undefined);
  site?.clear();
  await estate?.db.deleteFrom('set_asides').execute();
});
afterAll(async () => {
  await estate?.close();
  await site?.close();
}, 60_000);

/** Succeeded with one machine of the attempt; answers its reference. */
async function made(given: { id: string; operation: string }, attempt = 1): Promise<string> {
  expect(await estate.ended(given.operation)).toMatchObject({ state: 'Succeeded' });
  return oneMachine(estate, site, given.id, attempt);
}

const tokens = (id: string) =>
  site.calls('RunInstances', id).map(({ parameters }) => parameters.ClientToken ?? '');

async function terminateFromOutside(ref: string): Promise<void> {
  const ec2 = new EC2Client({
    region: 'us-east-1',
    endpoint: site.simulator.endpoint,
    credentials: { accessKeyId: 'somebody', secretAccessKey: 'else' },
  });
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: [ref] }));
  ec2.destroy();
}

test('R1, R2: an error after the effect of each activity in turn leaves one machine, and nothing after its removal', async () => {
  activities.interrupt(undefined);
  const life = async (name: string) => {
    const asked = await estate.request(site, name);
    await made(asked);
    await removeFully(estate, site, name, asked.id);
    return asked.id;
  };
  await life('calm');
  const total = activities.calls();
  expect(total).toBeGreaterThanOrEqual(5);
  for (let nth = 1; nth <= total; nth++) {
    activities.interrupt({ mode: 'after', nth });
    const id = await life(`after-${nth}`);
    // Adopted by its stamp: the provider was asked to make it once.
    expect(tokens(id)).toHaveLength(1);
  }
}, 90_000);

test('R1: a create whose worker knows nothing of it, and which no list shows yet, is not made again', async () => {
  site.simulator.faults.set({ kind: 'lag', lists: 5 });
  site.wire.next('RunInstances', { kind: 'answerLost' });
  const asked = await estate.request(site, 'unheard');
  await made(asked);
  expect(new Set(tokens(asked.id)).size).toBe(1);
  await site.settle();
  await removeFully(estate, site, 'unheard', asked.id);
}, 60_000);

test('R2: every activity may run twice, through a whole life', async () => {
  activities.interrupt({ mode: 'twice' });
  const asked = await estate.request(site, 'twice');
  const ref = await made(asked);
  expect(await estate.ended(await estate.change('twice', 'stop'))).toMatchObject({ state: 'Succeeded' });
  expect(await estate.state('twice')).toBe('Stopped');
  expect(await estate.ended(await estate.change('twice', 'start'))).toMatchObject({ state: 'Succeeded' });
  expect(await oneMachine(estate, site, asked.id, 1)).toBe(ref);
  await removeFully(estate, site, 'twice', asked.id);
}, 60_000);

test('R2: lost answers of the create, one after the other, are one machine', async () => {
  site.wire.next('RunInstances', { kind: 'answerLost' }, 3);
  const asked = await estate.request(site, 'lost-answers');
  await made(asked);
  await removeFully(estate, site, 'lost-answers', asked.id);
}, 60_000);

test('R3: the fallback to another offer has a token of its own, and no token is ever sent with two requests', async () => {
  site.simulator.faults.set({ kind: 'capacity', times: 2 });
  const asked = await estate.request(site, 'fallback');
  await made(asked, 3);
  const runs = site.calls('RunInstances', asked.id).map(({ parameters }) => parameters);
  expect(runs).toHaveLength(3);
  expect(new Set(runs.map((run) => run.ClientToken)).size).toBe(3);
  const offers = runs.map((run) => `${run.InstanceType} ${run['Placement.AvailabilityZone']}`);
  expect(new Set(offers).size).toBe(3);
  await removeFully(estate, site, 'fallback', asked.id);
}, 60_000);

test('R3: a label changed between two tries of one attempt makes no second machine of it', async () => {
  site.simulator.faults.set({ kind: 'lag', lists: 6 });
  site.wire.next('RunInstances', {
    kind: 'answerLost',
    meanwhile: () => estate.change('relabelled', 'update', { labels: { tier: 'gold' } }),
  });
  const asked = await estate.request(site, 'relabelled');
  await made(asked);
  await until('the update has ended', async () => {
    const open = await estate.db
      .selectFrom('operations')
      .select('id')
      .where('resource_id', '=', asked.id)
      .where('state', 'in', ['Pending', 'Running'])
      .execute();
    return open.length === 0;
  });
  const ref = await oneMachine(estate, site, asked.id, 1);
  const existing = (await site.simulator.truth()).find((thing) => thing.ref === ref);
  expect(existing?.tags.tier).toBe('gold');
  await site.settle();
  await removeFully(estate, site, 'relabelled', asked.id);
}, 60_000);

test('R3: a resize asked for while the create is uncertain keeps the attempt’s request, and is carried out after it', async () => {
  site.wire.next('RunInstances', { kind: 'requestLost' });
  const asked = await estate.request(site, 'grown');
  await until('the create has begun', async () => (await truthOf(site, asked.id)).length > 0);
  await pause(100);
  const resize = await estate.change('grown', 'resize', { spec: { vcpus: 4, memoryGiB: 8 } });
  const ref = await made(asked);
  expect(await estate.ended(resize)).toMatchObject({ state: 'Succeeded' });
  expect(await oneMachine(estate, site, asked.id, 1)).toBe(ref);
  const resized = site
    .calls('ModifyInstanceAttribute')
    .filter(({ parameters }) => parameters.InstanceId === ref);
  expect(resized).toHaveLength(1);
  await removeFully(estate, site, 'grown', asked.id);
}, 60_000);

test('R4: a machine terminated from outside while it starts is replaced by a new attempt’s, under a new token', async () => {
  site.simulator.faults.set({ kind: 'transitions', startMs: 3_000 });
  const asked = await estate.request(site, 'cut-off');
  await until('a machine exists', async () => (await machinesOf(site, asked.id)).length === 1);
  const [first] = await machinesOf(site, asked.id);
  await terminateFromOutside(first!);
  const second = await made(asked, 2);
  expect(second).not.toBe(first);
  expect(new Set(tokens(asked.id)).size).toBe(2);
  await removeFully(estate, site, 'cut-off', asked.id);
}, 60_000);

test('R4: a create whose answer was lost and whose machine died meanwhile is not answered with the dead machine', async () => {
  site.simulator.faults.set({ kind: 'transitions', terminateMs: 0 });
  // Nothing shows the dead machine at first: its token alone remembers it.
  site.simulator.faults.set({ kind: 'lag', lists: 2 });
  site.wire.next('RunInstances', {
    kind: 'answerLost',
    meanwhile: async () => {
      site.simulator.faults.set({ kind: 'lag', lists: 0 });
      await terminateFromOutside((await site.truth()).find((thing) => thing.machine)!.ref);
    },
  });
  const asked = await estate.request(site, 'died-unheard');
  const ref = await made(asked, 2);
  expect(await machinesOf(site, asked.id)).toEqual([ref]);
  await site.settle();
  await removeFully(estate, site, 'died-unheard', asked.id);
}, 60_000);

test('R5: a security group whose answer was lost is found by its name, and not made twice', async () => {
  site.wire.next('CreateSecurityGroup', { kind: 'answerLost' });
  const asked = await estate.request(site, 'group');
  await made(asked);
  const groups = (await truthOf(site, asked.id)).filter((thing) => thing.providerKind === 'securityGroup');
  expect(groups).toHaveLength(1);
  expect(site.calls('CreateSecurityGroup', asked.id)).toHaveLength(1);
  await removeFully(estate, site, 'group', asked.id);
}, 60_000);

test('R5: a security group whose answer was lost and which no list shows yet is not made twice either', async () => {
  site.simulator.faults.set({ kind: 'lag', lists: 4 });
  site.wire.next('CreateSecurityGroup', { kind: 'answerLost' });
  const asked = await estate.request(site, 'hidden-group');
  await made(asked);
  const groups = (await truthOf(site, asked.id)).filter((thing) => thing.providerKind === 'securityGroup');
  expect(groups).toHaveLength(1);
  await site.settle();
  await removeFully(estate, site, 'hidden-group', asked.id);
}, 60_000);

test('R6: a machine hidden from the first lists is neither taken for gone nor made twice', async () => {
  site.simulator.faults.set({ kind: 'lag', lists: 12 });
  const asked = await estate.request(site, 'hidden');
  await made(asked);
  expect(tokens(asked.id)).toHaveLength(1);
  await site.settle();
  await removeFully(estate, site, 'hidden', asked.id);
}, 60_000);

test('R6: a machine that lists stop showing for a moment is not given up', async () => {
  const asked = await estate.request(site, 'flicker');
  const ref = await made(asked);
  await pause(graceMs + 100);
  site.wire.next('DescribeInstances', { kind: 'blank' }, 3);
  const stopped = await estate.ended(await estate.change('flicker', 'stop'));
  expect(await machinesOf(site, asked.id)).toEqual([ref]);
  expect(stopped).toMatchObject({ state: 'Succeeded' });
  await removeFully(estate, site, 'flicker', asked.id);
}, 60_000);

test('R9, R4: what a dead attempt leaves behind is removed with it', async () => {
  const asked = await estate.request(site, 'last');
  await made(asked);
  await removeFully(estate, site, 'last', asked.id);
  await nothingIsLeft(estate, site, asked.id);
  expect((await site.truth()).filter((thing) => thing.broker === estate.broker)).toEqual([]);
}, 60_000);
