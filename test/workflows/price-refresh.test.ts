import { PriceServer, type Scripted } from '@landfall/prices/testing/price-server.ts';
import { createPriceRefresh, getOperation } from '@landfall/store';
import { listPriceLists } from '@landfall/store/price-lists.ts';
import { catalogueInForce, shippedCatalogue } from '@landfall/workflows/catalogue.ts';
import { priceActivities } from '@landfall/workflows/price-activities.ts';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/** Refreshes of prices through the workflow: real PostgreSQL, real Temporal, an HTTP server in the providers' place. */
let estate: SimulatedEstate;
let server: PriceServer;

beforeAll(async () => {
  server = await PriceServer.start();
  process.env.LANDFALL_AZURE_PRICES_URL = server.endpoint;
  estate = await startSimulatedEstate({ hosts: [] });
}, 120_000);
afterAll(async () => {
  delete process.env.LANDFALL_AZURE_PRICES_URL;
  await estate?.close();
  await server?.close();
}, 60_000);

/** By hand, in the shape that Microsoft documents. */
const item = (armSkuName: string, retailPrice: unknown) => ({
  currencyCode: 'USD',
  tierMinimumUnits: 0,
  retailPrice,
  armRegionName: 'westeurope',
  meterName: armSkuName,
  productName: 'Virtual Machines Dv5 Series',
  skuName: armSkuName,
  unitOfMeasure: '1 Hour',
  type: 'Consumption',
  armSkuName,
});
const page = (items: unknown[], skip?: number): Scripted => ({
  json: {
    Items: items,
    NextPageLink: skip === undefined ? null : `${server.endpoint}/api/retail/prices?$skip=${skip}`,
  },
});

async function refresh(providers: ('azure' | 'gcp')[] = ['azure'], regions = ['westeurope']) {
  const by = { organization: 'default', requestedBy: 'tester' };
  const { id } = await createPriceRefresh(estate.db, by, { providers, regions });
  await estate.ended(id);
  return getOperation(estate.db, { organization: 'default' }, id);
}

const pricesIn = async (region: string) =>
  [...(await catalogueInForce(estate.db, 'default')).rows()]
    .filter((row) => row.provider === 'azure' && row.region === region)
    .map((row) => [row.instanceType, row.pricePerHour]);
const list = async () => (await listPriceLists(estate.db, 'default', {})).items;
const events = async () =>
  (
    await estate.db
      .selectFrom('events')
      .select(['type', 'message'])
      .where('type', 'like', 'catalogue.%')
      .orderBy('id')
      .execute()
  ).map(({ type, message }) => `${type}: ${message}`);

test('a refresh takes the place of the shipped prices of its region, whole, and only of that region', async () => {
  server.answers((request) =>
    request.url.searchParams.has('$skip')
      ? page([item('Standard_D8s_v5', 0.46), item('Standard_D8s_v5', 'NaN')])
      : page([item('Standard_D4s_v5', 0.23), item('Standard_Z1_v1', 0.1)], 1000),
  );
  const elsewhere = await pricesIn('northeurope');
  expect(await refresh()).toMatchObject({
    state: 'Succeeded',
    verb: 'refreshPrices',
    message: 'the prices of azure are in force',
  });
  expect(await pricesIn('westeurope')).toEqual([
    ['Standard_D4s_v5', 0.23],
    ['Standard_D8s_v5', 0.46],
  ]);
  expect(await pricesIn('northeurope')).toEqual(elsewhere);
  expect(await list()).toMatchObject([
    {
      name: 'live-azure',
      origin: 'live',
      offers: 2,
      leftOut: [
        { reason: 'no size known', count: 1 },
        { reason: 'a price that is no number', count: 1 },
      ],
      failure: null,
    },
  ]);
});

test('a refresh that fails midway changes nothing, and says so in the list, the operation and an event', async () => {
  const before = await pricesIn('westeurope');
  server.answers((request) =>
    request.url.searchParams.has('$skip')
      ? { status: 400, text: 'no such page' }
      : page([item('Standard_D4s_v5', 99)], 1000),
  );
  const failed = await refresh();
  expect(failed).toMatchObject({ state: 'Failed', message: expect.stringContaining('answered 400') });
  expect(await pricesIn('westeurope')).toEqual(before);
  expect(await list()).toMatchObject([
    { offers: 2, failure: { message: expect.stringContaining('answered 400: no such page') } },
  ]);
  expect((await events()).at(-1)).toMatch(
    /catalogue.refreshFailed: azure prices could not be refreshed .*stay/,
  );
  const { rows } = { rows: await estate.db.selectFrom('price_pages').select('number').execute() };
  expect(rows).toEqual([]);
}, 120_000);

