import { wakeCompliance } from '@landfall/broker/compliance-waker.ts';
import { parsePolicy } from '@landfall/policies';
import {
  changeInstance,
  createComplianceRun,
  createResource,
  decideApproval,
  deleteInstance,
  deleteResource,
  listApprovals,
} from '@landfall/store';
import { deletePolicy, putPolicy } from '@landfall/store/policies.ts';
import { getSite, updateSite } from '@landfall/store/sites.ts';
import { acknowledgeViolation, listViolations, type Violation } from '@landfall/store/violations.ts';
import { activityInfo } from '@temporalio/activity';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { pino } from 'pino';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/** Machines that run against policies that change under them; real PostgreSQL, real Temporal, the broker's waker. */
let estate: SimulatedEstate;
const closing = new AbortController();
let waker: Promise<void>;

const by = { organization: 'default', requestedBy: 'tester' };
const scope = { organization: 'default' };

/** What is injected into the activity of every run. */
let interruption: 'twice' | 'before' | 'after' | undefined;
const interrupter: ActivityInboundCallsInterceptor = {
  async execute(input, next) {
    if (activityInfo().activityType !== 'comply' || !interruption) return next(input);
    const injected = interruption;
    if (injected !== 'twice') interruption = undefined;
    if (injected === 'before') throw new Error('injected before the effect');
    if (injected === 'twice') await next(input);
    const result = await next(input);
    if (injected === 'after') throw new Error('injected after the effect');
    return result;
  },
};

beforeAll(async () => {
  estate = await startSimulatedEstate({
    interceptors: { activity: [() => ({ inbound: interrupter })] },
    hosts: ['h1', 'h2'].map((name) => ({ name, vcpus: 16, memoryGiB: 64, diskGiB: 500 })),
  });
  waker = wakeCompliance(estate.store, estate.signals, pino({ level: 'silent' }), closing.signal);
}, 120_000);
afterAll(async () => {
  closing.abort();
  await waker;
  await estate?.close();
}, 60_000);
afterEach(async () => {
  const { db } = estate;
  for (const { name } of await db
    .selectFrom('policies')
    .select('name')
    .where('deleted_at', 'is', null)
    .execute())
    await deletePolicy(db, 'default', name, null, by);
  const open = await db.selectFrom('instances').select('name').where('gone_at', 'is', null).execute();
  for (const { name } of open) await remove(name);
  await until('nothing stands', async () => (await standing()).length === 0);
}, 60_000);

