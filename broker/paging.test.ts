import { parseFilter } from '@landfall/store/pages.ts';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const instances = '/v1/projects/default/instances';
const make = (name: string, labels: Record<string, string> = {}) =>
  broker.call('POST', instances, { body: { ...instanceInput(name), labels } });
const names = (answer: { body: { items: { name: string }[] } }) => answer.body.items.map((each) => each.name);

async function all(
  path: string,
  onPage: (page: number) => Promise<void> = async () => undefined,
): Promise<string[]> {
  const found: string[] = [];
  let token: string | undefined;
  for (let page = 1; page < 100; page++) {
    const answer = await broker.call('GET', `${path}${token ? `&pageToken=${token}` : ''}`);
    expect(answer.status).toBe(200);
    found.push(...names(answer));
    token = answer.body.nextPageToken;
    if (!token) return found;
    await onPage(page);
  }
  throw new Error('no end');
}

test('pages neither repeat nor miss rows while others are inserted and deleted, in every order', async () => {
  const first = Array.from({ length: 23 }, (_, i) => `m${String(i).padStart(2, '0')}`);
  await Promise.all(first.map((name) => make(name)));
  for (const orderBy of ['name', 'name desc', 'createdAt', 'createdAt desc']) {
    const found = await all(
      `${instances}?pageSize=5&orderBy=${encodeURIComponent(orderBy)}`,
      async (page) => {
        await make(`a${page}-${orderBy.replace(/\W/g, '').toLowerCase()}`);
        await make(`z${page}-${orderBy.replace(/\W/g, '').toLowerCase()}`);
      },
    );
    expect(new Set(found).size).toBe(found.length);
    expect(found.filter((name) => name.startsWith('m')).toSorted()).toEqual(first);
  }
});

test('rows made in one transaction, at one time, are paged too', async () => {
  await broker.store.pool.query(
    `insert into ssh_keys (id, project, name, public_key, fingerprint) select gen_random_uuid(), 'default', 'k' || n, 'x', 'f' from generate_series(1, 25) n`,
  );
  const found = await all('/v1/projects/default/sshKeys?pageSize=4&orderBy=createdAt');
  expect(new Set(found).size).toBe(25);
  expect(found).toHaveLength(25);
});

test('a token is good for its list, filter and order only', async () => {
  const { body } = await broker.call('GET', `${instances}?pageSize=2`);
  const token: string = body.nextPageToken;
  expect((await broker.call('GET', `${instances}?pageToken=${token}`)).status).toBe(200);
  for (const path of [
    `${instances}?pageToken=${token}&orderBy=name`,
    `${instances}?pageToken=${token}&filter=name=m01`,
    `/v1/projects?pageToken=${token}`,
    `/v1/events?pageToken=${token}`,
    `/v1/offers?pageToken=${token}`,
    `${instances}?pageToken=${token.slice(0, -3)}AAA`,
    `${instances}?pageToken=garbage`,
    `${instances}?pageToken=${Buffer.from('["2026-01-01","x","y"]').toString('base64url')}`,
  ]) {
    const answer = await broker.call('GET', path);
    expect({ path, status: answer.status }).toEqual({ path, status: 400 });
    expect(answer.body.errors[0].parameter).toBe('pageToken');
  }
});

test('filters', async () => {
  await make('labelled-1', { env: 'prod', 'team/name': 'a' });
  await make('labelled-2', { env: 'test' });
  const list = async (filter: string) =>
    names(await broker.call('GET', `${instances}?pageSize=500&filter=${encodeURIComponent(filter)}`));
  expect(await list('labels.env=prod')).toEqual(['labelled-1']);
  expect(await list('labels.env!=prod AND name=labelled-2')).toEqual(['labelled-2']);
  expect(await list('labels.team/name="a"')).toEqual(['labelled-1']);
  expect(await list(`name="x' or '1'='1"`)).toEqual([]);
  expect(await list('state=Pending AND labels.env=test')).toEqual(['labelled-2']);
  expect(await list('state=Running')).toEqual([]);
  const refused = async (filter: string) =>
    (await broker.call('GET', `${instances}?filter=${encodeURIComponent(filter)}`)).body.errors[0];
  expect(await refused('stat=Pending')).toMatchObject({
    parameter: 'filter',
    message: expect.stringContaining('fields here are name, state'),
    suggestion: 'state',
  });
  expect(await refused('state=pending')).toMatchObject({ suggestion: 'Pending' });
  expect(await refused('name')).toMatchObject({ message: expect.stringContaining('position 1') });
  expect(await refused('name=a OR name=b AND')).toMatchObject({ parameter: 'filter' });
});

test('the filter grammar', () => {
  expect(parseFilter('a=b')).toEqual([{ field: 'a', equal: true, value: 'b' }]);
  expect(parseFilter('a = b  AND  labels.c/d != "x AND \\"y\\""')).toEqual([
    { field: 'a', equal: true, value: 'b' },
    { field: 'labels.c/d', equal: false, value: 'x AND "y"' },
  ]);
  expect(parseFilter('a=')).toEqual([{ field: 'a', equal: true, value: '' }]);
  expect(() => parseFilter('a=b AND ')).toThrow();
  expect(() => parseFilter('=b')).toThrow();
});

test('operations and events, newest first, and offers, cheapest first', async () => {
  const operations = await broker.call('GET', '/v1/operations?pageSize=3');
  expect(operations.body.items).toHaveLength(3);
  expect((await broker.call('GET', '/v1/operations?orderBy=name')).status).toBe(400);
  const resource = operations.body.items[0].resource.id;
  expect((await broker.call('GET', `/v1/operations?filter=resource=${resource}`)).body.items).toHaveLength(1);
  const seen: string[] = [];
  let token = '';
  do {
    const page = await broker.call('GET', `/v1/events?pageSize=20${token}`);
    seen.push(...page.body.items.map((each: { revision: string }) => each.revision));
    token = page.body.nextPageToken ? `&pageToken=${page.body.nextPageToken}` : '';
  } while (token);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.length).toBeGreaterThan(30);
  const page1 = await broker.call('GET', '/v1/offers?pageSize=100&filter=provider=gcp');
  const page2 = await broker.call(
    'GET',
    `/v1/offers?pageSize=100&filter=provider=gcp&pageToken=${page1.body.nextPageToken}`,
  );
  const prices = [...page1.body.items, ...page2.body.items].map(
    (each: { pricePerHour: number }) => each.pricePerHour,
  );
  expect(prices).toHaveLength(200);
  expect(prices).toEqual(prices.toSorted((a, b) => a - b));
});
