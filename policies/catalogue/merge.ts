import { memo } from '../memo.ts';
import { familyOf } from './instance-types.ts';
import { type CatalogueRow, type CatalogueSource, type NameColumn, Names } from './rows.ts';

/** A source with its rows, as given to `Catalogue.merge`. */
export interface SourceRows extends CatalogueSource {
  rows: readonly CatalogueRow[];
}

/** Why the catalogue refused a row; `index` is its place among the source's rows. */
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

/** The columns that hold names, as a catalogue keeps them. `family` follows from provider and instance type. */
export const NAMES = [
  'provider',
  'region',
  'zone',
  'instanceType',
  'family',
  'market',
  'architecture',
  'gpuName',
  'interruption',
] as const;

/** The columns that hold numbers. */
export const NUMBERS = ['vcpus', 'memoryGiB', 'gpuCount', 'pricePerHour'] as const;

/** A catalogue's content, one array per attribute. */
export interface Columns extends Record<(typeof NAMES)[number], NameColumn> {
  vcpus: Float64Array;
  memoryGiB: Float64Array;
  gpuCount: Float64Array;
  pricePerHour: Float64Array;
  burstable: Uint8Array;
}

/** More than any machine on sale by two orders of magnitude: a figure past it is a mistake. */
const LARGEST = { vcpus: 100_000, memoryGiB: 10_000_000, gpuCount: 10_000, pricePerHour: 1_000_000 };

/** Rows of all sources as arrays: a number per row for each name, and the figures. */
interface Gathered {
  names: Record<(typeof NAMES)[number], Names>;
  numbers: Record<(typeof NAMES)[number], Uint32Array>;
  figures: Record<(typeof NUMBERS)[number], Float64Array>;
  burstable: Uint8Array;
  sourceOf: Uint32Array;
  noZone: number;
  length: number;
}

/**
 * Joins sources by the rule of `Catalogue.merge`; sorts by price, vCPUs, memory, provider, region, zone, instance type
 * and market. Answers the columns and how many rows of each source are left. Throws {@link InvalidCatalogueRow}.
 */
export function mergeColumns(sources: readonly SourceRows[]): { columns: Columns; counts: number[] } {
  const gathered = gather(sources);
  const order = unreplaced(gathered);
  const counts = new Array<number>(sources.length).fill(0);
  for (const row of order) counts[gathered.sourceOf[row]!]!++;
  return { columns: sorted(order, gathered), counts };
}

function gather(sources: readonly SourceRows[]): Gathered {
  const length = sources.reduce((sum, source) => sum + source.rows.length, 0);
  const each = <K extends string, T>(keys: readonly K[], make: () => T): Record<K, T> =>
    Object.fromEntries(keys.map((key) => [key, make()])) as Record<K, T>;
  const names = each(NAMES, () => new Names());
  const numbers = each(NAMES, () => new Uint32Array(length));
  const figures = each(NUMBERS, () => new Float64Array(length));
  const burstable = new Uint8Array(length);
  const sourceOf = new Uint32Array(length);
  const families = new Map<number, number>();
  const noZone = names.zone.number('');
  let i = 0;
  for (const [s, source] of sources.entries()) {
    for (const [index, row] of source.rows.entries()) {
      const reason = invalidRow(row);
      if (reason !== null) throw new InvalidCatalogueRow(source.name, index, reason);
      const provider = names.provider.number(row.provider);
      const type = names.instanceType.number(row.instanceType);
      numbers.provider[i] = provider;
      numbers.region[i] = names.region.number(row.region);
      numbers.instanceType[i] = type;
      numbers.market[i] = names.market.number(row.market);
      numbers.zone[i] = row.zone === null ? noZone : names.zone.number(row.zone);
      numbers.architecture[i] = names.architecture.number(row.architecture);
      numbers.gpuName[i] = names.gpuName.number(row.gpuName ?? '');
      numbers.interruption[i] = names.interruption.number(
        row.interruptionRate === undefined || row.interruptionRate === null
          ? ''
          : String(row.interruptionRate),
      );
      numbers.family[i] = memo(families, provider * 0x1000000 + type, () =>
        names.family.number(familyOf(row.provider, row.instanceType)),
      );
      for (const name of NUMBERS) figures[name][i] = row[name];
      burstable[i] = row.burstable ? 1 : 0;
      sourceOf[i] = s;
      i++;
    }
  }
  return { names, numbers, figures, burstable, sourceOf, noZone, length };
}

/** The rows that no later one replaces. */
function unreplaced({ names, numbers, sourceOf, noZone, length }: Gathered): Uint32Array {
  const { provider, region, instanceType, market, zone } = numbers;
  const replaced = new Uint8Array(length);
  /** Rows of one provider, region, instance type and market: the newest, and before each the one older. */
  const newest = new Map<number, number>();
  const older = new Int32Array(length);
  const regions = names.region.size;
  const providers = names.provider.size;
  for (let i = 0; i < length; i++) {
    const machine = (instanceType[i]! * providers + provider[i]!) * 2 + market[i]!;
    const key = machine * regions + region[i]!;
    const previous = newest.get(key) ?? -1;
    for (let j = previous; j >= 0; j = older[j]!) {
      const wider = sourceOf[j]! < sourceOf[i]! && (zone[i] === noZone || zone[j] === noZone);
      if (wider || zone[j] === zone[i]) replaced[j] = 1;
    }
    older[i] = previous;
    newest.set(key, i);
  }
  return Uint32Array.from({ length }, (_, i) => i).filter((row) => replaced[row] === 0);
}

function sorted(order: Uint32Array, { names, numbers, figures, burstable }: Gathered): Columns {
  const { vcpus, memoryGiB, pricePerHour } = figures;
  const ranks = Object.fromEntries(NAMES.map((name) => [name, names[name].ranks()])) as Record<
    (typeof NAMES)[number],
    Uint32Array
  >;
  const rank = (name: (typeof NAMES)[number], row: number): number => ranks[name][numbers[name][row]!]!;
  order.sort(
    (a, b) =>
      pricePerHour[a]! - pricePerHour[b]! ||
      vcpus[a]! - vcpus[b]! ||
      memoryGiB[a]! - memoryGiB[b]! ||
      rank('provider', a) - rank('provider', b) ||
      rank('region', a) - rank('region', b) ||
      rank('zone', a) - rank('zone', b) ||
      rank('instanceType', a) - rank('instanceType', b) ||
      rank('market', a) - rank('market', b),
  );
  const column = (name: (typeof NAMES)[number]): NameColumn => names[name].column(order, numbers[name]);
  const ordered = (from: Float64Array): Float64Array => {
    const out = new Float64Array(order.length);
    for (let i = 0; i < out.length; i++) out[i] = from[order[i]!]!;
    return out;
  };
  return {
    provider: column('provider'),
    region: column('region'),
    zone: column('zone'),
    instanceType: column('instanceType'),
    family: column('family'),
    market: column('market'),
    architecture: column('architecture'),
    gpuName: column('gpuName'),
    interruption: column('interruption'),
    vcpus: ordered(vcpus),
    memoryGiB: ordered(memoryGiB),
    gpuCount: ordered(figures.gpuCount),
    pricePerHour: ordered(pricePerHour),
    burstable: Uint8Array.from(order, (row) => burstable[row]!),
  };
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
  for (const name of NUMBERS)
    if (row[name] > LARGEST[name]) return `${name} ${row[name]} is past ${LARGEST[name]}`;
  const rate = row.interruptionRate;
  if (rate !== undefined && rate !== null && !(rate >= 0 && rate <= 1))
    return `interruptionRate ${rate} is not between 0 and 1`;
  return null;
}
