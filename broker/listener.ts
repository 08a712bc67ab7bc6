import type { Store } from '@landfall/store';
import type { Logger } from 'pino';

/**
 * Keeps a LISTEN on `channel` alive across database restarts until `closing`. Calls `heard` for each notification and after
 * each reconnection, when some may have been missed. Says in the log once that the channel is lost and once that it is back.
 */
export function keepListening(
  store: Store,
  channel: string,
  heard: () => void,
  log: Logger,
  closing: AbortSignal,
): void {
  let current: { end(): Promise<void> } | undefined;
  let told = false;
  let delay = 200;

  const connect = async (): Promise<void> => {
    if (closing.aborted) return;
    try {
      const connection = await store.listen(channel, heard, (error) => {
        current = undefined;
        again(error);
      });
      current = connection;
      delay = 200;
      if (told) log.info({ channel }, 'listening again');
      told = false;
      if (closing.aborted) await connection.end();
      else heard();
    } catch (error) {
      again(error);
    }
  };

  const again = (error: unknown): void => {
    if (closing.aborted) return;
    if (!told) log.warn({ err: error, channel }, 'lost the notifications of the database; polling meanwhile');
    told = true;
    setTimeout(() => void connect(), delay).unref();
    delay = Math.min(delay * 2, 5_000);
  };

  closing.addEventListener('abort', () => void current?.end(), { once: true });
  void connect();
}

/** Resolves after `ms`, or at once when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** What `work` gives, or an error when that takes longer than `ms`. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1_000} seconds`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
