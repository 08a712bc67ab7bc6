import { connect } from 'node:net';
import { operationIds } from './testing/operation-ids.ts';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const instances = '/v1/projects/default/instances';
const problem = (code: string, status: number) => ({
  type: `https://landfall.dev/problems/${code}`,
  status,
  title: expect.any(String),
  requestId: expect.any(String),
});

/** Sends bytes as they are and reads until the broker closes or has answered. */
function raw(text: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(broker.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let answer = '';
    socket.setTimeout(3_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk;
      if (answer.includes('"requestId"') || answer.includes('HTTP/1.1 allows')) socket.destroy();
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(answer) : reject(error),
    );
  });
}

test('every operation of the document has a route', async () => {
  for (const { method, path } of operationIds()) {
    const url = path.replace(/\{[^}]+\}/g, 'x');
    expect({ path, status: (await broker.call(method, url, { token: null })).status }).toEqual({
      path,
      status: expect.not.stringMatching(/404|405/),
    });
    expect([404, 405]).not.toContain((await broker.call(method, url, { token: null })).status);
  }
});

test('an unknown path is 404, a known one with another method 405 with Allow', async () => {
  const nothing = await broker.call('GET', '/v1/nothing');
  expect(nothing.body).toMatchObject(problem('not-found', 404));
  const put = await broker.call('PUT', instances, { body: {} });
  expect(put.body).toMatchObject(problem('method-not-allowed', 405));
  expect(put.headers.get('allow')).toBe('GET, HEAD, POST');
  expect((await broker.call('GET', '/v1/policies/validate')).headers.get('allow')).toBe('POST');
  expect((await broker.call('POST', '/metrics', { body: {} })).status).toBe(405);
});

test('bodies: wrong media type 415, missing or broken 400, too large 413', async () => {
  expect(
    (await broker.call('POST', instances, { body: 'name: x', headers: { 'content-type': 'text/yaml' } }))
      .body,
  ).toMatchObject(problem('unsupported-media-type', 415));
  expect(
    (
      await broker.call('POST', instances, {
        body: '{}',
        headers: { 'content-type': 'application/merge-patch+json' },
      })
    ).status,
  ).toBe(415);
  const missing = await broker.call('POST', instances);
  expect(missing.body).toMatchObject({
    ...problem('invalid', 400),
    errors: [{ message: 'is missing: a JSON body is needed' }],
  });
  const broken = await broker.call('POST', instances, { body: '{"name": "x",\n "spec": {vcpus: 1}}' });
  expect(broken.body).toMatchObject(problem('invalid', 400));
  expect(broken.body.detail).toContain('position 24 (line 2, column 11)');
  expect((await broker.call('POST', instances, { body: '{"name":"a\\u0000"}' })).status).toBe(400);
  expect(
    (await broker.call('POST', instances, { body: `${'['.repeat(100)}${']'.repeat(100)}` })).status,
  ).toBe(400);
  const large = await broker.call('POST', instances, {
    body: JSON.stringify({ name: 'x'.repeat(1_100_000) }),
  });
  expect(large.body).toMatchObject(problem('too-large', 413));
  expect(
    (await broker.call('POST', `${instances}/x/start`, { body: { a: 1 } })).body.errors[0].message,
  ).toMatch(/takes no body/);
});

test('a body of 20 MB is refused without being read', async () => {
  const head = `POST ${instances} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${broker.adminToken}\r\ncontent-type: application/json\r\n`;
  const declared = await raw(`${head}content-length: 20000000\r\n\r\n{`);
  expect(declared).toMatch(/^HTTP\/1.1 413 /);
  expect(declared.toLowerCase()).toContain('connection: close');
  const chunk = 'a'.repeat(65_536);
  const chunked = await raw(`${head}transfer-encoding: chunked\r\n\r\n${`10000\r\n${chunk}\r\n`.repeat(40)}`);
  expect(chunked).toMatch(/^HTTP\/1.1 413 /);
  const unauthenticated = await raw(
    `POST ${instances} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20000000\r\n\r\n{`,
  );
  expect(unauthenticated).toMatch(/^HTTP\/1.1 401 /);
  expect(unauthenticated.toLowerCase()).toContain('connection: close');
});

