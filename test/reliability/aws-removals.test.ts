import { cancelOperation, liveIntents } from '@landfall/store';
import { type AwsSite, awsSite, graceMs } from './aws-site.ts';
import { type Estate, pause, startEstate, until } from './estate-with.ts';
import { machinesOf, nothingIsLeft, oneMachine, removeFully, truthOf } from './outcomes.ts';
import { listings } from './wire.ts';

/** R7–R9 and R11 on AWS: what goes wrong while something is removed, refused or given up. */
let site: AwsSite;
let estate: Estate;
const by = { organization: 'default', requestedBy: 'test' };

beforeAll(async () => {
  site = await awsSite();
  estate = await startEstate([site]);
}, 300_000);
afterEach(async () => {
  site?.clear();
  await estate?.db.deleteFrom('set_asides').execute();
});
afterAll(async () => {
  await estate?.close();
  await site?.close();
}, 60_000);

async function made(name: string): Promise<string> {
  const { id, operation } = await estate.request(site, name);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  await oneMachine(estate, site, id, 1);
  return id;
}

const isGone = async (id: string) =>
  (await estate.db.selectFrom('instances').select('gone_at').where('id', '=', id).executeTakeFirst())
    ?.gone_at != null;

test('R7: deletes that are lost, with or without effect, are repeated until the machine is gone', async () => {
  const id = await made('lost-delete');
  site.wire.next('TerminateInstances', { kind: 'requestLost' });
  site.wire.next('TerminateInstances', { kind: 'answerLost' });
  await removeFully(estate, site, 'lost-delete', id);
}, 60_000);

test('R7: while a machine is going slowly its instance is not gone, and everything is gone when it is', async () => {
  const id = await made('slow-delete');
  site.simulator.faults.set({ kind: 'slowDelete', ms: 2_500 });
  const operation = await estate.remove('slow-delete');
  let looks = 0;
  while (!(await isGone(id))) {
    looks++;
    expect(['Running', 'Deleting']).toContain(await estate.state('slow-delete'));
    await pause(100);
  }
  expect(looks).toBeGreaterThan(10);
  await nothingIsLeft(estate, site, id);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
}, 60_000);

test('R7: one look that sees nothing is not the end of a delete', async () => {
  const id = await made('blank-look');
  // Past the grace period, nothing else but a second look stands between an empty answer and a leak.
  await pause(graceMs + 100);
  for (const listing of listings) site.wire.next(listing, { kind: 'blank' });
  // One more for the look by reference beside the look by stamp.
  site.wire.next('DescribeInstances', { kind: 'blank' });
  await removeFully(estate, site, 'blank-look', id);
}, 60_000);

test('R8: deleted while the create call is under way, before its id is known', async () => {
  site.wire.next('RunInstances', { kind: 'answered', meanwhile: () => estate.remove('mid-create') });
  const { id, operation } = await estate.request(site, 'mid-create');
  await until('the deletion has ended', () => isGone(id));
  expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
  expect(site.calls('RunInstances', id)).toHaveLength(1);
  await nothingIsLeft(estate, site, id);
}, 60_000);

test('R8: deleted when the answer of the create was lost and nothing of it is to be seen yet', async () => {
  site.simulator.faults.set({ kind: 'lag', lists: 3 });
  site.wire.next('RunInstances', { kind: 'answerLost', meanwhile: () => estate.remove('unseen') });
  const { id } = await estate.request(site, 'unseen');
  await until('the deletion has ended', () => isGone(id));
  expect(site.calls('RunInstances', id)).toHaveLength(1);
  await nothingIsLeft(estate, site, id);
}, 60_000);

test('R8, R9: deleted at once, the security group that lists do not show yet goes with its machine', async () => {
  site.simulator.faults.set({ kind: 'transitions', startMs: 0, terminateMs: 0 });
  site.simulator.faults.set({ kind: 'lag', lists: 3 });
  site.wire.next('RunInstances', {
    kind: 'answered',
    meanwhile: async () => {
      const [machine] = (await site.truth()).filter((thing) => thing.machine);
      // The machine is shown sooner than its group.
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const body = `Action=DescribeInstances&Version=2016-11-15&InstanceId.1=${machine!.ref}`;
      for (let look = 0; look < 4; look++)
        await (await fetch(site.simulator.endpoint, { method: 'POST', headers, body })).text();
      await estate.remove('hidden-group');
    },
  });
  const { id } = await estate.request(site, 'hidden-group');
  await until('the deletion has ended', () => isGone(id));
  await nothingIsLeft(estate, site, id);
}, 60_000);

