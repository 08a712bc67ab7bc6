import { Worker } from 'node:worker_threads';
import { conflictOf } from './conflict.ts';
import { loadHighs } from './linear.ts';
import type { Batch, MachineClass } from './problem.ts';
import { type Answer, type SolveOptions, solveGreedy, solveHere } from './solve.ts';
import { openSolver, solveBatch } from './solver.ts';
import { type BatchShape, bruteForce, randomBatch } from './testing/random-batches.ts';
import { brokenBy } from './validate.ts';

const threads = (): number => process.getActiveResourcesInfo().filter((r) => r === 'MessagePort').length;

const EXACT: SolveOptions = { gap: 0, nodeLimit: 2000, seed: 1 };

async function answersTo(batch: Batch, options = EXACT): Promise<Answer[]> {
  const answers: Answer[] = [];
  solveHere(await loadHighs(), batch, options, (answer) => answers.push(answer));
  return answers;
}

async function answersOfThread(batch: Batch, options = EXACT, signal?: AbortSignal): Promise<Answer[]> {
  const answers: Answer[] = [];
  for await (const answer of solveBatch(batch, options, signal)) answers.push(answer);
  return answers;
}

/** Small enough to try all answers; by the seed with more or fewer classes, places, hosts and room. */
function tiny(seed: number, ownPools: boolean): BatchShape {
  return {
    classes: 2 + (seed % 2),
    count: 2,
    clouds: 2 + (seed % 2),
    hosts: seed % 3,
    ownPools,
    scarcity: [0.4, 0.8, 1.5][seed % 3]!,
  };
}

const alone = (machines: MachineClass): MachineClass => ({ ...machines, together: new Map() });

const LARGE: BatchShape = { classes: 40, count: 8, clouds: 6, hosts: 30, ownPools: false, scarcity: 0.6 };

