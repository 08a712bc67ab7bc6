import {
  adoptInstance,
  cancelOperation,
  createResource,
  deleteInstance,
  getInstance,
  getResource,
  replaceInstance,
} from '@landfall/store';
import { mainQueue } from '@landfall/workflows/steps.ts';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { until } from '../reliability/estate-with.ts';
import { type Interruption, interrupter } from '../reliability/interrupter.ts';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/** A machine that is lost is replaced by a person's word, and never without. */
let estate: SimulatedEstate;
let client: Client;
const activities = interrupter();
const by = { organization: 'default', requestedBy: 'ada', project: 'default', ifMatch: null };

beforeAll(async () => {
  estate = await startSimulatedEstate({ interceptors: activities.interceptors });
  client = new Client({ connection: await Connection.connect({ address: estate.stack.temporalAddress }) });
}, 60_000);
afterEach(() => {
  activities.interrupt(undefined);
  estate.provider.faults.unavailable = 0;
});
afterAll(async () => {
  await client?.connection.close();
  await estate?.close();
}, 30_000);

let sweeps = 0;
const sweep = () =>
  client.workflow.execute('sweep', { taskQueue: mainQueue, workflowId: `sweep-${++sweeps}` });

const machinesOf = (id: string) =>
  [...estate.provider.machines.entries()].filter(([, { want }]) => want.stamp.resource === id);
type Machine = ReturnType<typeof machinesOf>[number];

const instance = (name: string) => getInstance(estate.db, 'default', name);

async function made(name: string): Promise<string> {
  const { id, operation } = await estate.request(name);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  return id;
}

/** Its machine is not there any more, and that was found out. Quicker than by a sweep. */
async function loseUnseen(id: string): Promise<void> {
  for (const [key] of machinesOf(id)) estate.provider.machines.delete(key);
  await sql`update instances set state = 'Lost', status = status || '{"state": "Lost"}', absent_since = now() - interval '1 minute'
    where id = ${id}`.execute(estate.db);
}

/** Its machine is not there any more, as a sweep and then its workflow have found out. Answers it, to be put back. */
async function lose(name: string): Promise<Machine> {
  const { id } = await instance(name);
  const [lost] = machinesOf(id);
  estate.provider.machines.delete(lost![0]);
  // Long enough ago for a look to be believed.
  await estate.db
    .updateTable('instances')
    .set({ absent_since: new Date(Date.now() - 60_000) })
    .where('id', '=', id)
    .execute();
  await sweep();
  await until(`${name} is Lost`, async () => (await estate.state(name)) === 'Lost');
  return lost!;
}

async function replace(name: string, replacement = {}): Promise<string> {
  const { operation } = await replaceInstance(estate.db, { ...by, instance: name, replacement });
  return operation!.id;
}

async function removed(name: string): Promise<void> {
  const { operation } = await deleteInstance(estate.db, { ...by, instance: name });
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
}

const attemptsThatClaim = async (id: string) =>
  (await estate.db.selectFrom('claims').select('attempt').where('resource', '=', id).execute()).map(
    ({ attempt }) => attempt,
  );

const account = async (id: string) =>
  (
    await estate.db
      .selectFrom('usage_intervals')
      .select('ended_at')
      .where('instance', '=', id)
      .orderBy('id')
      .execute()
  ).map(({ ended_at }) => (ended_at ? 'ended' : 'runs'));

