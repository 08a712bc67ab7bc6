/** What {@link openSolver} starts: solves one batch, and then it ends. */
import { parentPort } from 'node:worker_threads';
import { loadHighs } from './linear.ts';
import { solveHere } from './solve.ts';
import type { SolverMessage, SolverTask } from './solver.ts';

// Loaded while the batch is still being made. Without WebAssembly the greedy answer stands.
const loading = loadHighs().catch(() => null);

parentPort!.once('message', async ({ batch, options }: SolverTask) => {
  const post = (message: SolverMessage): void => parentPort!.postMessage(message);
  const highs = await loading;
  solveHere(highs, batch, options, (answer) => post({ answer }));
  post({ answer: null });
});
