import { memo } from '../memo.ts';
import { familyOf } from './instance-types.ts';
import { type CatalogueRow, type CatalogueSource, contentHash, type NameColumn, nameColumn } from './rows.ts';

/** A source with its rows, as given to {@link Catalogue.merge}. */
export interface SourceRows extends CatalogueSource {
  rows: readonly CatalogueRow[];
}

/** Why {@link Catalogue} refused a row; `index` is its place among the source's rows. */
export class InvalidCatalogueRow extends Error {
  readonly source: string;
  readonly index: number;
  constructor(source: string, index: number, reason: string) {
    super(`${source}, row ${index}: ${reason}`);
    this.name = 'InvalidCatalogueRow';
    this.source = source;
    this.index = index;
  }
}

/** More than any machine on sale by two orders of magnitude: a figure past it is a mistake. */
const LARGEST = { vcpus: 100_000, memoryGiB: 10_000_000, gpuCount: 10_000, pricePerHour: 1_000_000 };

/**
 * All prices there are to choose from, as typed arrays sorted by (price, vCPUs, memory, provider, region,
 * zone, instance type, market). Immutable; two catalogues with equal rows and dates have equal versions.
 */
export class Catalogue {
  /** Date of the newest source, then a hash of the content. */
  readonly version: string;
  /** ISO date of the newest source; `''` when there is none. */
  readonly date: string;
  /** Sources with the number of offers each still contributes. */
  readonly sources: { name: string; date: string; offers: number; notice?: string }[];
  readonly length: number;
  readonly provider: NameColumn;
  readonly region: NameColumn;
  /** `''` = the whole region. */
  readonly zone: NameColumn;
  readonly instanceType: NameColumn;
  readonly family: NameColumn;
  readonly market: NameColumn;
  readonly architecture: NameColumn;
  /** `''` = no GPU. */
  readonly gpuName: NameColumn;
  readonly vcpus: Float64Array;
  readonly memoryGiB: Float64Array;
  readonly gpuCount: Float64Array;
  readonly pricePerHour: Float64Array;
  readonly burstable: Uint8Array;

  private constructor(rows: readonly CatalogueRow[], sources: Catalogue['sources']) {
    const n = rows.length;
    const at = (i: number): CatalogueRow => rows[i]!;
    this.length = n;
    this.provider = nameColumn(n, (i) => at(i).provider);
    this.region = nameColumn(n, (i) => at(i).region);
    this.zone = nameColumn(n, (i) => at(i).zone ?? '');
    this.instanceType = nameColumn(n, (i) => at(i).instanceType);
    this.family = nameColumn(n, (i) => familyOf(at(i).provider, at(i).instanceType));
    this.market = nameColumn(n, (i) => at(i).market);
    this.architecture = nameColumn(n, (i) => at(i).architecture);
    this.gpuName = nameColumn(n, (i) => at(i).gpuName ?? '');
    this.vcpus = Float64Array.from(rows, (r) => r.vcpus);
    this.memoryGiB = Float64Array.from(rows, (r) => r.memoryGiB);
    this.gpuCount = Float64Array.from(rows, (r) => r.gpuCount);
    this.pricePerHour = Float64Array.from(rows, (r) => r.pricePerHour);
    this.burstable = Uint8Array.from(rows, (r) => (r.burstable ? 1 : 0));
    this.sources = sources;
    this.date =
      sources
        .map((s) => s.date)
        .sort()
        .at(-1) ?? '';
    this.version = `${this.date === '' ? 'undated' : this.date}-${contentHash(this.#content())}`;
  }

