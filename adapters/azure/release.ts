import type { CallContext, Removal, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { look, madeAt, type ObjectKind, type Place, partsOf, placeOf, refAt, type Seen } from './objects.ts';
import { graceLeftMs, isPassing, looksForAbsence } from './remove.ts';
import { carries, ourTags } from './stamp.ts';
import { attemptsOf, findStamped } from './tagged.ts';
import { changeTags, writeTags } from './write-tags.ts';

/** An object with the stamp, and where it is. */
interface Stamped {
  kind: ObjectKind;
  place: Place;
  object: Seen;
}

/**
 * Takes our tags off what has the target's stamp and off what was made for it, the children first, so that who sees it without our
 * stamp sees all of it so. The user's labels stay, and all of it stays in its resource group. A machine's tags are written on the
 * condition that it is as it was read (its ETag); of others those are taken away that have the values that were read.
 */
export async function releaseResource(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  account.checkRegion(target.location.region);
  let absences = 0;
  const once = async (): Promise<true | undefined> => {
    const stamped = await stampedParts(account, target);
    absences = stamped.length === 0 ? absences + 1 : 0;
    for (const { kind, place, object } of stamped) {
      context.signal.throwIfAborted();
      try {
        await takeOff(account, kind, place, object, target.stamp, context);
      } catch (error) {
        // It is not as it was read, or something is under way with it: another look tells.
        if (!isPassing(error) && !isProviderError(error, 'NotFound')) throw error;
        return undefined;
      }
    }
    return absences >= looksForAbsence || undefined;
  };
  const done = await waitFor(once, { context, pollMs: account.pollMs, limitMs: account.removeWaitMs });
  const hiddenForMs = done ? graceLeftMs(account, target) : account.pollMs;
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

/** By the names that the attempt gives and by the reference, which are seen at once, and by the tags. The main object is last. */
async function stampedParts(account: Account, target: Target): Promise<Stamped[]> {
  const { stamp, location, ref } = target;
  const main = partsOf[target.kind][0];
  const parts = [...partsOf[target.kind]].reverse();
  const referred = placeOf(ref);
  const named = [
    ...(await attemptsOf(account, target)).flatMap((attempt) =>
      parts.map((kind) => ({ kind, place: madeAt(attempt, location.region) })),
    ),
    ...(referred ? [{ kind: main, place: referred }] : []),
    ...(await findStamped(account, target)).filter(({ kind }) => parts.includes(kind)),
  ];
  const each = new Map(named.map(({ kind, place }) => [refAt(account, kind, place), { kind, place }]));
  const found = await Promise.all(
    [...each.values()].map(async ({ kind, place }) => ({
      kind,
      place,
      object: await look(account, place.group, kind, place.name),
    })),
  );
  return found
    .filter((one): one is Stamped => carries(one.object?.tags, stamp))
    .sort((a, b) => parts.indexOf(a.kind) - parts.indexOf(b.kind));
}

async function takeOff(
  account: Account,
  kind: ObjectKind,
  place: Place,
  object: Seen,
  stamp: Target['stamp'],
  context: CallContext,
): Promise<void> {
  const { tags = {} } = object;
  const ours = ourTags(tags, stamp);
  if (kind !== 'virtualMachine')
    return changeTags(account, refAt(account, kind, place), 'Delete', ours, context);
  const others = Object.fromEntries(Object.entries(tags).filter(([key]) => !(key in ours)));
  return writeTags(account, kind, place, object, others, context);
}