test('another machine takes the lost one’s place: same name, a new attempt, its volume, and who asked is told', async () => {
  const id = await made('web');
  const before = await instance('web');
  const volume = await createResource(estate.db, 'Volume', {
    ...by,
    name: 'data',
    spec: { sizeGiB: 1, attachedTo: 'web' },
  });
  expect(await estate.ended(volume!.operation.id)).toMatchObject({ state: 'Succeeded' });
  await expect(replace('web')).rejects.toMatchObject({
    code: 'conflict',
    message: 'instance web is Running: only a machine that is Lost is replaced',
  });
  await lose('web');
  expect((await instance('web')).status.message).toContain('landfall replace instance web');
  await expect(replace('web', { image: 'tiny' })).rejects.toMatchObject({
    code: 'invalid',
    pointer: '/image',
  });
  const [first, again] = await Promise.all([replace('web'), replace('web')]);
  expect(again).toBe(first);
  expect(await estate.ended(first)).toMatchObject({ state: 'Succeeded' });

  const after = await instance('web');
  expect(after).toMatchObject({
    id,
    name: 'web',
    spec: before.spec,
    status: { state: 'Running', attempt: 2 },
  });
  expect(machinesOf(id).map(([, { want }]) => want.stamp.attempt)).toEqual([2]);
  expect(after.status.externalReference).not.toBe(before.status.externalReference);
  expect(await attemptsThatClaim(id)).toEqual([2]);
  await until('the volume follows', async () => {
    const { status } = (await getResource(estate.db, 'Volume', 'default', 'data')) as {
      status: { attachedTo?: string; state: string };
    };
    return status.attachedTo === after.status.externalReference && status.state === 'Ready';
  });
  const told = await estate.db
    .selectFrom('events')
    .select(['type', 'actor', 'message'])
    .where('operation', '=', first)
    .where('type', '=', 'instance.replaceRequested')
    .execute();
  expect(told).toEqual([
    {
      type: 'instance.replaceRequested',
      actor: 'ada',
      message: `ada asked for another machine in the place of ${before.status.externalReference} of instance web; what was on its boot disk is gone`,
    },
  ]);
  expect(after.status.lastRepair?.message).toContain('ada has another machine made in the place of');
  await expect(replace('web')).rejects.toMatchObject({ code: 'conflict' });
}, 60_000);

test('an error at each activity in turn, and each run twice, makes one machine', async () => {
  let name = '';
  const life = async (of: string, interruption?: Interruption) => {
    name = of;
    const id = await made(name);
    await loseUnseen(id);
    const { created } = estate.provider;
    activities.interrupt(interruption);
    expect(await estate.ended(await replace(name))).toMatchObject({ state: 'Succeeded' });
    const calls = activities.calls();
    activities.interrupt(undefined);
    expect(estate.provider.created).toBe(created + 1);
    expect(machinesOf(id)).toHaveLength(1);
    expect(await attemptsThatClaim(id)).toEqual([2]);
    // The account of the lost one ended with it, and no other than the new one's begins.
    expect(await account(id)).toEqual(['ended', 'runs']);
    await removed(name);
    expect(await account(id)).toEqual(['ended', 'ended']);
    return calls;
  };
  const calls = await life('calm');
  expect(calls).toBeGreaterThanOrEqual(6);
  await life('twice', { mode: 'twice' });
  for (const mode of ['before', 'after'] as const)
    for (let nth = 1; nth <= calls; nth++) await life(`${mode}-${nth}`, { mode, nth });
}, 120_000);

test('a machine that is to be seen again is kept with its data, and nothing is replaced', async () => {
  const id = await made('back');
  const [key, machine] = await lose('back');
  estate.provider.machines.set(key, machine);
  const { created } = estate.provider;
  expect(await estate.ended(await replace('back'))).toEqual({
    id: expect.any(String),
    state: 'Failed',
    message: `${machine.ref} is to be seen at lab again and was kept: nothing was replaced`,
  });
  expect(estate.provider.created).toBe(created);
  await estate.db
    .updateTable('operations')
    .set({ finished_at: new Date(Date.now() - 3_600_000) })
    .execute();
  await sweep();
  await until('it runs', async () => (await estate.state('back')) === 'Running');
  expect(machinesOf(id)).toEqual([[key, machine]]);
  await removed('back');
}, 30_000);