  *#content(): Iterable<string | Uint8Array> {
    for (const source of this.sources) yield `${source.name}|${source.date}|${source.notice ?? ''}`;
    const names = [
      this.provider,
      this.region,
      this.zone,
      this.instanceType,
      this.market,
      this.architecture,
      this.gpuName,
    ];
    for (const column of names) {
      yield column.values.join('\n');
      yield new Uint8Array(column.codes.buffer);
    }
    for (const column of [this.vcpus, this.memoryGiB, this.gpuCount, this.pricePerHour])
      yield new Uint8Array(column.buffer);
    yield this.burstable;
  }

  /** A catalogue of one source. Throws {@link InvalidCatalogueRow}. */
  static fromRows(rows: readonly CatalogueRow[], source: CatalogueSource): Catalogue {
    return Catalogue.merge([{ ...source, rows }]);
  }

  /**
   * Several sources in one. A later source's row replaces the earlier ones of the same provider, region, zone,
   * instance type and market; a price for a whole region replaces its zones' prices and the other way round.
   * Throws {@link InvalidCatalogueRow}.
   */
  static merge(sources: readonly SourceRows[]): Catalogue {
    const kept = new Map<string, Map<string, { row: CatalogueRow; source: number }>>();
    sources.forEach((source, s) => {
      source.rows.forEach((row, index) => {
        const reason = invalidRow(row);
        if (reason !== null) throw new InvalidCatalogueRow(source.name, index, reason);
        const key = `${row.provider}\0${row.region}\0${row.instanceType}\0${row.market}`;
        const zones = memo(kept, key, () => new Map<string, { row: CatalogueRow; source: number }>());
        for (const [zone, old] of zones)
          if (old.source < s && (row.zone === null || zone === '')) zones.delete(zone);
        zones.set(row.zone ?? '', { row, source: s });
      });
    });
    const counts = new Array<number>(sources.length).fill(0);
    const rows: CatalogueRow[] = [];
    for (const zones of kept.values())
      for (const { row, source } of zones.values()) {
        rows.push(row);
        counts[source]!++;
      }
    rows.sort(compareRows);
    return new Catalogue(
      rows,
      sources.map(({ name, date, notice }, s) => ({
        name,
        date,
        offers: counts[s]!,
        ...(notice === undefined ? {} : { notice }),
      })),
    );
  }

  /** One row as an object, in the catalogue's order. */
  row(i: number): CatalogueRow {
    if (i < 0 || i >= this.length)
      throw new RangeError(`the catalogue has ${this.length} rows, not a row ${i}`);
    const name = (column: NameColumn): string => column.values[column.codes[i]!]!;
    return {
      provider: name(this.provider),
      region: name(this.region),
      zone: name(this.zone) || null,
      instanceType: name(this.instanceType),
      market: name(this.market) as CatalogueRow['market'],
      vcpus: this.vcpus[i]!,
      memoryGiB: this.memoryGiB[i]!,
      architecture: name(this.architecture),
      gpuName: name(this.gpuName) || null,
      gpuCount: this.gpuCount[i]!,
      burstable: this.burstable[i] === 1,
      pricePerHour: this.pricePerHour[i]!,
    };
  }

  /** All rows, cheapest first. */
  *rows(): Iterable<CatalogueRow> {
    for (let i = 0; i < this.length; i++) yield this.row(i);
  }
}

/** What is wrong with a row, or null. */
export function invalidRow(row: CatalogueRow): string | null {
  for (const name of ['provider', 'region', 'instanceType', 'architecture'] as const)
    if (typeof row[name] !== 'string' || row[name] === '') return `no ${name}`;
  if (row.market !== 'onDemand' && row.market !== 'spot')
    return `market '${String(row.market)}' is neither onDemand nor spot`;
  if (row.zone === '') return 'an empty zone (null means the whole region)';
  if (!Number.isInteger(row.vcpus) || row.vcpus < 1)
    return `vcpus ${row.vcpus} is not a whole number of at least 1`;
  if (!Number.isInteger(row.gpuCount) || row.gpuCount < 0)
    return `gpuCount ${row.gpuCount} is not a whole number of at least 0`;
  if (!Number.isFinite(row.memoryGiB) || row.memoryGiB <= 0)
    return `memoryGiB ${row.memoryGiB} is not above 0`;
  if (!Number.isFinite(row.pricePerHour) || row.pricePerHour < 0)
    return `pricePerHour ${row.pricePerHour} is not a price`;
  for (const [name, most] of Object.entries(LARGEST))
    if (row[name as keyof typeof LARGEST] > most)
      return `${name} ${row[name as keyof typeof LARGEST]} is past ${most}`;
  return null;
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function compareRows(a: CatalogueRow, b: CatalogueRow): number {
  return (
    a.pricePerHour - b.pricePerHour ||
    a.vcpus - b.vcpus ||
    a.memoryGiB - b.memoryGiB ||
    order(a.provider, b.provider) ||
    order(a.region, b.region) ||
    order(a.zone ?? '', b.zone ?? '') ||
    order(a.instanceType, b.instanceType) ||
    order(a.market, b.market)
  );
}
