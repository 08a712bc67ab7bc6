import type { Decision, Offer } from '@landfall/model';
import {
  type ApprovalRow,
  approvalsOf,
  covers,
  expireApproval,
  type InstanceRow,
  requestApproval,
  supersedeApprovals,
  type Tx,
} from '@landfall/store';

/** Whose change a placement is for. */
export interface Asker {
  /** The operation that waits for it. */
  operation: string;
  /** Everybody who asked for what is open. */
  requestedBy: string[];
}

/** Where a decision stands with the approvals it needs. */
export type Standing =
  | { approved: true }
  | { approved: false; refused: string[] }
  | { approved: false; waitsFor: ApprovalRow[] };

/**
 * Looks for the approvals that a winner needs, and asks for those that nobody was asked for. `record` keeps the decision
 * that they are asked for. A rejected or unanswered one refuses the request.
 */
export async function approvalStanding(
  tx: Tx,
  row: InstanceRow,
  organization: string,
  asker: Asker,
  decision: Decision,
  winner: Offer,
  record: () => string,
): Promise<Standing> {
  const needed = decision.approvals ?? [];
  const known = needed.length === 0 ? [] : await approvalsOf(tx, row.id, row.generation);
  const refused: string[] = [];
  const waiting: ApprovalRow[] = [];
  const unasked: typeof needed = [];
  for (const need of needed) {
    const found = known.find(({ policy, rule }) => policy === need.policy && rule === need.rule);
    const named = `${need.policy}/${need.rule}`;
    if (found && covers(found, winner.pricePerHour)) continue;
    if (found?.state === 'Rejected') {
      refused.push(`${found.decided_by} rejected it under ${named}: ${found.reason}`);
    } else if (found?.state === 'Expired' || (found?.state === 'Pending' && isOver(found))) {
      if (found.state === 'Pending') await expireApproval(tx, found);
      refused.push(
        `nobody approved it under ${named} until ${found.expires_at.toISOString()} (asked: ${found.approvers.join(', ')})`,
      );
    } else if (found?.state === 'Pending') {
      waiting.push(found);
    } else {
      unasked.push(need);
    }
  }
  if (refused.length > 0) return { approved: false, refused };
  // Pending ones of an earlier generation, or of a rule that no longer has a say.
  if (row.status.decision)
    await supersedeApprovals(
      tx,
      row.id,
      'the request or its policies have changed',
      waiting.map(({ id }) => id),
    );
  if (unasked.length > 0) {
    const recorded = record();
    for (const need of unasked) {
      waiting.push(
        await requestApproval(tx, {
          organization,
          project: row.project,
          resource: row.id,
          resourceName: row.name,
          generation: row.generation,
          operation: asker.operation,
          decision: recorded,
          requestedBy: asker.requestedBy,
          policy: need.policy,
          rule: need.rule,
          approvers: [...need.by],
          message: need.message ?? null,
          offer: winner,
          expiresHours: need.expiresHours,
        }),
      );
    }
  }
  return waiting.length > 0 ? { approved: false, waitsFor: waiting } : { approved: true };
}

/** For a person: what it waits for, from whom, and until when. */
export function waitingMessage(rows: readonly ApprovalRow[]): string {
  const each = rows.map(
    ({ policy, rule, approvers, expires_at }) =>
      `approval of ${policy}/${rule} by ${approvers.join(' or ')} until ${expires_at.toISOString()}`,
  );
  return `waits for ${each.join('; ')}`;
}

/** Milliseconds until the first of these expires; at least one. */
export function untilExpiry(rows: readonly ApprovalRow[]): number {
  const first = Math.min(...rows.map(({ expires_at }) => expires_at.getTime()));
  return Math.max(1, first - Date.now() + 1);
}

function isOver(row: ApprovalRow): boolean {
  return row.expires_at.getTime() <= Date.now();
}
