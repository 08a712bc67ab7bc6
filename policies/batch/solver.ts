import { Worker } from 'node:worker_threads';
import { type Packed, packed } from './packed.ts';
import type { Batch } from './problem.ts';
import type { Answer, SolveOptions } from './solve.ts';

export interface SolverTask {
  packed: Packed;
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

/** A thread that has done its work is kept so long for the next batch, ms: one that has solved before takes two thirds of the time. */
const KEPT = 60_000;

let kept: { worker: Worker; end: NodeJS.Timeout } | null = null;

/** The thread that is kept, or a new one. */
function take(): Worker {
  if (kept === null) return new Worker(new URL('./solver-thread.ts', import.meta.url));
  const { worker, end } = kept;
  kept = null;
  clearTimeout(end);
  unheard(worker).ref();
  return worker;
}

/** Nobody listens to it from here on; it has listeners of its own, which stay. */
function unheard(worker: Worker): Worker {
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
  return worker;
}

/** Keeps a thread that waits for work; the process may end meanwhile. */
async function keep(worker: Worker): Promise<void> {
  unheard(worker).unref();
  if (kept !== null) {
    await worker.terminate();
    return;
  }
  const forget = (): void => {
    if (kept?.worker !== worker) return;
    clearTimeout(kept.end);
    kept = null;
    void worker.terminate();
  };
  worker.once('error', forget).once('exit', forget);
  kept = { worker, end: setTimeout(forget, KEPT).unref() };
}

/** Starts a thread, which gets itself ready while its batch is made, or takes one that is. */
export function openSolver(): Solver {
  const worker = take();
  const inbox: SolverMessage[] = [];
  /** It has solved all it was given. */
  let isIdle = false;
  let failed: unknown = null;
  let wake = (): void => {};
  const fail = (error: unknown): void => {
    failed ??= error;
    wake();
  };
  worker.on('message', (message: SolverMessage) => {
    isIdle = message.answer === null;
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
        worker.postMessage({ packed: packed(batch), options } satisfies SolverTask);
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
      if (isIdle && failed === null) await keep(worker);
      else await worker.terminate();
    },
  };
}

/** {@link Solver.solve} with a thread of its own, which stops when the loop ends or is left. */
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
