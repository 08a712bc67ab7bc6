/**
 * How long a catalogue takes to load and what it weighs, beside an array of objects in the same run. Run it with:
 * npm run bench:catalogue [path to a folder with aws.csv and gcp.csv]
 *
 * The files (../shared/data/catalog by default) are not part of the project; without them the bench says so and ends.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import {
  Catalogue,
  type CatalogueRow,
  cloudTable,
  importSkyPilotCsv,
  loadSnapshot,
  OFFER_ATTRIBUTES,
  type SourceRows,
} from '@landfall/policies';
import { seeded } from '@landfall/policies/testing/random-cases.ts';

const folder =
  process.argv[2] ?? path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../shared/data/catalog');
const WANTED = 270_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes in use, garbage not counted. */
function inUse(): number {
  // Array buffers found dead by one collection are given back by the next.
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function files(): SourceRows[] | null {
  const sources: SourceRows[] = [];
  for (const provider of ['aws', 'gcp']) {
    const file = path.join(folder, `${provider}.csv`);
    if (!existsSync(file)) return null;
    const source = { provider, file, date: '2026-08-01', source: provider };
    const { rows } = importSkyPilotCsv(readFileSync(file, 'utf8'), source);
    sources.push({ name: provider, date: source.date, rows });
  }
  return sources;
}

function fromFiles(): Catalogue {
  const snapshot = loadSnapshot();
  return Catalogue.merge([
    { name: 'snapshot', date: snapshot.date, rows: [...snapshot.rows()] },
    ...files()!,
  ]);
}

/** The same rows over and over, each copy a type of its own at another price. */
function* jittered(catalogue: Catalogue): Iterable<CatalogueRow> {
  const random = seeded(1);
  for (let copy = 0, n = 0; n < WANTED; copy++)
    for (const row of catalogue.rows()) {
      if (n++ >= WANTED) return;
      yield {
        ...row,
        instanceType: copy === 0 ? row.instanceType : `${row.instanceType}-${copy}`,
        pricePerHour: row.pricePerHour * (0.8 + 0.4 * random()),
      };
    }
}

interface Weighed {
  bytes: number;
  /** On the clock, and of this thread's processor: on a busy machine they differ. */
  ms: number;
  cpuMs: number;
}

function weigh<T>(make: () => T): Weighed & { made: T } {
  const before = inUse();
  const start = performance.now();
  const cpu = process.threadCpuUsage();
  const made = make();
  const ms = performance.now() - start;
  const { user, system } = process.threadCpuUsage(cpu);
  return { made, bytes: inUse() - before, ms, cpuMs: (user + system) / 1000 };
}

function line(what: string, offers: number, { bytes, ms, cpuMs }: Weighed): void {
  console.log(
    `${what.padEnd(58)} ${(bytes / offers).toFixed(1).padStart(6)} bytes an offer   ${ms.toFixed(0).padStart(5)} ms   ${cpuMs.toFixed(0).padStart(5)} ms of processor`,
  );
}

function measure(name: string, catalogue: Catalogue): void {
  const n = catalogue.length;
  console.log(`${name}: ${n} offers`);
  const bytes = zstdCompressSync(catalogue.encode());
  const decoded = weigh(() => Catalogue.decode(zstdDecompressSync(bytes)));
  line(`  as kept in the store (${(bytes.length / 1e6).toFixed(1)} MB), read again`, n, decoded);
  if (decoded.made.version !== catalogue.version) throw new Error('read again, the version is another');
  line(
    '  an array of objects of the same rows',
    n,
    weigh(() => [...catalogue.rows()]),
  );
  const site = (name: string, provider: string) => ({
    name,
    provider,
    regions: [],
    certifications: [],
    labels: {},
    hosts: [],
  });
  const table = weigh(() => cloudTable(catalogue, [site('aws-1', 'aws'), site('gcp-1', 'gcp')]));
  line('  its table for one site a provider', n, table);
  const columns = weigh(() => {
    for (const name of Object.keys(OFFER_ATTRIBUTES) as (keyof typeof OFFER_ATTRIBUTES)[])
      if (!['pricePerHour', 'price', 'memoryGiB', 'vcpus', 'gpuCount'].includes(name))
        table.made.column(name);
  });
  line('  every attribute that is no number, after its first reading', n, columns);
}

function main(): void {
  if (files() === null) {
    console.log(`skipped: no aws.csv and gcp.csv in ${folder}`);
    return;
  }
  console.log(`Node ${process.version}`);
  loadSnapshot();
  const real = weigh(fromFiles);
  line(`${real.made.length} offers from the snapshot and the files`, real.made.length, real);
  measure('real', real.made);
  const rows = [...jittered(real.made)];
  const many = weigh(() => Catalogue.merge([{ name: 'jittered', date: '2026-08-01', rows }]));
  line(`${many.made.length} offers from rows in memory`, many.made.length, many);
  rows.length = 0;
  const offers = real.made.length;
  measure('jittered', many.made);
  console.log(
    `catalogue: ${offers} offers loaded in ${real.ms.toFixed(0)} ms (aim 500), ${(real.bytes / offers).toFixed(1)} bytes an offer (aim 50)`,
  );
}

main();
