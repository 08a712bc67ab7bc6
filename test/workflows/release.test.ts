import type { Unmanaged } from '@landfall/adapters';
import {
  adoptOther,
  changeInstance,
  compareInventory,
  createAudit,
  deleteInstance,
  driftedInstances,
  getInstance,
  getOperation,
  getResource,
  liveIntents,
  liveResourceIntents,
  releaseInstance,
  releaseResource,
} from '@landfall/store';
import { changeResource, createResource, deleteResource } from '@landfall/store/resources.ts';
import { mainQueue } from '@landfall/workflows/steps.ts';
import { Client, Connection } from '@temporalio/client';
import { type Interruption, interrupter } from '../reliability/interrupter.ts';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/** Landfall lets go of a machine: it goes on, and nothing of ours remains. And volumes, snapshots and addresses come and go so, too. */
let estate: SimulatedEstate;
let client: Client;
const activities = interrupter();
const by = { organization: 'default', requestedBy: 'test', project: 'default', ifMatch: null };

beforeAll(async () => {
  estate = await startSimulatedEstate({ interceptors: activities.interceptors });
  client = new Client({ connection: await Connection.connect({ address: estate.stack.temporalAddress }) });
}, 60_000);
afterEach(() => {
  activities.interrupt(undefined);
  Object.assign(estate.provider.faults, { denied: 0, unavailable: 0, responseLost: 0, requestLost: 0 });
});
afterAll(async () => {
  await client?.connection.close();
  await estate?.close();
}, 30_000);

let sweeps = 0;
const sweep = () =>
  client.workflow.execute('sweep', { taskQueue: mainQueue, workflowId: `sweep-${++sweeps}` });

async function made(name: string): Promise<{ id: string; ref: string }> {
  const { id, operation } = await estate.request(name);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  return { id, ref: (await getInstance(estate.db, 'default', id)).status.externalReference! };
}

const release = (instance: string, more: { validateOnly?: boolean } = {}) =>
  releaseInstance(estate.db, { ...by, instance, ...more });

const eventsOf = (id: string, type: string) =>
  estate.db
    .selectFrom('events')
    .select(['actor', 'message'])
    .where('resource_id', '=', id)
    .where('type', '=', type)
    .execute();

async function isReleased({ id, ref }: { id: string; ref: string }): Promise<void> {
  expect(estate.provider.foreign.get(ref)).toMatchObject({ ref, power: 'running' });
  expect([...estate.provider.machines.values()].map((machine) => machine.ref)).not.toContain(ref);
  expect([...estate.provider.strays.values()].filter(({ stamp }) => stamp.resource === id)).toEqual([]);
  expect(await liveIntents(estate.db, id)).toEqual([]);
  expect(await estate.db.selectFrom('claims').select('vcpus').where('resource', '=', id).execute()).toEqual(
    [],
  );
  expect((await getInstance(estate.db, 'default', id)).status).toMatchObject({ state: 'Released' });
  expect(await eventsOf(id, 'instance.releaseRequested')).toMatchObject([{ actor: 'test' }]);
  expect(await eventsOf(id, 'instance.released')).toHaveLength(1);
}

test('an error at each activity of a release in turn, and each run twice, lets go of the machine once and loses nothing', async () => {
  const life = async (name: string, interruption?: Interruption) => {
    const machine = await made(name);
    const created = estate.provider.created;
    activities.interrupt(interruption);
    const { operation } = await release(name);
    // Asked for again, it is the same.
    expect((await release(machine.id)).operation?.id).toBe(operation!.id);
    expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded', message: 'released' });
    const calls = activities.calls();
    activities.interrupt(undefined);
    await isReleased(machine);
    expect(estate.provider.created).toBe(created);
    expect((await release(machine.id)).operation?.id).toBe(operation!.id);
    return calls;
  };
  const calls = await life('calm');
  expect(calls).toBeGreaterThanOrEqual(3);
  await life('twice', { mode: 'twice' });
  for (const mode of ['before', 'after'] as const)
    for (let nth = 1; nth <= calls; nth++) await life(`${mode}-${nth}`, { mode, nth });
}, 60_000);

test('a lost answer and a site that is away are waited out', async () => {
  const machine = await made('away');
  estate.provider.faults.responseLost = 1;
  estate.provider.faults.unavailable = 2;
  const { operation } = await release('away');
  expect(await estate.ended(operation!.id, 60_000)).toMatchObject({ state: 'Succeeded' });
  await isReleased(machine);
}, 70_000);

