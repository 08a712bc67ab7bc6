import { type FoundViolation, recordViolations } from '@landfall/store/compliance.ts';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
const tokens: Record<string, string> = {};
const ids: Record<string, string> = {};

beforeAll(async () => {
  broker = await TestBroker.start();
  await broker.call('POST', '/v1/projects', { body: { name: 'web' } });
  await broker.call('POST', '/v1/organizations', { body: { name: 'other' } });
  tokens.admin = broker.adminToken;
  tokens.agent = broker.agentToken;
  tokens.viewer = (await broker.token('viewer')).secret;
  tokens.operator = (await broker.token('operator')).secret;
  tokens.webOperator = (await broker.token('operator', { project: 'web' })).secret;
  tokens.otherAdmin = (await broker.token('admin', { organization: 'other' })).secret;
  for (const project of ['default', 'web']) {
    const made = await broker.call('POST', `/v1/projects/${project}/instances`, {
      body: instanceInput('vm'),
    });
    expect(made.status).toBe(202);
    ids[project] = made.body.resource.id;
  }
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const violation = (project: string, rule = 'residency'): FoundViolation => ({
  resource: ids[project]!,
  resourceKind: 'Instance',
  resourceName: 'vm',
  project,
  policy: 'eu',
  policyVersion: 'v1',
  rule,
  line: 7,
  mode: 'enforce',
  effect: 'require',
  message: 'must stay in the EU',
  owner: `projects/${project}`,
  action: 'report',
  exception: null,
});

/** Makes these the violations that stand. */
const record = (...found: FoundViolation[]) =>
  broker.store.db.transaction().execute((tx) => recordViolations(tx, 'default', found, new Date()));

const list = async (filter?: string, token = tokens.admin!) =>
  (
    await broker.call('GET', `/v1/violations${filter ? `?filter=${encodeURIComponent(filter)}` : ''}`, {
      token,
    })
  ).body.items;

const acknowledge = (id: string, body: unknown, token = tokens.admin!, query = '') =>
  broker.call('POST', `/v1/violations/${id}/acknowledge${query}`, { body, token });

const eventsOf = async (type: string) =>
  (await broker.call('GET', `/v1/events?filter=${encodeURIComponent(`type=${type}`)}&pageSize=500`)).body
    .items;

test('a violation is listed with its machine, rule and owner, and told of as an event of the machine', async () => {
  await record(violation('default'));
  const [found] = await list('state=Open');
  expect(found).toMatchObject({
    kind: 'Violation',
    resource: { kind: 'Instance', id: ids.default, name: 'vm', project: 'default' },
    policy: 'eu',
    rule: 'residency',
    line: 7,
    owner: 'projects/default',
    state: 'Open',
    resolvedAt: null,
  });
  expect((await broker.call('GET', `/v1/violations/${found.id}`)).body).toEqual(found);
  expect(await eventsOf('violation.opened')).toMatchObject([
    {
      resource: { id: ids.default },
      actor: 'landfall',
      data: { violation: found.id, policy: 'eu', mode: 'enforce' },
    },
  ]);
});

test('the same finding again keeps it; its absence resolves it; its return is another one', async () => {
  await record(violation('default'));
  const [first] = await list('state=Open');
  expect(await record(violation('default'))).toEqual({ opened: 0, resolved: 0, standing: 1 });
  expect(await list('state=Open')).toMatchObject([{ id: first.id, firstSeenAt: first.firstSeenAt }]);
  expect(await record()).toEqual({ opened: 0, resolved: 1, standing: 0 });
  expect(await list('state=Open')).toEqual([]);
  await record(violation('default'));
  const [second] = await list('state=Open');
  expect(second.id).not.toBe(first.id);
});

test("who may not see a project does not see its violations; another organization's are not there", async () => {
  await record(violation('default'), violation('web'));
  const [web] = await list('project=web AND state=Open');
  const [home] = await list('project=default AND state=Open');
  expect(await list('state=Open', tokens.viewer)).toHaveLength(2);
  expect(await list('state=Open', tokens.webOperator)).toMatchObject([{ id: web.id }]);
  expect(await list(undefined, tokens.otherAdmin)).toEqual([]);
  for (const [token, id, status] of [
    ['webOperator', web.id, 200],
    ['webOperator', home.id, 404],
    ['otherAdmin', web.id, 404],
    ['agent', web.id, 403],
  ] as const)
    expect((await broker.call('GET', `/v1/violations/${id}`, { token: tokens[token] })).status).toBe(status);
  const reason = { reason: 'on it' };
  expect((await acknowledge(home.id, reason, tokens.viewer)).status).toBe(403);
  expect((await acknowledge(home.id, reason, tokens.webOperator)).status).toBe(404);
  expect((await acknowledge(home.id, reason, tokens.otherAdmin)).status).toBe(404);
  expect((await acknowledge(web.id, reason, tokens.webOperator)).status).toBe(200);
});

test('an acknowledgement says who and why, once; it ends with the violation', async () => {
  await record(violation('default', 'acknowledged'));
  const [{ id }] = await list('rule=acknowledged AND state=Open');
  const checked = await acknowledge(id, { reason: 'moves on Monday' }, tokens.operator, '?validateOnly=true');
  expect(checked.body).toMatchObject({ state: 'Open', acknowledged: null });
  const before = (await eventsOf('violation.acknowledged')).length;
  for (let again = 0; again < 2; again++) {
    const answer = await acknowledge(id, { reason: 'moves on Monday' }, tokens.operator);
    expect(answer).toMatchObject({
      status: 200,
      body: { state: 'Acknowledged', acknowledged: { reason: 'moves on Monday' } },
    });
  }
  expect(await eventsOf('violation.acknowledged')).toHaveLength(before + 1);
  await record(violation('default', 'acknowledged'));
  expect(await list('state=Acknowledged AND rule=acknowledged')).toHaveLength(1);
  await record();
  expect((await acknowledge(id, { reason: 'late' })).body).toMatchObject({ status: 409 });
});

test.each([
  [{}, /reason/],
  [{ reason: '' }, /reason/],
  [{ reason: '  ' }, /reason/],
  [{ reason: 'x', who: 'me' }, /who/],
])('the acknowledgement %j is refused, naming the field', async (body, names) => {
  await record(violation('default'));
  const [{ id }] = await list('state=Open');
  const answer = await acknowledge(id, body);
  expect(answer.status).toBe(400);
  expect(answer.body.detail).toMatch(names);
});

test('a filter that means nothing says what would', async () => {
  const answer = await broker.call('GET', '/v1/violations?filter=state%3Dopen');
  expect(answer.status).toBe(400);
  expect(answer.body.detail).toContain('Open, Acknowledged, Waived, Resolved');
});

test('an exception waives what stands, and when it is over the violation is open again', async () => {
  await record(violation('default', 'excepted'));
  const [{ id }] = await list('rule=excepted AND state=Open');
  const exception = { owner: 'cto', reason: 'it moves', expires: '2099-01-01T00:00:00Z' };
  await record({ ...violation('default', 'excepted'), exception });
  expect(await list('rule=excepted AND state=Waived')).toMatchObject([{ id, exception }]);
  expect((await acknowledge(id, { reason: 'no need' })).status).toBe(409);
  expect(await record({ ...violation('default', 'excepted'), exception })).toMatchObject({ opened: 0 });
  expect(await eventsOf('violation.waived')).toHaveLength(1);
  await record(violation('default', 'excepted'));
  expect(await list('rule=excepted AND state=Open')).toMatchObject([{ id, exception: null }]);
});

test('a run is an operation of the organization', async () => {
  const path = '/v1/complianceRuns';
  for (const token of ['viewer', 'webOperator', 'agent'])
    expect((await broker.call('POST', path, { token: tokens[token] })).status).toBe(403);
  expect((await broker.call('POST', `${path}?validateOnly=true`)).status).toBe(204);
  const answer = await broker.call('POST', path, { token: tokens.operator });
  expect(answer).toMatchObject({ status: 202, body: { verb: 'comply', state: 'Pending' } });
  for (let i = 0; i < 50 && !broker.signals.rows.some(({ resource }) => resource === answer.body.id); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(broker.signals.rows).toContainEqual({ workflow: 'compliance', resource: answer.body.id });
});

test('metrics count what stands, by policy', async () => {
  await record(violation('default'), violation('web'));
  const text = await (await fetch(`${broker.url}/metrics`)).text();
  expect(text).toContain('landfall_violations{policy="eu",mode="enforce",state="Open"} 2');
  await record();
  expect(await (await fetch(`${broker.url}/metrics`)).text()).not.toContain('landfall_violations{');
});
