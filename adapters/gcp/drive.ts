import type { CallContext } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { operationFailed, providerCodeOf } from './errors.ts';
import { type OperationRef, readOperation } from './operation.ts';

/** What one look led to: nothing is left to do, something goes on by itself, or an operation was started. */
export type Next = 'converged' | 'waiting' | OperationRef;

/** What was seen was older than what is: nothing was done, and another look tells. */
const stale = ['conditionNotMet', 'resourceNotReady', 'alreadyExists', 'oneAccessConfig', 'notAttached'];
/** The same, told by an operation that had begun. */
const staleWhenDone = 'CONDITION_NOT_MET';

/**
 * Brings something to what is wanted, one operation at a time: each is waited for, and the heartbeat names it. Not seeing what is
 * new is no news within the grace period (A6).
 * @returns what was last seen and whether it is as wanted, which it may not be when the time was over.
 * @throws ProviderError what an operation failed with; `gone` when it is not there.
 */
export async function drive<T>(
  account: Account,
  context: CallContext,
  start: OperationRef | undefined,
  work: { look(): Promise<T | undefined>; step(seen: T): Promise<Next>; gone(): ProviderError },
): Promise<{ seen?: T; converged: boolean }> {
  /** When what was asked for had certainly begun to be: not to see it means nothing for a while after. */
  let since = Date.now();
  let operation = start;
  let last: T | undefined;

  const look = async (): Promise<true | ProviderError | undefined> => {
    if (operation) {
      const { done, error } = await readOperation(account, operation);
      if (!done) return undefined;
      operation = undefined;
      since = Date.now();
      // An answer, not a failed look: waiting longer would not change it.
      if (error) {
        const failed = operationFailed(error);
        if (providerCodeOf(failed) !== staleWhenDone) return failed;
      }
    }
    const seen = await work.look();
    context.signal.throwIfAborted();
    if (seen === undefined) {
      if (last === undefined && Date.now() - since < account.visibilityGraceMs) return undefined;
      return work.gone();
    }
    last = seen;
    try {
      const next = await work.step(seen);
      if (next === 'converged') return true;
      if (next !== 'waiting') operation = next;
    } catch (error) {
      if (!stale.includes(providerCodeOf(error) ?? '') || !isProviderError(error, 'Conflict')) throw error;
    }
    return undefined;
  };
  const ended = await waitFor(look, {
    context,
    pollMs: account.pollMs,
    limitMs: account.ensureWaitMs,
    get details(): OperationRef | undefined {
      return operation;
    },
  });
  if (ended instanceof ProviderError) throw ended;
  return { seen: last ?? (await work.look()), converged: ended === true };
}
