import { Catalogue } from '@landfall/policies';
import { getJson, unreachableApi } from './get-json.ts';
import {
  awsPrices,
  azurePrices,
  gcpPrices,
  type PricePage,
  type PriceSource,
  priceList,
  sizesOf,
} from './index.ts';
import { PriceServer, type Scripted } from './testing/price-server.ts';

/** The answers here are made by hand in the shapes the vendors document; none was recorded from a real account. */

const size = { architecture: 'x86_64', gpuName: null, gpuCount: 0, burstable: false };
const known = Catalogue.fromRows(
  (
    [
      ['azure', 'Standard_D4s_v3', 4, 16],
      ['gcp', 'n2-standard-4', 4, 16],
      ['gcp', 'e2-micro', 2, 1],
      ['gcp', 'c3-standard-4-lssd', 4, 16],
    ] as const
  ).map(([provider, instanceType, vcpus, memoryGiB]) => ({
    ...size,
    provider,
    instanceType,
    vcpus,
    memoryGiB,
    region: 'somewhere',
    zone: null,
    market: 'onDemand' as const,
    pricePerHour: 1,
  })),
  { name: 'known', date: '2026-01-01' },
);
const asking = { attempts: 3, firstWaitMs: 1 };

let server: PriceServer;
beforeAll(async () => {
  server = await PriceServer.start();
});
afterAll(() => server.close());

async function read(source: PriceSource, regions: string[], resume?: string): Promise<PricePage[]> {
  const pages: PricePage[] = [];
  const sizes = sizesOf(known, source.provider);
  for await (const page of source.read({ regions, sizes, ...(resume ? { resume } : {}) })) pages.push(page);
  return pages;
}
const brief = (pages: PricePage[]) =>
  pages.flatMap(({ rows }) =>
    rows.map((row) => [row.region, row.instanceType, row.market, row.vcpus, row.memoryGiB, row.pricePerHour]),
  );

describe('Azure Retail Prices', () => {
  const source = () => azurePrices({ endpoint: server.endpoint, asking });
  const item = (change: Record<string, unknown> = {}) => ({
    currencyCode: 'USD',
    tierMinimumUnits: 0,
    retailPrice: 0.192,
    unitPrice: 0.192,
    armRegionName: 'westeurope',
    location: 'EU West',
    effectiveStartDate: '2026-01-01T00:00:00Z',
    meterName: 'D4s v3',
    productName: 'Virtual Machines DSv3 Series',
    skuName: 'D4s v3',
    serviceName: 'Virtual Machines',
    serviceFamily: 'Compute',
    unitOfMeasure: '1 Hour',
    type: 'Consumption',
    isPrimaryMeterRegion: true,
    armSkuName: 'Standard_D4s_v3',
    ...change,
  });
  const page = (items: unknown[], next: string | null = null): Scripted => ({
    json: { BillingCurrency: 'USD', Items: items, NextPageLink: next, Count: items.length },
  });

  test('gives on-demand and spot prices of Linux, and follows the pages of every region', async () => {
    server.answers((request) =>
      request.url.searchParams.has('$skip')
        ? page([item({ skuName: 'D4s v3 Spot', meterName: 'D4s v3 Spot', retailPrice: 0.05 })])
        : request.url.searchParams.get('$filter')!.includes("'westeurope'")
          ? page([item()], 'https://prices.azure.com:443/api/retail/prices?$filter=x&$skip=1000')
          : page([item({ armRegionName: 'eastus', retailPrice: 0.17 })]),
    );
    const pages = await read(source(), ['westeurope', 'eastus']);
    expect(brief(pages)).toEqual([
      ['westeurope', 'Standard_D4s_v3', 'onDemand', 4, 16, 0.192],
      ['westeurope', 'Standard_D4s_v3', 'spot', 4, 16, 0.05],
      ['eastus', 'Standard_D4s_v3', 'onDemand', 4, 16, 0.17],
    ]);
    expect(server.seen[0]!.url.searchParams.get('$filter')).toBe(
      "serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and armRegionName eq 'westeurope'",
    );
  });

  test('goes on after the page that it stopped at', async () => {
    server.answers((request) =>
      request.url.searchParams.has('$skip')
        ? page([item({ retailPrice: 0.2 })])
        : page([item()], `${server.endpoint}/api/retail/prices?$skip=1000`),
    );
    const [first] = await read(source(), ['westeurope']);
    expect(brief(await read(source(), ['westeurope'], first!.resume!))).toEqual([
      ['westeurope', 'Standard_D4s_v3', 'onDemand', 4, 16, 0.2],
    ]);
  });

  test('has every row that is not a usable price of Linux left out and counted', async () => {
    server.answers(() =>
      page([
        null,
        item({ productName: 'Virtual Machines DSv3 Series Windows' }),
        item({ skuName: 'D4s v3 Low Priority', meterName: 'D4s v3 Low Priority' }),
        item({ type: 'Reservation' }),
        item({ retailPrice: undefined }),
        item({ retailPrice: '' }),
        item({ retailPrice: 'NaN' }),
        item({ retailPrice: -0.1 }),
        item({ retailPrice: 0 }),
        item({ currencyCode: 'EUR' }),
        item({ unitOfMeasure: '1/Month' }),
        item({ armSkuName: 'Standard_Z99_v9' }),
        item({ armSkuName: '' }),
        item({ tierMinimumUnits: 10 }),
        item({ armSkuName: 'Standard_E8ds_v5' }),
      ]),
    );
    const [only] = await read(source(), ['westeurope']);
    expect(brief([only!])).toEqual([['westeurope', 'Standard_E8ds_v5', 'onDemand', 8, 64, 0.192]]);
    expect(only!.leftOut).toEqual({
      'an entry that is no object': 1,
      Windows: 1,
      'low priority (retired; not on-demand)': 1,
      'a reservation or a developer price': 1,
      'no price': 2,
      'a price that is no number': 1,
      'a negative price': 1,
      'a price of 0': 1,
      'a price in EUR': 1,
      'a unit other than 1 Hour': 1,
      'no size known': 1,
      'no armSkuName': 1,
      'a price for bulk use': 1,
    });
  });

  test('waits as Retry-After says, and asks again for a body that was cut off', async () => {
    const started = Date.now();
    server.answers((_request, number) =>
      number === 0
        ? { status: 429, text: 'slow down', headers: { 'retry-after': '1' } }
        : number === 1
          ? { cutOff: '{"Items": [{"armSku' }
          : page([item()]),
    );
    expect(brief(await read(source(), ['westeurope']))).toHaveLength(1);
    expect(server.seen).toHaveLength(3);
    expect(Date.now() - started).toBeGreaterThanOrEqual(990);
  });

  test.each<[string, Scripted, string]>([
    ['that fails every time', { status: 500, text: 'oops' }, 'answered 500: oops'],
    ['that is refused', { status: 400, text: 'bad filter' }, 'answered 400: bad filter'],
    ['that is half a body', { text: '{"Items": [' }, 'no whole JSON'],
    ['without Items', { json: { Error: 'x' } }, 'the answer has no Items'],
  ])('a second page %s ends the reading with an error', async (_name, broken, message) => {
    server.answers((request) =>
      request.url.searchParams.has('$skip')
        ? broken
        : page([item()], `${server.endpoint}/api/retail/prices?$skip=1000`),
    );
    await expect(read(source(), ['westeurope'])).rejects.toThrow(message);
  });
});

