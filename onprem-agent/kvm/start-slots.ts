/** Limits how many guests boot at once: under emulation two boot in seconds, forty never come up. */
export interface StartSlots {
  /** Waits for a slot; call the answer to free it (twice is harmless). Rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<() => void>;
}

export function startSlots(limit: number): StartSlots {
  let taken = 0;
  const waiting: Array<() => void> = [];
  const free = () => {
    taken--;
    waiting.shift()?.();
  };
  return {
    async take(signal) {
      while (taken >= limit) {
        signal.throwIfAborted();
        await new Promise<void>((resolve, reject) => {
          const wake = () => {
            signal.removeEventListener('abort', cancel);
            resolve();
          };
          const cancel = () => {
            waiting.splice(waiting.indexOf(wake), 1);
            reject(signal.reason);
          };
          waiting.push(wake);
          signal.addEventListener('abort', cancel, { once: true });
        });
      }
      taken++;
      let held = true;
      return () => {
        if (held) free();
        held = false;
      };
    },
  };
}
