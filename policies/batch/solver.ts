import { Worker } from 'node:worker_threads';
import type { Batch } from './problem.ts';
import type { Answer, SolveOptions } from './solve.ts';

export interface SolverTask {
  batch: Batch;
  options: SolveOptions;
}

/** Null: it was the last. */
export interface SolverMessage {
  answer: Answer | null;
}

/** A thread that solves one batch. Close it; closing ends its work. */
export interface Solver {
  /** Answers as they are found, each better than the one before. Throws what the thread throws, and the signal's reason. */
  solve(batch: Batch, options: SolveOptions, signal?: AbortSignal): AsyncGenerator<Answer>;
  close(): Promise<void>;
}

/** Starts a thread, which gets itself ready while its batch is made. */
export function openSolver(): Solver {
  const worker = new Worker(new URL('./solver-thread.ts', import.meta.url));
  const inbox: SolverMessage[] = [];
  let failed: unknown = null;
  let wake = (): void => {};
  const fail = (error: unknown): void => {
    failed ??= error;
    wake();
  };
  worker.on('message', (message: SolverMessage) => {
    inbox.push(message);
    wake();
  });
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`the solver's thread ended early, with code ${code}`)));
  return {
    async *solve(batch, options, signal) {
      signal?.throwIfAborted();
      const aborted = (): void => fail(signal!.reason);
      signal?.addEventListener('abort', aborted);
      try {
        worker.postMessage({ batch, options } satisfies SolverTask);
        for (;;) {
          const message = inbox.shift();
          if (message !== undefined) {
            if (message.answer === null) return;
            yield message.answer;
          } else if (failed !== null) throw failed;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        signal?.removeEventListener('abort', aborted);
      }
    },
    async close() {
      await worker.terminate();
    },
  };
}

/** {@link Solver.solve} with a thread of its own, which is gone when the loop ends or is left. */
export async function* solveBatch(
  batch: Batch,
  options: SolveOptions,
  signal?: AbortSignal,
): AsyncGenerator<Answer> {
  signal?.throwIfAborted();
  const solver = openSolver();
  try {
    yield* solver.solve(batch, options, signal);
  } finally {
    await solver.close();
  }
}
