import { conflictOf } from './conflict.ts';
import { loadHighs } from './linear.ts';
import { mergedOf } from './merged.ts';
import { type Batch, EPSILON } from './problem.ts';
import { Relaxation } from './relaxation.ts';
import type { Goal } from './rows.ts';
import { solveGreedy } from './solve.ts';
import { type BatchShape, randomBatch } from './testing/random-batches.ts';

const SHAPE: BatchShape = { classes: 12, count: 5, clouds: 8, hosts: 6, ownPools: true, scarcity: 0.7 };

/** A batch of many zones, so that options outside the programme open domains; every other one with affinity. */
const batchOf = (seed: number): Batch => {
  const batch = randomBatch(seed, { ...SHAPE, together: seed % 2 === 1 });
  return { ...batch, spreads: batch.spreads.map((group) => ({ ...group, min: 3 })) };
};

/** Each class five times over, with a limit of its own for each time. */
function manyOfEach(seed: number): Batch {
  const batch = randomBatch(seed, { ...SHAPE, clouds: 5 });
  const times = 5;
  const own = Array.from({ length: times }, (_, i) => ({
    words: `own ${i}`,
    counts: 'instances' as const,
    shared: false,
    left: 4 + ((seed + i) % 7),
  }));
  const classes = own.flatMap((_, i) =>
    batch.classes.map((machines) => ({
      ...machines,
      options: {
        ...machines.options,
        cells: machines.options.cells.map((cell, k) =>
          k % 2 === 0 ? { ...cell, limits: [...cell.limits, batch.limits.length + i] } : cell,
        ),
      },
    })),
  );
  return { ...batch, classes, limits: [...batch.limits, ...own] };
}

describe('the relaxation', () => {
  it('has the same bound with the options it takes in by itself as with all of them', async () => {
    const highs = await loadHighs();
    const wrong: string[] = [];
    for (let seed = 0; seed < 120; seed++) {
      const batch = batchOf(seed);
      const goals: Goal[] = [{ unplaced: true }, { unplaced: false, most: solveGreedy(batch).unplaced }];
      for (const goal of goals) {
        const some = new Relaxation(highs, batch, goal, 1);
        const all = new Relaxation(highs, batch, goal, 1);
        for (const p of solveGreedy(batch).placed) some.include(p.class, p.option);
        batch.classes.forEach((machines, c) => {
          for (let k = 0; k < machines.options.length; k++) all.include(c, k);
        });
        const [a, b] = [some.solve()!.bound, all.solve()!.bound];
        if (Math.abs(a - b) > 1e-6) wrong.push(`seed ${seed}, ${JSON.stringify(goal)}: ${a}, not ${b}`);
        some.dispose();
        all.dispose();
      }
    }
    expect(wrong).toEqual([]);
  });

  it('has the same bound when it starts from its classes joined', async () => {
    const highs = await loadHighs();
    const goal: Goal = { unplaced: false, most: 0, penalty: 100 };
    const wrong: string[] = [];
    let differ = 0;
    for (let seed = 0; seed < 60; seed++) {
      const batch = manyOfEach(seed);
      const merged = mergedOf(batch)!;
      expect(merged.members.length).toBe(SHAPE.classes);
      const joined = new Relaxation(highs, merged.batch, goal, 1);
      for (let c = 0; c < merged.members.length; c++) joined.include(c, 0);
      const solved = joined.solve()!;
      const some = new Relaxation(highs, batch, goal, 1);
      some.startAt(joined, solved, merged.members);
      const all = new Relaxation(highs, batch, goal, 1);
      batch.classes.forEach((machines, c) => {
        for (let k = 0; k < machines.options.length; k++) all.include(c, k);
      });
      const [a, b] = [some.solve()!.bound, all.solve()!.bound];
      if (Math.abs(a - b) > 1e-6) wrong.push(`seed ${seed}: ${a}, not ${b}`);
      // What only the parts know of can make it dearer, never cheaper.
      if (solved.bound > b + 1e-6) wrong.push(`seed ${seed}: joined ${solved.bound} above ${b}`);
      if (b > solved.bound + 1e-6) differ++;
      for (const relaxation of [joined, some, all]) relaxation.dispose();
    }
    expect(wrong).toEqual([]);
    expect(differ).toBeGreaterThan(5);
  });

  it('has few rows however many sizes are asked for', async () => {
    const batch = randomBatch(1, { ...SHAPE, classes: 400 });
    const classes = batch.classes.map((machines, i) => ({
      ...machines,
      size: [1, 1 + i / 400, 10 + i, 0] as const,
    }));
    const relaxation = new Relaxation(await loadHighs(), { ...batch, classes }, { unplaced: true }, 1);
    expect(relaxation.programme.rowLower.length).toBeLessThan(400 + 3 * 25 * batch.pools.length + 100);
    relaxation.dispose();
  });

  it('names a conflict that is one, and is none without any one of its parts', async () => {
    const highs = await loadHighs();
    let seen = 0;
    for (let seed = 0; seed < 200; seed++) {
      const batch = batchOf(seed);
      const has = batch.classes.map(() => 0);
      for (const p of solveGreedy(batch).placed) has[p.class]! += p.count;
      const c = batch.classes.findIndex(
        (machines, i) => has[i]! < machines.count && machines.options.length > 0,
      );
      const proof = c < 0 ? null : conflictOf(highs, batch, c, has, 1, Number.POSITIVE_INFINITY);
      if (proof === null) continue;
      const { obstacles, irreducible } = proof;
      expect(irreducible).toBe(true);
      seen++;
      for (const without of [null, ...obstacles]) {
        const relaxation = new Relaxation(highs, batch, { unplaced: true }, 1);
        batch.classes.forEach((machines, i) => {
          relaxation.want(i, i === c ? machines.count : has[i]!);
          for (let k = 0; k < machines.options.length; k++) relaxation.include(i, k);
        });
        relaxation.only(obstacles.filter((o) => o !== without));
        const left = relaxation.solve()!.bound;
        if (without === null) expect(left).toBeGreaterThan(EPSILON);
        else expect(left).toBeLessThan(1e-6);
        relaxation.dispose();
      }
    }
    expect(seen).toBeGreaterThan(20);
  });
});
