import type { Catalogue } from '../catalogue/catalogue.ts';
import { gridCarbonOf, type KnownFacts, knownFact } from '../catalogue/facts.ts';
import { jurisdictionOf } from '../catalogue/jurisdictions.ts';
import { type Codes, codesFor, type NameColumn } from '../catalogue/rows.ts';
import type { OfferAttribute } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import type { PlacedOffer, SiteView } from './types.ts';

/** Hours of an average month, as the providers' own calculators count them. */
export const HOURS_PER_MONTH = 730;

/** Everything known about one offer. Null = not known; `''` = known to have none. */
export interface OfferFacts {
  site: string | null;
  provider: string;
  region: string;
  zone: string | null;
  host: string | null;
  instanceType: string;
  family: string;
  market: string;
  vcpus: number;
  memoryGiB: number;
  architecture: string;
  gpuName: string | null;
  gpuCount: number;
  burstable: boolean;
  pricePerHour: number;
  jurisdiction: string | null;
  certifications: string[] | null;
  accel: string;
  labels: Record<string, string>;
  /** These six: undefined = what the shipped tables say, null = not known. */
  carbon?: number | null;
  networkGbps?: number | null;
  localDiskGiB?: number | null;
  gpuMemoryGiB?: number | null;
  cpuVendor?: string | null;
  interruptionRate?: number | null;
}

/** One attribute of all offers: a code per offer and the CEL value of each code; undefined = missing. */
export interface DictionaryColumn {
  codes: Codes;
  values: unknown[];
}

/** The numeric attributes; they never miss a value. */
export const NUMERIC = {
  vcpus: 'int',
  memoryGiB: 'double',
  gpuCount: 'int',
  pricePerHour: 'double',
  price: 'double',
} as const;

/** Whether an offer may be used: at a site, for a plan only, or not at all. */
export const USABLE = { atSite: 0, noSiteOfProvider: 1, regionOutsideSites: 2 } as const;

/** Offers as columns, in the order of preference of {@link compareOffers}. */
export interface OfferTable {
  readonly length: number;
  /** A code of {@link USABLE} per offer. */
  readonly usable: Uint8Array;
  /** Values of a numeric attribute. */
  numbers(attribute: keyof typeof NUMERIC): Float64Array;
  /** Any attribute as a dictionary. */
  column(attribute: OfferAttribute): DictionaryColumn;
  offer(i: number): PlacedOffer;
}

