import { eventsChannel, type Store } from '@landfall/store';
import type { Signals } from '@landfall/workflows/client.ts';
import type { Logger } from 'pino';
import { keepListening, pause, within } from './listener.ts';

const apartMs = 1_000;
const longestBackOffMs = 30_000;
const signalWithinMs = 5_000;

/**
 * Asks for a look at compliance when something has happened, until `closing`: every committed event counts, whatever it is
 * about, and many within a second are one. What is missed while the engine is away is made up for when it is back; the
 * schedule looks anyway. Resolves when it has stopped.
 */
export async function wakeCompliance(
  store: Store,
  engine: Pick<Signals, 'wakeCompliance'>,
  log: Logger,
  closing: AbortSignal,
): Promise<void> {
  let pending = true;
  let ring: () => void = () => undefined;
  closing.addEventListener('abort', () => ring(), { once: true });
  keepListening(
    store,
    eventsChannel,
    () => {
      pending = true;
      ring();
    },
    log,
    closing,
  );
  let backOffMs = apartMs;
  while (!closing.aborted) {
    if (!pending)
      await new Promise<void>((resolve) => {
        ring = resolve;
      });
    if (closing.aborted) return;
    pending = false;
    try {
      await within(signalWithinMs, engine.wakeCompliance());
      backOffMs = apartMs;
    } catch (error) {
      log.debug({ err: error }, 'could not ask for a look at compliance; trying again');
      pending = true;
      backOffMs = Math.min(backOffMs * 2, longestBackOffMs);
    }
    await pause(backOffMs, closing);
  }
}
