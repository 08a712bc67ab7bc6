import type { Schemas } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { Violations } from './database.ts';
import { StoreError } from './errors.ts';
import { appendEvent, type NewEvent } from './events.ts';
import type { Db, Queryable } from './open.ts';
import type { OperationScope, Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';
import { wordsOf } from './resource-kinds.ts';

/**
 * Violations: machines, volumes, … that a rule would not let be where they are. One stands per resource, policy and rule; it is
 * resolved by itself when the rule lets the resource through again, and a later one is a new one.
 */
export type Violation = Schemas['Violation'];

function toViolation(row: Selectable<Violations>): Violation {
  return {
    id: row.id,
    kind: 'Violation',
    project: row.project,
    resource: { kind: row.resource_kind, id: row.resource, name: row.resource_name, project: row.project },
    policy: row.policy,
    rule: row.rule,
    policyVersion: row.policy_version,
    line: row.line,
    mode: row.mode,
    effect: row.effect,
    message: row.message,
    state: row.state,
    exception: row.exception,
    acknowledged: row.acknowledged,
    owner: row.owner,
    action: row.action,
    actionState: row.action_state,
    actionMessage: row.action_message,
    operation: row.operation,
    firstSeenAt: row.first_seen_at.toISOString(),
    lastSeenAt: row.last_seen_at.toISOString(),
    resolvedAt: row.resolved_at?.toISOString() ?? null,
  };
}

/** Those of an organization, or of one project of it. */
export function violationsOf(db: Queryable, scope: OperationScope) {
  const query = db.selectFrom('violations').selectAll().where('organization', '=', scope.organization);
  return scope.project ? query.where('project', '=', scope.project) : query;
}

export async function listViolations(
  db: Db,
  scope: OperationScope,
  page: PageRequest,
): Promise<Paged<Violation>> {
  const rules: ListRules = {
    list: `violations of ${scope.project ?? ''}`,
    fields: {
      state: field('state', 'text', ['Open', 'Acknowledged', 'Waived', 'Resolved']),
      project: field('project'),
      policy: field('policy'),
      rule: field('rule'),
      mode: field('mode', 'text', ['enforce', 'audit', 'dryRun']),
      owner: field('owner'),
      action: field('action', 'text', ['report', 'approve', 'replace', 'stop']),
      resource: field('resource', 'uuid'),
      resourceName: field('resource_name'),
      resourceKind: field('resource_kind', 'text', ['Instance', ...Object.keys(wordsOf)]),
    },
    order: { createdAt: sql.ref('first_seen_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt desc',
  };
  return readPage(violationsOf(db, scope), rules, page, toViolation);
}

export async function getViolation(db: Queryable, scope: OperationScope, id: string): Promise<Violation> {
  const row = await violationsOf(db, scope).where('id', '=', id).executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no violation ${id}`);
  return toViolation(row);
}

/**
 * Notes that somebody sees to a violation; again by the same person for the same reason changes nothing. Throws `conflict`
 * for one that is resolved or waived.
 */
export async function acknowledgeViolation(
  db: Db,
  scope: OperationScope,
  id: string,
  reason: string,
  by: Requester,
  validateOnly = false,
): Promise<Violation> {
  return db.transaction().execute(async (tx) => {
    const row = await violationsOf(tx, scope).where('id', '=', id).forUpdate().executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no violation ${id}`);
    if (row.state === 'Resolved' || row.state === 'Waived')
      throw new StoreError('conflict', `violation ${id} is ${row.state}: there is nothing to acknowledge`);
    const known = row.acknowledged;
    if (validateOnly || (known?.by === by.requestedBy && known.reason === reason)) return toViolation(row);
    const acknowledged = { by: by.requestedBy, at: new Date().toISOString(), reason };
    const kept = await tx
      .updateTable('violations')
      .set({ state: 'Acknowledged', acknowledged: JSON.stringify(acknowledged) })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await appendEvent(tx, {
      ...eventOf(kept, 'acknowledged', `${by.requestedBy} sees to it: ${reason}`),
      actor: by.requestedBy,
    });
    return toViolation(kept);
  });
}

type Told = Pick<
  Selectable<Violations>,
  | 'id'
  | 'organization'
  | 'project'
  | 'resource'
  | 'resource_kind'
  | 'resource_name'
  | 'policy'
  | 'rule'
  | 'line'
  | 'mode'
  | 'owner'
  | 'action'
>;

/** What has happened to a violation, as an event of its resource. */
export function eventOf(row: Told, what: string, message: string): NewEvent {
  const { id, policy, rule, line, mode, owner, action } = row;
  return {
    type: `violation.${what}`,
    organization: row.organization,
    project: row.project,
    resource: { kind: row.resource_kind, id: row.resource, name: row.resource_name },
    actor: 'landfall',
    message: `${row.resource_kind === 'Instance' ? 'instance' : wordsOf[row.resource_kind]} ${row.resource_name} against ${policy}/${rule}: ${message}`,
    data: { violation: id, policy, rule, line, mode, owner, action },
  };
}

/** How many stand, for metrics. */
export async function violationCounts(
  db: Db,
): Promise<{ policy: string; mode: string; state: string; count: number }[]> {
  return db
    .selectFrom('violations')
    .select(['policy', 'mode', 'state', sql<number>`count(*)::int`.as('count')])
    .where('resolved_at', 'is', null)
    .groupBy(['policy', 'mode', 'state'])
    .execute();
}
