import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openAccount } from './clients.ts';

let server: Server;
let answer: { status: number; headers?: Record<string, string>; body: string };
let asked: string[];

beforeAll(async () => {
  server = createServer(({ url = '', headers }, response) => {
    asked.push(`${url} ${headers.authorization}`);
    response
      .writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
      .end(answer.body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
beforeEach(() => {
  asked = [];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const read = (port = (server.address() as AddressInfo).port) =>
  openAccount({
    site: 's',
    regions: [],
    project: 'p',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessToken: 't' },
  }).read('zones/z/instances', { filter: 'labels.a = "b"', pageToken: undefined });

test('a list is asked for with the site’s token, and answered as Google wrote it', async () => {
  answer = { status: 200, body: '{"items":[{"id":"1"}]}' };
  expect(await read()).toEqual({ items: [{ id: '1' }] });
  expect(asked).toEqual(['/compute/v1/projects/p/zones/z/instances?filter=labels.a+%3D+%22b%22 Bearer t']);
});

const said = (message: string) => JSON.stringify({ error: { code: 403, message } });

test.each([
  [
    'a throttle',
    429,
    { 'retry-after': '7' },
    said('slower'),
    { code: 'Throttled', message: 'slower', details: { retryAfterMs: 7000 } },
  ],
  [
    'a rate limit told as a refusal',
    403,
    {},
    said("Quota exceeded for quota metric 'Queries'"),
    { code: 'Throttled' },
  ],
  ['a refusal', 403, {}, said('Required permission'), { code: 'Denied', message: 'Required permission' }],
  ['what is not there', 404, {}, said('not found'), { code: 'NotFound' }],
  ['a page of a proxy', 502, {}, '<html>', { code: 'Unavailable', message: '<html>' }],
  ['what is no JSON', 200, {}, '<html>', { code: 'Unavailable' }],
])('%s is read as of any call of the library', async (_, status, headers, body, error) => {
  answer = { status, headers, body };
  await expect(read()).rejects.toMatchObject(error);
});

test('where nobody listens nothing was asked', async () => {
  await expect(read(1)).rejects.toMatchObject({
    code: 'Unavailable',
    details: { providerCode: 'ECONNREFUSED' },
  });
});
