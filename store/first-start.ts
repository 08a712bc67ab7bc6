import { sql } from 'kysely';
import { newId } from './id.ts';
import type { Db, Tx } from './open.ts';
import type { NewToken } from './tokens.ts';

/** Runs `work` in a transaction that only one process at a time is in: for what a first start makes. */
export async function alone<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(7420002)`.execute(tx);
    return work(tx);
  });
}

/** The installation's id, made the first time: every stamp carries it. */
export async function ensureInstallation(tx: Tx): Promise<string> {
  const row = await tx.selectFrom('installation').select('id').executeTakeFirst();
  if (row) return row.id;
  const made = await tx
    .insertInto('installation')
    .values({ id: newId() })
    .returning('id')
    .executeTakeFirstOrThrow();
  return made.id;
}

/** Makes the organization and a project of the same name, where they are missing. */
export async function ensureHome(tx: Tx, name: string): Promise<void> {
  const labels = JSON.stringify({});
  await tx
    .insertInto('organizations')
    .values({ id: newId(), name, labels })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  await tx
    .insertInto('projects')
    .values({ id: newId(), name, organization: name, labels, limits: JSON.stringify({}) })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
}

/** Makes sure that a token with this hash is known. */
export async function ensureToken(
  tx: Tx,
  token: Pick<NewToken, 'name' | 'role' | 'organization' | 'site' | 'hash'>,
): Promise<void> {
  await tx
    .insertInto('tokens')
    .values({ ...token, id: newId(), project: null })
    .onConflict((conflict) => conflict.column('hash').doNothing())
    .execute();
}
