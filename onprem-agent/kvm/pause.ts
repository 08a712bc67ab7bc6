import { setTimeout as sleep } from 'node:timers/promises';

/** Waits; a cancelled wait throws the signal's own reason, which is what the caller's caller knows. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  }
}
