import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { celAttribute, cloudTable, type OfferFacts } from '../place/offers.ts';
import { Catalogue } from './catalogue.ts';
import { KNOWN_FACTS, knownFact } from './facts.ts';
import type { CatalogueRow } from './rows.ts';
import { importSkyPilotCsv } from './skypilot.ts';

const offer = {
  provider: 'aws',
  region: 'eu-west-3',
  instanceType: 'm6gd.xlarge',
  market: 'onDemand',
  gpuCount: 0,
};
const facts = (change: Partial<typeof offer>) =>
  KNOWN_FACTS.map((fact) => knownFact(fact, { ...offer, ...change }));

test.each([
  // carbon, networkGbps, localDiskGiB, gpuMemoryGiB, cpuVendor, interruptionRate
  [{}, [52, 1.25, 220.7, 0, 'AWS', 0]],
  [{ instanceType: 'g5.xlarge', market: 'spot' }, [52, 2.5, 232.8, 22.4, 'AMD', undefined]],
  [{ instanceType: 'z9.huge', region: 'moon-1' }, [undefined, undefined, undefined, 0, undefined, 0]],
  [{ instanceType: 'constructor', gpuCount: 1 }, [52, undefined, undefined, undefined, undefined, 0]],
  [
    { provider: 'gcp', region: 'europe-north1', instanceType: 'n2d-standard-4' },
    [39.32, undefined, undefined, 0, 'AMD', 0],
  ],
  [
    { provider: 'gcp', region: 'europe-north1', instanceType: 'e2-standard-4' },
    [39.32, undefined, undefined, 0, undefined, 0],
  ],
  [
    { provider: 'gcp', region: 'us-east1', instanceType: 'a2-ultragpu-1g', gpuCount: 1 },
    [575.77, undefined, undefined, 80, 'Intel', 0],
  ],
  [
    { provider: 'azure', region: 'westeurope', instanceType: 'Standard_D4as_v5' },
    [390, undefined, undefined, 0, 'AMD', 0],
  ],
  // The source's row of this region is malformed: a figure is not guessed from it.
  [
    { provider: 'azure', region: 'germanywestcentral', instanceType: 'Standard_L8s_v2' },
    [undefined, undefined, undefined, 0, undefined, 0],
  ],
  [
    { provider: 'onprem', region: 'cellar', instanceType: 'kvm-1-1' },
    [undefined, undefined, undefined, 0, undefined, 0],
  ],
])('%j is known to be %j', (change, expected) => {
  expect(facts(change)).toEqual(expected);
});

test('a table of the catalogue says of every offer what is said of the offer by itself', () => {
  const header =
    'InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,Price,SpotPrice,Region,InterruptionRate';
  const { rows, rejected } = importSkyPilotCsv(
    `${header}\nm5.large,2,8,,,0.1,0.03,eu-west-1,0.05\ng5.xlarge,4,16,A10G,1,1,0.4,moon-1,\nc5.large,2,4,,,0.1,0.03,us-east-1,1.5\n`,
    { provider: 'aws', file: 'x', date: '2026-01-01', source: 'x' },
  );
  expect(rejected).toEqual([{ line: 4, reason: 'interruptionRate 1.5 is not between 0 and 1' }]);
  const catalogue = Catalogue.fromRows(rows, { name: 'x', date: '2026-01-01' });
  const site = (name: string) => ({
    name,
    provider: 'aws',
    regions: [],
    certifications: [],
    labels: {},
    hosts: [],
  });
  // Without a site the table shares the catalogue's arrays; with two it has its own.
  for (const sites of [[], [site('one'), site('two')]]) {
    const table = cloudTable(catalogue, sites);
    expect(table.length).toBe(rows.length * Math.max(1, sites.length));
    for (const fact of KNOWN_FACTS) {
      const { codes, values } = table.column(fact);
      const byItself = Array.from({ length: table.length }, (_, i) => {
        const shown = table.offer(i);
        const row = rows.find(
          (r: CatalogueRow) =>
            r.region === shown.region && r.market === shown.market && r.instanceType === shown.instanceType,
        )!;
        return celAttribute({ ...row, host: null, site: null } as unknown as OfferFacts, fact);
      });
      expect([fact, ...Array.from(codes, (code) => values[code])]).toEqual([fact, ...byItself]);
    }
  }
});

test('an offer given with a fact keeps it, and null means not known', () => {
  const given = { ...offer, carbon: 7, cpuVendor: null } as unknown as OfferFacts;
  expect([celAttribute(given, 'carbon'), celAttribute(given, 'cpuVendor')]).toEqual([7, undefined]);
});

test('the shipped facts are what their generator made of its inputs: after changing either, run generate-facts.py again', () => {
  const read = (name: string): Buffer => readFileSync(new URL(name, import.meta.url));
  const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
  const manifest = JSON.parse(read('facts/manifest.json').toString('utf8'));
  expect(sha256(read('generate-facts.py'))).toBe(manifest.generator);
  expect(sha256(gunzipSync(read('facts/facts.json.gz')))).toBe(manifest.content);
  for (const input of Object.keys(manifest.inputs)) expect(manifest.licences[input]).toMatch(/^Apache-2.0/);
});
