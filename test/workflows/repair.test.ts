import { changeInstance, deleteInstance, driftedInstances, newId, requestRepair } from '@landfall/store';
import { decisions } from '@landfall/workflows/decide.ts';
import { placer } from '@landfall/workflows/place.ts';
import { mainQueue } from '@landfall/workflows/steps.ts';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { type Interruption, interrupter } from '../reliability/interrupter.ts';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/** What the sweep finds to be otherwise than wanted, and what the instance's own workflow makes of it. */
let estate: SimulatedEstate;
let client: Client;
const activities = interrupter();
const by = { organization: 'default', requestedBy: 'test', project: 'default', ifMatch: null };

beforeAll(async () => {
  estate = await startSimulatedEstate({ interceptors: activities.interceptors });
  client = new Client({ connection: await Connection.connect({ address: estate.stack.temporalAddress }) });
}, 60_000);
afterEach(() => activities.interrupt(undefined));
afterAll(async () => {
  await client?.connection.close();
  await estate?.close();
}, 30_000);

let sweeps = 0;
const sweep = () =>
  client.workflow.execute('sweep', { taskQueue: mainQueue, workflowId: `sweep-${++sweeps}` });

const repairs = (id: string) =>
  estate.db
    .selectFrom('operations')
    .select(['id', 'message', 'requested_by'])
    .where('resource_id', '=', id)
    .where('verb', '=', 'repair')
    .orderBy('id')
    .execute();

const machineOf = (id: string) =>
  [...estate.provider.machines.entries()].find(([, { want }]) => want.stamp.resource === id)!;

async function made(name: string): Promise<string> {
  const { id, operation } = await estate.request(name);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  return id;
}

async function repaired(id: string, count = 1): Promise<{ state: string; message: string }> {
  for (let look = 0; look < 10 && (await repairs(id)).length < count; look++) await sweep();
  const all = await repairs(id);
  expect(all).toHaveLength(count);
  return estate.ended(all[count - 1]!.id);
}

async function removed(name: string): Promise<void> {
  const { operation } = await deleteInstance(estate.db, { ...by, instance: name });
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
}

test('an error at each activity of a repair in turn, and each run twice, starts the stopped machine again, once asked for', async () => {
  const life = async (name: string, interruption?: Interruption) => {
    const id = await made(name);
    const created = estate.provider.created;
    machineOf(id)[1].power = 'stopped';
    activities.interrupt(interruption);
    expect(await repaired(id)).toMatchObject({ state: 'Succeeded' });
    const calls = activities.calls();
    activities.interrupt(undefined);
    expect(machineOf(id)[1].power).toBe('running');
    expect(estate.provider.created).toBe(created);
    await removed(name);
    return calls;
  };
  const calls = await life('calm');
  expect(calls).toBeGreaterThanOrEqual(7);
  await life('twice', { mode: 'twice' });
  for (const mode of ['before', 'after'] as const)
    for (let nth = 1; nth <= calls; nth++) await life(`${mode}-${nth}`, { mode, nth });
}, 90_000);

test('a machine that runs and is wanted stopped is stopped; what is as wanted is not woken', async () => {
  const id = await made('stopped');
  await sweep();
  expect(await repairs(id)).toEqual([]);
  const { operation } = await changeInstance(estate.db, { ...by, instance: 'stopped', verb: 'stop' });
  await estate.ended(operation!.id);
  await sweep();
  expect(await repairs(id)).toEqual([]);
  machineOf(id)[1].power = 'running';
  expect(await repaired(id)).toMatchObject({ state: 'Succeeded' });
  expect(machineOf(id)[1].power).toBe('stopped');
  expect(await estate.state('stopped')).toBe('Stopped');
  await removed('stopped');
});

test('an instance that is being changed is left to that change', async () => {
  const id = await made('changing');
  machineOf(id)[1].power = 'stopped';
  estate.provider.faults.unavailable = 3;
  const { operation } = await changeInstance(estate.db, { ...by, instance: 'changing', verb: 'reboot' });
  await sweep();
  expect(await repairs(id)).toEqual([]);
  const places = [{ site: 'lab', host: 'h1' }];
  expect(await driftedInstances(estate.db, places, new Date(), 0)).toEqual([]);
  // Nor where the change was asked for after the look.
  const drifted = { id, organization: 'default', reason: 'its machine was stopped' };
  expect(await requestRepair(estate.db, drifted)).toBeNull();
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
  await removed('changing');
  expect(await requestRepair(estate.db, drifted)).toBeNull();
}, 30_000);

test('a machine that vanished is Lost, told once, and back when it is to be seen again', async () => {
  const id = await made('flickering');
  const [key, machine] = machineOf(id);
  estate.provider.machines.delete(key);
  expect(await repaired(id)).toMatchObject({ state: 'Failed' });
  expect(await estate.state('flickering')).toBe('Lost');
  await estate.db
    .updateTable('operations')
    .set({ finished_at: new Date(Date.now() - 3_600_000) })
    .execute();
  await sweep();
  expect(await repairs(id)).toHaveLength(1);
  estate.provider.machines.set(key, machine);
  expect(await repaired(id, 2)).toMatchObject({ state: 'Succeeded' });
  expect(await estate.state('flickering')).toBe('Running');
  await removed('flickering');
}, 60_000);

test('a lost machine that its site refuses to show is Lost as before, and not taken for running', async () => {
  const id = await made('hidden');
  await sql`update instances set state = 'Lost', status = status || '{"state": "Lost"}', absent_since = now() - interval '1 minute'
    where id = ${id}`.execute(estate.db);
  for (const verb of ['repair', 'start']) {
    // Without an outbox row: only this test decides.
    const operation = {
      id: newId(),
      organization: 'default',
      project: 'default',
      verb,
      requested_by: 'test',
    };
    await estate.db
      .insertInto('operations')
      .values({ ...operation, resource_kind: 'Instance', resource_id: id, generation: 1 } as never)
      .execute();
    const { decide } = decisions(estate.db, estate.broker, placer());
    expect(await decide({ instance: id })).toMatchObject({ do: 'observe' });
    const failed = { code: 'Denied', message: 'not allowed to look' };
    const step = await decide({
      instance: id,
      outcome: { of: 'observe', attempt: 1, generation: 1, failed },
    });
    expect(step).toEqual({ do: 'done' });
    expect(await estate.ended(operation.id)).toMatchObject({ state: 'Failed' });
    expect(await estate.state('hidden')).toBe('Lost');
  }
  await removed('hidden');
});

test('a site that was not listed whole tells nothing of its machines, nor does a list that is older than the machine', async () => {
  const id = await made('untold');
  machineOf(id)[1].power = 'stopped';
  await estate.db.deleteFrom('inventory').execute();
  const places = [{ site: 'lab', host: 'h1' }];
  const found = (of: typeof places, from: Date) => driftedInstances(estate.db, of, from, 0);
  expect(await found([], new Date())).toEqual([]);
  expect(await found(places, new Date(Date.now() - 3_600_000))).toEqual([]);
  expect(await found(places, new Date())).toMatchObject([
    { id, reason: expect.stringContaining('not to be seen at lab') },
  ]);
  await removed('untold');
});
