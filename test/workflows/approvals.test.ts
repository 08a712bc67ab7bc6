import {
  type Approver,
  approvalsOf,
  cancelOperation,
  changeInstance,
  decideApproval,
  deleteInstance,
  getInstance,
  getOperation,
  listApprovals,
  liveIntents,
  NotAnApprover,
} from '@landfall/store';
import { Client, Connection } from '@temporalio/client';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/** Approvals end to end: real PostgreSQL, real Temporal, a simulated provider. */
let estate: SimulatedEstate;
const by = { organization: 'default', requestedBy: 'test' };
const scope = { organization: 'default' };
const finops: Approver = {
  organization: 'default',
  requestedBy: 'finops',
  isOrganizationWide: true,
  isOrganizationAdmin: false,
};

beforeAll(async () => {
  estate = await startSimulatedEstate({ hosts: [{ name: 'h1', vcpus: 64, memoryGiB: 64, diskGiB: 500 }] });
  await estate.policy(
    'spend',
    "- {name: big, when: 'request.vcpus > 2', approval: {by: [finops, boss], expires: 24h}}",
  );
}, 60_000);

afterAll(() => estate?.close(), 30_000);

/** Asks for what needs an approval, and waits until it is waited for. */
async function waiting(name: string, vcpus = 4) {
  const { id, operation } = await estate.request(name, { vcpus });
  return { id, operation, approval: await pending(id) };
}

