import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { Catalogue, type CatalogueRow, loadSnapshot, type SourceRows } from '@landfall/policies';
import { count } from '@landfall/policies/figure.ts';
import {
  catalogueContent,
  keepCatalogue,
  liveOfferRuns,
  liveOffers,
  type PriceListRun,
  priceListContent,
  priceListRuns,
  type Queryable,
} from '@landfall/store';
import { CatalogueFiles, listPrices } from './catalogue-files.ts';

let shipped: Catalogue | undefined;
const files = new CatalogueFiles(join(process.env.LANDFALL_DATA_DIR ?? '.landfall', 'catalogue'));

/** The shipped price snapshot. Loaded once a process. */
export function shippedCatalogue(): Catalogue {
  shipped ??= loadSnapshot();
  return shipped;
}

/** A catalogue as it is kept in the store. */
export function packCatalogue(catalogue: Catalogue): Buffer {
  return zstdCompressSync(catalogue.encode());
}

/** Reads what {@link packCatalogue} made. */
export function unpackCatalogue(content: Uint8Array): Catalogue {
  return Catalogue.decode(zstdDecompressSync(content));
}

/** The newest few of something that is made once for each state of the data. */
class Newest<T> {
  readonly #kept = new Map<string, T>();

  async get(key: string, make: () => Promise<T>): Promise<T> {
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const made = await make();
    if (this.#kept.size >= 8) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, made);
    return made;
  }
}

const layered = new Newest<Catalogue>();
const joined = new Newest<Catalogue>();
const kept = new Newest<Catalogue>();

/**
 * Prices laid over each other, each over those before: the shipped ones, those read from the providers' price APIs, the
 * price files in the data folder, imported lists. What was read from an API takes the place of everything before it of the
 * same region and market; the others replace offer by offer.
 */
async function prices(db: Queryable, organization: string): Promise<Catalogue> {
  const lists = await priceListRuns(db, organization);
  const own = files.look();
  if (lists.length === 0 && own.sources.length === 0) return shippedCatalogue();
  const key = [own.mark, ...lists.map(({ run }) => run)].join();
  return layered.get(key, async () => {
    const read = await Promise.all(lists.map((list) => listSource(db, list)));
    const of = (origin: PriceListRun['origin']): SourceRows[] =>
      read.flatMap((source, i) => (lists[i]!.origin === origin ? (source ?? []) : []));
    const live = of('live');
    const place = (row: CatalogueRow): string => `${row.provider}/${row.region}/${row.market}`;
    const renewed = new Set(live.flatMap(({ rows }) => rows.map(place)));
    const base = listPrices(shippedCatalogue());
    const rows = base.rows.filter((row) => !renewed.has(place(row)));
    return Catalogue.merge([{ ...base, rows }, ...live, ...own.sources, ...of('import')]);
  });
}

async function listSource(db: Queryable, { name, run }: PriceListRun): Promise<SourceRows | undefined> {
  const content = await priceListContent(db, run);
  if (content === undefined) return undefined; // replaced between the two looks; the next look has the new one
  const list = unpackCatalogue(content);
  const notice = list.sources[0]?.notice;
  return { name, date: list.date, rows: [...list.rows()], ...(notice === undefined ? {} : { notice }) };
}

/**
 * The catalogue in force for an organization: prices, joined with what its sites really offer. In a region that a site
 * has listed, only what it listed is left, zone by zone; what has no price anywhere is left out and counted in the notice.
 * Reading it again costs small queries; joining happens once for each change of prices or of a site's offers. Every
 * catalogue given is kept in the store, in the caller's transaction: see {@link catalogueByVersion}.
 */
export async function catalogueInForce(db: Queryable, organization: string): Promise<Catalogue> {
  const runs = await liveOfferRuns(db, organization);
  const listed = await prices(db, organization);
  const catalogue =
    runs.length === 0
      ? listed
      : await joined.get(
          [listed.version, ...runs.map(({ site, run }) => `${site}@${run}`)].join(','),
          async () => {
            const sites = await Promise.all(
              runs.map(async ({ site, provider, run }) => ({
                site,
                provider,
                offers: await liveOffers(db, site, run),
              })),
            );
            return joinOffers(listed, sites);
          },
        );
  await keep(db, organization, catalogue);
  return catalogue;
}

/** How often it is noted that a catalogue is still in force: less than what `pruneCatalogues` waits for. */
const noteInForceMs = 6 * 3_600_000;

/** When a catalogue was found kept, by organization. */
const seenKept = new WeakMap<Catalogue, Map<string, number>>();

async function keep(db: Queryable, organization: string, catalogue: Catalogue): Promise<void> {
  const seen = seenKept.get(catalogue) ?? new Map<string, number>();
  if (Date.now() - (seen.get(organization) ?? 0) < noteInForceMs) return;
  const { version, date, length, sources } = catalogue;
  const there = await keepCatalogue(db, { organization, version, date, offers: length, sources }, () =>
    packCatalogue(catalogue),
  );
  if (there) seenKept.set(catalogue, seen.set(organization, Date.now()));
}

/**
 * A catalogue that was in force, by the version that a decision names; undefined when it is not kept any more (see
 * `pruneCatalogues`).
 */
export async function catalogueByVersion(
  db: Queryable,
  organization: string,
  version: string,
): Promise<Catalogue | undefined> {
  const content = await catalogueContent(db, organization, version);
  if (content === undefined) return undefined;
  return kept.get(version, async () => unpackCatalogue(content));
}
type Listed = { site: string; provider: string; offers: Awaited<ReturnType<typeof liveOffers>> };

function joinOffers(prices: Catalogue, sites: Listed[]): Catalogue {
  const priced = new Map<string, number>();
  const rows = [...prices.rows()];
  for (const row of rows) {
    const key = `${row.provider}/${row.region}/${row.instanceType}/${row.market}`;
    priced.set(key, Math.min(row.pricePerHour, priced.get(key) ?? Number.POSITIVE_INFINITY));
  }
  const isListed = new Set(
    sites.flatMap(({ provider, offers }) => offers.map((offer) => `${provider}/${offer.region}`)),
  );
  const today = new Date().toISOString().slice(0, 10);
  const live = sites.map(({ site, provider, offers }) => {
    const kept: CatalogueRow[] = [];
    let unpriced = 0;
    for (const offer of offers) {
      const price =
        offer.pricePerHour ?? priced.get(`${provider}/${offer.region}/${offer.instanceType}/${offer.market}`);
      if (price === undefined || !(offer.vcpus > 0) || !(offer.memoryGiB > 0)) {
        unpriced++;
        continue;
      }
      const {
        region,
        zone,
        instanceType,
        market,
        vcpus,
        memoryGiB,
        architecture,
        gpuName,
        gpuCount,
        burstable,
      } = offer;
      kept.push({
        provider,
        region,
        zone: zone ?? null,
        instanceType,
        market,
        vcpus,
        memoryGiB,
        architecture,
        gpuName: gpuName ?? null,
        gpuCount,
        burstable,
        pricePerHour: price,
      });
    }
    const notice =
      unpriced === 0
        ? {}
        : { notice: `${count(unpriced)} offers of site ${site} have no known price and are left out` };
    return { name: `site ${site}, as its provider lists it`, date: today, rows: kept, ...notice };
  });
  const kept = rows.filter((row) => !isListed.has(`${row.provider}/${row.region}`));
  return Catalogue.merge([{ ...listPrices(prices), rows: kept }, ...live]);
}