test('the sweep leaves a released machine alone, also where its list is behind, and repairs nothing of it', async () => {
  const machine = await made('left');
  await sweep();
  const row = await estate.db
    .selectFrom('inventory')
    .selectAll()
    .where('resource', '=', machine.id)
    .where('ref', '=', machine.ref)
    .executeTakeFirstOrThrow();
  const { operation } = await release('left');
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
  const places = [{ site: 'lab', host: 'h1' }];
  // As a list would say that was begun before the release, of a machine that was there for long.
  const first_seen_at = new Date(Date.now() - 3_600_000);
  const stale = { ...row, item: JSON.stringify(row.item), first_seen_at, run: row.run };
  await estate.db.deleteFrom('inventory').execute();
  await estate.db.insertInto('inventory').values(stale).execute();
  const { orphans, missing } = await compareInventory(estate.db, places, new Date());
  expect([orphans, missing]).toEqual([[], []]);
  expect(await driftedInstances(estate.db, places, new Date(), 0)).toEqual([]);
  await sweep();
  await isReleased(machine);
});

test('where the provider says that it cannot be released, the instance stays as it was, and can be changed', async () => {
  const machine = await made('kept');
  estate.provider.faults.unreleasable = 1;
  const { operation } = await release('kept');
  expect(await estate.ended(operation!.id)).toMatchObject({
    state: 'Failed',
    message: expect.stringContaining('it cannot do without us; it is Landfall'),
  });
  expect(await estate.state('kept')).toBe('Running');
  const { operation: stop } = await changeInstance(estate.db, { ...by, instance: 'kept', verb: 'stop' });
  expect(await estate.ended(stop!.id)).toMatchObject({ state: 'Succeeded' });
  const { operation: start } = await changeInstance(estate.db, { ...by, instance: 'kept', verb: 'start' });
  expect(await estate.ended(start!.id)).toMatchObject({ state: 'Succeeded' });
  const { operation: again } = await release('kept');
  expect(again?.id).not.toBe(operation!.id);
  expect(await estate.ended(again!.id)).toMatchObject({ state: 'Succeeded' });
  expect(estate.provider.foreign.has(machine.ref)).toBe(true);
});

test('on a host, one that is in a network of ours is not released', async () => {
  const spec = { site: 'lab', host: 'h1', cidr: '10.1.0.0/24' };
  const network = await createResource(estate.db, 'Network', { ...by, name: 'inner', spec });
  expect(await estate.ended(network!.operation.id)).toMatchObject({ state: 'Succeeded' });
  const { operation } = await estate.request('inside', { network: 'inner' });
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  await expect(release('inside')).rejects.toThrow('it is in the network inner of its host');
});

test('it is refused, with what to do, while something is attached, is under way, or there is no machine', async () => {
  const machine = await made('holder');
  const asked = { ...by, name: 'data', spec: { sizeGiB: 1, attachedTo: 'holder' } };
  const volume = await createResource(estate.db, 'Volume', asked);
  expect(await estate.ended(volume!.operation.id)).toMatchObject({ state: 'Succeeded' });
  await expect(release('holder')).rejects.toThrow(
    'volume data is attached to it: detach first (landfall detach volume data)',
  );
  const patch = { spec: { attachedTo: null } };
  const detaching = { ...by, resource: 'data', patch };
  const { operation: detached } = await changeResource(estate.db, 'Volume', detaching);
  expect(await estate.ended(detached!.id)).toMatchObject({ state: 'Succeeded' });

  estate.provider.faults.unavailable = 1;
  const { operation: stop } = await changeInstance(estate.db, { ...by, instance: 'holder', verb: 'reboot' });
  await expect(release('holder')).rejects.toThrow(`its reboot is under way: wait for it`);
  await estate.ended(stop!.id);
  expect((await release('holder', { validateOnly: true })).operation).toBeNull();
  expect(await estate.state('holder')).toBe('Running');
  const { operation } = await release('holder');
  // What is to go cannot be changed any more.
  await expect(deleteInstance(estate.db, { ...by, instance: 'holder' })).rejects.toThrow('is being released');
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
  await isReleased(machine);

  estate.provider.faults.denied = 1;
  const failed = await estate.request('nothing');
  await estate.ended(failed.operation);
  await expect(release('nothing')).rejects.toThrow('it is Failed and has no machine');
}, 60_000);

let planted = 0;
/** Something of the other kinds that somebody else made. */
function plant(kind: 'Volume' | 'Snapshot' | 'Address', more: Partial<Unmanaged> = {}): Unmanaged {
  const ref = `theirs-${++planted}`;
  const found: Unmanaged = {
    kind,
    ref,
    location: { region: 'lab', host: 'h1' },
    state: 'ready',
    ...(kind === 'Address' ? {} : { diskGiB: 7 }),
    addresses: [],
    labels: {},
    ...more,
  };
  estate.provider.foreign.set(ref, found);
  return found;
}

