import { eventsChannel, type Store } from '@landfall/store';
import type { Logger } from 'pino';
import { keepListening } from './listener.ts';

/** Readers look by themselves this often: an event becomes readable only when older transactions have ended. */
const pollMs = 2_000;

/** Wakes whoever waits for events; one database connection for all of them. */
export class EventFeed {
  readonly #waiting = new Set<() => void>();

  constructor(store: Store, log: Logger, closing: AbortSignal) {
    keepListening(store, eventsChannel, () => this.#wake(), log, closing);
    closing.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** Resolves when there may be something new, the signal is aborted, or `ms` (at most two seconds) have passed. */
  next(signal: AbortSignal, ms = pollMs): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(ms, pollMs));
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}
