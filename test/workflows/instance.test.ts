import {
  cancelOperation,
  changeInstance,
  createAudit,
  deleteInstance,
  getOperation,
  liveIntents,
  openWork,
} from '@landfall/store';
import { Client, Connection } from '@temporalio/client';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

let estate: SimulatedEstate;
const by = { organization: 'default', requestedBy: 'test' };

beforeAll(async () => {
  estate = await startSimulatedEstate({
    hosts: [
      { name: 'h1', vcpus: 4, memoryGiB: 16, diskGiB: 100 },
      { name: 'h2', vcpus: 4, memoryGiB: 16, diskGiB: 100 },
    ],
  });
}, 60_000);

afterAll(() => estate?.close(), 30_000);

afterEach(() =>
  Object.assign(estate.provider.faults, {
    capacity: 0,
    quota: 0,
    unavailable: 0,
    responseLost: 0,
    requestLost: 0,
    failChild: 0,
    denied: 0,
  }),
);

async function remove(name: string) {
  const { operation } = await deleteInstance(estate.db, {
    ...by,
    project: 'default',
    instance: name,
    ifMatch: null,
  });
  return estate.ended(operation!.id);
}

async function nothingIsLeft(id: string) {
  expect(await liveIntents(estate.db, id)).toEqual([]);
  expect(await estate.db.selectFrom('claims').selectAll().where('resource', '=', id).execute()).toEqual([]);
  expect(
    [...estate.provider.machines.values()].filter((machine) => machine.want.stamp.resource === id),
  ).toEqual([]);
  expect([...estate.provider.strays.values()].filter((stray) => stray.stamp.resource === id)).toEqual([]);
}

test('a request lands on a machine, stops, starts, reboots, resizes and is deleted without a trace', async () => {
  const { id, operation } = await estate.request('life');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(await estate.state('life')).toBe('Running');
  const act = async (verb: 'start' | 'stop' | 'reboot' | 'resize', patch?: { spec: { vcpus: number } }) => {
    const changed = await changeInstance(estate.db, {
      ...by,
      project: 'default',
      instance: 'life',
      verb,
      patch,
      ifMatch: null,
    });
    return estate.ended(changed.operation!.id);
  };
  expect(await act('stop')).toMatchObject({ state: 'Succeeded' });
  expect(await estate.state('life')).toBe('Stopped');
  expect(await act('start')).toMatchObject({ state: 'Succeeded' });
  expect(await act('reboot')).toMatchObject({ state: 'Succeeded' });
  expect(await act('resize', { spec: { vcpus: 2 } })).toMatchObject({ state: 'Succeeded' });
  const claims = await estate.db.selectFrom('claims').select('vcpus').where('resource', '=', id).execute();
  expect(claims).toEqual([{ vcpus: 2 }]);
  expect(await act('resize', { spec: { vcpus: 9 } })).toMatchObject({ state: 'Failed' });
  expect(await estate.state('life')).toBe('Running');
  expect(await remove('life')).toMatchObject({ state: 'Succeeded' });
  await nothingIsLeft(id);
});

