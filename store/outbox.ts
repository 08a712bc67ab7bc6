import { sql } from 'kysely';
import type { Outbox } from './database.ts';
import { outboxChannel } from './events.ts';
import type { Db, Tx } from './open.ts';

export interface OutboxRow {
  id: number;
  workflow: Outbox['workflow'];
  resource: string;
  /** '' for what is of no project. */
  project: string;
}

/** Asks for a workflow's attention, in the transaction of the change it should see. */
export async function enqueue(
  tx: Tx,
  { project, ...row }: { workflow: Outbox['workflow']; resource: string; project: string | null },
): Promise<void> {
  await tx
    .insertInto('outbox')
    .values({ ...row, project: project ?? '' })
    .execute();
  await sql`select pg_notify(${outboxChannel}, '')`.execute(tx);
}

/** A dispatcher that took rows and died gives them back after this long. */
const leaseMs = 10_000;

const isFree = sql<boolean>`(leased_until is null or leased_until < clock_timestamp())`;

/**
 * Rows to deliver next: the oldest of each project, then the second of each, so that whoever has thousands waiting delays
 * nobody's first. Where more projects wait than rows are taken, chance decides: age would serve the long backlogs first again.
 */
const byTurns = (limit: number) => sql<number>`(
  with recursive waiting (project) as (
    (select project from outbox order by project limit 1)
    union all
    select (select o.project from outbox o where o.project > waiting.project order by o.project limit 1)
      from waiting where waiting.project is not null
  )
  select turns.id from waiting, lateral (
    select oldest.id, row_number() over (order by oldest.id) as turn from (
      select id from outbox where outbox.project = waiting.project and ${isFree} order by id limit ${limit}
    ) oldest
  ) turns
  order by turns.turn, random() limit ${limit}
)`;

/**
 * Leases up to `limit` rows by turns of the projects, hands each to `deliver`, and deletes what was delivered. At least once: a crash after delivery
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
        .where('id', 'in', byTurns(limit))
        // Said again: another dispatcher may have leased it since.
        .where(isFree)
        .forUpdate()
        .skipLocked(),
    )
    .returning(['id', 'workflow', 'resource', 'project'])
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