async function until(what: string, holds: () => Promise<boolean>, limitMs = 45_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function make(name: string, ...hosts: string[]): Promise<string> {
  const { id, operation } = await estate.request(name, { placement: { hosts } });
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  return id;
}

async function change(name: string, verb: 'start' | 'stop'): Promise<void> {
  const { operation } = await changeInstance(estate.db, {
    ...by,
    project: 'default',
    instance: name,
    verb,
    ifMatch: null,
  });
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
}

async function remove(name: string): Promise<void> {
  const { operation } = await deleteInstance(estate.db, {
    ...by,
    project: 'default',
    instance: name,
    ifMatch: null,
  });
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
}

/** Puts a policy of one rule in force. */
async function put(rule: string, more: { mode?: string; exceptions?: string } = {}): Promise<void> {
  const source = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: where, scope: organizations/default}
spec:
  mode: ${more.mode ?? 'enforce'}
  rules:
  - ${rule}
${more.exceptions ? `  exceptions:\n  - ${more.exceptions}\n` : ''}`;
  const { policies, problems } = parsePolicy(source, 'where.yaml');
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  const [{ version, mode }] = policies as [(typeof policies)[number]];
  const known = await estate.db
    .selectFrom('policies')
    .select('revision')
    .where('name', '=', 'where')
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  const kept = { name: 'where', scope: 'organizations/default', mode, version, source, rules: [] };
  await putPolicy(estate.db, 'default', kept, known ? null : undefined, by);
}

async function standing(): Promise<Violation[]> {
  return (await listViolations(estate.db, scope, { filter: 'state!=Resolved', pageSize: 500 })).items;
}

async function events(type: string): Promise<string[]> {
  const rows = await estate.db
    .selectFrom('events')
    .select('message')
    .where('type', '=', type)
    .orderBy('id')
    .execute();
  return rows.map(({ message }) => message);
}

const stopsOf = async (name: string): Promise<number> =>
  (
    await estate.db
      .selectFrom('operations')
      .select('id')
      .where('verb', '=', 'stop')
      .where('resource_name', '=', name)
      .where('requested_by', '=', 'landfall (compliance)')
      .execute()
  ).length;

test('a policy makes a running machine a violation within seconds, and its going resolves it', async () => {
  const id = await make('stands', 'h1');
  await make('fine', 'h2');
  await put('{name: not-h1, deny: offer.host == "h1", message: h1 is to be cleared, owner: ops}');
  await until('the violation is open', async () => (await standing()).length > 0);
  expect(await standing()).toMatchObject([
    {
      resource: { id, name: 'stands' },
      policy: 'where',
      rule: 'not-h1',
      message: 'h1 is to be cleared',
      state: 'Open',
      mode: 'enforce',
      owner: 'ops',
      action: 'report',
      actionState: 'None',
    },
  ]);
  expect(await estate.state('stands')).toBe('Running');
  await put('{name: not-h1, deny: offer.host == "h3"}');
  await until('it is resolved', async () => (await standing()).length === 0);
  const [resolved] = (await listViolations(estate.db, scope, {})).items;
  expect(resolved).toMatchObject({ state: 'Resolved', resolvedAt: expect.any(String) });
  expect(await events('violation.opened')).toEqual([
    'instance stands against where/not-h1: h1 is to be cleared',
  ]);
  expect(await events('violation.resolved')).toHaveLength(1);

  await put('{name: not-h1, deny: offer.host == "h1"}');
  await until('it is open again', async () => (await standing()).length > 0);
  expect((await standing())[0]!.id).not.toBe(resolved!.id);
}, 60_000);

test('a volume is judged where it is: reported with what people have to do, waived by an exception, resolved when it is gone', async () => {
  await make('holder', 'h1');
  const volume = { ...by, project: 'default', name: 'data' };
  const spec = { sizeGiB: 1, attachedTo: 'holder', dataClass: 'restricted' };
  const made = await createResource(estate.db, 'Volume', { ...volume, spec });
  expect(await estate.ended(made!.operation.id)).toMatchObject({ state: 'Succeeded' });
  const rule =
    '{name: not-h1, when: request.kind == "Volume" && request.dataClass == "restricted", deny: offer.host == "h1", onViolation: stop}';
  await put(rule);
  await until('the violation is open', async () => (await standing()).length > 0);
  expect(await standing()).toMatchObject([
    {
      resource: { kind: 'Volume', id: made!.resource.id, name: 'data' },
      message: 'denies offer.host == "h1"',
      state: 'Open',
      action: 'report',
      actionState: 'None',
      actionMessage: 'the rule says stop, which is for machines: move the volume by hand',
    },
  ]);
  expect(await events('violation.opened')).toContain(
    'volume data against where/not-h1: denies offer.host == "h1"',
  );
  expect(await summaryOfRun()).toBe('1 violation over 1 machine and 1 other resource (0 new, 0 resolved)');
  expect(await estate.state('holder')).toBe('Running');
  const until2100 = '{rule: not-h1, owner: ada, reason: it moves, expires: 2100-01-01}';
  await put(rule, { exceptions: until2100 });
  await until('it is waived', async () => (await standing())[0]?.state === 'Waived');
  const { operation } = await deleteResource(estate.db, 'Volume', {
    ...volume,
    resource: 'data',
    ifMatch: null,
  });
  expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
  await until('it is resolved', async () => (await standing()).length === 0);
}, 180_000);

async function summaryOfRun(): Promise<string> {
  const { id } = await createComplianceRun(estate.db, by);
  return (await estate.ended(id)).message;
}

test('what is acknowledged stays so until the machine is gone; another look changes nothing', async () => {
  await make('known', 'h1');
  await put('{name: not-h1, deny: offer.host == "h1"}');
  await until('the violation is open', async () => (await standing()).length > 0);
  const [open] = await standing();
  await acknowledgeViolation(estate.db, scope, open!.id, 'moves on Monday', by);
  await Promise.all([run(), run()]);
  expect(await standing()).toMatchObject([
    { id: open!.id, state: 'Acknowledged', acknowledged: { by: 'tester', reason: 'moves on Monday' } },
  ]);
  await remove('known');
  await until('it is resolved', async () => (await standing()).length === 0);
}, 60_000);

async function run(): Promise<void> {
  const { id } = await createComplianceRun(estate.db, by);
  expect(await estate.ended(id)).toMatchObject({ state: 'Succeeded' });
}

test('a rule that stops is recorded only in audit; enforced, it stops the machine once and no more', async () => {
  await make('runs', 'h1');
  const rule = '{name: not-h1, deny: offer.host == "h1", onViolation: stop}';
  await put(rule, { mode: 'audit' });
  await until('the violation is open', async () => (await standing()).length > 0);
  await run();
  expect(await standing()).toMatchObject([{ mode: 'audit', action: 'stop', actionState: 'None' }]);
  expect(await estate.state('runs')).toBe('Running');

  await put(rule);
  await until('it is stopped', async () => (await estate.state('runs')) === 'Stopped');
  await until('that is noted', async () => (await standing())[0]?.actionState === 'Done');
  expect((await standing())[0]!.operation).toEqual(expect.any(String));
  expect(await stopsOf('runs')).toBe(1);

  await change('runs', 'start');
  await run();
  expect(await estate.state('runs')).toBe('Running');
  expect(await stopsOf('runs')).toBe(1);
}, 60_000);

test('machines that are too many to be right are not stopped, and an event says so, once', async () => {
  const names = Array.from({ length: 6 }, (_, i) => `many-${i}`);
  await Promise.all(names.map((name) => make(name, 'h1')));
  await put('{name: not-h1, deny: offer.host == "h1", onViolation: stop}');
  await until('all are held', async () => {
    const found = await standing();
    return found.length === names.length && found.every(({ actionState }) => actionState === 'Held');
  });
  await run();
  expect(await events('compliance.stopsHeld')).toEqual([
    expect.stringContaining(
      '6 machines to stop are more than the 5 that may be stopped at a time: none of them was',
    ),
  ]);
  for (const name of names) expect(await stopsOf(name)).toBe(0);
  await remove(names[0]!);
  await until('the others are few enough', async () => (await stopsOf(names[1]!)) === 1);
  await until('they stop', async () => (await estate.state(names[5]!)) === 'Stopped');
}, 90_000);

test.each(['twice', 'before', 'after'] as const)(
  'a run that is interrupted (%s) opens a violation and stops its machine once',
  async (how) => {
    const name = `interrupted-${how}`;
    await make(name, 'h1');
    interruption = how;
    await put('{name: not-h1, deny: offer.host == "h1", onViolation: stop}');
    await until('it is stopped', async () => (await estate.state(name)) === 'Stopped');
    await run();
    interruption = undefined;
    expect(await stopsOf(name)).toBe(1);
    const opened = await events('violation.opened');
    expect(opened.filter((message) => message.includes(name))).toHaveLength(1);
    await until('that is noted', async () => (await standing())[0]?.actionState === 'Done');
  },
  60_000,
);

test('re-placement waits for an approval, and the answer stands in the violation', async () => {
  // Of two places at one price it gets the first.
  await make('moves', 'h1', 'h2');
  await put('{name: not-h1, deny: offer.host == "h1", onViolation: replace, owner: cto}');
  await until('it is noted', async () => (await standing())[0]?.actionState === 'Pending');
  const [violation] = await standing();
  expect(violation!.actionMessage).toMatch(
    /^waits for the approval to re-place it; placement would now choose kvm-1-0\.25 in h2, zone-h2 \(lab\) at/,
  );
  await run();
  const { items } = await listApprovals(estate.db, scope, { filter: 'state=Pending' });
  expect(items).toMatchObject([
    { violation: violation!.id, by: ['cto'], requestedBy: ['landfall (compliance)'], offer: { host: 'h2' } },
  ]);
  const approver = { isOrganizationWide: true, isOrganizationAdmin: false };
  const decide = (requestedBy: string) =>
    decideApproval(
      estate.db,
      { organization: 'default' },
      items[0]!.id,
      { state: 'Approved', reason: 'on Sunday' },
      { organization: 'default', requestedBy, ...approver },
    );
  await expect(decide('intern')).rejects.toThrow('only cto or an admin of the organization may approve this');
  await decide('cto');
  expect(await standing()).toMatchObject([
    {
      actionState: 'Approved',
      actionMessage: expect.stringMatching(/^approved by cto: on Sunday; re-placement is not available yet/),
    },
  ]);
  expect(await estate.state('moves')).toBe('Running');
}, 60_000);

test('an approval to re-place a machine ends with its violation, and is asked for again when nobody answers', async () => {
  await make('stays', 'h1', 'h2');
  await put('{name: not-h1, deny: offer.host == "h1", onViolation: approve}');
  const pending = async () => (await listApprovals(estate.db, scope, { filter: 'state=Pending' })).items;
  await until('it is asked for', async () => (await pending()).length === 1);
  const [first] = await pending();
  await estate.db
    .updateTable('approvals')
    .set({ expires_at: new Date(Date.now() - 1_000) })
    .where('id', '=', first!.id)
    .execute();
  await run();
  const [again] = await pending();
  expect(again!.id).not.toBe(first!.id);
  await put('{name: not-h1, deny: offer.host == "h7"}');
  await until('it is resolved', async () => (await standing()).length === 0);
  await run();
  expect(await pending()).toEqual([]);
}, 60_000);

test('an exception waives a violation until it is over', async () => {
  await make('excepted', 'h1');
  const rule = '{name: not-h1, deny: offer.host == "h1", onViolation: stop}';
  const expires = new Date(Date.now() + 6_000).toISOString();
  await put(rule, { exceptions: `{rule: not-h1, owner: cto, reason: it moves, expires: "${expires}"}` });
  await until('it is waived', async () => (await standing())[0]?.state === 'Waived');
  expect(await standing()).toMatchObject([
    { exception: { owner: 'cto', reason: 'it moves' }, actionState: 'None' },
  ]);
  await until('the exception is over', async () => Date.now() > Date.parse(expires));
  expect(await estate.state('excepted')).toBe('Running');
  await run();
  expect(await standing()).toMatchObject([{ state: 'Open', exception: null }]);
  await until('it is stopped', async () => (await estate.state('excepted')) === 'Stopped');
}, 60_000);

test('a change of the machine or of its site is looked at too', async () => {
  await make('changes', 'h1');
  const site = await getSite(estate.db, 'default', 'lab');
  const { spec } = site;
  await put('{name: r, labels: {required: [owner]}, maxPrice: 1 USD/h}');
  await until('the label is missed', async () => (await standing())[0]?.effect === 'labels');
  const patch = { labels: { owner: 'me' } };
  await changeInstance(estate.db, {
    ...by,
    project: 'default',
    instance: 'changes',
    verb: 'update',
    patch,
    ifMatch: null,
  });
  await until('it is resolved', async () => (await standing()).length === 0);
  const dear = { vcpuHour: 2, gibHour: 0, currency: 'USD' as const };
  const input = { name: 'lab', organization: 'default', labels: {} };
  await updateSite(estate.db, { ...input, spec: { ...spec, pricing: dear } }, null, by);
  await until('the price is missed', async () => (await standing())[0]?.effect === 'maxPrice');
  expect((await standing())[0]!.message).toBe('it costs 2 USD an hour, 1 are allowed');
  await updateSite(estate.db, { ...input, spec }, null, by);
}, 60_000);

test('a machine is held to the rules of its own request where no policy is in force, as they are now', async () => {
  const { spec } = await getSite(estate.db, 'default', 'lab');
  const rules = [{ name: 'cheap', maxPrice: '1 USD/h' }];
  const { operation } = await estate.request('frugal', { placement: { hosts: ['h1'], rules } });
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  await make('lavish', 'h2');
  await run();
  expect(await standing()).toEqual([]);
  const input = { name: 'lab', organization: 'default', labels: {} };
  const dear = { vcpuHour: 2, gibHour: 0, currency: 'USD' as const };
  await updateSite(estate.db, { ...input, spec: { ...spec, pricing: dear } }, null, by);
  await until('the price is missed', async () => (await standing()).length > 0);
  expect(await standing()).toMatchObject([
    {
      resource: { name: 'frugal' },
      policy: 'request',
      rule: 'cheap',
      message: 'it costs 2 USD an hour, 1 are allowed',
      owner: 'projects/default',
    },
  ]);
  await updateSite(estate.db, { ...input, spec }, null, by);
  await until('it is resolved', async () => (await standing()).length === 0);
}, 60_000);

test('a run that is asked for says what it found', async () => {
  await make('one', 'h1');
  await make('two', 'h2');
  await put('{name: not-h1, deny: offer.host == "h1"}');
  const { id } = await createComplianceRun(estate.db, by);
  expect(await estate.ended(id)).toMatchObject({
    state: 'Succeeded',
    message: expect.stringMatching(/^1 violation over 2 machines/),
  });
}, 60_000);
