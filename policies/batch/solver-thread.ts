/** What {@link openSolver} starts: solves a batch, and then waits for the next. */
import { parentPort } from 'node:worker_threads';
import { loadHighs } from './linear.ts';
import { unpacked } from './packed.ts';
import { solveHere } from './solve.ts';
import type { SolverMessage, SolverTask } from './solver.ts';

// Loaded while the batch is still being made. Without WebAssembly the greedy answer stands.
const loading = loadHighs().catch(() => null);

parentPort!.on('message', async ({ packed, options }: SolverTask) => {
  const post = (message: SolverMessage): void => parentPort!.postMessage(message);
  const highs = await loading;
  solveHere(highs, unpacked(packed), options, (answer) => post({ answer }));
  post({ answer: null });
});
