import type { Store } from '@landfall/store';
import { tellSilentHosts } from '@landfall/store/health.ts';
import type { Logger } from 'pino';
import { pause } from './listener.ts';

/** Who watches the stream is told of a silent host within a second. */
const lookEveryMs = 500;

/** Tells by events of hosts that have fallen silent, until `closing`: silence itself writes nothing. Resolves when it has stopped. */
export async function watchHosts(store: Store, log: Logger, closing: AbortSignal): Promise<void> {
  let failing = false;
  while (!closing.aborted) {
    try {
      await tellSilentHosts(store.db);
      failing = false;
    } catch (error) {
      if (!failing) log.warn({ err: error }, 'could not look for silent hosts; trying again');
      failing = true;
    }
    await pause(lookEveryMs, closing);
  }
}
