import { setImmediate } from 'node:timers/promises';

/** Work goes on for so long before the event loop may turn, ms. */
const LONGEST = 10;

/** A pause that long work makes again and again: lets the event loop turn, and what waits in it run, if it has not for a while. */
export function breather(): () => Promise<void> | undefined {
  let last = performance.now();
  return () =>
    performance.now() - last < LONGEST
      ? undefined
      : setImmediate().then(() => {
          last = performance.now();
        });
}
