import type { CallContext, Removal, Stamp, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { askToDelete, look, partsOf } from './objects.ts';
import { carries, groupName, objectName } from './stamp.ts';
import { attemptsOf } from './tagged.ts';

/** Looks in a row that have to see nothing before a removal is done (A4). */
const looksForAbsence = 2;

/**
 * Deletes what has the target's stamp and everything made for it, and says so only after absence was seen twice (A4) and
 * nothing can be hidden any more (A6). What does not carry the stamp is never touched (A5).
 * @param release goes before the deleting of an attempt.
 * @throws ProviderError `Conflict` while something else uses it; an instance is used by nothing.
 */
export async function removeResource(
  account: Account,
  target: Target,
  context: CallContext,
  release: (stamp: Stamp) => Promise<void> = async () => {},
): Promise<Removal> {
  let absences = 0;
  const once = async (): Promise<true | undefined> => {
    let left = 0;
    for (const stamp of await attemptsOf(account, target))
      try {
        await release(stamp);
        left += await removeAttempt(account, target, stamp, context);
      } catch (error) {
        if (!isPassing(error)) throw error;
        left += 1;
      }
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
  { kind: of, location }: Target,
  stamp: Stamp,
  context: CallContext,
): Promise<number> {
  const group = groupName(stamp.broker, location.region);
  const parts = partsOf[of];
  const name = objectName(stamp);
  const seen = await Promise.all(parts.map((kind) => look(account, group, kind, name)));
  let left = 0;
  for (const [at, kind] of parts.entries()) {
    context.signal.throwIfAborted();
    const object = seen[at];
    // Azure gives a machine's tags to its disk; one that lost them is ours by its name, which no other broker makes.
    const ours = object && ((of === 'Instance' && kind === 'disk') || carries(object.tags, stamp));
    if (!ours) continue;
    left += 1;
    if (object.provisioningState === 'Deleting') continue;
    try {
      await askToDelete(account, group, kind, name);
    } catch (error) {
      // Still used by what goes before it. An interface of a failed machine stays reserved for three minutes.
      const waits = of === 'Instance' || at > 0 || isPassing(error);
      if (!isProviderError(error, 'Conflict') || !waits) throw error;
    }
  }
  return left;
}

/** Refusals while something is under way. */
const passing = ['AnotherOperationInProgress', 'OperationPreempted', 'Conflict'];

function isPassing(error: unknown): boolean {
  return isProviderError(error, 'Conflict') && passing.includes(providerCodeOf(error) ?? '');
}

/** How much longer not seeing the target means nothing, in milliseconds. */
export function graceLeftMs(account: Account, target: Pick<Target, 'since'>): number {
  if (target.since === undefined) return 0;
  return Math.max(0, Date.parse(target.since) + account.visibilityGraceMs - Date.now());
}
