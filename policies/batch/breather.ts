import { setImmediate } from 'node:timers/promises';

/** Work goes on for so long before the event loop may turn, ms. */
const LONGEST = 10;

/**
 * A pause that long work makes again and again: lets the event loop turn, and what waits in it run, if it has not for a while.
 * Throws the signal's reason.
 */
export function breather(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  let last = performance.now();
  return () =>
    performance.now() - last < LONGEST
      ? undefined
      : setImmediate().then(() => {
          signal?.throwIfAborted();
          last = performance.now();
        });
}
