import { get } from 'node:http';
import { parseOrigins } from './cross-origin.ts';
import { TestBroker } from './testing/test-broker.ts';

const editor = 'https://editor.example';
const preflight = { 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'if-match' };
const cors = (headers: Headers): string[] =>
  [...headers.keys()].filter((name) => name.startsWith('access-control-'));

let open: TestBroker;
let shut: TestBroker;
beforeAll(async () => {
  open = await TestBroker.start({ allowedOrigins: parseOrigins(`${editor}, https://*.pages.example:8443`) });
  shut = await TestBroker.start();
}, 60_000);
afterAll(async () => {
  await open?.stop();
  await shut?.stop();
}, 20_000);

const path = '/v1/projects/default/instances';
const asked = (broker: TestBroker, origin: string, method = 'GET', more = {}) =>
  broker.call(method, path, {
    headers: { origin, ...more },
    ...(method === 'OPTIONS' ? { token: null } : {}),
  });

test('by default no page of another origin may read an answer, or is told that it could ask', async () => {
  expect(cors((await asked(shut, editor)).headers)).toEqual([]);
  const refused = await asked(shut, editor, 'OPTIONS', preflight);
  expect(refused.status).toBe(405);
  expect(cors(refused.headers)).toEqual([]);
});

test('a page of an origin that is named reads answers, refusals too, and the headers that a client needs', async () => {
  const read = await asked(open, editor);
  expect(read.headers.get('access-control-allow-origin')).toBe(editor);
  expect(read.headers.get('access-control-expose-headers')).toMatch(/ETag, Operation-Location/);
  expect(read.headers.get('vary')).toBe('Origin');
  for (const [url, token, status] of [
    ['/v1/nothing', undefined, 404],
    [path, 'lf_wrong', 401],
  ] as const) {
    const refused = await open.call('GET', url, { token, headers: { origin: editor } });
    expect(refused.status).toBe(status);
    expect(refused.headers.get('access-control-allow-origin')).toBe(editor);
  }
});

test('its question before a request is answered without a token, and nothing is let in by cookies', async () => {
  const answered = await asked(open, editor, 'OPTIONS', preflight);
  expect(answered.status).toBe(204);
  expect(answered.headers.get('access-control-allow-methods')).toContain('PATCH');
  for (const name of ['Authorization', 'If-Match', 'Idempotency-Key', 'Last-Event-ID'])
    expect(answered.headers.get('access-control-allow-headers')).toContain(name);
  expect(answered.headers.get('access-control-allow-credentials')).toBeNull();
  // Without the question it is a method like another.
  expect((await asked(open, editor, 'OPTIONS')).status).toBe(405);
});

test('the watch stream can be read by it', async () => {
  const stop = new AbortController();
  const response = await fetch(`${open.url}/v1/watch`, {
    headers: { origin: editor, authorization: `Bearer ${open.adminToken}` },
    signal: stop.signal,
  });
  expect(response.headers.get('access-control-allow-origin')).toBe(editor);
  stop.abort();
});

test.each([
  'https://editor.example.evil.example',
  'http://editor.example',
  'https://editor.example:444',
  'https://pages.example:8443',
  'https://a.pages.example',
  'http://shop.pages.example:8443',
  'https://evilpages.example:8443',
  'https://evil.example/.pages.example:8443',
  'null',
])('%s is not let in by names that look like it', async (origin) => {
  expect(cors((await asked(open, origin)).headers)).toEqual([]);
});

test('a name with a star is for every subdomain', async () => {
  for (const origin of ['https://a.pages.example:8443', 'https://a.b.pages.example:8443'])
    expect((await asked(open, origin)).headers.get('access-control-allow-origin')).toBe(origin);
});

test.each([
  ['*', /every web page/],
  ['https://*.com', /every domain under \.com/],
  ['editor.example', /is no origin/],
  ['https://editor.example/', /is no origin/],
  ['ftp://editor.example', /is no origin/],
  ['https://a.*.example', /is no origin/],
  ['null', /is no origin/],
])('the name %s is refused in words', (text, words) => {
  expect(() => parseOrigins(`${editor},${text}`)).toThrow(words);
});

test('a page whose name was made to lead here reads nothing without a token, the pages that are open on loopback included', async () => {
  const statusAt = (host: string): Promise<number | undefined> =>
    new Promise((done, failed) => {
      get(`${shut.url}/metrics`, { headers: { host } }, (response) => {
        response.resume();
        done(response.statusCode);
      }).on('error', failed);
    });
  expect(await statusAt('evil.example:7420')).toBe(401);
  expect(await statusAt('127.0.0.1.evil.example:7420')).toBe(401);
  for (const host of ['127.0.0.1:7420', 'localhost:7420', '[::1]:7420'])
    expect({ host, status: await statusAt(host) }).toEqual({ host, status: 200 });
});
