import type { Offer, Schemas } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { Approvals } from './database.ts';
import { StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import type { Db, Queryable, Tx } from './open.ts';
import type { OperationScope, Requester } from './operations.ts';
import { enqueue } from './outbox.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';

/**
 * Approvals: what a rule asks of a request before anything of it is made. One is for a generation of a resource, and holds
 * for an offer of up to a tenth above the price that was shown.
 *
 * Pending → Approved | Rejected | Expired | Superseded
 */
export type Approval = Schemas['Approval'];
export type ApprovalRow = Selectable<Approvals>;

/** An approved price may be passed by this much: prices move while people decide. */
const priceMargin = 1.1;

function toApproval(row: ApprovalRow): Approval {
  return {
    id: row.id,
    kind: 'Approval',
    project: row.project,
    resource: { kind: 'Instance', id: row.resource, name: row.resource_name, project: row.project },
    generation: row.generation,
    operation: row.operation,
    decision: row.decision,
    policy: row.policy,
    rule: row.rule,
    violation: row.violation,
    message: row.message,
    by: row.approvers,
    requestedBy: row.requested_by,
    state: row.state,
    offer: row.offer,
    requestedAt: row.requested_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    decidedBy: row.decided_by,
    decidedAt: row.decided_at?.toISOString() ?? null,
    reason: row.reason,
  };
}

function inScope(db: Queryable, scope: OperationScope) {
  const query = db.selectFrom('approvals').selectAll().where('organization', '=', scope.organization);
  return scope.project ? query.where('project', '=', scope.project) : query;
}

export async function listApprovals(
  db: Db,
  scope: OperationScope,
  page: PageRequest,
): Promise<Paged<Approval>> {
  const rules: ListRules = {
    list: `approvals of ${scope.project ?? ''}`,
    fields: {
      state: field('state', 'text', ['Pending', 'Approved', 'Rejected', 'Expired', 'Superseded']),
      project: field('project'),
      policy: field('policy'),
      rule: field('rule'),
      resource: field('resource', 'uuid'),
      resourceName: field('resource_name'),
    },
    order: { createdAt: sql.ref('requested_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt desc',
  };
  return readPage(inScope(db, scope), rules, page, toApproval);
}

export async function getApproval(db: Queryable, scope: OperationScope, id: string): Promise<Approval> {
  const row = await inScope(db, scope).where('id', '=', id).executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no approval ${id}`);
  return toApproval(row);
}

/** The newest approval of each rule for a generation of a resource. */
export async function approvalsOf(
  db: Queryable,
  resource: string,
  generation: number,
): Promise<ApprovalRow[]> {
  return db
    .selectFrom('approvals')
    .distinctOn(['policy', 'rule'])
    .selectAll()
    .where('resource', '=', resource)
    .where('generation', '=', generation)
    .where('violation', 'is', null)
    .orderBy('policy')
    .orderBy('rule')
    .orderBy('requested_at', 'desc')
    .orderBy('id', 'desc')
    .execute();
}

/** Whether an approval says yes to an offer at this price. */
export function covers(row: ApprovalRow, pricePerHour: number): boolean {
  return row.state === 'Approved' && pricePerHour <= row.offer.pricePerHour * priceMargin;
}

/** Asks for an approval, in the transaction that leaves the request waiting for it. */
export async function requestApproval(
  tx: Tx,
  wanted: {
    organization: string;
    project: string;
    resource: string;
    resourceName: string;
    generation: number;
    operation: string | null;
    decision: string | null;
    requestedBy: string[];
    policy: string;
    rule: string;
    /** To re-place the machine found against the rule; absent: for a request. */
    violation?: string;
    approvers: string[];
    message: string | null;
    offer: Offer;
    expiresHours: number;
  },
): Promise<ApprovalRow> {
  const row = await tx
    .insertInto('approvals')
    .values({
      id: newId(),
      organization: wanted.organization,
      project: wanted.project,
      resource: wanted.resource,
      resource_name: wanted.resourceName,
      generation: wanted.generation,
      operation: wanted.operation,
      decision: wanted.decision,
      requested_by: JSON.stringify(wanted.requestedBy),
      policy: wanted.policy,
      rule: wanted.rule,
      violation: wanted.violation ?? null,
      approvers: JSON.stringify(wanted.approvers),
      message: wanted.message,
      offer: JSON.stringify(wanted.offer),
      requested_at: new Date(),
      expires_at: new Date(Date.now() + wanted.expiresHours * 3_600_000),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  const asked = row.requested_by.join(', ');
  await tell(tx, row, 'requested', asked, `${asked} needs the approval of ${whoMay(row)}`);
  return row;
}

/** Ends an approval that was not answered in time. */
export async function expireApproval(tx: Tx, row: ApprovalRow): Promise<void> {
  await tx
    .updateTable('approvals')
    .set({ state: 'Expired', decided_at: new Date() })
    .where('id', '=', row.id)
    .execute();
  await tell(tx, row, 'expired', 'landfall', `nobody answered until ${row.expires_at.toISOString()}`);
}

/** Ends what is still waited for on behalf of a resource, except the ids that are. */
export async function supersedeApprovals(
  tx: Tx,
  resource: string,
  why: string,
  except: string[] = [],
): Promise<void> {
  let query = tx
    .updateTable('approvals')
    .set({ state: 'Superseded', reason: why, decided_at: new Date() })
    .where('resource', '=', resource)
    .where('violation', 'is', null)
    .where('state', '=', 'Pending');
  if (except.length > 0) query = query.where('id', 'not in', except);
  for (const row of await query.returningAll().execute())
    await tell(tx, row, 'superseded', 'landfall', `no longer waited for: ${why}`);
}

/**
 * Wakes every request of the organization that waits for an approval: a policy has changed, and it may need another, or
 * none.
 */
export async function wakeWaiting(tx: Tx, organization: string): Promise<void> {
  const rows = await tx
    .selectFrom('approvals')
    .select(['resource', 'project'])
    .distinct()
    .where('organization', '=', organization)
    .where('violation', 'is', null)
    .where('state', '=', 'Pending')
    .execute();
  for (const { resource, project } of rows) await enqueue(tx, { workflow: 'instance', resource, project });
}

/** Someone who may not decide this approval; the message says who may. */
export class NotAnApprover extends Error {}

/** Who decides: a principal by name. */
export interface Approver extends Requester {
  /** Its token is not bound to one project. */
  isOrganizationWide: boolean;
  isOrganizationAdmin: boolean;
}

/**
 * Approves or rejects, and wakes the request. The same decision again answers what is there. Throws `notFound`,
 * {@link NotAnApprover}, and `conflict` for what was decided otherwise or is over.
 */
export async function decideApproval(
  db: Db,
  scope: OperationScope,
  id: string,
  decision: { state: 'Approved' | 'Rejected'; reason: string | null },
  by: Approver,
  validateOnly = false,
): Promise<Approval> {
  return db.transaction().execute(async (tx) => {
    const row = await inScope(tx, scope).where('id', '=', id).forUpdate().executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no approval ${id}`);
    checkApprover(row, decision.state, by);
    if (row.state === decision.state) return toApproval(row);
    if (row.state !== 'Pending')
      throw new StoreError(
        'conflict',
        `approval ${id} is already ${row.state}${row.decided_by ? ` by ${row.decided_by}` : ''}`,
      );
    if (row.expires_at.getTime() <= Date.now())
      throw new StoreError('conflict', `approval ${id} expired at ${row.expires_at.toISOString()}`);
    if (validateOnly) return toApproval(row);
    const kept = await tx
      .updateTable('approvals')
      .set({ ...decision, decided_by: by.requestedBy, decided_at: new Date() })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const said = decision.reason ? `: ${decision.reason}` : '';
    const what = decision.state === 'Approved' ? 'approved' : 'rejected';
    await tell(tx, kept, what, by.requestedBy, `${by.requestedBy} ${what} it${said}`);
    if (row.violation === null)
      await enqueue(tx, { workflow: 'instance', resource: row.resource, project: row.project });
    else await noteReplacement(tx, row.violation, decision.state, `${what} by ${by.requestedBy}${said}`);
    return toApproval(kept);
  });
}