describe('AWS Price List', () => {
  const source = () =>
    awsPrices({
      endpoint: server.endpoint,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
      maxAttempts: 3,
    });
  const entry = (attributes: Record<string, string> = {}, price: unknown = { USD: '0.1920000000' }) =>
    JSON.stringify({
      product: {
        productFamily: 'Compute Instance',
        attributes: {
          instanceType: 'm5.xlarge',
          vcpu: '4',
          memory: '16 GiB',
          regionCode: 'eu-central-1',
          locationType: 'AWS Region',
          operatingSystem: 'Linux',
          tenancy: 'Shared',
          preInstalledSw: 'NA',
          capacitystatus: 'Used',
          marketoption: 'OnDemand',
          ...attributes,
        },
        sku: 'ABC',
      },
      serviceCode: 'AmazonEC2',
      terms: {
        OnDemand: {
          'ABC.JRTCKXETXF': {
            priceDimensions: { 'ABC.JRTCKXETXF.6YS6EN2CT7': { unit: 'Hrs', pricePerUnit: price } },
          },
        },
      },
    });
  const page = (PriceList: string[], NextToken?: string): Scripted => ({
    json: { FormatVersion: 'aws_v1', PriceList, NextToken },
    headers: { 'content-type': 'application/x-amz-json-1.1' },
  });

  test('gives prices with the sizes the list states, page by page, region by region', async () => {
    server.answers((request) => {
      const asked = JSON.parse(request.body) as { NextToken?: string; Filters: { Value: string }[] };
      const region = asked.Filters.at(-1)!.Value;
      if (region === 'us-east-1') return page([entry({ regionCode: region }, { USD: '0.17' })]);
      return asked.NextToken === undefined
        ? page([entry()], 'more')
        : page([entry({ instanceType: 'x1.32xlarge', vcpu: '128', memory: '1,952 GiB' }, { USD: '18.6' })]);
    });
    const pages = await read(source(), ['eu-central-1', 'us-east-1']);
    expect(brief(pages)).toEqual([
      ['eu-central-1', 'm5.xlarge', 'onDemand', 4, 16, 0.192],
      ['eu-central-1', 'x1.32xlarge', 'onDemand', 128, 1952, 18.6],
      ['us-east-1', 'm5.xlarge', 'onDemand', 4, 16, 0.17],
    ]);
    expect(pages.map((p) => p.resume)).toEqual(['0 more', '1', null]);
    expect(brief(await read(source(), ['eu-central-1', 'us-east-1'], '0 more'))).toHaveLength(2);
  });

  test('has bad entries left out and counted', async () => {
    server.answers(() =>
      page([
        entry({}, { CNY: '1.2' }),
        entry({}, { USD: '' }),
        entry({}, { USD: 'NaN' }),
        entry({}, { USD: '-1' }),
        entry({}, {}),
        entry({ operatingSystem: 'Windows' }),
        entry({ memory: 'NA' }),
        entry({ gpu: '1' }),
        entry({ instanceType: 'm5' }),
        '{"product": {"attr',
        'null',
        entry(),
      ]),
    );
    const [only] = await read(source(), ['eu-central-1']);
    expect(only!.rows).toHaveLength(1);
    expect(only!.leftOut).toEqual({
      'a price in CNY': 1,
      'no price': 1,
      'a price that is no number': 1,
      'a negative price': 1,
      'a price in no currency': 1,
      'operatingSystem is not Linux': 1,
      'no size known': 1,
      'a GPU of unknown name': 1,
      'no instance type': 1,
      'an entry that is no JSON': 1,
      'an entry that is no object': 1,
    });
  });

  test('a page that fails midway ends the reading with an error; a throttled one is asked for again', async () => {
    server.answers((_request, number) =>
      number === 0
        ? { status: 400, json: { __type: 'ThrottlingException', message: 'Rate exceeded' } }
        : number === 1
          ? page([entry()], 'more')
          : { status: 500, json: { __type: 'InternalErrorException', message: 'broken' } },
    );
    await expect(read(source(), ['eu-central-1'])).rejects.toThrow('broken');
    expect(server.seen.length).toBeGreaterThan(3);
  });
});

