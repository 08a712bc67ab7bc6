import type { Decision, Schemas } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { Decisions } from './database.ts';
import { StoreError } from './errors.ts';
import { newId } from './id.ts';
import type { Queryable } from './open.ts';

function toDecision(row: Selectable<Decisions>): Decision {
  return {
    ...row.record,
    id: row.id,
    resource: row.resource
      ? { kind: 'Instance', id: row.resource, name: row.resource_name ?? '', project: row.project }
      : null,
    ...(row.attempt === null ? {} : { attempt: row.attempt }),
    createdAt: row.created_at.toISOString(),
  };
}

/** A decision about to be kept. */
export interface NewDecision {
  id: string;
  project: string;
  resource: string;
  resourceName: string;
  attempt: number;
  record: Decision;
}

/** Keeps decisions for good. */
export async function recordDecisions(db: Queryable, decisions: readonly NewDecision[]): Promise<void> {
  if (decisions.length === 0) return;
  await db
    .insertInto('decisions')
    .values(
      decisions.map(({ id, project, resource, resourceName, attempt, record }) => ({
        id,
        project,
        resource,
        resource_name: resourceName,
        attempt,
        record: JSON.stringify(record),
      })),
    )
    .execute();
}

/** Keeps one decision; answers its id. */
export async function recordDecision(db: Queryable, decision: Omit<NewDecision, 'id'>): Promise<string> {
  const id = newId();
  await recordDecisions(db, [{ id, ...decision }]);
  return id;
}

export async function getDecision(db: Queryable, project: string, id: string): Promise<Decision> {
  const row = await db
    .selectFrom('decisions')
    .selectAll()
    .where('project', '=', project)
    .where('id', '=', id)
    .executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no decision ${id} in project ${project}`);
  return toDecision(row);
}

/** A request as its decision recorded it. */
export interface RecordedRequest {
  decision: string;
  resource: string | null;
  request: Schemas['RecordedRequest'];
  /** Rules of its own, as written; of a decision of an older version, which did not keep them, those that the resource has now. */
  rules: unknown[];
  /** The time it was decided for. */
  now: Date;
}

/**
 * The requests decided from `since` on, the newest decision of each resource only, newest first and at most `limit`; how many
 * more there are, and how many of that time cannot be replayed: they recorded no request, or one that no provider had the
 * image for. `project` narrows to one.
 */
export async function recordedRequests(
  db: Queryable,
  scope: { organization: string; project?: string },
  since: Date,
  limit: number,
): Promise<{ requests: RecordedRequest[]; leftOut: number; notReplayable: number }> {
  const newest = sql`
    select distinct on (coalesce(d.resource, d.id)) d.id, d.resource, d.record, d.created_at
      from decisions d join projects p on p.name = d.project
     where p.organization = ${scope.organization} and d.created_at >= ${since}
       and (${scope.project ?? null}::text is null or d.project = ${scope.project ?? null})
     order by coalesce(d.resource, d.id), d.created_at desc, d.id desc`;
  const replayable = sql`jsonb_array_length(record #> '{request,providers}') > 0`;
  const counts = await sql<{ replayable: number; all: number }>`
    select count(*) filter (where ${replayable})::int as replayable, count(*)::int as all
      from (${newest}) newest`.execute(db);
  const { rows } = await sql<RecordedRow>`
    select newest.id, resource, record -> 'request' as request, record ->> 'now' as now, newest.created_at,
           coalesce(record -> 'requestRules', i.spec #> '{placement,rules}') as rules
      from (${newest}) newest left join instances i on i.id = newest.resource
     where ${replayable}
     order by newest.created_at desc, newest.id desc limit ${limit}`.execute(db);
  const { replayable: found, all } = counts.rows[0]!;
  return {
    requests: rows.map(toRequest),
    leftOut: found - rows.length,
    notReplayable: all - found,
  };
}

/** The request of one decision of the scope; undefined where there is no such decision, or one that cannot be replayed. */
export async function recordedRequest(
  db: Queryable,
  scope: { organization: string; project?: string },
  id: string,
): Promise<RecordedRequest | undefined> {
  const { rows } = await sql<RecordedRow>`
    select d.id, d.resource, d.record -> 'request' as request, d.record ->> 'now' as now, d.created_at,
           coalesce(d.record -> 'requestRules', i.spec #> '{placement,rules}') as rules
      from decisions d join projects p on p.name = d.project left join instances i on i.id = d.resource
     where d.id = ${id} and p.organization = ${scope.organization}
       and (${scope.project ?? null}::text is null or d.project = ${scope.project ?? null})
       and jsonb_array_length(d.record #> '{request,providers}') > 0`.execute(db);
  return rows.map(toRequest)[0];
}

interface RecordedRow {
  id: string;
  resource: string | null;
  request: Schemas['RecordedRequest'];
  now: string | null;
  created_at: Date;
  rules: unknown[] | null;
}

function toRequest({ id, resource, request, now, created_at, rules }: RecordedRow): RecordedRequest {
  return {
    decision: id,
    resource,
    request,
    rules: rules ?? [],
    now: now === null ? created_at : new Date(now),
  };
}