test('what is no HTTP is a problem too', async () => {
  expect(await raw('NONSENSE\r\n\r\n')).toMatch(
    /^HTTP\/1.1 400 [\s\S]*application\/problem\+json[\s\S]*problems\/invalid/,
  );
  expect(await raw(`GET /v1/%zz HTTP/1.1\r\nhost: x\r\n\r\n`)).toMatch(/^HTTP\/1.1 400 [\s\S]*problem\+json/);
  expect(await raw(`GET /healthz HTTP/1.1\r\nhost: x\r\nx-large: ${'a'.repeat(40_000)}\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 431 /,
  );
});

test('validation says what is wrong in plain words, all of it at once', async () => {
  const answer = await broker.call('POST', instances, {
    body: {
      name: 'Web',
      labls: {},
      spec: {
        image: 'tiny',
        vcpus: 'two',
        memoryGB: 1,
        memoryGiB: 0,
        market: 'Spot',
        reboots: 3,
        ttl: 'soon',
        sshKeys: ['a', 'a'],
      },
    },
  });
  expect(answer.body).toMatchObject(problem('invalid', 400));
  expect(answer.body.errors).toEqual(
    expect.arrayContaining([
      {
        pointer: '/labls',
        message: '`labls` is not a field here; did you mean `labels`?',
        suggestion: 'labels',
      },
      {
        pointer: '/name',
        message:
          'the string "Web" does not fit: Lower-case letters, digits and hyphens; starts with a letter.',
        value: 'Web',
      },
      { pointer: '/spec/vcpus', message: 'must be an integer, is the string "two"', value: 'two' },
      {
        pointer: '/spec/memoryGB',
        message: '`memoryGB` is not a field here; did you mean `memoryGiB`?',
        suggestion: 'memoryGiB',
      },
      { pointer: '/spec/memoryGiB', message: 'must be more than 0, is 0', value: 0 },
      {
        pointer: '/spec/market',
        message: 'must be one of onDemand, spot, any, is the string "Spot"',
        value: 'Spot',
        suggestion: 'spot',
      },
      { pointer: '/spec/reboots', message: 'is read-only: leave it out', value: 3 },
      {
        pointer: '/spec/ttl',
        message: 'the string "soon" does not fit: A number with s, m, h or d.',
        value: 'soon',
      },
      { pointer: '/spec/sshKeys', message: 'items 0 and 1 are the same' },
    ]),
  );
  expect(JSON.stringify(answer.body)).not.toMatch(/\.ts|ajv|schemaPath/);
});

test('query parameters: unknown, repeated and mistyped are 400 and named', async () => {
  const unknown = await broker.call('GET', `${instances}?pagesize=5`);
  expect(unknown.body.errors).toEqual([
    {
      parameter: 'pagesize',
      message: 'is not a query parameter here; did you mean `pageSize`?',
      suggestion: 'pageSize',
    },
  ]);
  expect((await broker.call('GET', `${instances}?pageSize=5&pageSize=6`)).body.errors[0].message).toMatch(
    /2 times/,
  );
  expect((await broker.call('GET', `${instances}?pageSize=0x10`)).body.errors[0].message).toBe(
    'must be an integer, is the string "0x10"',
  );
  expect((await broker.call('GET', `${instances}?pageSize=501`)).body.errors[0].message).toBe(
    'must be at most 500, is 501',
  );
  expect(
    (await broker.call('POST', `${instances}?validateOnly=yes`, { body: instanceInput('a') })).status,
  ).toBe(400);
  expect((await broker.call('GET', `${instances}?filter=%00`)).status).toBe(400);
});

test('If-Match: 428 without, 400 malformed, 412 stale, 404 before all that', async () => {
  await broker.call('POST', instances, { body: instanceInput('matched') });
  const url = `${instances}/matched`;
  expect((await broker.call('DELETE', url)).body).toMatchObject(problem('precondition-required', 428));
  expect((await broker.call('DELETE', url, { headers: { 'if-match': '1' } })).status).toBe(400);
  expect((await broker.call('DELETE', url, { headers: { 'if-match': '"99"' } })).body).toMatchObject(
    problem('precondition-failed', 412),
  );
  expect(
    (await broker.call('DELETE', `${instances}/absent`, { headers: { 'if-match': '*' } })).body,
  ).toMatchObject(problem('not-found', 404));
  expect((await broker.call('POST', instances, { body: instanceInput('matched') })).body).toMatchObject({
    ...problem('conflict', 409),
    errors: [{ pointer: '/name' }],
  });
});

test('request ids are honoured when sane, else made', async () => {
  const given = await broker.call('GET', '/v1/nothing', { headers: { 'x-request-id': 'my-id.1' } });
  expect(given.headers.get('x-request-id')).toBe('my-id.1');
  expect(given.body.requestId).toBe('my-id.1');
  expect(
    (await broker.call('GET', '/healthz', { headers: { 'x-request-id': 'no spaces allowed' } })).headers.get(
      'x-request-id',
    ),
  ).toMatch(/^[0-9a-f-]{36}$/);
  expect(broker.logged.join('')).toContain('my-id.1');
});

test('an answer that is not what the document says is an error in tests', async () => {
  await broker.call('POST', instances, { body: instanceInput('odd') });
  await broker.store.pool.query(
    `update instances set status = '{"state":"Happy","observedGeneration":0}' where name = 'odd'`,
  );
  const answer = await broker.call('GET', `${instances}/odd`);
  expect(answer.body).toMatchObject(problem('internal', 500));
  expect(JSON.stringify(answer.body)).not.toContain('Happy');
  expect(
    broker.logged.find((line) => line.includes(answer.body.requestId) && line.includes('Happy')),
  ).toBeDefined();
  await broker.store.pool.query(`delete from instances where name = 'odd'`);
});

test('pages for people and machines', async () => {
  expect((await broker.call('GET', '/openapi.json', { token: null })).body.openapi).toBe('3.1.0');
  const docs = await broker.call('GET', '/docs', { token: null });
  expect(docs.headers.get('content-type')).toMatch(/^text\/html/);
  expect(docs.body).toContain('createInstance');
  expect(docs.body).not.toMatch(/(src|href)="https?:/);
  const metrics = await broker.call('GET', '/metrics', { token: null });
  expect(metrics.body).toMatch(
    /landfall_http_request_duration_seconds_count\{operation="listInstances",status="200"\}|landfall_http_request_duration_seconds_count/,
  );
  expect(metrics.body).toContain('landfall_database_up 1');
  expect((await broker.call('GET', '/healthz', { token: null })).body).toEqual({ status: 'ok' });
  expect((await broker.call('GET', '/readyz', { token: null })).body.checks).toEqual({
    database: 'ok',
    temporal: 'ok',
    dispatcher: 'ok',
  });
});

test('while the database is away requests are 503 with Retry-After, and all is well after', async () => {
  await broker.database.halt('SIGKILL');
  const away = await broker.call('GET', instances);
  expect(away.body).toMatchObject(problem('unavailable', 503));
  expect(away.headers.get('retry-after')).toBe('2');
  expect((await broker.call('GET', '/healthz', { token: null })).status).toBe(200);
  const readiness = await broker.call('GET', '/readyz', { token: null });
  expect(readiness).toMatchObject({
    status: 503,
    body: { status: 'notReady', checks: { database: 'does not answer' } },
  });
  expect((await broker.call('GET', '/metrics', { token: null })).body).toContain('landfall_database_up 0');
  await broker.database.restart();
  expect((await broker.call('GET', instances)).status).toBe(200);
}, 30_000);

test('a method that no router knows is 405 on a known path, 404 elsewhere', async () => {
  const query = await raw(`QUERY ${instances} HTTP/1.1\r\nhost: x\r\n\r\n`);
  expect(query).toMatch(/^HTTP\/1.1 405 [\s\S]*allow: GET, HEAD, POST/i);
  expect(await raw('PROPFIND /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1.1 404 /);
});