describe('GCP Cloud Billing Catalog', () => {
  const source = () => gcpPrices({ apiKey: 'key', endpoint: server.endpoint, asking });
  const sku = (description: string, nanos: unknown, change: Record<string, unknown> = {}) => ({
    name: 'services/6F81-5844-456A/skus/0000-0000-0000',
    description,
    category: { resourceFamily: 'Compute', resourceGroup: 'CPU', usageType: 'OnDemand' },
    serviceRegions: ['europe-west3'],
    pricingInfo: [
      {
        pricingExpression: {
          usageUnit: description.includes('Ram') ? 'GiBy.h' : 'h',
          tieredRates: [
            { startUsageAmount: 0, unitPrice: { currencyCode: 'USD', units: '0', nanos, ...change } },
          ],
        },
      },
    ],
  });
  const spot = (of: ReturnType<typeof sku>) => ({
    ...of,
    description: `Spot Preemptible ${of.description}`,
    category: { ...of.category, usageType: 'Preemptible' },
  });
  const core = sku('N2 Instance Core running in Frankfurt', 40_000_000);
  const ram = sku('N2 Instance Ram running in Frankfurt', 5_000_000);

  test('composes machines from the prices of vCPU and memory, over all pages, and keeps the key out of the URL', async () => {
    server.answers((request) =>
      request.url.searchParams.has('pageToken')
        ? {
            json: {
              skus: [
                ram,
                spot(ram),
                sku('E2 Instance Core running in Frankfurt', 20_000_000),
                sku('E2 Instance Ram running in Frankfurt', 3_000_000),
              ],
              nextPageToken: '',
            },
          }
        : {
            json: {
              skus: [core, spot(core), sku('N2 Custom Instance Core running in Frankfurt', 1)],
              nextPageToken: 'two',
            },
          },
    );
    const pages = await read(source(), ['europe-west3']);
    expect(brief(pages)).toEqual([
      ['europe-west3', 'e2-micro', 'onDemand', 2, 1, 0.008],
      ['europe-west3', 'n2-standard-4', 'onDemand', 4, 16, 0.24],
      ['europe-west3', 'n2-standard-4', 'spot', 4, 16, 0.24],
    ]);
    expect(server.seen[0]!.headers['x-goog-api-key']).toBe('key');
    expect(server.seen[0]!.url.search).not.toContain('key');
  });

  test('has what cannot be priced for certain left out and counted', async () => {
    const broken = [
      sku('N2 Instance Core running in Frankfurt', 41_000_000),
      sku('E2 Instance Core running in Frankfurt', 20_000_000, { currencyCode: 'EUR' }),
      sku('E2 Instance Ram running in Frankfurt', 3_000_000),
      sku('N1 Predefined Instance Core running in Frankfurt', 'NaN'),
      sku('T2D AMD Instance Core running in Frankfurt', -5),
      sku('N4 Instance Core running in Frankfurt', 0),
      sku('C3 Instance Core running in Frankfurt', 1_000_000),
      sku('C3 Instance Ram running in Frankfurt', 1_000_000),
    ];
    server.answers(() => ({ json: { skus: [core, core, ram, ...broken, 7] } }));
    const [only] = await read(source(), ['europe-west3']);
    expect(only!.rows).toEqual([]);
    expect(only!.leftOut).toEqual({
      'given twice': 1,
      'an entry that is no object': 1,
      'two prices for one part of a machine': 1,
      'two prices for one part of the machine': 1,
      'a price in EUR': 1,
      'a price that is no number': 1,
      'a negative price': 1,
      'a price of 0': 1,
      'only one of the vCPU and memory prices is known': 1,
      'a machine with local disks, which are priced apart': 1,
    });
  });

  test('a refused key ends the reading with an error that does not tell the key', async () => {
    server.answers(() => ({ status: 403, text: 'API key not valid' }));
    const failure = read(source(), ['europe-west3']);
    await expect(failure).rejects.toThrow('answered 403: API key not valid');
    await expect(failure).rejects.not.toThrow('key=');
  });
});

