import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Catalogue } from '@landfall/policies';
import { CatalogueFiles } from './catalogue-files.ts';

const header =
  'InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone';
const snapshot = Catalogue.fromRows(
  [
    {
      provider: 'aws',
      region: 'us-east-1',
      zone: null,
      instanceType: 't3.small',
      market: 'onDemand',
      vcpus: 2,
      memoryGiB: 2,
      architecture: 'x86_64',
      gpuName: null,
      gpuCount: 0,
      burstable: true,
      pricePerHour: 0.02,
    },
  ],
  { name: 'snapshot', date: '2025-03-02', notice: 'old' },
);

let folder: string;
let now = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-catalogue-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(text: string): void {
  now += 60_000;
  writeFileSync(join(folder, 'aws.csv'), text);
  utimesSync(join(folder, 'aws.csv'), now / 1000, now / 1000);
}
const price = (catalogue: Catalogue) => [...catalogue.rows()].map((row) => row.pricePerHour);
const notices = (catalogue: Catalogue) => catalogue.sources.map((source) => source.notice ?? '').join(' ');

test('a price file of the user replaces the snapshot’s prices, and is read again when it changes', () => {
  const files = new CatalogueFiles(folder);
  expect(files.over(snapshot, now)).toBe(snapshot);
  write(`${header}\nt3.small,,,2,2,,0.015,,us-east-1,\n`);
  expect(price(files.over(snapshot, now))).toEqual([0.015]);
  write(`${header}\nt3.small,,,2,2,,0.011,,us-east-1,\n`);
  expect(price(files.over(snapshot, now))).toEqual([0.011]);
});

test('rows that cannot be read are left out and counted with their line', () => {
  const files = new CatalogueFiles(folder);
  write(`${header}\nt3.small,,,2,2,,0.015,,us-east-1,\nt3.large,,,,8,,0.08,,us-east-1,\n`);
  expect(notices(files.over(snapshot, now))).toMatch(/1 rows left out, the first on line 3: /);
});

test('a malformed file leaves the prices read before in force, and says so', () => {
  const files = new CatalogueFiles(folder);
  write(`${header}\nt3.small,,,2,2,,0.015,,us-east-1,\n`);
  files.over(snapshot, now);
  write('no,such,columns\n1,2,3\n');
  const catalogue = files.over(snapshot, now);
  expect(price(catalogue)).toEqual([0.015]);
  expect(notices(catalogue)).toContain('the prices read before stay');
});
