import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const instances = '/v1/projects/default/instances';

test('an instance is asked for, shown, listed, and its workflow woken', async () => {
  const made = await broker.call('POST', instances, {
    body: instanceInput('web', { userData: '#cloud-config\n' }),
  });
  expect(made.status).toBe(202);
  expect(made.body).toMatchObject({
    kind: 'Operation',
    verb: 'create',
    state: 'Pending',
    resource: { name: 'web' },
  });
  expect(made.headers.get('operation-location')).toBe(`/v1/operations/${made.body.id}`);
  const shown = await broker.call('GET', `${instances}/web`);
  expect(shown.body).toMatchObject({
    name: 'web',
    spec: { diskGiB: 10, power: 'running' },
    status: { state: 'Pending' },
  });
  expect(shown.body.spec.userData).toBeUndefined();
  expect(shown.body.spec.userDataDigest).toMatch(/^sha256:/);
  expect(shown.headers.get('etag')).toBe('"1"');
  expect((await broker.call('GET', `${instances}/${shown.body.id}`)).body).toEqual(shown.body);
  expect((await broker.call('GET', instances)).body.items.map((each: { name: string }) => each.name)).toEqual(
    ['web'],
  );
  expect((await broker.call('GET', `/v1/operations/${made.body.id}`)).body).toEqual(made.body);
  for (let i = 0; i < 100 && broker.signals.rows.length === 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(broker.signals.rows).toEqual([{ workflow: 'instance', resource: shown.body.id }]);
});

test('start, stop, resize, labels and delete, each with its ETag', async () => {
  await broker.call('POST', instances, { body: instanceInput('acts') });
  const stopped = await broker.call('POST', `${instances}/acts/stop`, {});
  expect(stopped.status).toBe(202);
  const resized = await broker.call('POST', `${instances}/acts/resize`, {
    body: { vcpus: 2 },
    headers: { 'if-match': stopped.headers.get('etag')! },
  });
  expect(resized.status).toBe(202);
  const stale = await broker.call('POST', `${instances}/acts/resize`, {
    body: { vcpus: 3 },
    headers: { 'if-match': stopped.headers.get('etag')! },
  });
  expect(stale.status).toBe(412);
  const labelled = await broker.call('PATCH', `${instances}/acts`, {
    body: { labels: { env: 'prod' } },
    headers: { 'if-match': '*', 'content-type': 'application/merge-patch+json' },
  });
  expect(labelled.status).toBe(202);
  const same = await broker.call('PATCH', `${instances}/acts`, {
    body: { labels: { env: 'prod' } },
    headers: { 'if-match': '*' },
  });
  expect(same.status).toBe(200);
  expect((await broker.call('GET', `${instances}?filter=labels.env=prod`)).body.items).toHaveLength(1);
  expect(
    (await broker.call('DELETE', `${instances}/acts?validateOnly=true`, { headers: { 'if-match': '*' } }))
      .status,
  ).toBe(204);
  const deleted = await broker.call('DELETE', `${instances}/acts`, { headers: { 'if-match': '*' } });
  expect(deleted.status).toBe(202);
  const again = await broker.call('DELETE', `${instances}/acts`, { headers: { 'if-match': '*' } });
  expect(again.body.id).toBe(deleted.body.id);
});

test('what an instance names must be there, and near misses are named', async () => {
  const answer = await broker.call('POST', instances, {
    body: instanceInput('wrong', {
      image: 'tinny',
      sshKeys: ['lost'],
      ttl: '9999d',
      placement: { sites: ['locale'], hosts: ['nowhere'] },
    }),
  });
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toEqual([
    expect.objectContaining({ pointer: '/spec/image', suggestion: 'tiny', value: 'tinny' }),
    expect.objectContaining({ pointer: '/spec/ttl' }),
    expect.objectContaining({ pointer: '/spec/sshKeys/0' }),
    expect.objectContaining({ pointer: '/spec/placement/sites/0', suggestion: 'local' }),
    expect.objectContaining({ pointer: '/spec/placement/hosts/0' }),
  ]);
  const arm = await broker.call('POST', instances, { body: instanceInput('arm', { architecture: 'arm64' }) });
  expect(arm.body.errors[0].pointer).toBe('/spec/architecture');
  const small = await broker.call('POST', instances, {
    body: instanceInput('small', { image: 'debian-12', diskGiB: 2 }),
  });
  expect(small.body.errors[0]).toMatchObject({ pointer: '/spec/diskGiB', value: 2 });
});

test('validateOnly answers the decision and makes nothing', async () => {
  const plan = await broker.call('POST', `${instances}?validateOnly=true`, { body: instanceInput('dry') });
  expect(plan.status).toBe(200);
  expect(plan.body.outcome).toBe('unplaceable'); // no host has registered
  expect((await broker.call('GET', `${instances}/dry`)).status).toBe(404);
  const anywhere = await broker.call('POST', '/v1/projects/default/placements', {
    body: { spec: { image: 'debian-12', vcpus: 2, memoryGiB: 4 } },
  });
  expect(anywhere.body).toMatchObject({ outcome: 'placed', winner: { provider: 'aws' } });
});

test('project limits are kept', async () => {
  await broker.call('POST', '/v1/projects', { body: { name: 'small', limits: { vcpus: 2 } } });
  expect(
    (await broker.call('POST', '/v1/projects/small/instances', { body: instanceInput('a', { vcpus: 2 }) }))
      .status,
  ).toBe(202);
  const over = await broker.call('POST', '/v1/projects/small/instances', { body: instanceInput('b') });
  expect(over.body).toMatchObject({
    status: 422,
    type: 'https://landfall.dev/problems/limit-exceeded',
    errors: [{ pointer: '/spec/vcpus' }],
  });
});

test('getOperation waits until the operation ends', async () => {
  const made = await broker.call('POST', instances, { body: instanceInput('waited') });
  const started = Date.now();
  const waiting = broker.call('GET', `/v1/operations/${made.body.id}?wait=30`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await broker.store.db.transaction().execute(async (tx) => {
    const { finishOperations, appendEvent } = await import('@landfall/store');
    await finishOperations(tx, [made.body.id], { state: 'Succeeded', message: 'done' });
    await appendEvent(tx, {
      type: 'operation.succeeded',
      organization: 'default',
      actor: 'test',
      message: 'done',
    });
  });
  expect((await waiting).body.state).toBe('Succeeded');
  // As it ends, and not when the wait would.
  expect(Date.now() - started).toBeLessThan(25_000);
  const still = await broker.call('POST', instances, { body: instanceInput('still') });
  expect((await broker.call('GET', `/v1/operations/${still.body.id}?wait=1`)).body.state).toBe('Pending');
  expect((await broker.call('POST', `/v1/operations/${still.body.id}/cancel`)).status).toBe(202);
  expect((await broker.call('POST', `/v1/operations/${made.body.id}/cancel`)).status).toBe(409);
});

test('the rows of an outbox survive an engine that is away', async () => {
  broker.signals.away = true;
  const before = broker.signals.rows.length;
  const made = await broker.call('POST', instances, { body: instanceInput('patient') });
  expect(made.status).toBe(202);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await broker.call('GET', '/readyz')).body.checks.temporal).toBe('does not answer');
  expect(broker.signals.rows).toHaveLength(before);
  broker.signals.away = false;
  for (let i = 0; i < 200 && broker.signals.rows.length === before; i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(broker.signals.rows.at(-1)).toEqual({ workflow: 'instance', resource: made.body.resource.id });
}, 20_000);

test('the console is read through the engine once there is a machine', async () => {
  expect((await broker.call('GET', `${instances}/web/console`)).status).toBe(409);
  await broker.store.pool.query(
    `update instances set status = status || '{"site":"local","region":"local","host":"h1","attempt":1,"externalReference":"d1"}' where name = 'web'`,
  );
  expect((await broker.call('GET', `${instances}/web/console`)).body).toEqual({ text: 'login: ' });
});