test('a retried refresh goes on after the last page that it has', async () => {
  let refused = 0;
  server.answers((request) => {
    if (!request.url.searchParams.has('$skip')) return page([item('Standard_D4s_v5', 0.24)], 1000);
    return refused++ === 0 ? { text: '{"Error": 1}' } : page([item('Standard_D8s_v5', 0.47)]);
  });
  expect(await refresh()).toMatchObject({ state: 'Succeeded' });
  expect(server.seen.filter((request) => !request.url.searchParams.has('$skip'))).toHaveLength(1);
  expect(await pricesIn('westeurope')).toEqual([
    ['Standard_D4s_v5', 0.24],
    ['Standard_D8s_v5', 0.47],
  ]);
}, 60_000);

test('an API that cannot be reached is not asked for minutes: the refresh ends, and says why', async () => {
  const gone = await PriceServer.start();
  await gone.close();
  process.env.LANDFALL_AZURE_PRICES_URL = gone.endpoint;
  try {
    expect(await refresh()).toMatchObject({
      state: 'Failed',
      message: expect.stringContaining(
        '/api/retail/prices: cannot be reached: nothing listens there (ECONNREFUSED). The prices from before',
      ),
    });
  } finally {
    process.env.LANDFALL_AZURE_PRICES_URL = server.endpoint;
  }
}, 60_000);

test('but one that goes away between two pages is waited for', async () => {
  // Longer than one try takes, with all it asks again.
  const awayMs = 6_000;
  server.answers((request) =>
    request.url.searchParams.has('$skip')
      ? page([item('Standard_D8s_v5', 0.47)])
      : { ...page([item('Standard_D4s_v5', 0.24)], 1000), thenAwayMs: awayMs },
  );
  const started = Date.now();
  expect(await refresh()).toMatchObject({ state: 'Succeeded' });
  await server.back;
  // Else it had not been away yet when the second page was asked for.
  expect(Date.now() - started).toBeGreaterThan(awayMs - 100);
  expect(server.seen).toHaveLength(2);
}, 60_000);

test('prices of which none can be used do not replace good ones', async () => {
  server.answers(() => page([{ ...item('Standard_D4s_v5', 0.2), currencyCode: 'EUR' }]));
  expect(await refresh()).toMatchObject({
    state: 'Failed',
    message: expect.stringContaining('no price that can be used (left out: 1: a price in EUR)'),
  });
  expect(await pricesIn('westeurope')).toHaveLength(2);
});

test('a refresh of one region leaves what was read of another', async () => {
  const before = await pricesIn('westeurope');
  server.answers(() => page([{ ...item('Standard_D4s_v5', 0.3), armRegionName: 'uksouth' }]));
  expect(await refresh(['azure'], ['uksouth'])).toMatchObject({ state: 'Succeeded' });
  expect(await pricesIn('westeurope')).toEqual(before);
  expect(await pricesIn('uksouth')).toEqual([['Standard_D4s_v5', 0.3]]);
});

test('a list that has shrunk to less than half is taken for a broken answer', async () => {
  const of = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...item(`Standard_D${i + 1}s_v5`, 0.1),
      armRegionName: 'uksouth',
    }));
  server.answers(() => page(of(30)));
  await refresh(['azure'], ['uksouth']);
  server.answers(() => page(of(14)));
  expect(await refresh(['azure'], ['uksouth'])).toMatchObject({
    state: 'Failed',
    message: expect.stringContaining('gave 14 offers where it gave 30 before'),
  });
  expect(await pricesIn('uksouth')).toHaveLength(30);
});

test('one provider that cannot be read does not keep another from being refreshed', async () => {
  server.answers(() => page([item('Standard_D4s_v5', 0.25)]));
  expect(await refresh(['azure', 'gcp'])).toMatchObject({
    state: 'Failed',
    message: expect.stringMatching(/^gcp: .*LANDFALL_GCP_PRICES_KEY/),
  });
  expect(await pricesIn('westeurope')).toEqual([['Standard_D4s_v5', 0.25]]);
});

test('nothing is read daily unless the setting says so; then every organization is refreshed', async () => {
  const off = await priceActivities(estate.db, {}).keepCatalogueUp();
  expect(off.refreshed).toBe(0);
  server.answers(() => page([item('Standard_D4s_v5', 0.26)]));
  const on = await priceActivities(estate.db, { LANDFALL_DAILY_PRICES: 'azure' }).keepCatalogueUp();
  expect(on.refreshed).toBe(1);
  await expect(
    priceActivities(estate.db, { LANDFALL_DAILY_PRICES: 'oracle' }).keepCatalogueUp(),
  ).rejects.toThrow("LANDFALL_DAILY_PRICES has 'oracle'");
  expect(shippedCatalogue().length).toBeGreaterThan(10_000);
});