type Other = 'Volume' | 'Snapshot' | 'Address';

async function adopt(name: string, { kind, ref, location, diskGiB, attachedTo, volume }: Unmanaged) {
  const adopted = await adoptOther(estate.db, {
    ...by,
    kind: kind as Other,
    name,
    labels: {},
    externalReference: ref,
    at: { site: 'lab', provider: 'onprem', ...location },
    spec: kind === 'Volume' ? { sizeGiB: diskGiB } : {},
    attachedTo,
    volume,
  });
  return adopted!.operation.id;
}

const see = (name: string, kind: Other = 'Volume') => getResource(estate.db, kind, 'default', name);
const thingOf = (id: string) =>
  [...estate.provider.resources.things.values()].find(({ want }) => want.stamp.resource === id);
const change = async (resource: string, spec: object) => {
  const { operation } = await changeResource(estate.db, 'Volume', { ...by, resource, patch: { spec } });
  return estate.ended(operation!.id, 60_000);
};
const remove = async (resource: string, kind: Other = 'Volume') => {
  const { operation } = await deleteResource(estate.db, kind, { ...by, resource });
  return estate.ended(operation!.id);
};
const letGo = (resource: string, kind: Other = 'Volume') =>
  releaseResource(estate.db, kind, { ...by, resource });

test('an error at each activity of adopting and releasing a volume in turn, and each run twice, makes nothing and loses nothing', async () => {
  const life = async (name: string, interruption?: Interruption) => {
    const { created } = estate.provider.resources;
    const found = plant('Volume');
    activities.interrupt(interruption);
    expect(await estate.ended(await adopt(name, found))).toMatchObject({ state: 'Succeeded' });
    const adopting = activities.calls();
    activities.interrupt(undefined);
    const { id, status, spec } = await see(name);
    expect(status).toMatchObject({ state: 'Ready', adopted: true, externalReference: found.ref, sizeGiB: 7 });
    expect(spec.sizeGiB).toBe(7);
    expect(thingOf(id)?.ref).toBe(found.ref);
    activities.interrupt(interruption);
    const { operation } = await letGo(name);
    expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded', message: 'released' });
    const releasing = activities.calls();
    activities.interrupt(undefined);
    expect((await see(id)).status.state).toBe('Released');
    expect(estate.provider.foreign.get(found.ref)).toMatchObject({ kind: 'Volume', diskGiB: 7 });
    expect(await liveResourceIntents(estate.db, id)).toEqual([]);
    expect(await eventsOf(id, 'volume.adoptRequested')).toMatchObject([{ actor: 'test' }]);
    expect(await eventsOf(id, 'volume.released')).toHaveLength(1);
    expect(estate.provider.resources.created).toBe(created);
    return Math.max(adopting, releasing);
  };
  const calls = await life('calm-volume');
  expect(calls).toBeGreaterThanOrEqual(3);
  await life('twice-volume', { mode: 'twice' });
  for (const mode of ['before', 'after'] as const)
    for (let nth = 1; nth <= calls; nth++) await life(`${mode}-volume-${nth}`, { mode, nth });
  for (const fault of ['responseLost', 'requestLost', 'unavailable'] as const) {
    estate.provider.faults[fault] = 1;
    await life(`volume-${fault.toLowerCase()}`);
  }
}, 60_000);

test('an adopted volume is attached as it was found, is in the audit, grows, and goes itself when it is deleted', async () => {
  const machine = await made('disk-holder');
  const found = plant('Volume', { attachedTo: machine.ref });
  expect(await estate.ended(await adopt('attached', found))).toMatchObject({ state: 'Succeeded' });
  const { id, spec, status } = await see('attached');
  expect([spec.attachedTo, status.attachedTo]).toEqual(['disk-holder', machine.ref]);
  const { created } = estate.provider.resources;
  const audit = await createAudit(estate.db, by);
  await estate.ended(audit.id);
  const report = (await getOperation(estate.db, { organization: 'default' }, audit.id)).result;
  expect(report).toMatchObject({ orphans: [], missing: [], doubled: [], openIntents: 0 });
  await expect(release('disk-holder')).rejects.toThrow('volume attached is attached to it: detach first');
  expect(await change('attached', { sizeGiB: 9 })).toMatchObject({ state: 'Succeeded' });
  expect(thingOf(id)).toMatchObject({ ref: found.ref, want: { spec: { sizeGiB: 9, name: 'attached' } } });
  expect(await remove('attached')).toMatchObject({ state: 'Succeeded' });
  expect(estate.provider.resources.things.has(found.ref)).toBe(false);
  expect(estate.provider.foreign.has(found.ref)).toBe(false);
  expect(estate.provider.resources.created).toBe(created);
});

