import { decodeColumns, encodeColumns } from './encoding.ts';
import { type Columns, mergeColumns, NAMES, NUMBERS, type SourceRows } from './merge.ts';
import { type CatalogueRow, type CatalogueSource, contentHash, type NameColumn } from './rows.ts';

export { InvalidCatalogueRow, invalidRow, type SourceRows } from './merge.ts';

/** A source and the number of offers it still contributes. */
export interface CountedSource extends CatalogueSource {
  offers: number;
}

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
  readonly sources: CountedSource[];
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
  /** Fraction of machines taken back in a month as text, for its few values; `''` = the source does not say. */
  readonly interruption: NameColumn;
  readonly vcpus: Float64Array;
  readonly memoryGiB: Float64Array;
  readonly gpuCount: Float64Array;
  readonly pricePerHour: Float64Array;
  readonly burstable: Uint8Array;

  private constructor(columns: Columns, sources: CountedSource[]) {
    this.length = columns.pricePerHour.length;
    this.provider = columns.provider;
    this.region = columns.region;
    this.zone = columns.zone;
    this.instanceType = columns.instanceType;
    this.family = columns.family;
    this.market = columns.market;
    this.architecture = columns.architecture;
    this.gpuName = columns.gpuName;
    this.interruption = columns.interruption;
    this.vcpus = columns.vcpus;
    this.memoryGiB = columns.memoryGiB;
    this.gpuCount = columns.gpuCount;
    this.pricePerHour = columns.pricePerHour;
    this.burstable = columns.burstable;
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
    for (const name of NAMES) {
      yield this[name].values.join('\n');
      yield new Uint8Array(this[name].codes.buffer);
    }
    for (const name of NUMBERS) yield new Uint8Array(this[name].buffer);
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
    const { columns, counts } = mergeColumns(sources);
    return new Catalogue(
      columns,
      sources.map(({ name, date, notice }, s) => ({
        name,
        date,
        offers: counts[s]!,
        ...(notice === undefined ? {} : { notice }),
      })),
    );
  }

  /** The catalogue as bytes, about 45 an offer before compression; {@link Catalogue.decode} reads them. */
  encode(): Uint8Array {
    return encodeColumns(this, this.sources);
  }

  /** Reads what {@link encode} wrote; the version is computed anew. Throws an Error for bytes of another form. */
  static decode(bytes: Uint8Array): Catalogue {
    const { columns, sources } = decodeColumns(bytes);
    return new Catalogue(columns, sources);
  }

  /** One row as an object, in the catalogue's order. */
  row(i: number): CatalogueRow {
    if (i < 0 || i >= this.length)
      throw new RangeError(`the catalogue has ${this.length} rows, not a row ${i}`);
    const name = (column: NameColumn): string => column.values[column.codes[i]!]!;
    const rate = name(this.interruption);
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
      ...(rate === '' ? {} : { interruptionRate: Number(rate) }),
    };
  }

  /** All rows, cheapest first. */
  *rows(): Iterable<CatalogueRow> {
    for (let i = 0; i < this.length; i++) yield this.row(i);
  }
}