test('pages that name each other in a circle end the reading with an error', async () => {
  let pages = 0;
  const next = () => `${pages++ % 2}`;
  server.answers((request) =>
    request.method === 'POST'
      ? { json: { PriceList: [], NextToken: next() } }
      : {
          json: {
            skus: [],
            nextPageToken: next(),
            Items: [],
            NextPageLink: `${server.endpoint}/api/retail/prices?$skip=${pages % 2}`,
          },
        },
  );
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
  for (const source of [
    azurePrices({ endpoint: server.endpoint, asking }),
    awsPrices({ endpoint: server.endpoint, credentials }),
    gcpPrices({ apiKey: 'key', endpoint: server.endpoint, asking }),
  ])
    await expect(read(source, ['westeurope'])).rejects.toThrow('a page names one that was read before');
  expect(pages).toBeLessThan(20);
});

describe('an API that cannot be reached', () => {
  test('is asked three times, whatever more tries are allowed, and the error says why without the query', async () => {
    const gone = await PriceServer.start();
    const url = `${gone.endpoint}/prices`;
    await gone.close();
    const { fetch } = globalThis;
    let tries = 0;
    globalThis.fetch = (...args) => {
      tries++;
      return fetch(...args);
    };
    try {
      await expect(getJson(`${url}?key=secret`, { attempts: 8, firstWaitMs: 1 })).rejects.toMatchObject({
        name: 'PriceApiUnreachable',
        message: `${url}: cannot be reached: nothing listens there (ECONNREFUSED)`,
      });
    } finally {
      globalThis.fetch = fetch;
    }
    expect(tries).toBe(3);
  });

  test.each([
    ['ENOTFOUND', 'its name is not known here'],
    ['EAI_AGAIN', 'no name server answers'],
  ])('because of %s says that %s', (code, words) => {
    const cause = Object.assign(new Error('getaddrinfo'), { code });
    const told = unreachableApi('https://prices.example/x', new TypeError('fetch failed', { cause }));
    expect(told!.message).toBe(`https://prices.example/x: cannot be reached: ${words} (${code})`);
    expect(unreachableApi('https://prices.example/x', new Error('other'))).toBeUndefined();
  });

  test('by the AWS SDK is told the same way', async () => {
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
    const cause = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
    const requestHandler = { handle: () => Promise.reject(cause) };
    const away = awsPrices({ credentials, maxAttempts: 1, requestHandler });
    await expect(read(away, ['eu-central-1'])).rejects.toThrow('cannot be reached: its name is not known');
  });
});

describe('a price list', () => {
  const row = { ...known.row(0), region: 'r' };
  const page = (...rows: PricePage['rows']): PricePage => ({ rows, leftOut: { Windows: 2 }, resume: null });

  test('has an offer given twice once, and one given at two prices not at all', () => {
    const other = { ...row, region: 's' };
    const { rows, leftOut } = priceList([
      page(row, other, { ...row }),
      page({ ...other, pricePerHour: 2 }, other, { ...row, region: 't', pricePerHour: Number.NaN }),
    ]);
    expect(rows).toEqual([row]);
    expect(leftOut).toEqual({
      Windows: 4,
      'given twice': 1,
      'two prices for one offer': 3,
      'pricePerHour NaN is not a price': 1,
    });
  });

  test('that would be empty is refused, with the reasons', () => {
    expect(() => priceList([page()])).toThrow('no price that can be used (left out: 2: Windows)');
  });
});
