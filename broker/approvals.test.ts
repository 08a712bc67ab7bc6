import { requestApproval } from '@landfall/store';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
const tokens: Record<string, string> = {};
const ids: Record<string, string> = {};

beforeAll(async () => {
  broker = await TestBroker.start();
  await broker.call('POST', '/v1/projects', { body: { name: 'web' } });
  await broker.call('POST', '/v1/organizations', { body: { name: 'other' } });
  const token = async (name: string, role: string, more: object = {}) => {
    const made = await broker.call('POST', '/v1/tokens', { body: { name, role, ...more } });
    expect(made.status).toBe(201);
    return made.body.secret as string;
  };
  tokens.admin = broker.adminToken;
  tokens.agent = broker.agentToken;
  tokens.finops = await token('finops', 'viewer');
  tokens.asker = await token('asker', 'operator');
  tokens.operator = await token('operator', 'operator');
  tokens.webAdmin = await token('web-admin', 'admin', { project: 'web' });
  // A project's admin names tokens of the project at will.
  const made = await broker.call('POST', '/v1/tokens', {
    body: { name: 'finops', role: 'operator', project: 'web' },
    token: tokens.webAdmin,
  });
  tokens.webFinops = made.body.secret;
  tokens.otherAdmin = await token('finops', 'admin', { organization: 'other' });
  for (const project of ['default', 'web']) {
    const { body } = await broker.call('POST', `/v1/projects/${project}/instances`, {
      body: instanceInput('vm'),
    });
    ids[project] = body.resource.id;
  }
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

let rules = 0;
/** An approval that an instance of the project waits for. */
const ask = async (project = 'default') =>
  (
    await broker.store.db.transaction().execute((tx) =>
      requestApproval(tx, {
        organization: 'default',
        project,
        resource: ids[project]!,
        resourceName: 'vm',
        generation: 1,
        operation: null,
        decision: ids[project]!,
        requestedBy: ['asker'],
        policy: 'spend',
        rule: `big-${++rules}`,
        approvers: ['finops', 'asker'],
        message: null,
        offer: {
          site: 'local',
          provider: 'onprem',
          region: 'local',
          zone: null,
          host: 'h1',
          instanceType: 'kvm',
          market: 'onDemand',
          vcpus: 1,
          memoryGiB: 1,
          architecture: 'x86_64',
          gpuName: null,
          gpuCount: 0,
          burstable: false,
          pricePerHour: 0.1,
          pricePerMonth: 73,
          currency: 'USD',
          jurisdiction: null,
        },
        expiresHours: 24,
      }),
    )
  ).id;

const decide = (id: string, what: 'approve' | 'reject', token: string, body: unknown = {}, query = '') =>
  broker.call('POST', `/v1/approvals/${id}/${what}${query}`, { body, token });

test('approvals are listed, filtered and shown within what a token sees', async () => {
  const [here, there] = [await ask(), await ask('web')];
  const list = async (token: string, filter = '') =>
    (
      await broker.call('GET', `/v1/approvals${filter ? `?filter=${encodeURIComponent(filter)}` : ''}`, {
        token,
      })
    ).body.items?.map(({ id }: { id: string }) => id);
  expect(await list(tokens.finops!, 'state=Pending')).toEqual([there, here]);
  expect(await list(tokens.finops!, 'project=web')).toEqual([there]);
  expect(await list(tokens.webAdmin!)).toEqual([there]);
  expect(await list(tokens.otherAdmin!)).toEqual([]);
  expect(await list(tokens.agent!)).toBeUndefined();
  const get = async (id: string, token: string) =>
    (await broker.call('GET', `/v1/approvals/${id}`, { token })).status;
  expect(await get(here, tokens.finops!)).toBe(200);
  expect(await get(here, tokens.webAdmin!)).toBe(404);
  expect(await get(here, tokens.otherAdmin!)).toBe(404);
});

test('only who is named approves: not an admin, not a token of one project, not who asked', async () => {
  const id = await ask('web');
  for (const [token, status, told] of [
    ['admin', 403, 'Only finops or asker may approve this'],
    ['operator', 403, 'Only finops or asker may approve this'],
    ['webAdmin', 403, 'Only finops or asker'],
    ['webFinops', 403, 'with a token of the whole organization'],
    ['asker', 403, 'nobody approves a request of their own'],
    ['otherAdmin', 404, 'There is no approval'],
    ['agent', 403, ''],
  ] as const) {
    const refused = await decide(id, 'approve', tokens[token]!);
    expect([token, refused.status]).toEqual([token, status]);
    expect(refused.body.detail).toContain(told);
  }
  expect((await broker.call('GET', `/v1/approvals/${id}`)).body.state).toBe('Pending');
  const dry = await decide(id, 'approve', tokens.finops!, {}, '?validateOnly=true');
  expect(dry).toMatchObject({ status: 200, body: { state: 'Pending' } });
  const done = await decide(id, 'approve', tokens.finops!, { reason: 'in budget' });
  expect(done).toMatchObject({
    status: 200,
    body: { state: 'Approved', decidedBy: 'finops', reason: 'in budget' },
  });
});

test('the same decision again is the same answer, another one a conflict; the request is woken', async () => {
  const id = await ask();
  broker.signals.rows.length = 0;
  const first = await decide(id, 'approve', tokens.finops!);
  expect((await decide(id, 'approve', tokens.finops!)).body).toEqual(first.body);
  const otherwise = await decide(id, 'reject', tokens.finops!, { reason: 'no' });
  expect(otherwise).toMatchObject({ status: 409 });
  expect(otherwise.body.detail).toContain('already Approved by finops');
  const woken = { workflow: 'instance', resource: ids.default };
  for (let i = 0; i < 100 && !broker.signals.rows.some((row) => row.resource === woken.resource); i++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(broker.signals.rows).toContainEqual(woken);
  const told = await broker.call('GET', '/v1/events?filter=type%3Dapproval.approved');
  expect(told.body.items[0]).toMatchObject({
    actor: 'finops',
    resource: { name: 'vm' },
    data: { approval: id, pricePerHour: 0.1 },
  });
});

test('an admin of the organization may reject, with a reason; an admin of a project may not', async () => {
  const id = await ask('web');
  expect((await decide(id, 'reject', tokens.webAdmin!, { reason: 'x' })).status).toBe(403);
  const silent = await decide(id, 'reject', tokens.admin!);
  expect(silent).toMatchObject({ status: 400, body: { errors: [{ pointer: '/reason' }] } });
  expect(await decide(id, 'reject', tokens.admin!, { reason: 'too dear' })).toMatchObject({
    status: 200,
    body: { state: 'Rejected', reason: 'too dear' },
  });
});

test('what is over is not decided any more', async () => {
  const id = await ask();
  await broker.store.db
    .updateTable('approvals')
    .set({ expires_at: new Date(Date.now() - 1) })
    .where('id', '=', id)
    .execute();
  const late = await decide(id, 'approve', tokens.finops!);
  expect(late.status).toBe(409);
  expect(late.body.detail).toContain('expired at');
});

const policy = (rules: string) =>
  `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: door}\nspec:\n  rules:\n${rules}`;

test('labels, ttl and closed times are refused at the door, for a create, a dry run and a plan', async () => {
  const hour = String(new Date().getUTCHours()).padStart(2, '0');
  const put = await broker.call('PUT', '/v1/policies/door', {
    body: {
      source: policy(
        `  - {name: tidy, labels: {required: [owner]}}
  - {name: short, ttl: {max: 72h}}
  - {name: shut, when: 'request.name == "frozen"', window: {deny: 'daily ${hour}:00/3h', timeZone: UTC}}
`,
      ),
    },
  });
  expect(put).toMatchObject({ status: 201 });
  const instances = '/v1/projects/default/instances';
  for (const path of [instances, `${instances}?validateOnly=true`, '/v1/projects/default/placements']) {
    const refused = await broker.call('POST', path, { body: instanceInput('bare', { ttl: '100h' }) });
    expect([path, refused.status]).toEqual([path, 422]);
    expect(refused.body.type).toBe('https://landfall.dev/problems/policy-refused');
    expect(refused.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/labels',
      '/spec/ttl',
    ]);
    expect(refused.body.detail).toContain('door/tidy');
  }
  const tidy = { ...instanceInput('frozen', { ttl: '1h' }), labels: { owner: 'me' } };
  const shut = await broker.call('POST', instances, { body: tidy });
  expect(shut.status).toBe(422);
  expect(shut.body.detail).toContain('door/shut');
  expect((await broker.call('GET', `${instances}/frozen`)).status).toBe(404);
  expect((await broker.call('POST', instances, { body: { ...tidy, name: 'tidy' } })).status).toBe(202);
  const patch = async (body: object) => {
    const headers = { 'if-match': '*', 'content-type': 'application/merge-patch+json' };
    const changed = await broker.call('PATCH', `${instances}/tidy`, { body, headers });
    return [changed.status, changed.body.errors?.[0].pointer];
  };
  expect(await patch({ labels: { owner: null } })).toEqual([422, '/labels']);
  expect(await patch({ spec: { ttl: null } })).toEqual([422, '/spec/ttl']);
  expect(await patch({ spec: { ttl: '73h' } })).toEqual([422, '/spec/ttl']);
  expect(await patch({ labels: { owner: 'you' }, spec: { ttl: '2h' } })).toEqual([202, undefined]);
  await broker.call('DELETE', '/v1/policies/door', { headers: { 'if-match': '*' } });
});

test("a request's own rules are read at the door, each mistake with its pointer", async () => {
  const rules = [
    { name: 'near', require: 'offer.region == "local"' },
    { name: 'odd', require: 'offer.regoin == "local"' },
    { name: 'no', quota: { group: ['project'], resource: 'gpu', limit: 1 } },
  ];
  const instances = '/v1/projects/default/instances?validateOnly=true';
  const refused = await broker.call('POST', instances, {
    body: instanceInput('own', { placement: { rules } }),
  });
  expect(refused.status).toBe(422);
  const pointers = refused.body.errors.map(({ pointer }: { pointer: string }) => pointer);
  expect(pointers.every((pointer: string) => /^\/spec\/placement\/rules\/[12]\b/.test(pointer))).toBe(true);
  expect(new Set(pointers.map((pointer: string) => pointer.split('/')[4]))).toEqual(new Set(['1', '2']));
  expect(refused.body.errors).toContainEqual(
    expect.objectContaining({ suggestion: 'Did you mean offer.region?' }),
  );
  const plan = await broker.call('POST', instances, {
    body: instanceInput('own', { placement: { rules: rules.slice(0, 1) }, userData: 'secret-words' }),
  });
  expect(plan.status).toBe(200);
  expect(plan.body.rules).toMatchObject([{ policy: 'request', rule: 'near', effect: 'require' }]);
  // The record has the request as the rules saw it, and nothing that it may not hold.
  expect(plan.body.request).toMatchObject({ name: 'own', image: 'tiny', vcpus: 1 });
  expect(JSON.stringify(plan.body)).not.toContain('secret-words');
});
