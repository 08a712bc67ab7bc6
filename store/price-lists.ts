import type { Schemas } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { PriceLists } from './database.ts';
import { StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import { checkRevision, type IfMatch } from './identity.ts';
import type { Db, Queryable, Tx } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';
import { RevisionNeeded } from './policies.ts';

type PriceList = Schemas['PriceList'];

/** Prices of one provider from one place, as they are put in force: all of them or none. */
export interface NewPriceList {
  organization: string;
  name: string;
  provider: PriceLists['provider'];
  origin: PriceLists['origin'];
  /** ISO date of the prices. */
  date: string;
  offers: number;
  leftOut: { reason: string; count: number }[];
  /** An encoded, compressed catalogue; the store does not look into it. */
  content: Buffer;
}

const withoutContent = [
  'id',
  'organization',
  'name',
  'provider',
  'origin',
  'date',
  'offers',
  'left_out',
  'run',
  'failure',
  'failed_at',
  'revision',
  'created_at',
  'updated_at',
] as const;

function toPriceList(row: Omit<Selectable<PriceLists>, 'content'>): PriceList {
  return {
    id: row.id,
    kind: 'PriceList',
    name: row.name,
    provider: row.provider,
    origin: row.origin,
    date: row.date === '' ? null : row.date,
    offers: row.offers,
    leftOut: row.left_out,
    failure:
      row.failure === null || row.failed_at === null
        ? null
        : { message: row.failure, at: row.failed_at.toISOString() },
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export async function listPriceLists(
  db: Db,
  organization: string,
  page: PageRequest,
): Promise<Paged<PriceList>> {
  const rules: ListRules = {
    list: 'price lists',
    fields: {
      name: field('name'),
      provider: field('provider', 'text', ['aws', 'azure', 'gcp']),
      origin: field('origin', 'text', ['import', 'live']),
    },
    order: { name: sql.ref('name'), createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'name',
  };
  const query = db.selectFrom('price_lists').select(withoutContent).where('organization', '=', organization);
  return readPage(query, rules, page, toPriceList);
}

export async function getPriceList(db: Queryable, organization: string, name: string): Promise<PriceList> {
  const row = await db
    .selectFrom('price_lists')
    .select(withoutContent)
    .where('organization', '=', organization)
    .where('name', '=', name)
    .executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no price list ${name}`);
  return toPriceList(row);
}

async function lock(tx: Tx, organization: string, name: string) {
  return tx
    .selectFrom('price_lists')
    .select(withoutContent)
    .where('organization', '=', organization)
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirst();
}

/** Puts an imported list in force. With `ifMatch` undefined it must be new. */
export async function importPriceList(
  db: Db,
  list: NewPriceList,
  ifMatch: IfMatch | undefined,
  by: Requester,
  validateOnly = false,
): Promise<{ priceList: PriceList; created: boolean }> {
  return db.transaction().execute(async (tx) => {
    const row = await lock(tx, list.organization, list.name);
    if (!row && ifMatch !== undefined)
      throw new StoreError(
        'preconditionFailed',
        `there is no price list ${list.name} yet: send no If-Match to create it`,
      );
    if (row && ifMatch === undefined)
      throw new RevisionNeeded(`price list ${list.name} exists: send If-Match with its ETag to replace it`);
    if (row) checkRevision(`price list ${list.name}`, row.revision, ifMatch!);
    if (validateOnly) {
      const { leftOut, ...shown } = list;
      const now = new Date();
      return {
        priceList: toPriceList({
          ...shown,
          id: row?.id ?? newId(),
          left_out: leftOut,
          run: null,
          failure: null,
          failed_at: null,
          revision: row?.revision ?? 1,
          created_at: row?.created_at ?? now,
          updated_at: now,
        }),
        created: false,
      };
    }
    const kept = await replaceContent(tx, list);
    await appendEvent(tx, {
      type: 'catalogue.imported',
      organization: list.organization,
      resource: { kind: 'PriceList', id: kept.id, name: kept.name },
      actor: by.requestedBy,
      message: `${by.requestedBy} put ${list.offers} ${list.provider} prices in force as ${list.name}${leftOutWords(list.leftOut)}`,
    });
    return { priceList: kept, created: !row };
  });
}

function leftOutWords(leftOut: NewPriceList['leftOut']): string {
  const rows = leftOut.reduce((sum, { count }) => sum + count, 0);
  return rows === 0 ? '' : `; ${rows} ${rows === 1 ? 'row was' : 'rows were'} left out`;
}

async function replaceContent(tx: Tx, list: NewPriceList): Promise<PriceList> {
  const { leftOut, ...rest } = list;
  const values = { ...rest, left_out: JSON.stringify(leftOut), run: newId(), failure: null, failed_at: null };
  const row = await tx
    .insertInto('price_lists')
    .values({ id: newId(), ...values })
    .onConflict((conflict) =>
      conflict.columns(['organization', 'name']).doUpdateSet({
        ...values,
        revision: sql<number>`price_lists.revision + 1`,
        updated_at: new Date(),
      }),
    )
    .returning(withoutContent)
    .executeTakeFirstOrThrow();
  return toPriceList(row);
}

/** The content of a list by its name, held until the transaction ends: what follows from it is not overtaken. */
export async function lockPriceListContent(
  tx: Tx,
  organization: string,
  name: string,
): Promise<Buffer | undefined> {
  const row = await tx
    .selectFrom('price_lists')
    .select('content')
    .where('organization', '=', organization)
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirst();
  return row?.content ?? undefined;
}

/** Puts what a refresh read in force, in the caller's transaction. */
export async function refreshPriceList(tx: Tx, list: NewPriceList, operation: string): Promise<void> {
  const { id, name } = await replaceContent(tx, list);
  await appendEvent(tx, {
    type: 'catalogue.refreshed',
    organization: list.organization,
    resource: { kind: 'PriceList', id, name },
    operation,
    actor: 'landfall',
    message: `${list.offers} ${list.provider} prices were read from the provider${leftOutWords(list.leftOut)}`,
  });
}

/** Notes that a refresh changed nothing: the prices before, if there are any, stay in force. */
export async function failPriceList(
  tx: Tx,
  list: Pick<NewPriceList, 'organization' | 'name' | 'provider'>,
  operation: string,
  reason: string,
): Promise<void> {
  const failed = { failure: reason, failed_at: new Date() };
  const row = await tx
    .insertInto('price_lists')
    .values({ id: newId(), ...list, origin: 'live', left_out: '[]', ...failed })
    .onConflict((conflict) =>
      conflict
        .columns(['organization', 'name'])
        .doUpdateSet({ ...failed, revision: sql<number>`price_lists.revision + 1` }),
    )
    .returning(withoutContent)
    .executeTakeFirstOrThrow();
  await appendEvent(tx, {
    type: 'catalogue.refreshFailed',
    organization: list.organization,
    resource: { kind: 'PriceList', id: row.id, name: row.name },
    operation,
    actor: 'landfall',
    message: `${list.provider} prices could not be refreshed (${reason}); ${row.run === null ? 'there are none from before' : `those of ${row.date} stay`}`,
  });
}

/** Takes a list out of force. */
export async function deletePriceList(
  db: Db,
  organization: string,
  name: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await lock(tx, organization, name);
    if (!row) throw new StoreError('notFound', `there is no price list ${name}`);
    checkRevision(`price list ${name}`, row.revision, ifMatch);
    if (validateOnly) return;
    await tx.deleteFrom('price_lists').where('id', '=', row.id).execute();
    await appendEvent(tx, {
      type: 'catalogue.removed',
      organization,
      resource: { kind: 'PriceList', id: row.id, name },
      actor: by.requestedBy,
      message: `${by.requestedBy} took the price list ${name} out of force`,
    });
  });
}

/** A price list in force; `run` changes with its content. */
export interface PriceListRun {
  name: string;
  origin: PriceLists['origin'];
  provider: PriceLists['provider'];
  run: string;
}

/** The lists that have prices, in the order in which they are laid over each other: live ones, then imports, by name. */
export async function priceListRuns(db: Queryable, organization: string): Promise<PriceListRun[]> {
  const rows = await db
    .selectFrom('price_lists')
    .select(['name', 'origin', 'provider', 'run'])
    .where('organization', '=', organization)
    .where('run', 'is not', null)
    .orderBy('origin', 'desc')
    .orderBy('name')
    .execute();
  return rows.map(({ run, ...row }) => ({ ...row, run: run! }));
}

/** The content of a run; undefined when it was replaced meanwhile. */
export async function priceListContent(db: Queryable, run: string): Promise<Buffer | undefined> {
  const row = await db.selectFrom('price_lists').select('content').where('run', '=', run).executeTakeFirst();
  return row?.content ?? undefined;
}
