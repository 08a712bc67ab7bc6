/** The linear programme of a batch, from where to begin to its solution. */
import type { Highs } from 'highs';
import { orderByScore } from './fill.ts';
import { mergedOf } from './merged.ts';
import type { Batch, Placed } from './problem.ts';
import { Relaxation, type Relaxed } from './relaxation.ts';
import type { Goal } from './rows.ts';

/** One programme, solved over all options; the bound may have been raised since. */
export interface Stage {
  relaxation: Relaxation;
  relaxed: Relaxed;
  bound: number;
}

/** Null: it has no solution. `placed`: an answer that is known, to begin with. */
export function relax(
  highs: Highs,
  batch: Batch,
  goal: Goal,
  seed: number,
  placed: readonly Placed[],
): Stage | null {
  const relaxation = new Relaxation(highs, batch, goal, seed);
  for (const p of placed) relaxation.include(p.class, p.option);
  begin(highs, batch, relaxation, goal, seed);
  const relaxed = relaxation.solve();
  if (relaxed !== null) return { relaxation, relaxed, bound: relaxed.bound };
  relaxation.dispose();
  return null;
}

/** The least score with all placed; a penalty gives it something to start from. */
export function goalOfAll({ classes }: Batch): Goal {
  const dearest = classes.reduce(
    (t, { options }) => Math.max(t, options.length === 0 ? 0 : options.score[options.length - 1]!),
    0,
  );
  return { unplaced: false, most: 0, penalty: 1 + 10 * dearest };
}

/** At what the batch comes to with its classes joined, or else each class's cheapest. */
function begin(highs: Highs, batch: Batch, relaxation: Relaxation, goal: Goal, seed: number): void {
  const order = orderByScore(batch);
  const merged = !goal.unplaced && (goal.penalty ?? 0) > 0 ? mergedOf(batch) : null;
  if (merged === null) {
    batch.classes.forEach((_, c) => {
      for (const option of order(c).subarray(0, 2)) relaxation.include(c, option);
    });
    return;
  }
  const joined = new Relaxation(highs, merged.batch, goal, seed);
  try {
    merged.batch.classes.forEach((_, c) => {
      for (const option of orderByScore(merged.batch)(c).subarray(0, 2)) joined.include(c, option);
    });
    const solved = joined.solve();
    if (solved === null) throw new Error('the joined LP has no solution although all may be left out');
    relaxation.startAt(joined, solved, merged.members);
  } finally {
    joined.dispose();
  }
}
