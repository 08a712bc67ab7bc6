import type { Logger } from 'pino';

/**
 * Repeats a step of a start until it answers, and says what it waits for. A try without any answer is given up after `tryMs`:
 * an engine that is killed as it is asked can leave a call that never ends (seen once in 45 kills: a worker that hung at its
 * start for good). Rejects once `signal` is aborted, if the try then does not answer.
 */
export function startStep(
  log: Pick<Logger, 'warn'>,
  tryMs = 10_000,
  signal?: AbortSignal,
): <T>(what: string, call: () => Promise<T>) => Promise<T> {
  return async (what, call) => {
    for (let tries = 0; ; tries++) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer in ${tryMs / 1000} s`)), tryMs);
      });
      try {
        return await Promise.race([call(), silence]);
      } catch (error) {
        signal?.throwIfAborted();
        if (tries % 20 === 0) log.warn({ reason: (error as Error).message }, `waiting for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 250));
      } finally {
        clearTimeout(timer);
      }
    }
  };
}
