import type { Operation } from '@landfall/model';
import { StoreError } from './errors.ts';
import type { Db, Queryable } from './open.ts';
import { insertOperation, type Requester } from './operations.ts';
import { enqueue } from './outbox.ts';

/** What a refresh was asked for; no regions = every region known. */
export interface PriceRefresh {
  organization: string;
  providers: ('aws' | 'azure' | 'gcp')[];
  regions: string[];
}

/** Asks for the providers' price APIs to be read. */
export async function createPriceRefresh(
  db: Db,
  requester: Requester,
  wanted: Omit<PriceRefresh, 'organization'>,
): Promise<Operation> {
  return db.transaction().execute(async (tx) => {
    const operation = await insertOperation(tx, requester, {
      verb: 'refreshPrices',
      project: null,
      resource: null,
      generation: 0,
    });
    await tx
      .insertInto('price_refreshes')
      .values({
        operation: operation.id,
        organization: requester.organization,
        providers: JSON.stringify(wanted.providers),
        regions: JSON.stringify(wanted.regions),
      })
      .execute();
    await enqueue(tx, { workflow: 'priceRefresh', resource: operation.id, project: null });
    return operation;
  });
}

export async function getPriceRefresh(db: Queryable, operation: string): Promise<PriceRefresh> {
  const row = await db
    .selectFrom('price_refreshes')
    .select(['organization', 'providers', 'regions'])
    .where('operation', '=', operation)
    .executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no price refresh ${operation}`);
  return row;
}

/** Whether a refresh of the organization is under way. */
export async function refreshUnderWay(db: Queryable, organization: string): Promise<boolean> {
  const row = await db
    .selectFrom('operations')
    .select('id')
    .where('organization', '=', organization)
    .where('verb', '=', 'refreshPrices')
    .where('state', 'in', ['Pending', 'Running'])
    .executeTakeFirst();
  return row !== undefined;
}

/** Keeps one page read; the same page again replaces it. `content` is opaque to the store. */
export async function writePricePage(
  db: Queryable,
  page: { operation: string; provider: string; number: number; content: Buffer; resume: string | null },
): Promise<void> {
  await db
    .insertInto('price_pages')
    .values(page)
    .onConflict((conflict) =>
      conflict
        .columns(['operation', 'provider', 'number'])
        .doUpdateSet({ content: page.content, resume: page.resume }),
    )
    .execute();
}

/** Where reading goes on: the number of the next page and what it resumes from; `whole` when all have been read. */
export async function pricePagesRead(
  db: Queryable,
  operation: string,
  provider: string,
): Promise<{ next: number; resume: string | null; whole: boolean }> {
  const last = await db
    .selectFrom('price_pages')
    .select(['number', 'resume'])
    .where('operation', '=', operation)
    .where('provider', '=', provider)
    .orderBy('number', 'desc')
    .executeTakeFirst();
  return last
    ? { next: last.number + 1, resume: last.resume, whole: last.resume === null }
    : { next: 0, resume: null, whole: false };
}

/** The contents of all pages, in order. */
export async function pricePages(db: Queryable, operation: string, provider: string): Promise<Buffer[]> {
  const rows = await db
    .selectFrom('price_pages')
    .select('content')
    .where('operation', '=', operation)
    .where('provider', '=', provider)
    .orderBy('number')
    .execute();
  return rows.map((row) => row.content);
}

/** Forgets the pages of a refresh that has ended. */
export async function deletePricePages(db: Queryable, operation: string): Promise<void> {
  await db.deleteFrom('price_pages').where('operation', '=', operation).execute();
}
