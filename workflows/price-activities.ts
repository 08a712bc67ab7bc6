import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { Catalogue, type CatalogueRow } from '@landfall/policies';
import { count } from '@landfall/policies/figure.ts';
import {
  awsPrices,
  azurePrices,
  gcpPrices,
  PriceApiUnreachable,
  type PricePage,
  type PriceSource,
  priceList,
  regionsOf,
  sizesOf,
  UnusablePrices,
} from '@landfall/prices';
import {
  createPriceRefresh,
  type Db,
  deletePricePages,
  failPriceList,
  finishOperations,
  getPriceRefresh,
  lockPriceListContent,
  type PriceRefresh,
  pricePages,
  pricePagesRead,
  progressOperations,
  pruneCatalogues,
  refreshPriceList,
  refreshUnderWay,
  writePricePage,
} from '@landfall/store';
import { ApplicationFailure, Context } from '@temporalio/activity';
import { catalogueInForce, packCatalogue, unpackCatalogue } from './catalogue.ts';

type Provider = PriceRefresh['providers'][number];

export interface PriceActivities {
  beginPriceRefresh(input: { operation: string }): Promise<{ providers: Provider[] }>;
  /** Reads what is not read yet, then puts all of it in force. */
  refreshPrices(input: { operation: string; provider: Provider }): Promise<{ offers: number }>;
  failPrices(input: { operation: string; provider: Provider; reason: string }): Promise<void>;
  finishPriceRefresh(input: { operation: string; failures: string[] }): Promise<void>;
  keepCatalogueUp(): Promise<{ refreshed: number; pruned: number }>;
}

/** A price API cannot be read until somebody sets something. */
export class PriceSettingMissing extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PriceSettingMissing';
  }
}

/** A catalogue that no decision of this long was made from is forgotten. */
const decisionsCountMs = 90 * 24 * 3_600_000;
/** One that no decision was made from, this long after it was last in force. */
const unusedKeptMs = 24 * 3_600_000;

/** The price API of a provider, as the environment sets it. Throws {@link PriceSettingMissing}. */
export function priceSource(provider: Provider, env: NodeJS.ProcessEnv = process.env): PriceSource {
  const endpoint = env[`LANDFALL_${provider.toUpperCase()}_PRICES_URL`];
  const at = endpoint ? { endpoint } : {};
  if (provider === 'aws') return awsPrices(at);
  if (provider === 'azure') return azurePrices(at);
  const apiKey = env.LANDFALL_GCP_PRICES_KEY;
  if (!apiKey)
    throw new PriceSettingMissing(
      'the Cloud Billing Catalog needs an API key: set LANDFALL_GCP_PRICES_KEY where Landfall runs',
    );
  return gcpPrices({ apiKey, ...at });
}

/** Providers whose prices are read every day: `LANDFALL_DAILY_PRICES=azure,aws`; none by default. Throws for another word. */
export function dailyProviders(env: NodeJS.ProcessEnv = process.env): Provider[] {
  const words = (env.LANDFALL_DAILY_PRICES ?? '').split(',').map((word) => word.trim());
  return words
    .filter((word) => word !== '')
    .map((word) => {
      if (word !== 'aws' && word !== 'azure' && word !== 'gcp')
        throw new Error(`LANDFALL_DAILY_PRICES has '${word}': it is a list of aws, azure and gcp`);
      return word;
    });
}

const listName = (provider: Provider): string => `live-${provider}`;

/** Lists of fewer offers than this may shrink as they like. */
const smallList = 20;

/** An API that answers half of what it did is taken for broken. */
function refuseShrunken(provider: Provider, offers: number, before: number): void {
  if (before < smallList || offers * 2 >= before) return;
  throw new UnusablePrices(
    `the API gave ${count(offers)} offers where it gave ${count(before)} before; if that is right, remove ${listName(provider)} first`,
  );
}

