import {
  deliverOutbox,
  type OutboxRow,
  openWork,
  outboxChannel,
  outboxDepth,
  type Store,
} from '@landfall/store';
import type { Signals } from '@landfall/workflows/client.ts';
import type { Logger } from 'pino';
import { keepListening, pause, within } from './listener.ts';

const batch = 100;
const pollMs = 1_000;
const longestBackOffMs = 10_000;
const signalWithinMs = 5_000;
/** Operations open for longer are checked to have a workflow, this often and so many at a time. */
const checkEveryMs = 30_000;
const checkedAtOnce = 200;

/** What the dispatcher does, for readiness and metrics. */
export interface Dispatcher {
  /** Rows waiting and the age of the oldest. Asks the database. */
  depth(): Promise<{ rows: number; oldestMs: number }>;
  /** Why the last delivery failed; null when it did not. */
  trouble(): string | null;
  /** Resolves when the delivery under way has ended. */
  stopped: Promise<void>;
}

/**
 * Turns outbox rows into wake-ups of workflows until `closing`: at once when a row is committed, and every second in case
 * a notification was lost. At least once; rows stay while the engine is away. Several brokers may do it together.
 */
export function startDispatcher(
  store: Store,
  engine: Pick<Signals, 'signal' | 'ensureStarted' | 'ready'>,
  log: Logger,
  closing: AbortSignal,
): Dispatcher {
  const deliver = (row: OutboxRow): Promise<void> => within(signalWithinMs, engine.signal(row));
  let wake: () => void = () => undefined;
  let pending = true;
  let trouble: string | null = null;
  keepListening(
    store,
    outboxChannel,
    () => {
      pending = true;
      wake();
    },
    log,
    closing,
  );

  const run = async (): Promise<void> => {
    let backOffMs = 250;
    while (!closing.aborted) {
      try {
        // While the engine is away no transaction is opened: one held open for its timeouts would hold up every watch,
        // which reads events only below the oldest transaction.
        if (trouble !== null && !(await within(signalWithinMs, engine.ready()))) throw new Error(trouble);
        pending = false;
        // A full batch means that there may be more.
        while ((await deliverOutbox(store.db, batch, deliver)) === batch && !closing.aborted);
        if (trouble !== null) log.info('the outbox is being delivered again');
        trouble = null;
        backOffMs = 250;
        if (!pending) {
          const idle = new AbortController();
          wake = () => idle.abort();
          await pause(pollMs, AbortSignal.any([idle.signal, closing]));
          wake = () => undefined;
        }
      } catch (error) {
        if (trouble === null)
          log.warn({ err: error }, 'the outbox cannot be delivered; its rows are kept, trying again');
        trouble = (error as Error).message;
        await pause(backOffMs, closing);
        backOffMs = Math.min(backOffMs * 2, longestBackOffMs);
      }
    }
  };

  // An engine that lost its database has no workflow for what was accepted; the store has, and asks for it again.
  const recover = async (): Promise<void> => {
    let after: string | undefined;
    while (!closing.aborted) {
      await pause(checkEveryMs, closing);
      if (closing.aborted || trouble !== null) continue;
      try {
        // The next ones each time: what waits for an approval may be open for months.
        const { work, next } = await openWork(store.db, checkEveryMs, checkedAtOnce, after);
        for (const one of work) {
          if (closing.aborted) return;
          await within(signalWithinMs, engine.ensureStarted(one));
        }
        after = next;
      } catch (error) {
        log.warn({ err: error }, 'could not check that open operations have their workflows; trying again');
      }
    }
  };

  const stopped = Promise.all([run(), recover()]).then(() => undefined);
  return { depth: () => outboxDepth(store.db), trouble: () => trouble, stopped };
}
