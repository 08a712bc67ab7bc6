import type { CallContext, Present } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { type Poller, settle } from './objects.ts';

/** How many refusals in a row are taken for something else being under way. */
const patience = 5;

/** How a resource is seen and brought nearer to what is wanted. */
export interface Life<T> {
  /** Name of its main object, for people. */
  name: string;
  find(): Promise<T | undefined>;
  stateOf(thing: T): Present['state'];
  failureOf(thing: T): ProviderError;
  /** Takes the next step towards what is wanted. @returns whether nothing was left to do. */
  step(thing: T, run: Run): Promise<boolean>;
}

/** Carries out a change and waits for its end. @returns false: there may be more to do. */
export type Run = (start: () => Poller | Promise<unknown>) => Promise<false>;

/**
 * Brings what exists to what is wanted, one step per look. What is new may be invisible at first (A6): not seeing it is no
 * news within the grace period.
 * @returns the thing as it was last seen, not there yet when the time was over; undefined when it never was seen.
 * @throws ProviderError what it failed with; `Conflict` when it is going or gone.
 */
export async function converge<T>(
  account: Account,
  context: CallContext,
  life: Life<T>,
): Promise<T | undefined> {
  const started = Date.now();
  let last: T | undefined;
  let refusals = 0;
  const run: Run = async (start) => {
    const change = start();
    // A poller is a promise too, of the end of its operation.
    if (!('poll' in change)) await changing(change);
    else {
      await changing(change.submitted());
      await settle(account, change, context);
    }
    return false;
  };
  const look = async (): Promise<T | undefined> => {
    const seen = await life.find();
    const state = seen ? life.stateOf(seen) : undefined;
    if (state === 'removing' || (!seen && Date.now() - started >= account.visibilityGraceMs))
      throw new ProviderError('Conflict', `${life.name} is ${seen ? 'being deleted' : 'gone'}`, {
        providerCode: 'ResourceNotFound',
      });
    if (!seen) return undefined;
    last = seen;
    if (state === 'failed') throw life.failureOf(seen);
    if (state === 'creating') return undefined;
    try {
      const converged = await life.step(seen, run);
      refusals = 0;
      return converged ? seen : undefined;
    } catch (error) {
      // What was seen is older than what is, or another operation is under way: look again.
      refusals += 1;
      if (isProviderError(error, 'Conflict') && refusals < patience) return undefined;
      throw error;
    }
  };
  const wait = { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs };
  return (await waitFor(look, wait)) ?? last;
}
