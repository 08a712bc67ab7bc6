import type { Db } from '@landfall/store';
import { sql } from 'kysely';

async function tables(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' order by 1`.execute(db);
  return rows.map((row) => row.name);
}

/** Keeps a copy of every table, as a backup of the database does. */
export async function snapshotTables(db: Db): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`drop schema if exists backup cascade`.execute(tx);
    await sql`create schema backup`.execute(tx);
    for (const name of await tables(db))
      await sql`create table ${sql.table(`backup.${name}`)} as table ${sql.table(`public.${name}`)}`.execute(
        tx,
      );
  });
}

/** Puts every table back to the copy: what was written since is forgotten. */
export async function restoreTables(db: Db): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // No triggers and foreign keys meanwhile: the order of tables does not matter then.
    await sql`set local session_replication_role = replica`.execute(tx);
    for (const name of await tables(db)) {
      await sql`delete from ${sql.table(`public.${name}`)}`.execute(tx);
      await sql`insert into ${sql.table(`public.${name}`)} overriding system value table ${sql.table(`backup.${name}`)}`.execute(
        tx,
      );
    }
  });
}