test('the account of a machine follows its life: what it cost while it ran, at the price of its size', async () => {
  const { id, operation } = await estate.request('costs');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  const account = async () =>
    (
      await estate.db
        .selectFrom('usage_intervals')
        .select(['price_per_hour', 'instance_type', 'started_at', 'ended_at'])
        .where('instance', '=', id)
        .orderBy('id')
        .execute()
    ).map(({ price_per_hour, instance_type, ...times }) => ({
      ...times,
      what: `${instance_type} ${Number(price_per_hour)}${times.ended_at ? '' : ' …'}`,
    }));
  const told = async () => (await account()).map(({ what }) => what);
  const act = async (verb: 'start' | 'stop' | 'resize', vcpus?: number) => {
    const patch = vcpus === undefined ? {} : { patch: { spec: { vcpus } } };
    const asked = { ...by, project: 'default', instance: 'costs', verb, ...patch, ifMatch: null };
    const { operation } = await changeInstance(estate.db, asked);
    return estate.ended(operation!.id);
  };
  expect(await told()).toEqual(['kvm-1-0.25 0.01025 …']);
  await act('stop');
  expect(await told()).toEqual(['kvm-1-0.25 0.01025']);
  // Resized where it rests, it costs nothing.
  await act('resize', 3);
  expect(await told()).toEqual(['kvm-1-0.25 0.01025']);
  await act('start');
  expect(await told()).toEqual(['kvm-1-0.25 0.01025', 'kvm-3-0.25 0.03025 …']);
  await act('resize', 2);
  expect(await told()).toEqual(['kvm-1-0.25 0.01025', 'kvm-3-0.25 0.03025', 'kvm-2-0.25 0.02025 …']);
  // One that is refused changes nothing of it.
  expect(await act('resize', 9)).toMatchObject({ state: 'Failed' });
  await remove('costs');
  const whole = await account();
  expect(whole.map(({ what }) => what)).toEqual([
    'kvm-1-0.25 0.01025',
    'kvm-3-0.25 0.03025',
    'kvm-2-0.25 0.02025',
  ]);
  expect(whole[1]!.ended_at).toEqual(whole[2]!.started_at);
  expect(whole[0]!.ended_at!.getTime()).toBeLessThan(whole[1]!.started_at.getTime());
});

test('a machine that was never made cost nothing', async () => {
  estate.provider.faults.denied = 1;
  const { id, operation } = await estate.request('never');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Failed' });
  await remove('never');
  expect(
    await estate.db.selectFrom('usage_intervals').select('id').where('instance', '=', id).execute(),
  ).toEqual([]);
});

test('R2: a lost response is adopted by its stamp, and no second machine is made', async () => {
  const before = estate.provider.created;
  estate.provider.faults.responseLost = 1;
  const { id, operation } = await estate.request('lost-response');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(estate.provider.created - before).toBe(1);
  await remove('lost-response');
  await nothingIsLeft(id);
});

test('a lost request is made again under the same attempt', async () => {
  estate.provider.faults.requestLost = 1;
  const { id, operation } = await estate.request('lost-request');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect((await liveIntents(estate.db, id)).map((intent) => intent.attempt)).toEqual([1]);
  await remove('lost-request');
});

test('R3, R9: refused for capacity after a child was made, the child is removed and the next host gets a new attempt', async () => {
  estate.provider.faults.failChild = 1;
  const { id, operation } = await estate.request('fallback');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  const live = await liveIntents(estate.db, id);
  expect(live.map((intent) => intent.attempt)).toEqual([2]);
  const first = await estate.db
    .selectFrom('intents')
    .select(['host', 'state'])
    .where('resource', '=', id)
    .where('attempt', '=', 1)
    .executeTakeFirstOrThrow();
  expect(first.state).toBe('removed');
  expect(first.host).not.toBe(live[0]!.host);
  await remove('fallback');
  await nothingIsLeft(id);
  await estate.db.deleteFrom('set_asides').execute();
});

test('refused for good, everything is compensated and the operation says why', async () => {
  estate.provider.faults.denied = 1;
  const { id, operation } = await estate.request('denied');
  const end = await estate.ended(operation);
  expect(end.state).toBe('Failed');
  expect(end.message).toContain('not allowed');
  expect(await estate.state('denied')).toBe('Failed');
  await nothingIsLeft(id);
  await remove('denied');
});

test('R8: deletion while the create is under way leaves nothing', async () => {
  estate.provider.faults.unavailable = 2;
  const { id } = await estate.request('mid-create');
  expect(await remove('mid-create')).toMatchObject({ state: 'Succeeded' });
  await nothingIsLeft(id);
});