test('what changed between the look and the stamp is wanted as it was then; a snapshot is adopted while its volume is going', async () => {
  const machine = await made('left-alone');
  const found = plant('Volume', { attachedTo: machine.ref });
  estate.provider.foreign.set(found.ref, { ...found, attachedTo: undefined, diskGiB: 8 });
  expect(await estate.ended(await adopt('changed', found))).toMatchObject({ state: 'Succeeded' });
  expect((await see('changed')).spec).toMatchObject({ sizeGiB: 8 });
  expect((await see('changed')).spec).not.toHaveProperty('attachedTo');
  const copy = plant('Snapshot', { volume: found.ref });
  const operation = await adopt('copy', copy);
  expect(await remove('changed')).toMatchObject({ state: 'Succeeded' });
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect((await see('copy', 'Snapshot')).status).toMatchObject({ state: 'Ready', sizeGiB: 1 });
  const { operation: freed } = await letGo('copy', 'Snapshot');
  expect(await estate.ended(freed!.id)).toMatchObject({ state: 'Succeeded' });
  expect(estate.provider.foreign.has(copy.ref)).toBe(true);
  const address = plant('Address');
  expect(await estate.ended(await adopt('front', address))).toMatchObject({ state: 'Succeeded' });
  expect(await remove('front', 'Address')).toMatchObject({ state: 'Succeeded' });
  expect(estate.provider.foreign.has(address.ref)).toBe(false);
});

test('a volume that is refused stays as it is, and nothing is made in its place', async () => {
  const { created } = estate.provider.resources;
  const theirs = plant('Volume', { refused: 'it goes with its machine' });
  const gone = plant('Volume');
  estate.provider.foreign.delete(gone.ref);
  for (const [name, found, why] of [
    ['theirs', theirs, 'it goes with its machine; the volume is as it was'],
    ['gone', gone, 'cannot be had; the volume is as it was'],
  ] as const) {
    expect(await estate.ended(await adopt(name, found))).toMatchObject({
      state: 'Failed',
      message: expect.stringContaining(why),
    });
    expect((await see(name)).status.state).toBe('Failed');
    expect(await change(name, { sizeGiB: 9 })).toMatchObject({
      state: 'Failed',
      message: expect.stringContaining('is not ours'),
    });
    await expect(letGo(name)).rejects.toThrow('it is Failed, and nothing of it could go on');
    expect(await remove(name)).toMatchObject({ state: 'Succeeded' });
  }
  expect(estate.provider.foreign.has(theirs.ref)).toBe(true);
  expect(estate.provider.resources.created).toBe(created);
});

test('an adopted volume that somebody removes is lost, and never made anew; one that cannot be released stays as it was', async () => {
  const found = plant('Volume');
  expect(await estate.ended(await adopt('removed', found))).toMatchObject({ state: 'Succeeded' });
  const { created } = estate.provider.resources;
  estate.provider.faults.unreleasable = 1;
  const { operation } = await letGo('removed');
  expect(await estate.ended(operation!.id)).toMatchObject({
    state: 'Failed',
    message: expect.stringContaining('it cannot do without us; it is Landfall'),
  });
  expect((await see('removed')).status.state).toBe('Ready');
  estate.provider.resources.things.delete(found.ref);
  expect(await change('removed', { sizeGiB: 9 })).toMatchObject({ state: 'Failed' });
  expect((await see('removed')).status.state).toBe('Lost');
  expect(await change('removed', { sizeGiB: 10 })).toMatchObject({ state: 'Failed' });
  expect(estate.provider.resources.created).toBe(created);
  expect(await remove('removed')).toMatchObject({ state: 'Succeeded' });
}, 60_000);

test('the sweep leaves a released volume alone where its list is behind', async () => {
  const found = plant('Volume');
  expect(await estate.ended(await adopt('stale', found))).toMatchObject({ state: 'Succeeded' });
  const { id } = await see('stale');
  await sweep();
  const rows = await estate.db.selectFrom('inventory').selectAll().where('resource', '=', id).execute();
  expect(rows).toMatchObject([{ ref: found.ref }]);
  const { operation } = await letGo('stale');
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
  const { orphans } = await compareInventory(estate.db, [{ site: 'lab', host: 'h1' }], new Date());
  expect(orphans).toEqual([]);
});