test('cancelled before the look, the old machine is left as it is, even one that has come back', async () => {
  const id = await made('early');
  const [key, machine] = await lose('early');
  estate.provider.machines.set(key, machine);
  // The first decision fails once, so that the cancellation is there before the second.
  activities.interrupt({ mode: 'before', nth: 1 });
  const operation = await replace('early');
  await cancelOperation(estate.db, by, operation, by);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
  expect(machinesOf(id)).toEqual([[key, machine]]);
  expect(await estate.state('early')).toBe('Lost');
  await removed('early');
}, 30_000);

test('cancelled while the new one is made, nothing of it is left; it is as lost as it was, and may be replaced later', async () => {
  const id = await made('late');
  await lose('late');
  estate.provider.faults.unavailable = 1_000;
  const operation = await replace('late');
  await until('it is made', async () => (await instance('late')).status.attempt === 2);
  await cancelOperation(estate.db, by, operation, by);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
  expect(await instance('late')).toMatchObject({
    status: { state: 'Lost', message: 'the replacement was cancelled' },
  });
  expect(machinesOf(id)).toEqual([]);
  expect(await attemptsThatClaim(id)).toEqual([]);
  estate.provider.faults.unavailable = 0;
  expect(await estate.ended(await replace('late'))).toMatchObject({ state: 'Succeeded' });
  expect(machinesOf(id).map(([, { want }]) => want.stamp.attempt)).toEqual([3]);
  await removed('late');
}, 60_000);

test('where there is no place for it, it is as lost as it was, says why, and may be asked for again', async () => {
  await made('crowded');
  await lose('crowded');
  await estate.db.updateTable('hosts').set({ vcpus: 0.1 }).execute();
  expect(await estate.ended(await replace('crowded'))).toMatchObject({ state: 'Failed' });
  expect(await estate.state('crowded')).toBe('Lost');
  await estate.db.updateTable('hosts').set({ vcpus: 8 }).execute();
  expect(await estate.ended(await replace('crowded'))).toMatchObject({ state: 'Succeeded' });
  await removed('crowded');
}, 30_000);

test('an adopted machine is replaced from an image that a person names, where it stood, and is ours from then on', async () => {
  const offer = {
    site: 'lab',
    provider: 'onprem',
    region: 'lab',
    zone: 'zone-h1',
    host: 'h1',
    instanceType: 'custom',
    market: 'onDemand',
    vcpus: 1,
    memoryGiB: 0.5,
    architecture: 'x86_64',
  } as const;
  estate.provider.foreign.set('domain-9', {
    kind: 'Instance',
    ref: 'domain-9',
    name: 'legacy',
    location: { region: 'lab', host: 'h1' },
    state: 'ready',
    power: 'running',
    instanceType: 'custom',
    vcpus: 1,
    memoryGiB: 0.5,
    addresses: [],
    labels: {},
  });
  const { instance: adopted, operation } = await adoptInstance(estate.db, {
    ...by,
    name: 'legacy',
    labels: {},
    externalReference: 'domain-9',
    spec: { vcpus: 1, memoryGiB: 0.5, power: 'running', publicAddress: false } as never,
    offer: offer as never,
  });
  expect(await estate.ended(operation.id)).toMatchObject({ state: 'Succeeded' });
  await lose('legacy');
  await expect(replace('legacy')).rejects.toMatchObject({ code: 'invalid', pointer: '/image' });
  expect(await estate.ended(await replace('legacy', { image: 'tiny' }))).toMatchObject({
    state: 'Succeeded',
  });
  const after = await instance('legacy');
  expect(after).toMatchObject({
    id: adopted.id,
    spec: { image: 'tiny', vcpus: 1, placement: { sites: ['lab'], regions: ['lab'] } },
    status: { state: 'Running', attempt: 2 },
  });
  expect(after.status).not.toHaveProperty('adopted');
  expect(machinesOf(adopted.id).map(([, { want }]) => want.adopted)).toEqual([undefined]);
  await removed('legacy');
  expect(machinesOf(adopted.id)).toEqual([]);
}, 30_000);