test('a cancelled create removes what it made and ends as Cancelled', async () => {
  estate.provider.faults.unavailable = 3;
  const { id, operation } = await estate.request('cancelled');
  await cancelOperation(estate.db, { organization: 'default' }, operation, by);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
  for (let look = 0; look < 100 && (await liveIntents(estate.db, id)).length > 0; look++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await nothingIsLeft(id);
  await remove('cancelled');
});

test('more than fits is refused with the reasons, and concurrent placements never oversell a host', async () => {
  const asked = await Promise.all(Array.from({ length: 12 }, (_, index) => estate.request(`slot-${index}`)));
  const ends = await Promise.all(asked.map(({ operation }) => estate.ended(operation)));
  expect(ends.filter((end) => end.state === 'Succeeded')).toHaveLength(8);
  expect(ends.filter((end) => end.state === 'Failed')).toHaveLength(4);
  const used = await estate.db
    .selectFrom('claims')
    .select(({ fn }) => ['host', fn.sum<number>('vcpus').as('vcpus')])
    .groupBy('host')
    .execute();
  expect(used.map((row) => Number(row.vcpus))).toEqual([4, 4]);
  await Promise.all(asked.map((_, index) => remove(`slot-${index}`)));
});

test('a request that only a silent host could take waits for its agent to be heard of again', async () => {
  const heard = (when: Date) => estate.db.updateTable('hosts').set({ last_seen_at: when }).execute();
  await heard(new Date(Date.now() - 120_000));
  const { operation } = await estate.request('patient');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const waiting = await getOperation(estate.db, { organization: 'default' }, operation);
  expect(waiting).toMatchObject({ state: 'Running' });
  expect(waiting.message).toContain('not answering');
  await heard(new Date(Date.now() + 3_600_000));
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  await remove('patient');
});

test('a machine that was in use and vanished is Lost, and not replaced by an empty one', async () => {
  const { id, operation } = await estate.request('vanished');
  await estate.ended(operation);
  const [key] = [...estate.provider.machines].find(([, machine]) => machine.want.stamp.resource === id)!;
  estate.provider.machines.delete(key);
  const before = estate.provider.created;
  const { operation: reboot } = await changeInstance(estate.db, {
    ...by,
    project: 'default',
    instance: 'vanished',
    verb: 'reboot',
    ifMatch: null,
  });
  const end = await estate.ended(reboot!.id);
  expect(end).toMatchObject({ state: 'Failed' });
  expect(end.message).toContain('is gone');
  expect(await estate.state('vanished')).toBe('Lost');
  expect(estate.provider.created).toBe(before);
  expect(await remove('vanished')).toMatchObject({ state: 'Succeeded' });
  await nothingIsLeft(id);
});

test('an engine that lost a workflow gets it again from the store, and the accepted request reaches its end', async () => {
  estate.provider.faults.unavailable = 1;
  const { id, operation } = await estate.request('lost-by-engine');
  const client = new Client({
    connection: await Connection.connect({ address: estate.stack.temporalAddress }),
  });
  const handle = client.workflow.getHandle(`instance/${id}`);
  for (let look = 0; look < 100; look++) {
    const found = await handle.describe().catch(() => undefined);
    if (found) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await handle.terminate('the engine lost it');
  expect((await openWork(estate.db, 0, 100)).work).toContainEqual({
    workflow: 'instance',
    resource: id,
    project: 'default',
  });
  await estate.signals.ensureStarted({ workflow: 'instance', resource: id, project: 'default' });
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  await client.connection.close();
  await remove('lost-by-engine');
  await nothingIsLeft(id);
});

test('the audit is clean, and names what is orphaned, missing or doubled', async () => {
  const { operation } = await estate.request('audited');
  await estate.ended(operation);
  const audit = async () => {
    const started = await createAudit(estate.db, by);
    await estate.ended(started.id);
    return (await getOperation(estate.db, { organization: 'default' }, started.id)).result!;
  };
  expect(await audit()).toMatchObject({ orphans: [], missing: [], doubled: [], machines: 1 });
  const [key, machine] = [...estate.provider.machines][0]!;
  const stamp = { ...machine.want.stamp, attempt: 99 };
  estate.provider.machines.set('planted', { ...machine, ref: 'planted', want: { ...machine.want, stamp } });
  const dirty = await audit();
  expect(dirty.orphans).toHaveLength(1);
  expect(dirty.doubled).toHaveLength(1);
  estate.provider.machines.delete('planted');
  estate.provider.machines.delete(key);
  expect((await audit()).missing).toHaveLength(1);
  await remove('audited');
});
