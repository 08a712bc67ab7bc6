import type { Operation, Problem, Schemas } from '@landfall/model';
import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { Operations } from './database.ts';
import { StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import type { Db, Queryable, Tx } from './open.ts';
import { enqueue, type OutboxRow } from './outbox.ts';

export type OperationVerb = Operation['verb'];

export interface Requester {
  organization: string;
  requestedBy: string;
  requestId?: string | null;
}

export function toOperation(row: Selectable<Operations>): Operation {
  return {
    id: row.id,
    kind: 'Operation',
    verb: row.verb,
    resource: row.resource_id
      ? { kind: row.resource_kind!, id: row.resource_id, name: row.resource_name ?? '', project: row.project }
      : null,
    project: row.project,
    generation: row.generation,
    state: row.state,
    message: row.message,
    error: row.error,
    result: row.result,
    requestedBy: row.requested_by,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

/** In the caller's transaction, beside the change it stands for. */
export async function insertOperation(
  tx: Tx,
  requester: Requester,
  operation: {
    verb: OperationVerb;
    project: string | null;
    resource: { kind: string; id: string; name: string } | null;
    generation: number;
  },
): Promise<Operation> {
  const row = await tx
    .insertInto('operations')
    .values({
      id: newId(),
      organization: requester.organization,
      project: operation.project,
      verb: operation.verb,
      resource_kind: operation.resource?.kind ?? null,
      resource_id: operation.resource?.id ?? null,
      resource_name: operation.resource?.name ?? null,
      generation: operation.generation,
      requested_by: requester.requestedBy,
      request_id: requester.requestId ?? null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return toOperation(row);
}

export interface OperationScope {
  organization: string;
  project?: string;
}

export async function getOperation(db: Queryable, scope: OperationScope, id: string): Promise<Operation> {
  let query = db
    .selectFrom('operations')
    .selectAll()
    .where('id', '=', id)
    .where('organization', '=', scope.organization);
  if (scope.project) query = query.where('project', '=', scope.project);
  const row = await query.executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no operation ${id}`);
  return toOperation(row);
}

/** An audit: compares intents, inventory and providers. */
export async function createAudit(db: Db, requester: Requester): Promise<Operation> {
  return db.transaction().execute(async (tx) => {
    const operation = await insertOperation(tx, requester, {
      verb: 'audit',
      project: null,
      resource: null,
      generation: 0,
    });
    await enqueue(tx, { workflow: 'audit', resource: operation.id, project: null });
    return operation;
  });
}

/** A compliance run: holds every machine of the organization against the policies in force. */
export async function createComplianceRun(db: Db, requester: Requester): Promise<Operation> {
  return db.transaction().execute(async (tx) => {
    const operation = await insertOperation(tx, requester, {
      verb: 'comply',
      project: null,
      resource: null,
      generation: 0,
    });
    await enqueue(tx, { workflow: 'compliance', resource: operation.id, project: null });
    return operation;
  });
}

/**
 * Asks for a create, a replacement or an adoption to be cancelled; its workflow removes what was made, or takes our stamp off what was
 * there before. Cancelling twice is one cancellation.
 * Throws `conflict` for what has ended and for what cannot be cancelled.
 */
export async function cancelOperation(
  db: Db,
  scope: OperationScope,
  id: string,
  by: Requester,
  validateOnly = false,
): Promise<Operation> {
  return db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('operations')
      .selectAll()
      .where('id', '=', id)
      .where('organization', '=', scope.organization)
      .forUpdate()
      .executeTakeFirst();
    if (!row || (scope.project && row.project !== scope.project))
      throw new StoreError('notFound', `there is no operation ${id}`);
    if (row.state !== 'Pending' && row.state !== 'Running')
      throw new StoreError('conflict', `operation ${id} has already ended: ${row.state}`);
    if (row.verb !== 'create' && row.verb !== 'replace' && row.verb !== 'adopt')
      throw new StoreError('conflict', `a ${row.verb} cannot be cancelled; ask for the opposite instead`);
    if (validateOnly || row.cancel_requested_at) return toOperation(row);
    await tx
      .updateTable('operations')
      .set({ cancel_requested_at: sql`now()` })
      .where('id', '=', id)
      .execute();
    await enqueue(tx, {
      workflow: workflowOf(row.resource_kind),
      resource: row.resource_id!,
      project: row.project,
    });
    await appendEvent(tx, {
      type: 'operation.cancelRequested',
      organization: row.organization,
      project: row.project,
      resource: { kind: row.resource_kind!, id: row.resource_id!, name: row.resource_name ?? '' },
      operation: row.id,
      actor: by.requestedBy,
      message: `${by.requestedBy} asked to cancel the ${row.verb}`,
    });
    return toOperation(row);
  });
}

/** Ends operations that are still open; later calls change nothing. */
export async function finishOperations(
  tx: Tx,
  ids: string[],
  end: {
    state: 'Succeeded' | 'Failed' | 'Cancelled';
    message: string;
    error?: Problem | null;
    result?: Schemas['AuditReport'] | null;
  },
): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .updateTable('operations')
    .set({
      state: end.state,
      message: end.message,
      error: end.error ? JSON.stringify(end.error) : null,
      result: end.result ? JSON.stringify(end.result) : null,
      started_at: sql`coalesce(started_at, now())`,
      finished_at: sql`now()`,
    })
    .where('id', 'in', ids)
    .where('state', 'in', ['Pending', 'Running'])
    .execute();
}

/** Marks operations as under way, with what they are doing now. */
export async function progressOperations(tx: Tx, ids: string[], message: string): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .updateTable('operations')
    .set({ state: 'Running', message, started_at: sql`coalesce(started_at, now())` })
    .where('id', 'in', ids)
    .where('state', 'in', ['Pending', 'Running'])
    .execute();
}

/** What has to end before something can be let go of, and how to wait for it; undefined where nothing is under way. */
export async function underWay(tx: Queryable, resource: string): Promise<string | undefined> {
  const open = await tx
    .selectFrom('operations')
    .select(['id', 'verb'])
    .where('resource_id', '=', resource)
    .where('state', 'in', ['Pending', 'Running'])
    .executeTakeFirst();
  return (
    open && `its ${open.verb} is under way: wait for it (landfall operation wait ${open.id}), then release it`
  );
}

/** The newest release that was asked for. */
export async function releaseAsked(tx: Queryable, resource: string): Promise<Operation> {
  const asked = await tx
    .selectFrom('operations')
    .selectAll()
    .where('resource_id', '=', resource)
    .where('verb', '=', 'release')
    .orderBy('created_at', 'desc')
    .executeTakeFirstOrThrow();
  return toOperation(asked);
}

/** The workflow of a resource of this kind. */
const workflowOf = (kind: string | null): 'instance' | 'resource' =>
  kind === 'Instance' ? 'instance' : 'resource';

/** Verbs whose operation has a workflow of its own. */
const ofOneRun = { audit: 'audit', comply: 'compliance', refreshPrices: 'priceRefresh' } as const;

/**
 * What open operations older than `olderThanMs` need a workflow for, oldest first. Their workflow is there unless the engine
 * lost it (a restored or corrupted engine database): asking it to be started again then keeps the promise of the 202.
 * Looks at `limit` operations; `next` goes on behind them, and is absent where these were the last.
 */
export async function openWork(
  db: Db,
  olderThanMs: number,
  limit: number,
  after?: string,
): Promise<{ work: Omit<OutboxRow, 'id'>[]; next?: string }> {
  const rows = await db
    .selectFrom('operations')
    .select(['id', 'verb', 'project', 'resource_id', 'resource_kind'])
    .where('state', 'in', ['Pending', 'Running'])
    .where('created_at', '<', sql<Date>`now() - make_interval(secs => ${olderThanMs / 1000})`)
    .$if(after !== undefined, (query) => query.where('id', '>', after as string))
    .orderBy('id') // by time, too
    .limit(limit)
    .execute();
  const resources = new Map(
    rows.flatMap(({ resource_id: resource, resource_kind, project }) =>
      resource ? [[resource, { workflow: workflowOf(resource_kind), resource, project: project ?? '' }]] : [],
    ),
  );
  const work = [
    ...resources.values(),
    ...rows.flatMap(({ id, verb }) =>
      verb in ofOneRun
        ? [{ workflow: ofOneRun[verb as keyof typeof ofOneRun], resource: id, project: '' }]
        : [],
    ),
  ];
  const last = rows.length === limit ? rows.at(-1)?.id : undefined;
  return last === undefined ? { work } : { work, next: last };
}
