import type { CallContext, Removal, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { drop, find, type Named, refOf } from './collections.ts';
import { findDisks } from './disks.ts';
import { operationFailed, providerCodeOf } from './errors.ts';
import { findMachines } from './machine.ts';
import { type OperationRef, readOperation } from './operation.ts';
import { partOfName } from './stamp.ts';

/** Looks in a row that have to see nothing before a removal is done (A4). */
export const looksForAbsence = 2;

/** What goes together; a stage begins when nothing is left of the ones before it. */
export interface Stage {
  find(): Promise<Named[]>;
  /** Whatever uses these is going too: that it is still there is no `Conflict`. */
  usersGo: boolean;
}

/** The machines with the target's stamp, then the disks that did not go with theirs, then the rule that let SSH in to it. */
export async function removeMachine(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  return removeStages(account, target, context, [
    {
      usersGo: true,
      find: async () =>
        (await findMachines(account, target)).map(({ zone, name }) => ({
          collection: 'instances',
          scope: `zones/${zone}`,
          name,
        })),
    },
    {
      usersGo: true,
      find: async () =>
        (await findDisks(account, target)).map(({ zone, name }) => ({
          collection: 'disks',
          scope: `zones/${zone}`,
          name,
        })),
    },
    {
      usersGo: true,
      find: async () =>
        (await find(account, 'firewalls', { ...target, ref: undefined })).filter(
          ({ name }) => partOfName(name) === 'ssh',
        ),
    },
  ]);
}

/**
 * Deletes what the stages find, and says so only after absence was seen twice (A4). What they find has to carry the stamp (A5). Every
 * look starts from the beginning: something may become visible late (R8).
 * @throws ProviderError `Conflict` while something else uses it.
 */
export async function removeStages(
  account: Account,
  target: Pick<Target, 'since'>,
  context: CallContext,
  stages: Stage[],
): Promise<Removal> {
  let absences = 0;
  const asked = new Map<string, OperationRef>();
  const look = async (): Promise<true | undefined> => {
    for (const stage of stages) {
      const things = await stage.find();
      if (things.length === 0) continue;
      absences = 0;
      for (const thing of things) {
        context.signal.throwIfAborted();
        await pursue(account, thing, stage, asked);
      }
      return undefined;
    }
    absences += 1;
    return absences >= looksForAbsence || undefined;
  };
  const gone = await waitFor(look, { context, pollMs: account.pollMs, limitMs: account.removeWaitMs });
  if (!gone) return { done: false, retryAfterMs: account.pollMs };
  // Of a young create the object may only be invisible (A6, R8).
  const hiddenForMs = graceLeftMs(account, target);
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

/** How much longer not seeing the target means nothing, in milliseconds. */
export function graceLeftMs(account: Account, target: Pick<Target, 'since'>): number {
  if (target.since === undefined) return 0;
  return Math.max(0, Date.parse(target.since) + account.visibilityGraceMs - Date.now());
}

/**
 * Asks for the deletion, or looks how the one that was asked for goes. One that failed is asked for again, and so is one that is over
 * while the thing is there: it came back.
 */
async function pursue(
  account: Account,
  thing: Named,
  { usersGo }: Stage,
  asked: Map<string, OperationRef>,
): Promise<void> {
  const ref = refOf(thing);
  const under = asked.get(ref);
  try {
    if (under) {
      const { done, error } = await readOperation(account, under);
      if (done) asked.delete(ref);
      if (error) throw operationFailed(error);
      return;
    }
    asked.set(ref, await drop(account, thing));
  } catch (error) {
    if (isProviderError(error, 'NotFound')) return;
    // Something is still going on with it, or what uses it is going.
    const used = /in_?use/i.test(providerCodeOf(error) ?? '');
    if (!isProviderError(error, 'Conflict') || (used && !usersGo)) throw error;
  }
}
