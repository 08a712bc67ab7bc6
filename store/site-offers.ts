import { appendEvent } from './events.ts';
import type { Db, Queryable } from './open.ts';

/** A row of a site's live offers, as its adapter listed it: an adapter's `SiteOffer`. */
export interface LiveOffer {
  region: string;
  zone?: string;
  instanceType: string;
  market: 'onDemand' | 'spot';
  vcpus: number;
  memoryGiB: number;
  architecture: 'x86_64' | 'arm64';
  gpuName?: string;
  gpuCount: number;
  burstable: boolean;
  /** Absent: the catalogue's price of this instance type in this region holds. */
  pricePerHour?: number;
}

/**
 * Keeps one page of a site's live offers. They come into force together with the last page, and replace the run before:
 * a reader never sees half a list.
 */
export async function writeSiteOffers(
  db: Db,
  page: { site: string; run: string; offers: Record<string, unknown>[]; last: boolean },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    if (page.offers.length > 0) {
      await tx
        .insertInto('site_offers')
        .values(
          page.offers.map((offer) => ({ site: page.site, run: page.run, offer: JSON.stringify(offer) })),
        )
        .execute();
    }
    if (!page.last) return;
    const site = await tx
      .updateTable('sites')
      .set({ offers_run: page.run })
      .where('name', '=', page.site)
      .returning(['id', 'organization'])
      .executeTakeFirst();
    await tx.deleteFrom('site_offers').where('site', '=', page.site).where('run', '<>', page.run).execute();
    if (!site) return;
    await appendEvent(tx, {
      type: 'site.offersRead',
      organization: site.organization,
      resource: { kind: 'Site', id: site.id, name: page.site },
      actor: 'landfall',
      message: `what site ${page.site} offers has been read`,
    });
  });
}

/** Which runs are in force: what a catalogue made from them is known by. */
export async function liveOfferRuns(
  db: Queryable,
  organization: string,
): Promise<{ site: string; provider: string; run: string }[]> {
  const rows = await db
    .selectFrom('sites')
    .select(['name as site', 'provider', 'offers_run as run'])
    .where('organization', '=', organization)
    .where('provider', '<>', 'onprem')
    .where('offers_run', 'is not', null)
    .orderBy('name')
    .execute();
  return rows.map(({ site, provider, run }) => ({ site, provider, run: run! }));
}

export async function liveOffers(db: Queryable, site: string, run: string): Promise<LiveOffer[]> {
  const rows = await db
    .selectFrom('site_offers')
    .select('offer')
    .where('site', '=', site)
    .where('run', '=', run)
    .execute();
  return rows.map((row) => row.offer as unknown as LiveOffer);
}
