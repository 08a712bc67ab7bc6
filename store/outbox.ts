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

/** A dispatcher that took rows and died gives them back after this long. */
const leaseMs = 10_000;

/**
 * Leases up to `limit` rows, hands each to `deliver`, and deletes what was delivered. At least once: a crash after delivery
 * delivers again when the lease is over, which a level-triggered workflow does not mind. No transaction is open while
 * delivering: watches read only below the oldest one. Answers how many were delivered; throws the first delivery error
 * after the others are done.
 */
export async function deliverOutbox(
  db: Db,
  limit: number,
  deliver: (row: OutboxRow) => Promise<void>,
): Promise<number> {
  const rows = await db
    .updateTable('outbox')
    .set({ leased_until: sql`clock_timestamp() + make_interval(secs => ${leaseMs / 1000})` })
    .where('id', 'in', (free) =>
      free
        .selectFrom('outbox')
        .select('id')
        .where((eb) =>
          eb.or([eb('leased_until', 'is', null), eb('leased_until', '<', sql<Date>`clock_timestamp()`)]),
        )
        .orderBy('id')
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .returning(['id', 'workflow', 'resource'])
    .execute();
  if (rows.length === 0) return 0;
  const results = await Promise.allSettled(rows.map((row) => deliver(row)));
  const delivered = rows.filter((_, index) => results[index]!.status === 'fulfilled').map((row) => row.id);
  const failed = rows.filter((_, index) => results[index]!.status === 'rejected').map((row) => row.id);
  if (delivered.length > 0) await db.deleteFrom('outbox').where('id', 'in', delivered).execute();
  if (failed.length > 0)
    await db.updateTable('outbox').set({ leased_until: null }).where('id', 'in', failed).execute();
  const failure = results.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
  return delivered.length;
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