/** Sorts by price, then fewer vCPUs, less memory, then the names: provider, region, zone, type, market, site, host. */
export function compareOffers(a: PlacedOffer, b: PlacedOffer): number {
  return (
    a.pricePerHour - b.pricePerHour ||
    a.vcpus - b.vcpus ||
    a.memoryGiB - b.memoryGiB ||
    byName(a.provider, b.provider) ||
    byName(a.region, b.region) ||
    byName(a.zone ?? '', b.zone ?? '') ||
    byName(a.instanceType, b.instanceType) ||
    byName(a.market, b.market) ||
    byName(a.site ?? '', b.site ?? '') ||
    byName(a.host ?? '', b.host ?? '')
  );
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The record of an offer that a decision carries. */
export function placedOffer(facts: OfferFacts): PlacedOffer {
  const carbon = facts.carbon === undefined ? gridCarbonOf(facts.provider, facts.region) : facts.carbon;
  return {
    site: facts.site,
    provider: facts.provider,
    region: facts.region,
    zone: facts.zone,
    host: facts.host,
    instanceType: facts.instanceType,
    market: facts.market,
    vcpus: facts.vcpus,
    memoryGiB: facts.memoryGiB,
    architecture: facts.architecture,
    gpuName: facts.gpuName,
    gpuCount: facts.gpuCount,
    burstable: facts.burstable,
    pricePerHour: facts.pricePerHour,
    pricePerMonth: facts.pricePerHour * HOURS_PER_MONTH,
    currency: 'USD',
    jurisdiction: facts.jurisdiction,
    ...(carbon === undefined || carbon === null ? {} : { carbon }),
  };
}

/** The CEL value of an attribute; undefined = missing. */
export function celAttribute(facts: OfferFacts, attribute: OfferAttribute): unknown {
  switch (attribute) {
    case 'vcpus':
    case 'gpuCount':
      return BigInt(facts[attribute]);
    case 'price':
      return facts.pricePerHour;
    case 'currency':
      return 'USD';
    case 'site':
    case 'host':
    case 'gpuName':
      return facts[attribute] ?? '';
    case 'zone':
    case 'jurisdiction':
    case 'certifications':
      return facts[attribute] ?? undefined;
    case 'carbon':
    case 'networkGbps':
    case 'localDiskGiB':
    case 'gpuMemoryGiB':
    case 'cpuVendor':
    case 'interruptionRate':
      return facts[attribute] === undefined ? knownFact(attribute, facts) : (facts[attribute] ?? undefined);
    default:
      return facts[attribute];
  }
}

/** A table over a few offers given one by one: on-prem hosts, or the offers of a policy's own test. */
export function tableOfOffers(
  offers: readonly OfferFacts[],
  usable = (_o: OfferFacts): number => 0,
): OfferTable {
  const sorted = [...offers].sort((a, b) => compareOffers(placedOffer(a), placedOffer(b)));
  const columns = new Map<OfferAttribute, DictionaryColumn>();
  const numbers = new Map<string, Float64Array>();
  return {
    length: sorted.length,
    usable: Uint8Array.from(sorted, usable),
    numbers: (attribute) => {
      const name = attribute === 'price' ? 'pricePerHour' : attribute;
      return memo(numbers, name, () => Float64Array.from(sorted, (o) => o[name]));
    },
    column: (attribute) =>
      memo(columns, attribute, () => dictionary(sorted.length, (i) => celAttribute(sorted[i]!, attribute))),
    offer: (i) => placedOffer(sorted[i]!),
  };
}

/** Cloud offers: every price of the catalogue at every site that may use it. Cached by catalogue and sites. */
export function cloudTable(catalogue: Catalogue, sites: readonly SiteView[]): OfferTable {
  const clouds = sites
    .filter((site) => site.provider !== 'onprem')
    .map(({ name, provider, regions, jurisdiction, certifications, labels }) => ({
      name,
      provider,
      regions,
      jurisdiction: jurisdiction ?? null,
      certifications,
      labels,
    }))
    .sort((a, b) => byName(a.name, b.name));
  const key = JSON.stringify(clouds);
  const tables = memo(cloudTables, catalogue, () => new Map<string, OfferTable>());
  const found = tables.get(key);
  if (found !== undefined) return found;
  // Sites change rarely; a few sets (one per organization, say) are kept, the oldest goes first.
  if (tables.size >= 8) tables.delete(tables.keys().next().value!);
  const table = new CloudTable(catalogue, clouds);
  tables.set(key, table);
  return table;
}

const cloudTables = new WeakMap<Catalogue, Map<string, OfferTable>>();

type CloudSite = Pick<SiteView, 'name' | 'provider' | 'regions' | 'certifications' | 'labels'> & {
  jurisdiction: string | null;
};

class CloudTable implements OfferTable {
  readonly length: number;
  readonly usable: Uint8Array;
  readonly #catalogue: Catalogue;
  readonly #sites: CloudSite[];
  /** The catalogue's row of each offer; null: offer i is row i, and the catalogue's own arrays serve as they are. */
  readonly #rows: Uint32Array | null;
  /** Its site's place in the list plus one; 0 = none. */
  readonly #site: Codes;
  readonly #columns = new Map<OfferAttribute, DictionaryColumn>();
  readonly #numbers = new Map<string, Float64Array>();

  constructor(catalogue: Catalogue, sites: CloudSite[]) {
    this.#catalogue = catalogue;
    this.#sites = sites;
    const { provider, region } = catalogue;
    const choices = new Map<number, number[]>();
    const sitesOf = (row: number): number[] => {
      const key = provider.codes[row]! * region.values.length + region.codes[row]!;
      return memo(choices, key, () => {
        const p = provider.values[provider.codes[row]!]!;
        const r = region.values[region.codes[row]!]!;
        const fit = sites.flatMap((s, i) =>
          s.provider === p && (s.regions.length === 0 || s.regions.includes(r)) ? [i + 1] : [],
        );
        return fit.length > 0 ? fit : [0];
      });
    };
    let n = 0;
    for (let row = 0; row < catalogue.length; row++) n += sitesOf(row).length;
    this.length = n;
    const rows = n === catalogue.length ? null : new Uint32Array(n);
    this.#rows = rows;
    this.#site = codesFor(n, sites.length + 1);
    this.usable = new Uint8Array(n);
    const configured = new Set(sites.map((s) => s.provider));
    let i = 0;
    for (let row = 0; row < catalogue.length; row++)
      for (const site of sitesOf(row)) {
        if (rows !== null) rows[i] = row;
        this.#site[i] = site;
        if (site === 0)
          this.usable[i] = configured.has(provider.values[provider.codes[row]!]!)
            ? USABLE.regionOutsideSites
            : USABLE.noSiteOfProvider;
        i++;
      }
  }

  /** The catalogue's row of an offer. */
  #row(i: number): number {
    return this.#rows === null ? i : this.#rows[i]!;
  }

  numbers(attribute: keyof typeof NUMERIC): Float64Array {
    const name = attribute === 'price' ? 'pricePerHour' : attribute;
    const from = this.#catalogue[name];
    const rows = this.#rows;
    if (rows === null) return from;
    return memo(this.#numbers, name, () => Float64Array.from(rows, (row) => from[row]!));
  }

  column(attribute: OfferAttribute): DictionaryColumn {
    return memo(this.#columns, attribute, () => this.#build(attribute));
  }

  #build(attribute: OfferAttribute): DictionaryColumn {
    const c = this.#catalogue;
    switch (attribute) {
      case 'provider':
      case 'region':
      case 'instanceType':
      case 'family':
      case 'market':
      case 'architecture':
      case 'gpuName':
        return { codes: this.#gather(c[attribute]), values: c[attribute].values };
      case 'zone':
        return {
          codes: this.#gather(c.zone),
          values: c.zone.values.map((z) => (z === '' ? undefined : z)),
        };
      case 'burstable':
        return {
          codes: this.#gather({ codes: c.burstable, values: ['', ''] }),
          values: [false, true],
        };
      case 'site':
        return { codes: this.#site, values: ['', ...this.#sites.map((s) => s.name)] };
      case 'certifications':
        return { codes: this.#site, values: [undefined, ...this.#sites.map((s) => s.certifications)] };
      case 'labels':
        return { codes: this.#site, values: [{}, ...this.#sites.map((s) => s.labels)] };
      case 'host':
      case 'accel':
        return { codes: new Uint8Array(this.length), values: [''] };
      case 'currency':
        return { codes: new Uint8Array(this.length), values: ['USD'] };
      case 'jurisdiction':
        return dictionary(this.length, (i) => this.#jurisdiction(i) ?? undefined);
      case 'vcpus':
      case 'gpuCount': {
        const numbers = this.numbers(attribute);
        const column = dictionary(this.length, (i) => numbers[i]);
        return { codes: column.codes, values: column.values.map((v) => BigInt(v as number)) };
      }
      case 'memoryGiB':
      case 'pricePerHour':
      case 'price': {
        const numbers = this.numbers(attribute);
        return dictionary(this.length, (i) => numbers[i]);
      }
      case 'carbon':
        return dictionary(
          this.length,
          this.#known(attribute, (row) => c.region.codes[row]!),
        );
      case 'networkGbps':
      case 'localDiskGiB':
      case 'cpuVendor':
        return dictionary(
          this.length,
          this.#known(attribute, (row) => c.instanceType.codes[row]!),
        );
      case 'gpuMemoryGiB':
        return dictionary(
          this.length,
          this.#known(attribute, (row) => c.instanceType.codes[row]! * 2 + (c.gpuCount[row] === 0 ? 1 : 0)),
        );
      case 'interruptionRate':
        return dictionary(
          this.length,
          this.#known(
            attribute,
            (row) => c.market.codes[row]! * c.interruption.values.length + c.interruption.codes[row]!,
          ),
        );
    }
  }

  /** A fact of each offer, looked up once for each provider and key: the key is what beside the provider it depends on. */
  #known(fact: keyof KnownFacts, key: (row: number) => number): (i: number) => unknown {
    const { provider } = this.#catalogue;
    const found = new Map<number, { value: unknown }>();
    return (i) => {
      const row = this.#row(i);
      return memo(found, key(row) * provider.values.length + provider.codes[row]!, () => ({
        value: knownFact(fact, this.#catalogue.row(row)),
      })).value;
    };
  }

  #gather(column: NameColumn): Codes {
    const rows = this.#rows;
    if (rows === null) return column.codes;
    const out = codesFor(rows.length, column.values.length);
    for (let i = 0; i < out.length; i++) out[i] = column.codes[rows[i]!]!;
    return out;
  }

  #jurisdiction(i: number): string | null {
    const { provider, region } = this.#catalogue;
    const row = this.#row(i);
    const known = jurisdictionOf(provider.values[provider.codes[row]!]!, region.values[region.codes[row]!]!);
    return known ?? this.#sites[this.#site[i]! - 1]?.jurisdiction ?? null;
  }

  offer(i: number): PlacedOffer {
    const row = this.#catalogue.row(this.#row(i));
    const site = this.#sites[this.#site[i]! - 1];
    return placedOffer({
      ...row,
      family: '',
      site: site?.name ?? null,
      host: null,
      jurisdiction: this.#jurisdiction(i),
      certifications: null,
      accel: '',
      labels: {},
    });
  }
}

/** Values compare by identity but for lists and maps, which compare by their JSON. */
function dictionary(n: number, value: (i: number) => unknown): DictionaryColumn {
  const codes = new Uint32Array(n);
  const values: unknown[] = [];
  const seen = new Map<unknown, number>();
  for (let i = 0; i < n; i++) {
    const v = value(i);
    const key = typeof v === 'object' && v !== null ? JSON.stringify(v) : v;
    let code = seen.get(key);
    if (code === undefined) {
      code = values.length;
      seen.set(key, code);
      values.push(v);
    }
    codes[i] = code;
  }
  if (values.length > 0x10000) return { codes, values };
  const narrow = codesFor(n, values.length);
  narrow.set(codes);
  return { codes: narrow, values };
}
