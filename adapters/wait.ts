import { setTimeout as sleep } from 'node:timers/promises';
import type { CallContext } from './contract.ts';
import { isProviderError, providerCodeOf } from './errors.ts';

/**
 * Waits, and throws the signal's own reason when it fires (A10). The reason is the caller's word, passed on untouched:
 * that is how Temporal recognises its own cancellation.
 */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

/** How many times in a row a look may fail while waiting, before the wait fails. */
const patience = 5;

/**
 * Looks until `done` answers something, with a heartbeat before each look. A look that fails because the provider
 * is throttling or away is repeated a few times: nothing is known, so nothing is decided.
 * @returns undefined when `limitMs` is over.
 */
export async function waitFor<T>(
  look: () => Promise<T | undefined>,
  wait: { context: CallContext; pollMs: number; limitMs: number; details?: unknown },
): Promise<T | undefined> {
  const { context, pollMs } = wait;
  const end = Date.now() + wait.limitMs;
  for (let failures = 0; ; ) {
    context.signal.throwIfAborted();
    context.heartbeat(wait.details);
    let next = pollMs;
    try {
      const found = await look();
      if (found !== undefined) return found;
      failures = 0;
    } catch (error) {
      const passing = isProviderError(error, 'Throttled') || isProviderError(error, 'Unavailable');
      failures += 1;
      if (!passing || failures >= patience) throw error;
      next = Math.max(pollMs, error.details.retryAfterMs ?? 0);
    }
    if (Date.now() + next > end) return undefined;
    await pause(next, context.signal);
  }
}

/**
 * Repeats a call that EC2 refuses because something just made cannot be seen yet (the codes say which refusals).
 * Refused means not done, so repeating is safe.
 */
export async function untilVisible<T>(
  call: () => Promise<T>,
  wait: { context: CallContext; pollMs: number; limitMs: number; codes: string[] },
): Promise<T> {
  const end = Date.now() + wait.limitMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!wait.codes.includes(providerCodeOf(error) ?? '') || Date.now() + wait.pollMs > end) throw error;
      wait.context.heartbeat();
      await pause(wait.pollMs, wait.context.signal);
    }
  }
}
