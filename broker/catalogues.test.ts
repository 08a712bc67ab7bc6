import { recordDecision } from '@landfall/store';
import { pruneCatalogues } from '@landfall/store/catalogues.ts';
import { catalogueByVersion, catalogueInForce } from '@landfall/workflows/placement.ts';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const header =
  'InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone';
const csv = (...lines: string[]) => [header, ...lines].join('\n');
const good = 'm5.large,,,2,8,,0.001,,us-east-1,';
const put = (name: string, body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  broker.call('PUT', `/v1/priceLists/${name}`, { body: { provider: 'aws', ...body }, headers });
const cheapest = async () =>
  (await broker.call('GET', '/v1/offers?pageSize=1&filter=instanceType%3Dm5.large')).body.items[0];

test('an import with rows that cannot be used changes nothing, and names their lines', async () => {
  const before = await cheapest();
  const refused = await put('own', {
    csv: csv(
      good,
      good,
      'm5.large,,,,8,,0.1,,us-east-2,',
      'm5.large,,,2,8,,nan,,eu-west-1,',
      'm5.large,,,2,8,,-1,,eu-west-2,',
    ),
  });
  expect(refused.status).toBe(422);
  expect(refused.body.detail).toContain('Nothing was imported: 4 rows cannot be used, the first on line 3');
  expect(refused.body.errors.map((e: { message: string }) => e.message)).toEqual([
    'line 3: onDemand price of m5.large in us-east-1 is already on line 2',
    'line 4: no vCPUs',
    'line 5: pricePerHour NaN is not a price',
    'line 6: pricePerHour -1 is not a price',
  ]);
  expect(await cheapest()).toEqual(before);
  expect((await put('own', { csv: 'a,b\n1,2' })).body.detail).toContain('the header lacks InstanceType');
  expect((await put('own', { csv: `${header}\n` })).body.detail).toContain('the file has no rows');
  expect((await put('live-aws', { csv: csv(good) })).status).toBe(422);
  expect(
    (await put('own', { csv: csv(good).replace('AvailabilityZone', 'Currency').replace(/,$/, ',EUR') })).body
      .errors,
  ).toMatchObject([{ message: 'line 2: prices in EUR, not USD' }]);
  expect((await broker.call('GET', '/v1/priceLists')).body.items).toEqual([]);
});

test('with skipBad they are left out and counted, the rest is in force, and deleting it undoes it', async () => {
  const before = await cheapest();
  const body = {
    csv: csv(good, good, 'm5.large,,,,8,,0.1,,us-east-2,', 'm5.large,,,2,8,,-1,,eu-west-2,'),
    skipBad: true,
    date: '2026-10-01',
  };
  const dry = await broker.call('PUT', '/v1/priceLists/own?validateOnly=true', {
    body: { provider: 'aws', ...body },
  });
  expect([dry.status, dry.body.offers]).toEqual([200, 1]);
  expect(await cheapest()).toEqual(before);
  const made = await put('own', body);
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({
    name: 'own',
    origin: 'import',
    offers: 1,
    date: '2026-10-01',
    leftOut: [
      { reason: 'given twice', count: 1 },
      { reason: 'no vCPUs', count: 1 },
      { reason: 'pricePerHour … is not a price', count: 1 },
    ],
  });
  expect(await cheapest()).toMatchObject({ region: 'us-east-1', pricePerHour: 0.001 });
  const catalogues = await broker.call('GET', '/v1/catalogues');
  expect(catalogues.body.inForce.sources).toContainEqual({ name: 'own', date: '2026-10-01', offers: 1 });
  expect(catalogues.body.items[0]).toMatchObject({ version: catalogues.body.inForce.version });

  expect((await put('own', body)).status).toBe(428);
  expect((await put('own', body, { 'if-match': '"7"' })).status).toBe(412);
  expect((await put('own', body, { 'if-match': made.headers.get('etag')! })).status).toBe(200);
  const gone = await broker.call('DELETE', '/v1/priceLists/own', { headers: { 'if-match': '*' } });
  expect(gone.status).toBe(204);
  expect(await cheapest()).toEqual(before);
  expect((await broker.call('GET', '/v1/priceLists/own')).status).toBe(404);
});

test('a price file may be larger than other bodies', async () => {
  const lines = Array.from({ length: 30_000 }, (_, i) => `m5.t${i},,,2,8,,0.1,,us-east-1,`);
  const large = await put('large', { csv: csv(...lines) });
  expect([large.status, large.body.offers]).toEqual([201, 30_000]);
  await broker.call('DELETE', '/v1/priceLists/large', { headers: { 'if-match': '*' } });
});

test('a refresh is an operation that waits for its workflow; viewers may not ask for one', async () => {
  const body = { providers: ['azure'], regions: ['westeurope'] };
  const asked = await broker.call('POST', '/v1/catalogueRefreshes', { body });
  expect([asked.status, asked.body.verb]).toEqual([202, 'refreshPrices']);
  expect(asked.headers.get('operation-location')).toBe(`/v1/operations/${asked.body.id}`);
  const { secret } = await broker.token('viewer');
  const viewer = { token: secret };
  expect((await broker.call('POST', '/v1/catalogueRefreshes', { body, ...viewer })).status).toBe(403);
  expect((await broker.call('GET', '/v1/priceLists', viewer)).status).toBe(200);
  const wrong = await broker.call('POST', '/v1/catalogueRefreshes', { body: { providers: ['oracle'] } });
  expect(wrong.status).toBe(400);
});

test('an organization sees only its own lists, and they do not keep it from being deleted', async () => {
  await broker.call('POST', '/v1/organizations', { body: { name: 'guests' } });
  const { secret } = await broker.token('admin', { organization: 'guests' });
  const made = await broker.call('PUT', '/v1/priceLists/theirs', {
    body: { provider: 'aws', csv: csv(good) },
    token: secret,
  });
  expect(made.status).toBe(201);
  expect((await broker.call('GET', '/v1/catalogues', { token: secret })).body.items).toHaveLength(1);
  expect((await broker.call('GET', '/v1/priceLists/theirs')).status).toBe(404);
  expect((await cheapest()).pricePerHour).toBeGreaterThan(0.001);
  const gone = await broker.call('DELETE', '/v1/organizations/guests', { headers: { 'if-match': '*' } });
  expect(gone.status).toBe(204);
});

test('a catalogue that a decision was made from can be loaded again until no decision needs it', async () => {
  const { db } = broker.store;
  await put('own', { csv: csv(good) });
  const used = await catalogueInForce(db, 'default');
  await broker.call('DELETE', '/v1/priceLists/own', { headers: { 'if-match': '*' } });
  const now = await catalogueInForce(db, 'default');
  expect(now.version).not.toBe(used.version);
  const record = { catalogue: { version: used.version, date: used.date } };
  await recordDecision(db, {
    project: 'default',
    resource: '00000000-0000-7000-8000-000000000000',
    resourceName: 'x',
    attempt: 1,
    record: record as Parameters<typeof recordDecision>[1]['record'],
  });
  const again = await catalogueByVersion(db, 'default', used.version);
  expect(again?.version).toBe(used.version);
  expect([...again!.rows()]).toEqual([...used.rows()]);
  expect(await catalogueByVersion(db, 'other', used.version)).toBeUndefined();

  const later = new Date(Date.now() + 1_000);
  await pruneCatalogues(db, { notSince: later, decisionsSince: new Date(Date.now() - 60_000) });
  expect(await catalogueByVersion(db, 'default', used.version)).toBeDefined();
  expect(await catalogueByVersion(db, 'default', now.version)).toBeUndefined();
  await pruneCatalogues(db, { notSince: later, decisionsSince: later });
  expect(await catalogueByVersion(db, 'default', used.version)).toBeUndefined();
});
