import type { Schemas } from '@landfall/model';
import { sql } from 'kysely';
import { newId } from './id.ts';
import type { Db, Queryable } from './open.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';

/** A whole catalogue as it is kept; the store does not look into its content. */
export interface NewCatalogue {
  organization: string;
  version: string;
  date: string;
  offers: number;
  sources: { name: string; date: string; offers: number; notice?: string }[];
}

/**
 * Notes that a catalogue is in force, and keeps it unless it is there; `content` is asked for only then. True when it was
 * there already, so that the caller need not ask again soon: what this call wrote could still be rolled back with the
 * caller's transaction.
 */
export async function keepCatalogue(
  db: Queryable,
  catalogue: NewCatalogue,
  content: () => Buffer,
): Promise<boolean> {
  const known = await db
    .updateTable('catalogues')
    .set({ in_force_at: new Date() })
    .where('organization', '=', catalogue.organization)
    .where('version', '=', catalogue.version)
    .executeTakeFirst();
  if (known.numUpdatedRows > 0n) return true;
  await db
    .insertInto('catalogues')
    .values({
      id: newId(),
      ...catalogue,
      sources: JSON.stringify(catalogue.sources),
      content: content(),
    })
    .onConflict((conflict) => conflict.columns(['organization', 'version']).doNothing())
    .execute();
  return false;
}

/** The content of a kept catalogue; undefined when it never was in force or has been pruned. */
export async function catalogueContent(
  db: Queryable,
  organization: string,
  version: string,
): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('catalogues')
    .select('content')
    .where('organization', '=', organization)
    .where('version', '=', version)
    .executeTakeFirst();
  return row?.content;
}

export async function listCatalogues(
  db: Db,
  organization: string,
  page: PageRequest,
): Promise<Paged<Schemas['KeptCatalogue']>> {
  const rules: ListRules = {
    list: 'catalogues',
    fields: { version: field('version'), date: field('date') },
    order: { createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt desc',
  };
  const query = db
    .selectFrom('catalogues')
    .select(['id', 'version', 'date', 'offers', 'sources', 'created_at'])
    .select(sql<number>`octet_length(content)`.as('bytes'))
    .where('organization', '=', organization);
  return readPage(query, rules, page, (row) => ({
    version: row.version,
    date: row.date,
    offers: row.offers,
    sources: row.sources,
    bytes: row.bytes,
    createdAt: row.created_at.toISOString(),
  }));
}

/** Deletes catalogues last in force before `notSince` that no decision since `decisionsSince` was made from; answers how many. */
export async function pruneCatalogues(
  db: Queryable,
  { notSince, decisionsSince }: { notSince: Date; decisionsSince: Date },
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('catalogues')
    .where('in_force_at', '<', notSince)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('decisions')
            .select('decisions.id')
            .where(sql<boolean>`decisions.record #>> '{catalogue,version}' = catalogues.version`)
            .where('decisions.created_at', '>=', decisionsSince),
        ),
      ),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}
