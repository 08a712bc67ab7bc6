import type { CallContext, Kind, Removal, Stamp, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import {
  askToDelete,
  look,
  madeAt,
  notOurs,
  type ObjectKind,
  type Place,
  partsOf,
  placeOf,
  refAt,
  type Seen,
} from './objects.ts';
import { carries, groupName, objectName } from './stamp.ts';
import { attemptsOf, findStamped } from './tagged.ts';

/** Looks in a row that have to see nothing before a removal is done (A4). */
export const looksForAbsence = 2;

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
    const attempts = await attemptsOf(account, target);
    for (const stamp of attempts)
      try {
        await release(stamp);
        left += await removeAttempt(account, target, stamp, context);
      } catch (error) {
        if (!isPassing(error)) throw error;
        left += 1;
      }
    if (left === 0) left = await removeOthers(account, target, attempts, context);
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
  const isReleased = seen[0] !== undefined && !carries(seen[0].tags, stamp);
  let left = 0;
  for (const [at, kind] of parts.entries()) {
    const object = seen[at];
    // Azure gives a machine's tags to its disk; one that lost them is ours by its name, which no other broker makes.
    const byName = of === 'Instance' && kind === 'disk' && !isReleased;
    const ours = object && (byName || carries(object.tags, stamp));
    if (ours) left += await removeObject(account, of, kind, { group, name }, object, context);
  }
  return left;
}

/**
 * One look at what carries the target's stamp and has not the name that the attempt gives, asking to delete it: a machine that was
 * adopted, by its reference, and whatever Azure finds by the stamp.
 * @returns how many were seen. @throws ProviderError `Conflict` when the reference is something that does not carry the stamp (A5).
 */
async function removeOthers(
  account: Account,
  target: Target,
  attempts: Stamp[],
  context: CallContext,
): Promise<number> {
  const { kind: of, stamp, location, ref } = target;
  const parts = partsOf[of];
  const referred = placeOf(ref);
  const looked = attempts.map((attempt) => refAt(account, parts[0], madeAt(attempt, location.region)));
  const named = referred && refAt(account, parts[0], referred);
  if (referred && named && !looked.includes(named)) {
    const object = await look(account, referred.group, parts[0], referred.name);
    if (object && !carries(object.tags, stamp)) throw notOurs(referred.name);
    if (object) return removeObject(account, of, parts[0], referred, object, context);
  }
  let left = 0;
  const stamped = (await findStamped(account, target)).filter(({ kind }) => parts.includes(kind));
  for (const { kind, place } of stamped.sort((a, b) => parts.indexOf(a.kind) - parts.indexOf(b.kind))) {
    const object = await look(account, place.group, kind, place.name);
    if (object && carries(object.tags, stamp))
      left += await removeObject(account, of, kind, place, object, context);
  }
  return left;
}

/** Asks to delete an object of ours that is there. @returns 1: it was seen. */
async function removeObject(
  account: Account,
  of: Kind,
  kind: ObjectKind,
  { group, name }: Place,
  { provisioningState }: Seen,
  context: CallContext,
): Promise<1> {
  context.signal.throwIfAborted();
  if (provisioningState === 'Deleting') return 1;
  try {
    await askToDelete(account, group, kind, name);
  } catch (error) {
    // Still used by what goes before it. An interface of a failed machine stays reserved for three minutes.
    const waits = of === 'Instance' || kind !== partsOf[of][0] || isPassing(error);
    if (!isProviderError(error, 'Conflict') || !waits) throw error;
  }
  return 1;
}

/** Refusals while something is under way, and of a write whose condition does not hold any more. */
const passing = ['AnotherOperationInProgress', 'OperationPreempted', 'Conflict', 'PreconditionFailed'];

export function isPassing(error: unknown): boolean {
  return isProviderError(error, 'Conflict') && passing.includes(providerCodeOf(error) ?? '');
}

/** How much longer not seeing the target means nothing, in milliseconds. */
export function graceLeftMs(account: Account, target: Pick<Target, 'since'>): number {
  if (target.since === undefined) return 0;
  return Math.max(0, Date.parse(target.since) + account.visibilityGraceMs - Date.now());
}