export function priceActivities(db: Db, env: NodeJS.ProcessEnv = process.env): PriceActivities {
  const readPages = async (operation: string, provider: Provider, refresh: PriceRefresh): Promise<void> => {
    const read = await pricePagesRead(db, operation, provider);
    if (read.whole) return;
    const catalogue = await catalogueInForce(db, refresh.organization);
    const regions = refresh.regions.length > 0 ? refresh.regions : regionsOf(catalogue, provider);
    const sizes = sizesOf(catalogue, provider);
    const { cancellationSignal } = Context.current();
    let number = read.next;
    const pages = priceSource(provider, env).read({
      regions,
      sizes,
      resume: read.resume,
      signal: cancellationSignal,
    });
    try {
      for await (const page of pages) {
        const content = zstdCompressSync(JSON.stringify(page));
        await writePricePage(db, { operation, provider, number, content, resume: page.resume });
        number++;
        Context.current().heartbeat({ pages: number });
      }
    } catch (error) {
      // It was there a moment ago, so the next try may well go on from here.
      if (error instanceof PriceApiUnreachable && number > 0)
        throw ApplicationFailure.retryable(error.message, 'PriceApiBroke');
      throw error;
    }
  };

  return {
    async beginPriceRefresh({ operation }) {
      const { providers } = await getPriceRefresh(db, operation);
      await db
        .transaction()
        .execute((tx) => progressOperations(tx, [operation], `reading prices of ${providers.join(', ')}`));
      return { providers };
    },

    async refreshPrices({ operation, provider }) {
      const refresh = await getPriceRefresh(db, operation);
      await readPages(operation, provider, refresh);
      const pages = (await pricePages(db, operation, provider)).map(
        (content) => JSON.parse(zstdDecompressSync(content).toString('utf8')) as PricePage,
      );
      const { rows, leftOut } = priceList(pages);
      const date = new Date().toISOString().slice(0, 10);
      const reasons = Object.entries(leftOut).map(([reason, count]) => ({ reason, count }));
      const name = listName(provider);
      const { organization, regions } = refresh;
      await db.transaction().execute(async (tx) => {
        const before = await lockPriceListContent(tx, organization, name);
        const known = before ? [...unpackCatalogue(before).rows()] : [];
        // A refresh of some regions leaves what was read of the others.
        const isRead = ({ region }: CatalogueRow): boolean =>
          regions.length === 0 || regions.includes(region);
        refuseShrunken(provider, rows.length, known.filter(isRead).length);
        const others = known.filter((row) => !isRead(row));
        const list = Catalogue.fromRows([...others, ...rows], { name, date });
        await refreshPriceList(
          tx,
          {
            organization,
            name,
            provider,
            origin: 'live',
            date,
            offers: list.length,
            leftOut: reasons.sort((a, b) => b.count - a.count),
            content: packCatalogue(list),
          },
          operation,
        );
      });
      return { offers: rows.length };
    },

    async failPrices({ operation, provider, reason }) {
      const { organization } = await getPriceRefresh(db, operation);
      const list = { organization, name: listName(provider), provider };
      await db.transaction().execute((tx) => failPriceList(tx, list, operation, reason));
    },

    async finishPriceRefresh({ operation, failures }) {
      const { providers } = await getPriceRefresh(db, operation);
      await db.transaction().execute(async (tx) => {
        await deletePricePages(tx, operation);
        if (failures.length === 0) {
          const message = `the prices of ${providers.join(', ')} are in force`;
          await finishOperations(tx, [operation], { state: 'Succeeded', message });
          return;
        }
        const detail = `${failures.join('; ')}. The prices from before stay in force.`;
        await finishOperations(tx, [operation], {
          state: 'Failed',
          message: detail,
          error: {
            type: 'https://landfall.dev/problems/unavailable',
            title: 'Prices could not be refreshed',
            status: 503,
            detail,
          },
        });
      });
    },

    async keepCatalogueUp() {
      const now = Date.now();
      const pruned = await pruneCatalogues(db, {
        decisionsSince: new Date(now - decisionsCountMs),
        notSince: new Date(now - unusedKeptMs),
      });
      const providers = dailyProviders(env);
      let refreshed = 0;
      if (providers.length === 0) return { refreshed, pruned };
      for (const { name } of await db.selectFrom('organizations').select('name').execute()) {
        if (await refreshUnderWay(db, name)) continue;
        const requester = { organization: name, requestedBy: 'landfall (daily)' };
        await createPriceRefresh(db, requester, { providers, regions: [] });
        refreshed++;
      }
      return { refreshed, pruned };
    },
  };
}
