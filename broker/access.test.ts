import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
const tokens: Record<string, string> = {};
beforeAll(async () => {
  broker = await TestBroker.start();
  await broker.call('POST', '/v1/projects', { body: { name: 'web' } });
  await broker.call('POST', '/v1/organizations', { body: { name: 'other' } });
  await broker.call('POST', '/v1/projects', { body: { name: 'theirs', organization: 'other' } });
  tokens.admin = broker.adminToken;
  tokens.agent = broker.agentToken;
  tokens.operator = (await broker.token('operator')).secret;
  tokens.viewer = (await broker.token('viewer')).secret;
  tokens.webOperator = (await broker.token('operator', { project: 'web' })).secret;
  tokens.webAdmin = (await broker.token('admin', { project: 'web' })).secret;
  tokens.otherAdmin = (await broker.token('admin', { organization: 'other' })).secret;
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const site = { name: 'dc', spec: { provider: 'onprem', regions: ['dc'] } };
const host = { capacity: { vcpus: 4, memoryGiB: 8, diskGiB: 100 }, accel: 'kvm', architecture: 'x86_64' };

/** Method, path, body, and the status for each token. */
const matrix: [string, string, unknown, Record<string, number>][] = [
  ['GET', '/v1/whoami', undefined, { admin: 200, viewer: 200, agent: 200 }],
  [
    'GET',
    '/v1/projects/default',
    undefined,
    { admin: 200, viewer: 200, agent: 403, webOperator: 404, otherAdmin: 404 },
  ],
  [
    'GET',
    '/v1/projects/web/instances',
    undefined,
    { admin: 200, viewer: 200, webOperator: 200, agent: 403, otherAdmin: 404 },
  ],
  [
    'GET',
    '/v1/projects/theirs/instances',
    undefined,
    { admin: 404, viewer: 404, webOperator: 404, otherAdmin: 200 },
  ],
  ['GET', '/v1/projects/theirs', undefined, { admin: 200, operator: 404, webAdmin: 404, otherAdmin: 200 }],
  [
    'POST',
    '/v1/projects/web/instances?validateOnly=true',
    instanceInput('x'),
    { admin: 200, operator: 200, webOperator: 200, viewer: 403, agent: 403, otherAdmin: 404 },
  ],
  [
    'POST',
    '/v1/projects/default/instances?validateOnly=true',
    instanceInput('x'),
    { webOperator: 404, otherAdmin: 404 },
  ],
  ['POST', '/v1/projects/nowhere/instances', instanceInput('x'), { admin: 404, viewer: 403 }],
  [
    'POST',
    '/v1/sites?validateOnly=true',
    site,
    { admin: 200, operator: 403, viewer: 403, webAdmin: 403, agent: 403 },
  ],
  [
    'GET',
    '/v1/sites/local',
    undefined,
    { admin: 200, viewer: 200, webOperator: 200, agent: 403, otherAdmin: 404 },
  ],
  ['PUT', '/v1/sites/local/hosts/h1', host, { agent: 200, admin: 403, operator: 403 }],
  ['PUT', '/v1/sites/elsewhere/hosts/h1', host, { agent: 403, admin: 403 }],
  ['GET', '/v1/tokens', undefined, { admin: 200, webAdmin: 200, operator: 403, viewer: 403, agent: 403 }],
  [
    'POST',
    '/v1/tokens?validateOnly=true',
    { name: 'x', role: 'viewer' },
    { admin: 200, webAdmin: 403, operator: 403 },
  ],
  [
    'POST',
    '/v1/tokens?validateOnly=true',
    { name: 'x', role: 'viewer', project: 'web' },
    { admin: 200, webAdmin: 200, otherAdmin: 422 },
  ],
  [
    'POST',
    '/v1/tokens?validateOnly=true',
    { name: 'x', role: 'admin', organization: 'default' },
    { otherAdmin: 403, admin: 200 },
  ],
  [
    'POST',
    '/v1/organizations?validateOnly=true',
    { name: 'third' },
    { admin: 200, otherAdmin: 403, operator: 403 },
  ],
  [
    'POST',
    '/v1/audits?validateOnly=true',
    undefined,
    { admin: 204, operator: 204, viewer: 403, webOperator: 403 },
  ],
  ['GET', '/v1/organizations/other', undefined, { admin: 200, otherAdmin: 200, viewer: 404 }],
];

test.each(
  matrix.flatMap(([method, path, body, wanted]) =>
    Object.entries(wanted).map(([token, status]) => ({ method, path, body, token, status })),
  ),
)('$method $path with $token is $status', async ({ method, path, body, token, status }) => {
  const answer = await broker.call(method, path, { body, token: tokens[token]! });
  expect(answer.status).toBe(status);
  if (status >= 400)
    expect(answer.body).toMatchObject({
      status,
      type: expect.stringMatching(/^https:\/\/landfall\.dev\/problems\//),
      requestId: expect.any(String),
    });
});

test.each([
  ['without a token', null, undefined],
  ['with another scheme', null, 'Basic YWRtaW46YWRtaW4='],
  ['with a token of another form', null, 'Bearer nonsense'],
  ['with an unknown token', null, `Bearer lf_${'A'.repeat(43)}`],
])('%s it is 401, and says how to authenticate', async (_what, token, authorization) => {
  const answer = await broker.call('GET', '/v1/projects', {
    token,
    headers: authorization ? { authorization } : {},
  });
  expect(answer.status).toBe(401);
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
});

test('a revoked token is refused at once, an expired one when it expires', async () => {
  const { secret, id } = await broker.token('viewer');
  expect((await broker.call('GET', '/v1/whoami', { token: secret })).status).toBe(200);
  expect((await broker.call('DELETE', `/v1/tokens/${id}`)).status).toBe(428);
  expect((await broker.call('DELETE', `/v1/tokens/${id}`, { headers: { 'if-match': '"1"' } })).status).toBe(
    204,
  );
  expect((await broker.call('GET', '/v1/whoami', { token: secret })).status).toBe(401);
  const brief = await broker.token('viewer', { expiresIn: '1s' });
  expect((await broker.call('GET', '/v1/whoami', { token: brief.secret })).status).toBe(200);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect((await broker.call('GET', '/v1/whoami', { token: brief.secret })).status).toBe(401);
});

test('secrets are neither listed nor kept nor logged', async () => {
  const { secret } = await broker.token('viewer');
  await broker.call('GET', '/v1/whoami', { token: secret });
  expect(JSON.stringify((await broker.call('GET', '/v1/tokens')).body)).not.toContain('lf_');
  expect(broker.logged.join('')).not.toContain(secret);
  expect(broker.logged.join('')).not.toContain(broker.adminToken);
});

test('a viewer of one project sees only its operations and events', async () => {
  await broker.call('POST', '/v1/projects/default/instances', { body: instanceInput('hidden') });
  await broker.call('POST', '/v1/projects/web/instances', { body: instanceInput('seen') });
  const operations = await broker.call('GET', '/v1/operations', { token: tokens.webOperator });
  expect(operations.body.items.map((each: { resource: { name: string } }) => each.resource.name)).toEqual([
    'seen',
  ]);
  const events = await broker.call('GET', '/v1/events', { token: tokens.webOperator });
  expect(events.body.items.every((each: { project: string }) => each.project === 'web')).toBe(true);
  const all = await broker.call('GET', '/v1/operations');
  const hidden = all.body.items.find(
    (each: { resource: { name: string } }) => each.resource.name === 'hidden',
  );
  expect(
    (await broker.call('GET', `/v1/operations/${hidden.id}`, { token: tokens.webOperator })).status,
  ).toBe(404);
  expect((await broker.call('GET', `/v1/operations/${hidden.id}`, { token: tokens.otherAdmin })).status).toBe(
    404,
  );
});

test('first start may be repeated, and brings back a token that is in its file', async () => {
  const { firstStart } = await import('./first-start.ts');
  await broker.store.pool.query("delete from tokens where name = 'agent-local'");
  const options = { dataDir: broker.dataDir, localSite: true };
  const ids = await Promise.all([firstStart(broker.store.db, options), firstStart(broker.store.db, options)]);
  expect(ids).toEqual([broker.broker.parts.installation, broker.broker.parts.installation]);
  expect((await broker.call('GET', '/v1/whoami', { token: broker.agentToken })).body).toMatchObject({
    role: 'agent',
    site: 'local',
  });
});
