import { join } from 'node:path';
import { Catalogue, type CatalogueRow, loadSnapshot } from '@landfall/policies';
import { liveOfferRuns, liveOffers, type Queryable } from '@landfall/store';
import { CatalogueFiles, listPrices } from './catalogue-files.ts';

let shipped: Catalogue | undefined;
const files = new CatalogueFiles(join(process.env.LANDFALL_DATA_DIR ?? '.landfall', 'catalogue'));

/** The shipped price snapshot. Loaded once a process. */
export function shippedCatalogue(): Catalogue {
  shipped ??= loadSnapshot();
  return shipped;
}

/** List prices: the snapshot, with the user's own price files over it. */
function prices(): Catalogue {
  return files.over(shippedCatalogue());
}

/** One catalogue for each set of live runs; the newest few are kept. */
const joined = new Map<string, Catalogue>();
const joinedKept = 8;

/**
 * The catalogue in force for an organization: list prices, joined with what its sites really offer. In a region that a site
 * has listed, only what it listed is left, zone by zone; what has no price anywhere is left out and counted in the notice.
 * Reading it again costs one small query; joining happens once for each refresh of a site's offers.
 */
export async function catalogueInForce(db: Queryable, organization: string): Promise<Catalogue> {
  const runs = await liveOfferRuns(db, organization);
  const listed = prices();
  if (runs.length === 0) return listed;
  const key = [listed.version, ...runs.map(({ site, run }) => `${site}@${run}`)].join(',');
  const known = joined.get(key);
  if (known) return known;
  const sites = await Promise.all(
    runs.map(async ({ site, provider, run }) => ({
      site,
      provider,
      offers: await liveOffers(db, site, run),
    })),
  );
  const catalogue = joinOffers(listed, sites);
  if (joined.size >= joinedKept) joined.delete(joined.keys().next().value!);
  joined.set(key, catalogue);
  return catalogue;
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
        : { notice: `${unpriced} offers of site ${site} have no known price and are left out` };
    return { name: `site ${site}, as its provider lists it`, date: today, rows: kept, ...notice };
  });
  const kept = rows.filter((row) => !isListed.has(`${row.provider}/${row.region}`));
  return Catalogue.merge([{ ...listPrices(prices), rows: kept }, ...live]);
}
