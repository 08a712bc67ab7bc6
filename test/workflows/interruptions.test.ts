import { decideApproval, deleteInstance, listApprovals, liveIntents } from '@landfall/store';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/**
 * What every workflow must stand, injected from outside: each activity run twice; an error at each activity in turn, before
 * and after its effect. Afterwards no record and no machine is left, and there was never more than one.
 */
type Interruption = { mode: 'twice' } | { mode: 'before' | 'after'; nth: number };

let estate: SimulatedEstate;
let interruption: Interruption | undefined;
let calls = 0;

const interrupter: ActivityInboundCallsInterceptor = {
  async execute(input, next) {
    const nth = ++calls;
    if (interruption?.mode === 'twice') await next(input);
    if (interruption?.mode === 'before' && interruption.nth === nth)
      throw new Error('injected before the effect');
    const result = await next(input);
    if (interruption?.mode === 'after' && interruption.nth === nth)
      throw new Error('injected after the effect');
    return result;
  },
};

beforeAll(async () => {
  estate = await startSimulatedEstate({ interceptors: { activity: [() => ({ inbound: interrupter })] } });
}, 60_000);

afterAll(() => estate?.close(), 30_000);

async function lifeOf(name: string, given: Interruption | undefined): Promise<{ calls: number }> {
  interruption = given;
  calls = 0;
  const before = estate.provider.created;
  const { id, operation } = await estate.request(name);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(estate.provider.created - before).toBe(1);
  const { operation: deletion } = await deleteInstance(estate.db, {
    organization: 'default',
    requestedBy: 'test',
    project: 'default',
    instance: name,
    ifMatch: null,
  });
  expect(await estate.ended(deletion!.id)).toMatchObject({ state: 'Succeeded' });
  expect(await liveIntents(estate.db, id)).toEqual([]);
  expect(await estate.db.selectFrom('claims').select('resource').execute()).toEqual([]);
  expect(estate.provider.machines.size + estate.provider.strays.size).toBe(0);
  interruption = undefined;
  return { calls };
}

test('every activity may run twice', async () => {
  await lifeOf('twice', { mode: 'twice' });
});

test.each(['before', 'after'] as const)(
  'an error %s the effect of each activity in turn changes nothing in the end',
  async (mode) => {
    const { calls: total } = await lifeOf(`${mode}-none`, undefined);
    expect(total).toBeGreaterThanOrEqual(5);
    for (let nth = 1; nth <= total; nth++) await lifeOf(`${mode}-${nth}`, { mode, nth });
  },
  60_000,
);

test('an error at each activity of a create that falls back to another offer leaves one machine', async () => {
  for (let nth = 1; nth <= 5; nth++) {
    await estate.db.deleteFrom('set_asides').execute();
    await estate.db
      .updateTable('hosts')
      .set({ last_seen_at: new Date(Date.now() + 3_600_000) })
      .execute();
    interruption = { mode: 'after', nth };
    calls = 0;
    estate.provider.faults.failChild = 1;
    const { id, operation } = await estate.request(`fallback-${nth}`);
    const end = await estate.ended(operation);
    // One host only: set aside, there is nowhere else, and what was begun is gone.
    expect(end.state).toBe('Failed');
    interruption = undefined;
    expect(await liveIntents(estate.db, id)).toEqual([]);
    expect(estate.provider.machines.size + estate.provider.strays.size).toBe(0);
  }
}, 60_000);

test('an error at each activity of a create that waits for approval asks once, and makes one machine', async () => {
  await estate.db.deleteFrom('set_asides').execute();
  await estate.policy('spend', '- {name: every, approval: {by: [boss], expires: 24h}}');
  const scope = { organization: 'default' };
  for (const mode of ['before', 'after'] as const)
    for (let nth = 1; nth <= 4; nth++) {
      interruption = { mode, nth };
      calls = 0;
      const before = estate.provider.created;
      const name = `approved-${mode}-${nth}`;
      const { id, operation } = await estate.request(name);
      const asked = async () =>
        (await listApprovals(estate.db, scope, { filter: `resource=${id}` })).items.map((item) => item.id);
      for (let look = 0; look < 200 && (await asked()).length === 0; look++)
        await new Promise((resolve) => setTimeout(resolve, 25));
      const [approval] = await asked();
      const boss = { ...scope, requestedBy: 'boss', isOrganizationWide: true, isOrganizationAdmin: false };
      await decideApproval(estate.db, scope, approval!, { state: 'Approved', reason: null }, boss);
      expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
      expect(await asked()).toHaveLength(1);
      expect(estate.provider.created - before).toBe(1);
      interruption = undefined;
      const deletion = { ...scope, requestedBy: 'test', project: 'default', instance: name, ifMatch: null };
      const { operation: removal } = await deleteInstance(estate.db, deletion);
      expect(await estate.ended(removal!.id)).toMatchObject({ state: 'Succeeded' });
      expect(await liveIntents(estate.db, id)).toEqual([]);
    }
  await estate.noPolicy('spend');
}, 60_000);
