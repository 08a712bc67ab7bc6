import { Worker } from 'node:worker_threads';
import type { ModelData } from 'highs';

/** A mixed-integer programme and when to stop: at a relative gap or after so many nodes, never after a time. */
export interface WholeTask {
  model: ModelData;
  gap: number;
  nodeLimit: number;
  seed: number;
}

export type WholeMessage =
  | { kind: 'improved'; values: Float64Array }
  /** `values` null: none was found. `bound`: no solution is better; null = not known. */
  | { kind: 'ended'; values: Float64Array | null; bound: number | null };

/**
 * Solves in a worker thread and yields each better solution as it comes; the last message is `ended`. Leaving
 * the loop, or the signal, ends the thread. Throws what the thread throws, and the signal's reason.
 */
export async function* solveWhole(task: WholeTask, signal?: AbortSignal): AsyncGenerator<WholeMessage> {
  signal?.throwIfAborted();
  const worker = new Worker(new URL('./milp-worker.ts', import.meta.url), { workerData: task });
  const inbox: WholeMessage[] = [];
  let failed: unknown = null;
  let wake = (): void => {};
  const fail = (error: unknown): void => {
    failed ??= error;
    wake();
  };
  const aborted = (): void => fail(signal!.reason);
  worker.on('message', (message: WholeMessage) => {
    inbox.push(message);
    wake();
  });
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`the solver's thread ended early, with code ${code}`)));
  signal?.addEventListener('abort', aborted);
  try {
    for (;;) {
      const message = inbox.shift();
      if (message !== undefined) {
        yield message;
        if (message.kind === 'ended') return;
      } else if (failed !== null) throw failed;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    signal?.removeEventListener('abort', aborted);
    await worker.terminate();
  }
}
