import type { Logger } from 'pino';
import { backOff } from './back-off.ts';
import type { BrokerClient, HostRegistration } from './broker-client.ts';
import { pause } from './kvm/pause.ts';

const everyMs = 10_000;

/**
 * Registers the host at once and every ten seconds, until `signal` fires; while the broker is away or refuses, with back-off.
 * Logs when the state changes, not each time.
 */
export async function keepRegistered(
  client: BrokerClient,
  host: string,
  current: () => Promise<HostRegistration>,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<void> {
  const retry = backOff(1000, 15_000);
  let state: string | undefined;
  while (!signal.aborted) {
    let waitMs = everyMs;
    try {
      await client.register(host, await current());
      if (state !== 'registered') log.info({ host }, 'registered with the broker');
      state = 'registered';
      retry.reset();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (state !== message)
        log.warn({ host, reason: message }, 'not registered with the broker: trying again');
      state = message;
      waitMs = retry.next();
    }
    await pause(waitMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
