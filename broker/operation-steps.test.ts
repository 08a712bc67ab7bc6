import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

/** A machine that was asked for, and its first attempt at the local site's host. */
async function placed(name: string): Promise<{ id: string; operation: string }> {
  const { body } = await broker.call('POST', '/v1/projects/default/instances', { body: instanceInput(name) });
  const id = body.resource.id as string;
  await broker.store.pool.query(
    `insert into intents (resource, attempt, site, region, zone, host, offer, sized_for)
     values ($1, 1, 'local', 'local', 'default', 'h1', '{}', '{}')`,
    [id],
  );
  return { id, operation: body.id };
}

const end = (operation: string) =>
  broker.store.pool.query(`update operations set state = 'Succeeded', finished_at = now() where id = $1`, [
    operation,
  ]);

const record = (resource: string, more: object = {}) => ({
  ...{
    resource,
    attempt: 1,
    step: 'ensure',
    try: 1,
    ms: 100,
    calls: [] as object[],
    callsLeftOut: 0,
    ...more,
  },
});
const call = (name: string, more: object = {}) => ({
  ...{ call: name, afterMs: 10, ms: 5, count: 1, lastAfterMs: 10, ...more },
});
const tell = (body: object, token = broker.agentToken) =>
  broker.call('POST', '/v1/sites/local/steps', { body, token });
const stepsOf = (operation: string, token?: string) =>
  broker.call('GET', `/v1/operations/${operation}/steps`, { token });

test('steps that an agent tells of are the operation’s that is open, with which retry each call is', async () => {
  const { id, operation } = await placed('told');
  const throttled = call('api create', { status: 429, code: 'TooMany', count: 2 });
  const missing = call('virsh dumpxml', { code: 'exit 1' });
  expect((await tell(record(id, { failed: 'Throttled', calls: [missing, throttled] }))).status).toBe(204);
  await tell(record(id, { try: 2, calls: [missing, throttled] }));
  await tell(
    record(id, { try: 3, calls: [call('api create', { status: 200 }), call('api create', { status: 200 })] }),
  );
  await tell(record(id, { step: 'remove' }));
  const { body, status } = await stepsOf(operation);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    leftOut: 0,
    items: [{ site: 'local', attempt: 1, failed: 'Throttled' }, {}, {}, {}],
  });
  const retries = body.items.map(({ calls }: { calls: { retry: number }[] }) =>
    calls.map(({ retry }) => retry),
  );
  expect(retries).toEqual([[0, 0], [0, 2], [4, 0], []]);
  const [{ startedAt, finishedAt, calls }] = body.items;
  expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeLessThanOrEqual(101);
  expect(Date.parse(calls[0].startedAt) - Date.parse(startedAt)).toBe(10);
  expect(body.items.map(({ compensation }: { compensation: boolean }) => compensation)).toEqual([
    false,
    false,
    false,
    true,
  ]);
});

test('what was removed for its own sake is no compensation; steps after an operation are not its own', async () => {
  const { id, operation } = await placed('later');
  await tell(record(id));
  await end(operation);
  await tell(record(id, { step: 'observe' }));
  const deleted = await broker.call('DELETE', '/v1/projects/default/instances/later', {
    headers: { 'if-match': '*' },
  });
  await tell(record(id, { step: 'remove', ms: 0 }));
  const named = async (of: string) =>
    (await stepsOf(of)).body.items.map(({ step, compensation }: { step: string; compensation: boolean }) => [
      step,
      compensation,
    ]);
  expect(await named(operation)).toEqual([['ensure', false]]);
  expect(await named(deleted.body.id)).toEqual([['remove', false]]);
});

test('only the site’s own agents tell of steps, and only of what is at their site', async () => {
  const { id, operation } = await placed('guarded');
  await broker.call('POST', '/v1/sites', {
    body: { name: 'dc', spec: { provider: 'onprem', regions: ['dc'] } },
  });
  const { secret } = await broker.token('agent', { site: 'dc' });
  expect((await tell(record(id), secret)).status).toBe(403);
  expect((await tell(record(id), broker.adminToken)).status).toBe(403);
  const elsewhere = await broker.call('POST', '/v1/sites/dc/steps', { body: record(id), token: secret });
  expect(elsewhere.status).toBe(204);
  expect((await stepsOf(operation)).body.items).toEqual([]);
});

test('steps are read by who may read the operation', async () => {
  const { operation } = await placed('private');
  await broker.call('POST', '/v1/projects', { body: { name: 'other' } });
  const [own, other] = [
    await broker.token('viewer', { project: 'default' }),
    await broker.token('viewer', { project: 'other' }),
  ];
  expect((await stepsOf(operation, own.secret)).status).toBe(200);
  expect((await stepsOf(operation, other.secret)).status).toBe(404);
  expect((await stepsOf(operation, broker.agentToken)).status).toBe(403);
});

test.each([
  ['/step', { step: 'hope' }],
  ['/failed', { failed: 'a sentence, with a token' }],
  ['/calls/0', { calls: [call('x', { body: 'secret' })] }],
  ['/calls/0/call', { calls: [call('a call\u0000')] }],
  ['/calls/0/code', { calls: [call('x', { code: 'a sentence, with a token' })] }],
  ['/calls/0/status', { calls: [call('x', { status: 7 })] }],
  ['/calls', { calls: Array.from({ length: 201 }, () => call('x')) }],
])('a record that is wrong at %s is refused there', async (pointer, wrong) => {
  const { body, status } = await tell(record('00000000-0000-7000-8000-000000000000', wrong));
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(JSON.stringify(body.errors)).toContain(`"${pointer}`);
});

test('of many steps the newest 200 are answered, with how many are older', async () => {
  const { id, operation } = await placed('long');
  for (let n = 1; n <= 205; n++) await tell(record(id, { try: n }));
  const { body } = await stepsOf(operation);
  expect(body.leftOut).toBe(5);
  expect(body.items.map((step: { try: number }) => step.try)).toEqual(
    Array.from({ length: 200 }, (_, n) => n + 6),
  );
});
