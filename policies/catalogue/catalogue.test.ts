import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Catalogue, InvalidCatalogueRow } from './catalogue.ts';
import { architectureOf, burstableOf, familyOf } from './instance-types.ts';
import { jurisdictionOf } from './jurisdictions.ts';
import type { CatalogueRow } from './rows.ts';
import { importSkyPilotCsv } from './skypilot.ts';
import { loadSnapshot } from './snapshot.ts';

const row: CatalogueRow = {
  provider: 'aws',
  region: 'eu-west-1',
  zone: 'a',
  instanceType: 'm5.large',
  market: 'onDemand',
  vcpus: 2,
  memoryGiB: 8,
  architecture: 'x86_64',
  gpuName: null,
  gpuCount: 0,
  burstable: false,
  pricePerHour: 0.1,
};
const source = (name: string, ...rows: Partial<CatalogueRow>[]) => ({
  name,
  date: '2025-01-01',
  rows: rows.map((r) => ({ ...row, ...r })),
});

describe('a catalogue', () => {
  test('is sorted, and gives its rows back', () => {
    const c = Catalogue.merge([
      source('s', { pricePerHour: 0.3 }, { zone: null, market: 'spot', pricePerHour: 0.05 }),
    ]);
    expect([...c.rows()]).toEqual([
      { ...row, zone: null, market: 'spot', pricePerHour: 0.05 },
      { ...row, pricePerHour: 0.3 },
    ]);
    expect(() => c.row(2)).toThrow(RangeError);
  });

  test('has the same version for the same content in another order, and another for another price', () => {
    const a = Catalogue.merge([source('s', { zone: 'a' }, { zone: 'b' })]);
    const b = Catalogue.merge([source('s', { zone: 'b' }, { zone: 'a' })]);
    const c = Catalogue.merge([source('s', { zone: 'b' }, { zone: 'a', pricePerHour: 0.11 })]);
    expect(a.version).toMatch(/^2025-01-01-[0-9a-f]{12}$/);
    expect([b.version === a.version, c.version === a.version]).toEqual([true, false]);
  });

  test('lets later sources replace earlier prices, zone by zone or for the whole region', () => {
    const zoned = source('old', { zone: 'a' }, { zone: 'b' });
    const later = (zone: string | null) =>
      Catalogue.merge([zoned, source('new', { zone, pricePerHour: 0.2 })]);
    expect([...later('a').rows()].map((r) => [r.zone, r.pricePerHour])).toEqual([
      ['b', 0.1],
      ['a', 0.2],
    ]);
    expect([...later(null).rows()].map((r) => [r.zone, r.pricePerHour])).toEqual([[null, 0.2]]);
    const regional = Catalogue.merge([
      source('old', { zone: null }),
      source('new', { zone: 'a' }, { zone: 'b' }),
    ]);
    expect([...regional.rows()].map((r) => r.zone)).toEqual(['a', 'b']);
    expect(regional.sources.map((s) => s.offers)).toEqual([0, 2]);
  });

  test('is the same when it is read from its own bytes; bytes that are cut off or of another form are refused', () => {
    const c = Catalogue.merge([
      { ...source('s', {}, { zone: null, market: 'spot', interruptionRate: 0.05 }), notice: 'old\nprices' },
      source('t', { gpuName: 'T4', gpuCount: 1, instanceType: 'g4dn.xlarge' }),
    ]);
    const bytes = c.encode();
    const again = Catalogue.decode(bytes);
    expect(again.version).toBe(c.version);
    expect(again.sources).toEqual(c.sources);
    expect([...again.rows()]).toEqual([...c.rows()]);
    expect(() => Catalogue.decode(bytes.subarray(0, -1))).toThrow('cut off');
    expect(() => Catalogue.decode(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('1 bytes too many');
    expect(() => Catalogue.decode(Buffer.from('{}\n'))).toThrow('no landfall-catalogue/1');
  });

  test('takes at most 50 bytes an offer', () => {
    const snapshot = loadSnapshot();
    const arrays = Object.values(snapshot).flatMap((part) =>
      ArrayBuffer.isView(part) ? [part] : part?.codes ? [part.codes] : [],
    );
    const bytes = arrays.reduce((sum, array) => sum + array.byteLength, 0);
    expect(arrays).toHaveLength(14);
    expect(bytes / snapshot.length).toBeLessThan(50);
  });

  test.each([
    [{ vcpus: 0 }, 'vcpus 0'],
    [{ vcpus: 1e12 }, 'vcpus 1000000000000 is past'],
    [{ memoryGiB: Number.NaN }, 'memoryGiB NaN'],
    [{ pricePerHour: -1 }, 'pricePerHour -1'],
    [{ pricePerHour: Number.POSITIVE_INFINITY }, 'pricePerHour Infinity'],
    [{ region: '' }, 'no region'],
    [{ market: 'reserved' as 'spot' }, "market 'reserved'"],
  ])('refuses a row with %j', (wrong, why) => {
    expect(() => Catalogue.merge([source('s', {}, wrong)])).toThrow(InvalidCatalogueRow);
    expect(() => Catalogue.merge([source('s', {}, wrong)])).toThrow(`s, row 1: ${why}`);
  });
});

const HEADER =
  'InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone';
const from = { provider: 'aws', file: 'aws.csv', date: '2025-01-01', source: 'file' };
const read = (...lines: string[]) => importSkyPilotCsv([HEADER, ...lines].join('\n'), from);

describe('a file in SkyPilot columns', () => {
  test('gives an offer for each priced market of a row', () => {
    const { rows, rejected } = read(
      'g4dn.xlarge,T4,1.0,4,16.0,"{\'Gpus\': [{""Name"": ""T4"", ""x"": 1}]}",0.526,0.2,us-east-1,us-east-1a',
    );
    expect(rejected).toEqual([]);
    expect(rows).toEqual([
      {
        provider: 'aws',
        region: 'us-east-1',
        zone: 'us-east-1a',
        instanceType: 'g4dn.xlarge',
        market: 'onDemand',
        vcpus: 4,
        memoryGiB: 16,
        architecture: 'x86_64',
        gpuName: 'T4',
        gpuCount: 1,
        burstable: false,
        pricePerHour: 0.526,
      },
      expect.objectContaining({ market: 'spot', pricePerHour: 0.2 }),
    ]);
  });

  test('has every row that is not certain left out and reported with its line', () => {
    const { rows, rejected } = read(
      'm5.large,,,,8,,0.1,,us-east-1,',
      'm5.large,,,2,,,0.1,,us-east-1,',
      'm5.large,,,2,8,,nan,,us-east-1,',
      'm5.large,,,2,8,,-0.1,,us-east-1,',
      'm5.large,,,2,8,,,,us-east-1,',
      'm5.large,,,2,8,,0,,us-east-1,',
      'm5.large,,,2.5,8,,0.1,,us-east-1,',
      'm5.large,,,two,8,,0.1,,us-east-1,',
      'm5.large,,,2,1e99,,0.1,,us-east-1,',
      'm5.large,V100,,2,8,,0.1,,us-east-1,',
      'm5.large,,,2,8,,0.1,,us-east-1',
      '',
      'm5.large,,,2,8,,0.1,,us-east-1,',
      'm5.large,,,2,8,,0.2,,us-east-1,',
      'm5.large,,,2,8,,0x1,0.05,us-east-1,a',
      '"m5.large,,,2,8,,0.1,,us-east-1,',
    );
    expect(rows.map((r) => [r.zone, r.market, r.pricePerHour])).toEqual([
      [null, 'onDemand', 0.1],
      ['a', 'spot', 0.05],
    ]);
    expect(rejected).toEqual([
      { line: 2, reason: 'no vCPUs' },
      { line: 3, reason: 'no MemoryGiB' },
      { line: 4, reason: 'pricePerHour NaN is not a price' },
      { line: 5, reason: 'pricePerHour -0.1 is not a price' },
      { line: 6, reason: 'neither Price nor SpotPrice' },
      { line: 7, reason: 'Price is 0' },
      { line: 8, reason: 'vcpus 2.5 is not a whole number of at least 1' },
      { line: 9, reason: 'vcpus NaN is not a whole number of at least 1' },
      { line: 10, reason: 'memoryGiB 1e+99 is past 10000000' },
      { line: 11, reason: 'gpuCount NaN is not a whole number of at least 0' },
      { line: 12, reason: '9 fields where the header has 10' },
      { line: 15, reason: 'onDemand price of m5.large in us-east-1 is already on line 14' },
      { line: 16, reason: 'pricePerHour NaN is not a price' },
      { line: 17, reason: 'a quoted field is not closed' },
    ]);
  });

  test.each([
    ['', 'the header lacks InstanceType'],
    ['a,b\n1,2', 'the header lacks InstanceType'],
    [`${HEADER},Price\n`, 'the header has Price twice'],
    ['<html>503</html>', 'the header lacks'],
  ])('with a wrong header gives nothing but the reason', (text, reason) => {
    const result = importSkyPilotCsv(text, from);
    expect(result.rows).toEqual([]);
    expect(result.rejected).toMatchObject([{ line: 1, reason: expect.stringContaining(reason) }]);
  });

  test('may have a byte order mark, Windows line ends, other columns and another order', () => {
    const { rows, rejected } = importSkyPilotCsv(
      '\ufeffRegion,InstanceType,vCPUs,MemoryGiB,Price,Arch,Note\r\neu-west-1,x1,2,8,0.1,aarch64,"a,\r\nb"\r\n',
      from,
    );
    expect(rejected).toEqual([]);
    expect(rows).toMatchObject([{ region: 'eu-west-1', architecture: 'arm64', zone: null }]);
  });
});

describe('the shipped snapshot', () => {
  test('has prices of the three clouds, its date, and the notice that they are old', () => {
    const snapshot = loadSnapshot();
    expect(snapshot.date).toBe('2025-03-02');
    expect(snapshot.sources.map((s) => s.name)).toEqual(['snapshot/aws', 'snapshot/azure', 'snapshot/gcp']);
    for (const s of snapshot.sources) {
      expect(s.offers).toBeGreaterThan(2000);
      expect(s.notice).toContain('list prices of March 2025');
    }
    expect(loadSnapshot()).toBe(snapshot);
  });

  test('has known prices and sizes', () => {
    const find = (region: string, type: string) =>
      [...loadSnapshot().rows()].find((r) => r.region === region && r.instanceType === type);
    expect(find('us-east-1', 'm5.large')).toMatchObject({ vcpus: 2, memoryGiB: 8, pricePerHour: 0.096 });
    expect(find('us-east-1', 'm7g.large')).toMatchObject({ architecture: 'arm64', pricePerHour: 0.0816 });
    expect(find('westeurope', 'Standard_D4s_v3')).toMatchObject({ vcpus: 4, memoryGiB: 16 });
    expect(find('us-central1', 'n1-standard-1')).toMatchObject({ vcpus: 1, memoryGiB: 3.75 });
    expect(find('us-central1', 'n1-standard-1')!.pricePerHour).toBeCloseTo(0.0475, 3);
  });

  test('lies in regions whose jurisdiction is known, all of them', () => {
    const unknown = new Set(
      [...loadSnapshot().rows()]
        .filter((r) => jurisdictionOf(r.provider, r.region) === null)
        .map((r) => `${r.provider}/${r.region}`),
    );
    expect([...unknown]).toEqual([]);
  });

  test('is what its generator made of its inputs: after changing either, run generate-snapshot.py again', () => {
    const read = (name: string): Buffer => readFileSync(new URL(name, import.meta.url));
    const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
    const manifest = JSON.parse(read('snapshot/manifest.json').toString('utf8'));
    expect(sha256(read('generate-snapshot.py'))).toBe(manifest.generator);
    expect(sha256(gunzipSync(read('snapshot/catalogue.json.gz')))).toBe(manifest.content);
  });
});

test.each([
  ['aws', 'm7g.large', 'm7g', 'arm64', false],
  ['aws', 'g5.xlarge', 'g5', 'x86_64', false],
  ['aws', 'g5g.xlarge', 'g5g', 'arm64', false],
  ['aws', 't4g.nano', 't4g', 'arm64', true],
  ['aws', 'a1.large', 'a1', 'arm64', false],
  ['azure', 'Standard_D4ps_v5', 'Dpsv5', 'arm64', false],
  ['azure', 'Standard_D4s_v3', 'Dsv3', 'x86_64', false],
  ['azure', 'Standard_B2ms', 'Bms', 'x86_64', true],
  ['azure', 'Standard_NC24ads_A100_v4', 'NCadsv4', 'x86_64', false],
  ['gcp', 't2a-standard-4', 't2a', 'arm64', false],
  ['gcp', 'e2-micro', 'e2', 'x86_64', true],
  ['gcp', 'e2-standard-2', 'e2', 'x86_64', false],
])('the name %s %s says family %s, %s, burstable %s', (provider, type, family, architecture, burstable) => {
  expect([familyOf(provider, type), architectureOf(provider, type), burstableOf(provider, type)]).toEqual([
    family,
    architecture,
    burstable,
  ]);
});
