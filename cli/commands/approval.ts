/** Approving and rejecting what requests wait for. */
import { body, idempotencyKey } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import { approvalKind } from '../kinds.ts';
import type { Session } from '../session.ts';
import { kindAndNames } from './get.ts';

/** An id needs no word before it that says what else it could be. */
const anId = /^[0-9a-f]{8}-[0-9a-f]{4}-/i;

/** Approves or rejects approvals by id. */
export async function decide(
  session: Session,
  verb: 'approve' | 'reject',
  kindWord: string,
  given: string[],
  flags: { reason?: string },
): Promise<number> {
  const [kind, ids] = anId.test(kindWord)
    ? [approvalKind, [kindWord, ...given]]
    : kindAndNames(kindWord, given);
  if (kind !== approvalKind)
    throw usageError(
      `There is nothing to ${verb} about the kind ${kind.singular}; name an approval by its id.`,
    );
  if (ids.length === 0)
    throw usageError('Which approval?', '`landfall get approvals` lists those waited for.');
  const { client } = session.broker;
  for (const approval of ids) {
    const params = { path: { approval }, header: idempotencyKey() };
    const kept = await body(
      verb === 'approve'
        ? client.POST('/v1/approvals/{approval}/approve', {
            params,
            body: flags.reason === undefined ? {} : { reason: flags.reason },
          })
        : client.POST('/v1/approvals/{approval}/reject', { params, body: { reason: flags.reason! } }),
    );
    if (session.structured) session.outStructured(kept);
    else session.out(`approval/${approval} ${kept.state.toLowerCase()}\n`);
  }
  return exitCodes.ok;
}