async function pending(id: string) {
  for (let look = 0; look < 200; look++) {
    const { items } = await listApprovals(estate.db, scope, { filter: `state=Pending AND resource=${id}` });
    if (items[0]) return items[0];
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nobody was asked to approve ${id}`);
}

const approve = (id: string, who = finops) =>
  decideApproval(estate.db, scope, id, { state: 'Approved', reason: null }, who);
const reject = (id: string, reason: string, who = finops) =>
  decideApproval(estate.db, scope, id, { state: 'Rejected', reason }, who);

async function events(id: string): Promise<string[]> {
  const rows = await estate.db
    .selectFrom('events')
    .select(['type', 'actor'])
    .where('resource_id', '=', id)
    .where('type', 'like', 'approval.%')
    .orderBy('id')
    .execute();
  return rows.map(({ type, actor }) => `${type} ${actor}`);
}

async function states(id: string): Promise<string[]> {
  const rows = await estate.db
    .selectFrom('approvals')
    .select('state')
    .where('resource', '=', id)
    .orderBy('requested_at')
    .execute();
  return rows.map(({ state }) => state);
}

async function remove(name: string) {
  const deletion = { ...by, project: 'default', instance: name, ifMatch: null };
  const { operation } = await deleteInstance(estate.db, deletion);
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
}

async function nothingWasMade(id: string) {
  expect(await liveIntents(estate.db, id)).toEqual([]);
  expect(
    await estate.db.selectFrom('claims').select('resource').where('resource', '=', id).execute(),
  ).toEqual([]);
  expect([...estate.provider.machines.values()].filter(({ want }) => want.stamp.resource === id)).toEqual([]);
}

test('a request waits for the approval its rule asks for, makes nothing meanwhile, and goes on when it is given', async () => {
  const { id, operation, approval } = await waiting('granted');
  expect(approval).toMatchObject({
    policy: 'spend',
    rule: 'big',
    by: ['finops', 'boss'],
    requestedBy: ['test'],
    operation,
    generation: 1,
  });
  await nothingWasMade(id);
  const open = await getOperation(estate.db, scope, operation);
  expect(open.message).toBe(`waits for approval of spend/big by finops or boss until ${approval.expiresAt}`);
  const { status } = await getInstance(estate.db, 'default', 'granted');
  expect(status).toMatchObject({ state: 'Pending', decision: approval.decision, message: open.message });
  await approve(approval.id);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(await events(id)).toEqual(['approval.requested test', 'approval.approved finops']);
  // Again is the same answer, and otherwise a conflict.
  expect(await approve(approval.id)).toMatchObject({ state: 'Approved', decidedBy: 'finops' });
  await expect(reject(approval.id, 'too late')).rejects.toMatchObject({ code: 'conflict' });
  await remove('granted');
});

test('a request that the rule says nothing about is not held up', async () => {
  const { id, operation } = await estate.request('small', { vcpus: 1 });
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(await states(id)).toEqual([]);
  await remove('small');
});

test('a rejected request fails with the reason, and nothing is left', async () => {
  const { id, operation, approval } = await waiting('rejected');
  await reject(approval.id, 'not this quarter');
  const end = await estate.ended(operation);
  expect(end.state).toBe('Failed');
  expect(end.message).toContain('finops rejected it under spend/big: not this quarter');
  expect((await getOperation(estate.db, scope, operation)).error?.type).toContain('not-approved');
  await nothingWasMade(id);
  await remove('rejected');
});

test('one that nobody answers fails when its time is over', async () => {
  const { id, operation, approval } = await waiting('forgotten');
  await estate.db
    .updateTable('approvals')
    .set({ expires_at: new Date(Date.now() - 1) })
    .where('id', '=', approval.id)
    .execute();
  await expect(approve(approval.id)).rejects.toMatchObject({ code: 'conflict' });
  // In real time the workflow's own timer wakes it; here a signal stands for the 24 hours.
  await estate.signals.signal({ workflow: 'instance', resource: id, project: 'default' });
  const end = await estate.ended(operation);
  expect(end).toMatchObject({ state: 'Failed' });
  expect(end.message).toContain('nobody approved it under spend/big');
  expect(await events(id)).toEqual(['approval.requested test', 'approval.expired landfall']);
  await nothingWasMade(id);
  await remove('forgotten');
});

test('the time to answer runs out by itself', async () => {
  await estate.policy(
    'soon',
    '- {name: now, when: \'request.name == "soon"\', approval: {by: [boss], expires: 2s}}',
  );
  const { id, operation } = await estate.request('soon');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Failed' });
  expect(await states(id)).toEqual(['Expired']);
  await estate.noPolicy('soon');
  await remove('soon');
});

test('a change of what is wanted asks anew, and of the old one nothing follows', async () => {
  const { id, operation, approval } = await waiting('changed');
  const { operation: update } = await changeInstance(estate.db, {
    ...by,
    requestedBy: 'other',
    project: 'default',
    instance: 'changed',
    verb: 'resize',
    patch: { spec: { vcpus: 8 } },
    ifMatch: null,
  });
  let second = await pending(id);
  for (let look = 0; second.id === approval.id && look < 100; look++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    second = await pending(id);
  }
  expect(second).toMatchObject({ generation: 2, requestedBy: ['test', 'other'] });
  expect(await states(id)).toEqual(['Superseded', 'Pending']);
  await expect(approve(approval.id)).rejects.toMatchObject({ code: 'conflict' });
  // Neither of the two may approve what both asked for.
  await estate.db
    .updateTable('approvals')
    .set({ approvers: '["other","finops"]' })
    .where('id', '=', second.id)
    .execute();
  await expect(approve(second.id, { ...finops, requestedBy: 'other' })).rejects.toThrow(
    'request of their own',
  );
  await approve(second.id);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(await estate.ended(update!.id)).toMatchObject({ state: 'Succeeded' });
  await remove('changed');
});

test('deleted, or cancelled, while it waits', async () => {
  const deleted = await waiting('deleted');
  await remove('deleted');
  expect(await estate.ended(deleted.operation)).toMatchObject({ state: 'Cancelled' });
  expect(await states(deleted.id)).toEqual(['Superseded']);
  await expect(approve(deleted.approval.id)).rejects.toMatchObject({ code: 'conflict' });
  await nothingWasMade(deleted.id);

  const cancelled = await waiting('cancelled');
  await cancelOperation(estate.db, scope, cancelled.operation, by);
  expect(await estate.ended(cancelled.operation)).toMatchObject({ state: 'Cancelled' });
  expect(await states(cancelled.id)).toEqual(['Superseded']);
  await nothingWasMade(cancelled.id);
  await remove('cancelled');
});

test('an engine that lost the workflow while it waits gets it again, and the approval still counts', async () => {
  const { id, operation, approval } = await waiting('lost');
  const client = new Client({
    connection: await Connection.connect({ address: estate.stack.temporalAddress }),
  });
  await client.workflow.getHandle(`instance/${id}`).terminate('the engine lost it');
  await client.connection.close();
  await approve(approval.id);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(await states(id)).toEqual(['Approved']);
  await remove('lost');
});

test('a policy that is taken out of force frees what waits under it', async () => {
  await estate.policy(
    'odd',
    '- {name: every, when: \'request.name == "freed"\', approval: {by: [boss], expires: 24h}}',
  );
  const { id, operation } = await estate.request('freed');
  await pending(id);
  await estate.noPolicy('odd');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(await states(id)).toEqual(['Superseded']);
  await remove('freed');
});

test('an approval is for a price: up to a tenth more goes on, beyond that is asked again', async () => {
  const { id, operation, approval } = await waiting('dearer');
  const price = approval.offer.pricePerHour;
  const shown = (pricePerHour: number) =>
    estate.db
      .updateTable('approvals')
      .set({ offer: JSON.stringify({ ...approval.offer, pricePerHour }) })
      .where('id', '=', approval.id)
      .execute();
  // As if the price had risen by a fifth since it was asked for.
  await shown(price / 1.2);
  await approve(approval.id);
  const again = await pending(id);
  expect(again.id).not.toBe(approval.id);
  expect(again.offer.pricePerHour).toBe(price);
  await approve(again.id);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  expect(await states(id)).toEqual(['Approved', 'Approved']);
  await remove('dearer');
});

test('a machine that runs grows only with the approval, and stays as it is without', async () => {
  const { id, operation } = await estate.request('grows', { vcpus: 1 });
  await estate.ended(operation);
  const resize = async (vcpus: number) =>
    (
      await changeInstance(estate.db, {
        ...by,
        project: 'default',
        instance: 'grows',
        verb: 'resize',
        patch: { spec: { vcpus } },
        ifMatch: null,
      })
    ).operation!.id;
  const refused = await resize(4);
  await reject((await pending(id)).id, 'stay small');
  expect(await estate.ended(refused)).toMatchObject({ state: 'Failed' });
  expect((await liveIntents(estate.db, id))[0]!.sized_for.vcpus).toBe(1);
  const granted = await resize(5);
  await approve((await pending(id)).id);
  expect(await estate.ended(granted)).toMatchObject({ state: 'Succeeded' });
  expect((await liveIntents(estate.db, id))[0]!.sized_for.vcpus).toBe(5);
  await remove('grows');
});

test('only those the rule names decide, with a token of the organization; an admin may reject', async () => {
  const { id, approval } = await waiting('guarded');
  const admin = { ...finops, requestedBy: 'admin', isOrganizationAdmin: true };
  await expect(approve(approval.id, admin)).rejects.toThrow('only finops or boss may approve this');
  await expect(approve(approval.id, { ...finops, isOrganizationWide: false })).rejects.toThrow(NotAnApprover);
  expect((await approvalsOf(estate.db, id, 1))[0]!.state).toBe('Pending');
  expect(await reject(approval.id, 'no', admin)).toMatchObject({ state: 'Rejected', decidedBy: 'admin' });
  await remove('guarded');
});