test('R8: a create call that arrives when the removal is done makes nothing', async () => {
  site.wire.next('RunInstances', { kind: 'late', ms: 3_000 });
  const { id } = await estate.request(site, 'late');
  await until('the create was sent', async () => (await truthOf(site, id)).length > 0);
  await pause(200);
  await estate.remove('late');
  await until('the deletion has ended', () => isGone(id));
  await site.wire.arrived();
  expect(await machinesOf(site, id)).toEqual([]);
  await nothingIsLeft(estate, site, id);
}, 60_000);

test('R8: a create that is cancelled while its call is under way removes what the call makes', async () => {
  let operation = '';
  site.wire.next('RunInstances', {
    kind: 'answered',
    meanwhile: () => cancelOperation(estate.db, { organization: 'default' }, operation, by),
  });
  const asked = await estate.request(site, 'cancelled');
  operation = asked.operation;
  expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
  await nothingIsLeft(estate, site, asked.id);
  expect(await estate.state('cancelled')).toBe('Failed');
  await removeFully(estate, site, 'cancelled', asked.id);
}, 60_000);

describe('R9: with lists that lag by three looks', () => {
  /** Fails for good: no other offer is to be had, or none is tried. */
  const refused = async (name: string, states: string[]) => {
    site.simulator.faults.set({ kind: 'lag', lists: 3 });
    const { id, operation } = await estate.request(site, name);
    const { state } = await estate.ended(operation);
    expect(states).toContain(state);
    if (state === 'Failed') await nothingIsLeft(estate, site, id);
    for (const thing of await truthOf(site, id))
      expect(thing.attempt).toBe((await liveIntents(estate.db, id))[0]?.attempt);
    site.clear();
    await site.settle();
    await removeFully(estate, site, name, id);
  };

  test.each([1, 2, 3])(
    'R9: child %d of the create is refused for a quota: nothing is left',
    async (n) => {
      site.simulator.faults.set({ kind: 'failChild', n });
      await refused(`child-${n}`, ['Failed']);
    },
    60_000,
  );

  test('R9: the machine itself is refused for a quota: its security group goes, too', async () => {
    site.simulator.faults.set({ kind: 'quota' });
    await refused('quota', ['Failed']);
  }, 60_000);

  test('R9: the credentials may not make machines: its security group goes, too', async () => {
    site.simulator.faults.set({ kind: 'denied', action: 'RunInstances' });
    await refused('denied', ['Failed']);
  }, 60_000);

  test('R9: refused after it was held up for longer than the grace period, its security group goes, too', async () => {
    site.wire.next('CreateSecurityGroup', { kind: 'answered', meanwhile: () => pause(graceMs + 500) });
    site.simulator.faults.set({ kind: 'denied', action: 'RunInstances' });
    await refused('held-up', ['Failed']);
  }, 60_000);

  test('R9: no capacity: the next offer is taken, and nothing of the first attempt is left', async () => {
    site.simulator.faults.set({ kind: 'capacity' });
    await refused('capacity', ['Succeeded']);
  }, 60_000);
});

test('R9: the clean-up after a refused create is lost, and repeated', async () => {
  site.simulator.faults.set({ kind: 'quota' });
  site.wire.next('DeleteSecurityGroup', { kind: 'answerLost' });
  const { id, operation } = await estate.request(site, 'lost-clean-up');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Failed' });
  await nothingIsLeft(estate, site, id);
  await removeFully(estate, site, 'lost-clean-up', id);
}, 60_000);

test('R11: a stopped machine whose start is refused is kept, and starts later', async () => {
  const id = await made('kept');
  const [ref] = await machinesOf(site, id);
  expect(await estate.ended(await estate.change('kept', 'stop'))).toMatchObject({ state: 'Succeeded' });
  site.simulator.faults.set({ kind: 'capacity' });
  expect(await estate.ended(await estate.change('kept', 'start'))).toMatchObject({ state: 'Failed' });
  expect(await machinesOf(site, id)).toEqual([ref]);
  expect(await estate.ended(await estate.change('kept', 'start'))).toMatchObject({ state: 'Succeeded' });
  expect(await oneMachine(estate, site, id, 1)).toBe(ref);
  expect(await estate.state('kept')).toBe('Running');
  await removeFully(estate, site, 'kept', id);
}, 60_000);
