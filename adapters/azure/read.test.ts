import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openAccount } from './clients.ts';
import { readPages } from './tagged.ts';

const subscription = '00000000-0000-0000-0000-000000000001';
const list = `/subscriptions/${subscription}/things`;
let server: Server;
let answer: { status: number; headers?: Record<string, string>; body: string };
let asked: string[];

beforeAll(async () => {
  server = createServer(({ url = '' }, response) => {
    asked.push(url);
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

const all = async (): Promise<unknown[]> => {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const account = openAccount({
    site: 's',
    subscription,
    regions: [],
    endpoint,
    credentials: { token: 't' },
  });
  const found: unknown[] = [];
  for await (const page of readPages(account, list)) found.push(...page);
  return found;
};

test('a list is not followed to what is not of the subscription', async () => {
  const nextLink = 'https://management.azure.com/subscriptions/another/things';
  answer = { status: 200, body: JSON.stringify({ value: [1], nextLink }) };
  await expect(all()).rejects.toMatchObject({
    code: 'Unavailable',
    message: expect.stringContaining(nextLink),
  });
  expect(asked).toEqual([list]);
});

test.each([
  [
    'a throttle',
    429,
    { 'retry-after': '7' },
    '{"error":{"code":"TooManyRequests","message":"slower"}}',
    { code: 'Throttled', details: { retryAfterMs: 7000 } },
  ],
  [
    'a refusal',
    403,
    {},
    '{"error":{"code":"AuthorizationFailed","message":"no"}}',
    { code: 'Denied', message: 'AuthorizationFailed: no' },
  ],
  ['a page of a proxy', 502, {}, '<html>', { code: 'Unavailable' }],
  ['what is no JSON', 200, {}, '<html>', { code: 'Unavailable' }],
  ['an answer that was cut off', 200, {}, '{"value":[', { code: 'Unavailable' }],
])('%s is read as of any call of the SDK', async (_, status, headers, body, error) => {
  answer = { status, headers, body };
  await expect(all()).rejects.toMatchObject(error);
});