describe('solving a batch', () => {
  it.each([true, false])(
    'finds what trying all answers finds, on 150 small batches (hosts in pools of their own: %s)',
    async (ownPools) => {
      const wrong: string[] = [];
      for (let seed = 0; seed < 150; seed++) {
        const batch = randomBatch(seed, tiny(seed, ownPools));
        const best = bruteForce(batch);
        const last = (await answersTo(batch)).at(-1)!;
        if (last.unplaced !== best.unplaced || Math.abs(last.score - best.score) > 1e-6)
          wrong.push(
            `seed ${seed}: ${last.unplaced} at ${last.score}, not ${best.unplaced} at ${best.score}`,
          );
        if (last.bound > best.score + 1e-6 || last.unplacedBound > best.unplaced)
          wrong.push(`seed ${seed}: the bound ${last.bound} is above the best`);
      }
      expect(wrong).toEqual([]);
    },
  );

  it.each([true, false])(
    'finds what trying all answers finds where machines are to be together, on 300 small batches (hosts in pools of their own: %s)',
    async (ownPools) => {
      const wrong: string[] = [];
      let binds = 0;
      for (let seed = 0; seed < 300; seed++) {
        const batch = randomBatch(seed, { ...tiny(seed, ownPools), together: true });
        const best = bruteForce(batch);
        const free = bruteForce({ ...batch, together: [], classes: batch.classes.map(alone) });
        if (best.unplaced !== free.unplaced || best.score > free.score + 1e-9) binds++;
        const answers = await answersTo(batch);
        const last = answers.at(-1)!;
        if (last.unplaced !== best.unplaced || Math.abs(last.score - best.score) > 1e-6)
          wrong.push(
            `seed ${seed}: ${last.unplaced} at ${last.score}, not ${best.unplaced} at ${best.score}`,
          );
        if (last.bound > best.score + 1e-6 || last.unplacedBound > best.unplaced)
          wrong.push(`seed ${seed}: the bound ${last.bound} is above the best`);
      }
      expect(wrong).toEqual([]);
      expect(binds).toBeGreaterThan(100);
    },
  );

  it('gives answers that hold, each better than the one before, on larger batches', async () => {
    for (let seed = 0; seed < 24; seed++) {
      const batch = randomBatch(seed, { ...LARGE, together: seed >= 12 });
      const answers = await answersTo(batch, { gap: 1e-3, nodeLimit: 20, seed: 1 });
      answers.forEach((answer, i) => {
        expect(brokenBy(batch, answer.placed)).toEqual([]);
        expect(answer.bound).toBeLessThanOrEqual(answer.score);
        const before = answers[i - 1];
        if (before === undefined) return;
        expect(answer.unplaced).toBeLessThanOrEqual(before.unplaced);
        if (answer.unplaced === before.unplaced) expect(answer.score).toBeLessThanOrEqual(before.score);
      });
      const greedy = solveGreedy(batch);
      expect(brokenBy(batch, greedy.placed)).toEqual([]);
      const last = answers.at(-1)!;
      expect(last.unplaced).toBeLessThanOrEqual(greedy.unplaced);
      if (last.unplaced === greedy.unplaced) {
        expect(last.score).toBeLessThanOrEqual(greedy.score + 1e-9);
        expect(greedy.bound).toBeLessThanOrEqual(last.score + 1e-9);
      }
    }
  });

  it('gives equal answers for equal batches and seeds', async () => {
    const options = { gap: 1e-4, nodeLimit: 20, seed: 5 };
    for (const seed of [3, 4]) {
      const answers = [
        await answersTo(randomBatch(seed, LARGE), options),
        await answersTo(randomBatch(seed, LARGE), options),
      ];
      expect(answers[0]).toEqual(answers[1]);
    }
  });

  it('gives the same answers from its thread', async () => {
    const options = { gap: 1e-4, nodeLimit: 20, seed: 5 };
    const batch = randomBatch(3, LARGE);
    expect(await answersOfThread(batch, options)).toEqual(await answersTo(batch, options));
  });

  it('gives the same conflicts from its thread, one after the other', async () => {
    const highs = await loadHighs();
    const solver = openSolver();
    let proven = 0;
    for (let seed = 0; seed < 40; seed++) {
      const batch = randomBatch(seed, tiny(seed, true));
      const has = batch.classes.map(() => 0);
      for (const p of solveGreedy(batch).placed) has[p.class]! += p.count;
      const short = Math.max(
        0,
        has.findIndex((n, c) => n < batch.classes[c]!.count),
      );
      const here = conflictOf(highs, batch, short, has, 1, 60_000);
      expect(await solver.conflict(batch, short, has, 1, 60_000, new AbortController().signal)).toEqual(here);
      if (here !== null) proven++;
    }
    await solver.close();
    expect(proven).toBeGreaterThan(3);
  });

  it('ends with the reason of the signal', async () => {
    const signal = AbortSignal.abort(new Error('no longer wanted'));
    await expect(answersOfThread(randomBatch(1, LARGE), EXACT, signal)).rejects.toThrow('no longer wanted');
  });

  it('ends its thread and throws the reason when the signal comes while it solves', async () => {
    const before = threads();
    const wish = new AbortController();
    const run = async (): Promise<void> => {
      const options = { gap: 0, nodeLimit: 100_000, seed: 1 };
      for await (const _ of solveBatch(randomBatch(8, LARGE), options, wish.signal))
        wish.abort(new Error('cancelled'));
    };
    await expect(run()).rejects.toThrow('cancelled');
    expect(threads()).toBe(before);
  });

  it('solves one batch after the other in one thread', async () => {
    // Threads are numbered as they are started.
    const started = async (): Promise<number> => {
      const thread = new Worker('', { eval: true });
      const { threadId } = thread;
      await thread.terminate();
      return threadId;
    };
    const batch = randomBatch(3, LARGE);
    const first = await answersOfThread(batch);
    const before = await started();
    expect(await answersOfThread(batch)).toEqual(first);
    expect(await started()).toBe(before + 1);
  });

  it('throws what its thread throws', async () => {
    const broken = { ...randomBatch(8, LARGE), limits: [] };
    await expect(answersOfThread(broken)).rejects.toThrow("reading 'counts'");
  });

  it('ends its thread when the loop is left', async () => {
    const before = threads();
    let seen = 0;
    for await (const _ of solveBatch(randomBatch(8, LARGE), { gap: 0, nodeLimit: 100_000, seed: 1 }))
      if (++seen === 2) break;
    expect(threads()).toBe(before);
  });
});
