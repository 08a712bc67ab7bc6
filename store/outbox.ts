import { sql } from 'kysely';
import type { Outbox } from './database.ts';
import { outboxChannel } from './events.ts';
import type { Db, Tx } from './open.ts';

export interface OutboxRow {
  id: number;
  workflow: Outbox['workflow'];
  resource: string;
}

/** Asks for a workflow's attention, in the transaction of the change it should see. */
export async function enqueue(
  tx: Tx,
  row: { workflow: Outbox['workflow']; resource: string },
): Promise<void> {
  await tx.insertInto('outbox').values(row).execute();
  await sql`select pg_notify(${outboxChannel}, '')`.execute(tx);
}

/**
 * Takes up to `limit` rows, hands each to `deliver`, and deletes what was delivered. At least once: a crash after delivery
 * and before the commit delivers again, which a level-triggered workflow does not mind. Rows that another dispatcher holds
 * are skipped. Answers how many were delivered; throws the first delivery error after committing the others.
 */
export async function deliverOutbox(
  db: Db,
  limit: number,
  deliver: (row: OutboxRow) => Promise<void>,
): Promise<number> {
  let failure: unknown;
  const delivered = await db.transaction().execute(async (tx) => {
    const rows = await tx
      .selectFrom('outbox')
      .select(['id', 'workflow', 'resource'])
      .orderBy('id')
      .limit(limit)
      .forUpdate()
      .skipLocked()
      .execute();
    const results = await Promise.allSettled(rows.map((row) => deliver(row)));
    const done = rows.filter((_, index) => results[index]!.status === 'fulfilled').map((row) => row.id);
    failure = results.find((result) => result.status === 'rejected')?.reason;
    if (done.length > 0) await tx.deleteFrom('outbox').where('id', 'in', done).execute();
    return done.length;
  });
  if (failure !== undefined) throw failure;
  return delivered;
}

/** Rows waiting, and the age of the oldest in milliseconds. */
export async function outboxDepth(db: Db): Promise<{ rows: number; oldestMs: number }> {
  const row = await db
    .selectFrom('outbox')
    .select([
      sql<number>`count(*)::int`.as('rows'),
      sql<number>`coalesce(extract(epoch from now() - min(created_at)) * 1000, 0)::float8`.as('oldestMs'),
    ])
    .executeTakeFirstOrThrow();
  return row;
}
