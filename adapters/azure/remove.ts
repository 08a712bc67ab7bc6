import type { CallContext, Removal, Stamp, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { attemptsOf } from './machine.ts';
import { askToDelete, look, objectKinds } from './objects.ts';
import { carries, groupName, objectName } from './stamp.ts';

/** Looks in a row that have to see nothing before a removal is done (A4). */
const looksForAbsence = 2;

/**
 * Deletes the machines with the target's stamp and everything made for them, and says so only after absence was seen twice
 * (A4) and nothing can be hidden any more (A6). What does not carry the stamp is never touched (A5).
 */
export async function removeMachine(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  let absences = 0;
  const once = async (): Promise<true | undefined> => {
    let left = 0;
    for (const stamp of await attemptsOf(account, target))
      left += await removeAttempt(account, target.location.region, stamp, context);
    absences = left === 0 ? absences + 1 : 0;
    return absences >= looksForAbsence || undefined;
  };
  const gone = await waitFor(once, { context, pollMs: account.pollMs, limitMs: account.removeWaitMs });
  if (!gone) return { done: false, retryAfterMs: account.pollMs };
  const hiddenForMs = graceLeftMs(account, target);
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

/** One look at an attempt's objects, asking to delete what can go. @returns how many were seen. */
async function removeAttempt(
  account: Account,
  region: string,
  stamp: Stamp,
  context: CallContext,
): Promise<number> {
  const group = groupName(stamp.broker, region);
  const name = objectName(stamp);
  const seen = await Promise.all(objectKinds.map((kind) => look(account, group, kind, name)));
  let left = 0;
  for (const [at, kind] of objectKinds.entries()) {
    context.signal.throwIfAborted();
    const object = seen[at];
    // Azure gives a machine's tags to its disk; one that lost them is ours by its name, which no other broker makes.
    const ours = object && (kind === 'disk' || carries(object.tags, stamp));
    if (!ours) continue;
    left += 1;
    if (object.provisioningState === 'Deleting') continue;
    try {
      await askToDelete(account, group, kind, name);
    } catch (error) {
      // Still used by what goes before it. An interface of a failed machine stays reserved for three minutes.
      if (!isProviderError(error, 'Conflict')) throw error;
    }
  }
  return left;
}

/** How much longer not seeing the target means nothing, in milliseconds. */
export function graceLeftMs(account: Account, target: Pick<Target, 'since'>): number {
  if (target.since === undefined) return 0;
  return Math.max(0, Date.parse(target.since) + account.visibilityGraceMs - Date.now());
}
