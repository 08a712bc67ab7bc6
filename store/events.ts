import type { Event } from '@landfall/model';
import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { Events } from './database.ts';
import type { Db, Queryable, Tx } from './open.ts';

/** Channel on which every committed event rings; the payload is empty, readers look at the table. */
export const eventsChannel = 'landfall_events';
/** Channel on which every committed outbox row rings. */
export const outboxChannel = 'landfall_outbox';

export interface NewEvent {
  /** `<kind>.<what happened>`, e.g. `instance.placed`. */
  type: string;
  organization: string;
  project?: string | null;
  resource?: { kind: string; id: string; name: string } | null;
  operation?: string | null;
  actor: string;
  message: string;
  data?: Record<string, unknown>;
}

/** Appends in the caller's transaction: the event is there if and only if what it reports is. */
export async function appendEvent(tx: Tx, event: NewEvent): Promise<void> {
  await appendEvents(tx, [event]);
}

/** Transactions that will ring when they commit: once is enough. */
const rung = new WeakSet<Tx>();

/** The same for many at once. */
export async function appendEvents(tx: Tx, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  // A statement takes 65,535 parameters at most, and an event has ten.
  for (let from = 0; from < events.length; from += 1_000) {
    await tx
      .insertInto('events')
      .values(
        events.slice(from, from + 1_000).map((event) => ({
          type: event.type,
          organization: event.organization,
          project: event.project ?? null,
          resource_kind: event.resource?.kind ?? null,
          resource_id: event.resource?.id ?? null,
          resource_name: event.resource?.name ?? null,
          operation: event.operation ?? null,
          actor: event.actor,
          message: event.message,
          data: JSON.stringify(event.data ?? {}),
        })),
      )
      .execute();
  }
  if (rung.has(tx)) return;
  rung.add(tx);
  await sql`select pg_notify(${eventsChannel}, '')`.execute(tx);
}

/** A place in the event log: `<xid>-<id>`. */
export interface Revision {
  xid: string;
  id: string;
}

/** Null where the text is no revision. */
export function parseRevision(text: string): Revision | null {
  const match = /^([0-9]{1,20})-([0-9]{1,19})$/.exec(text);
  return match ? { xid: match[1]!, id: match[2]! } : null;
}

function toEvent(row: Selectable<Events>): Event {
  return {
    revision: `${row.xid}-${row.id}`,
    time: row.time.toISOString(),
    type: row.type,
    project: row.project,
    resource: row.resource_id
      ? { kind: row.resource_kind!, id: row.resource_id, name: row.resource_name ?? '', project: row.project }
      : null,
    operation: row.operation,
    actor: row.actor,
    message: row.message,
    data: row.data as Event['data'],
  };
}

export interface EventScope {
  organization: string;
  /** Absent = every project of the organization, and what belongs to none. */
  project?: string;
  resource?: string;
  operation?: string;
  type?: string;
}

function scoped(db: Queryable, scope: EventScope) {
  let query = db.selectFrom('events').selectAll().where('organization', '=', scope.organization);
  if (scope.project) query = query.where('project', '=', scope.project);
  if (scope.resource) query = query.where('resource_id', '=', scope.resource);
  if (scope.operation) query = query.where('operation', '=', scope.operation);
  if (scope.type) query = query.where('type', '=', scope.type);
  return query;
}

/**
 * Events after `after`, oldest first, up to the oldest transaction still running: so a reader that goes on from the last
 * one it saw misses none, whatever order transactions commit in.
 */
export async function readEventsAfter(
  db: Db,
  scope: EventScope,
  after: Revision,
  limit: number,
): Promise<Event[]> {
  const rows = await scoped(db, scope)
    .where(sql<boolean>`(xid, id) > (${after.xid}::xid8, ${after.id}::bigint)`)
    .where(sql<boolean>`xid < pg_snapshot_xmin(pg_current_snapshot())`)
    .orderBy('xid')
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(toEvent);
}

/** Newest first, before `before` where given. */
export async function readEventsBefore(
  db: Db,
  scope: EventScope,
  before: Revision | null,
  limit: number,
): Promise<Event[]> {
  let query = scoped(db, scope);
  if (before) query = query.where(sql<boolean>`(xid, id) < (${before.xid}::xid8, ${before.id}::bigint)`);
  const rows = await query.orderBy('xid', 'desc').orderBy('id', 'desc').limit(limit).execute();
  return rows.map(toEvent);
}

/** The place from which a new watch starts: everything committed so far is before it. */
export async function currentRevision(db: Db): Promise<Revision> {
  const { rows } = await sql<{
    xid: string;
  }>`select pg_snapshot_xmin(pg_current_snapshot())::text as xid`.execute(db);
  return { xid: rows[0]!.xid, id: '0' };
}

/** True when events after `revision` have been pruned: the watcher must read afresh (410). */
export async function isTooOld(db: Db, revision: Revision): Promise<boolean> {
  const { rows } = await sql<{ pruned: boolean }>`
    select (xid, id) > (${revision.xid}::xid8, ${revision.id}::bigint) as pruned from event_horizon`.execute(
    db,
  );
  return rows[0]?.pruned ?? false;
}

/** Deletes events older than `before` and remembers up to where; answers how many. */
export async function pruneEvents(db: Db, before: Date): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ count: number }>`
      with gone as (delete from events where time < ${before} and xid < pg_snapshot_xmin(pg_current_snapshot()) returning xid, id),
           last as (select xid, id from gone order by xid desc, id desc limit 1),
           moved as (update event_horizon set xid = last.xid, id = last.id from last returning 1)
      select count(*)::int as count from gone`.execute(tx);
    return rows[0]?.count ?? 0;
  });
}