/**
 * Names of project-bound tokens are given by the project's admins, so such a token is no approver: else who asks could name
 * one after who may approve.
 */
function checkApprover(row: ApprovalRow, state: 'Approved' | 'Rejected', by: Approver): void {
  if (by.isOrganizationAdmin && (state === 'Rejected' || row.violation !== null)) return;
  const names = whoMay(row);
  if (!row.approvers.includes(by.requestedBy))
    throw new NotAnApprover(
      `only ${names} may ${state === 'Approved' ? 'approve' : 'reject'} this${state === 'Rejected' ? ', or an admin of the organization' : ''}; you are ${by.requestedBy}`,
    );
  if (!by.isOrganizationWide)
    throw new NotAnApprover(
      `only ${names}, with a token of the whole organization, may decide this; this token is bound to one project`,
    );
  if (state === 'Approved' && row.requested_by.includes(by.requestedBy))
    throw new NotAnApprover(`${by.requestedBy} asked for this, and nobody approves a request of their own`);
}

/** Who may say yes, in words. Compliance asks by itself, so an admin of the organization may always answer it. */
function whoMay(row: ApprovalRow): string {
  return [...row.approvers, ...(row.violation === null ? [] : ['an admin of the organization'])].join(' or ');
}

/**
 * Notes the answer in the violation. The workflow that moves a machine does not exist yet, so a yes is on record and the
 * machine stays until somebody moves it.
 */
async function noteReplacement(
  tx: Tx,
  violation: string,
  state: 'Approved' | 'Rejected',
  said: string,
): Promise<void> {
  const next =
    state === 'Approved'
      ? '; re-placement is not available yet: delete the instance and apply it again to move it'
      : '; it stays where it is';
  await tx
    .updateTable('violations')
    .set({ action_state: state, action_message: `${said}${next}` })
    .where('id', '=', violation)
    .where('resolved_at', 'is', null)
    .execute();
}

async function tell(tx: Tx, row: ApprovalRow, what: string, actor: string, message: string): Promise<void> {
  const { id, policy, rule, generation, approvers, requested_by } = row;
  await appendEvent(tx, {
    type: `approval.${what}`,
    organization: row.organization,
    project: row.project,
    resource: { kind: 'Instance', id: row.resource, name: row.resource_name },
    operation: row.operation,
    actor,
    message: `instance ${row.resource_name}, ${policy}/${rule}: ${message}`,
    data: {
      approval: id,
      policy,
      rule,
      generation,
      by: approvers,
      requestedBy: requested_by,
      pricePerHour: row.offer.pricePerHour,
    },
  });
}
