import { Worker } from 'node:worker_threads';
import type { Proof } from './conflict.ts';
import { type Packed, packed } from './packed.ts';
import type { Batch } from './problem.ts';
import type { Answer, SolveOptions } from './solve.ts';

export type SolverTask =
  | { kind: 'solve'; packed: Packed; options: SolveOptions }
  | { kind: 'conflict'; packed: Packed; class: number; has: readonly number[]; seed: number; within: number };

/** An answer, null after the last; or what stands in the way of a class, as `conflictOf` says it. */
export type SolverMessage = { answer: Answer | null } | { proof: Proof | null };

/** A thread that does one thing after the other. Close it; closing ends its work. */
export interface Solver {
  /** What `conflictOf` says. Throws what the thread throws, and the signal's reason. */
  conflict(
    batch: Batch,
    c: number,
    has: readonly number[],
    seed: number,
    within: number,
    signal: AbortSignal,
  ): Promise<Proof | null>;
  /** Answers as they are found, each better than the one before. Throws what the thread throws, and the signal's reason. */
  solve(batch: Batch, options: SolveOptions, signal?: AbortSignal): AsyncGenerator<Answer>;
  close(): Promise<void>;
}

/** A thread that has done its work is kept so long for the next batch, ms: one that has solved before takes two thirds of the time. */
const KEPT = 60_000;

/** One that solves and one that explains. */
const MOST_KEPT = 2;

const kept = new Map<Worker, NodeJS.Timeout>();

const lasting = { one: false };

/** From now on one thread that has done its work is kept for good, ready for a batch that comes after an hour. */
export function keepOne(): void {
  lasting.one = true;
}

/** The thread that was kept last, or a new one. */
function take(): Worker {
  const last = [...kept].at(-1);
  if (last === undefined) return new Worker(new URL('./solver-thread.ts', import.meta.url));
  const [worker, end] = last;
  kept.delete(worker);
  clearTimeout(end);
  forgotten(worker).ref();
  return worker;
}

/** Nobody listens to it from here on; it has listeners of its own, which stay. */
function forgotten(worker: Worker): Worker {
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
  return worker;
}

/** Keeps a thread that waits for work; the process may end meanwhile. */
async function keep(worker: Worker): Promise<void> {
  forgotten(worker).unref();
  if (kept.size >= MOST_KEPT) {
    await worker.terminate();
    return;
  }
  const forget = (): void => {
    clearTimeout(kept.get(worker));
    if (!kept.delete(worker)) return;
    void worker.terminate();
  };
  const late = (): void => {
    if (!lasting.one || kept.size > 1) forget();
  };
  worker.once('error', forget).once('exit', forget);
  kept.set(worker, setTimeout(late, KEPT).unref());
}

/** Starts a thread, which gets itself ready while its batch is made, or takes one that is. One thing at a time is asked of it. */
export function openSolver(): Solver {
  const worker = take();
  const inbox: SolverMessage[] = [];
  /** It has done all it was asked. */
  let isIdle = true;
  let failed: unknown = null;
  let wake = (): void => {};
  const fail = (error: unknown): void => {
    failed ??= error;
    wake();
  };
  worker.on('message', (message: SolverMessage) => {
    isIdle = !('answer' in message) || message.answer === null;
    inbox.push(message);
    wake();
  });
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`the solver's thread ended early, with code ${code}`)));
  const next = async (): Promise<SolverMessage> => {
    for (;;) {
      const message = inbox.shift();
      if (message !== undefined) return message;
      if (failed !== null) throw failed;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  /** Its abort is a failure, until what it answers is called. */
  const heard = (signal: AbortSignal | undefined): (() => void) => {
    signal?.throwIfAborted();
    const aborted = (): void => fail(signal!.reason);
    signal?.addEventListener('abort', aborted);
    return () => signal?.removeEventListener('abort', aborted);
  };
  const ask = (task: SolverTask): void => {
    isIdle = false;
    worker.postMessage(task);
  };
  return {
    async conflict(batch, c, has, seed, within, signal) {
      const unheard = heard(signal);
      try {
        ask({ kind: 'conflict', packed: packed(batch), class: c, has, seed, within });
        return ((await next()) as { proof: Proof | null }).proof;
      } finally {
        unheard();
      }
    },
    async *solve(batch, options, signal) {
      const unheard = heard(signal);
      try {
        ask({ kind: 'solve', packed: packed(batch), options });
        for (;;) {
          const { answer } = (await next()) as { answer: Answer | null };
          if (answer === null) return;
          yield answer;
        }
      } finally {
        unheard();
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
