/** What {@link openSolver} starts: solves a batch, or proves a conflict, and then waits for the next. */
import { parentPort } from 'node:worker_threads';
import { conflictOf } from './conflict.ts';
import { loadHighs } from './linear.ts';
import { unpacked } from './packed.ts';
import { solveHere } from './solve.ts';
import type { SolverMessage, SolverTask } from './solver.ts';

// Loaded while the batch is still being made. Without WebAssembly the greedy answer stands, and no conflict is proven.
const loading = loadHighs().catch(() => null);

parentPort!.on('message', async (task: SolverTask) => {
  const post = (message: SolverMessage): void => parentPort!.postMessage(message);
  const highs = await loading;
  const batch = unpacked(task.packed);
  if (task.kind === 'conflict') {
    post({
      proof: highs === null ? null : conflictOf(highs, batch, task.class, task.has, task.seed, task.within),
    });
    return;
  }
  solveHere(highs, batch, task.options, (answer) => post({ answer }));
  post({ answer: null });
});
