import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SourceRows } from '@landfall/policies';
import { CatalogueFiles } from './catalogue-files.ts';

const header =
  'InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone';
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
const price = ({ sources }: { sources: SourceRows[] }) =>
  sources.flatMap(({ rows }) => rows.map((row) => row.pricePerHour));
const notices = ({ sources }: { sources: SourceRows[] }) =>
  sources.map((source) => source.notice ?? '').join(' ');

test('a price file of the user is read, read again when it changes, and gone when it is deleted', () => {
  const files = new CatalogueFiles(folder);
  expect(files.look(now)).toEqual({ mark: '', sources: [] });
  write(`${header}\nt3.small,,,2,2,,0.015,,us-east-1,\n`);
  const first = files.look(now);
  expect(price(first)).toEqual([0.015]);
  write(`${header}\nt3.small,,,2,2,,0.011,,us-east-1,\n`);
  expect(price(files.look(now))).toEqual([0.011]);
  expect(files.look(now).mark).not.toBe(first.mark);
  rmSync(join(folder, 'aws.csv'));
  expect(files.look(now + 60_000)).toEqual({ mark: '', sources: [] });
});

test('rows that cannot be read are left out and counted with their line', () => {
  const files = new CatalogueFiles(folder);
  write(`${header}\nt3.small,,,2,2,,0.015,,us-east-1,\nt3.large,,,,8,,0.08,,us-east-1,\n`);
  expect(notices(files.look(now))).toMatch(/1 rows left out, the first on line 3: /);
});

test('a malformed file leaves the prices read before in force, and says so', () => {
  const files = new CatalogueFiles(folder);
  write(`${header}\nt3.small,,,2,2,,0.015,,us-east-1,\n`);
  files.look(now);
  write('no,such,columns\n1,2,3\n');
  const looked = files.look(now);
  expect(price(looked)).toEqual([0.015]);
  expect(notices(looked)).toContain('the prices read before stay');
});
