import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const instances = '/v1/projects/default/instances';
const post = (key: string, body: unknown, path = instances, token?: string) =>
  broker.call('POST', path, { body, token, headers: { 'idempotency-key': key } });

test('a repeat gets the first answer, headers and all, and nothing happens twice', async () => {
  const first = await post('k1', instanceInput('once'));
  expect(first.status).toBe(202);
  const repeat = await post('k1', instanceInput('once'));
  expect(repeat.status).toBe(202);
  expect(repeat.body).toEqual(first.body);
  expect(repeat.headers.get('operation-location')).toBe(first.headers.get('operation-location'));
  expect(repeat.headers.get('etag')).toBe(first.headers.get('etag'));
  expect(repeat.headers.get('idempotent-replayed')).toBe('true');
  const { rows } = await broker.store.pool.query(
    `select count(*)::int as n from operations where resource_name = 'once'`,
  );
  expect(rows[0].n).toBe(1);
});

test('the same key with another body or path is 422; of another token it is another key', async () => {
  await post('k2', instanceInput('two'));
  expect((await post('k2', instanceInput('three'))).status).toBe(422);
  expect((await post('k2', instanceInput('two'), `${instances}?validateOnly=true`)).status).toBe(422);
  const { secret } = await broker.token('operator');
  expect((await post('k2', instanceInput('three'), instances, secret)).status).toBe(202);
});

test('of many at once one is served; the others get its answer or 409', async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => post('k3', instanceInput('raced'))));
  const served = answers.filter((each) => each.status === 202);
  expect(served.length).toBeGreaterThan(0);
  expect(new Set(served.map((each) => each.body.id)).size).toBe(1);
  for (const answer of answers) expect([202, 409]).toContain(answer.status);
  expect((await post('k3', instanceInput('raced'))).body.id).toBe(served[0]!.body.id);
});

test('a refusal is repeated as well; an invalid request does not use the key up', async () => {
  await post('k4', instanceInput('taken'));
  const refused = await post('k5', instanceInput('taken'));
  expect(refused.status).toBe(409);
  const repeat = await post('k5', instanceInput('taken'));
  expect(repeat.body).toEqual(refused.body);
  expect(repeat.headers.get('content-type')).toBe('application/problem+json');
  expect((await post('k6', { name: 'x' })).status).toBe(400);
  expect((await post('k6', instanceInput('fresh'))).status).toBe(202);
  expect((await post('no spaces', instanceInput('bad-key'))).status).toBe(400);
});

test('a failure of the broker is not kept', async () => {
  await broker.store.pool.query('alter table outbox rename to outbox_away');
  expect((await post('k7', instanceInput('later'))).status).toBe(500);
  await broker.store.pool.query('alter table outbox_away rename to outbox');
  expect((await post('k7', instanceInput('later'))).status).toBe(202);
});

test('a token is made once and its secret is not kept: a repeat is told so', async () => {
  const first = await post('k8', { name: 'ci', role: 'viewer' }, '/v1/tokens');
  expect(first.status).toBe(201);
  const repeat = await post('k8', { name: 'ci', role: 'viewer' }, '/v1/tokens');
  expect(repeat.status).toBe(409);
  expect(repeat.body.detail).toContain(first.body.id);
  const { rows } = await broker.store.pool.query('select body::text, headers::text from idempotency_keys');
  expect(JSON.stringify(rows)).not.toContain(first.body.secret);
});

test('a claim whose broker died is given up after fifteen seconds, a kept answer after a day', async () => {
  const age = (key: string, interval: string, status: string) =>
    broker.store.pool.query(
      `update idempotency_keys set created_at = now() - interval '${interval}', status = ${status} where key = '${key}'`,
    );
  await post('k9', instanceInput('died'));
  await age('k9', '5 seconds', 'null');
  expect((await post('k9', instanceInput('died'))).status).toBe(409);
  await age('k9', '20 seconds', 'null');
  const anew = await post('k9', instanceInput('died'));
  expect(anew.body.detail).toMatch(/already has an instance named died/); // served anew, and not doubled
  await age('k9', '25 hours', 'status');
  expect((await post('k9', instanceInput('other'))).status).toBe(202);
});
