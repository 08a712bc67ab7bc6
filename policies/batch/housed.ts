import type { Highs } from 'highs';
import { memo } from '../memo.ts';
import { orderBy } from './fill.ts';
import { type AtHome, atHome, homesOf, withoutTogether } from './homes.ts';
import type { Batch, Placed } from './problem.ts';
import { Relaxation, type Relaxed } from './relaxation.ts';
import { round } from './round.ts';
import { goalOfAll, relax } from './stage.ts';
import { Housing, teamsOf } from './teams.ts';

/** An answer, and what no answer that places all is better than. */
interface Housed {
  placed: Placed[];
  bound: number;
}

/**
 * A large batch with affinity as one without, each set of machines at one home: a hundredth of the rows. For batches whose sets
 * `standTogether`. Null: some set has no home.
 */
export function housed(highs: Highs, batch: Batch, seed: number): Housed | null {
  const free = withoutTogether(batch);
  const plain = relax(highs, free, goalOfAll(free), seed, []);
  if (plain === null) return null;
  const { relaxation, relaxed, bound } = plain;
  const reduced = (c: number, k: number): number => relaxation.reducedAtLeast(c, k, relaxed.duals);
  try {
    const teams = teamsOf(batch);
    if (teams === null) {
      // Machines in several sets: each set where it is cheapest by itself.
      const homes = homesOf(batch, reduced);
      if (homes === null) return null;
      const home = atHome(batch, homes);
      const stage = relax(highs, home.batch, goalOfAll(home.batch), seed, []);
      if (stage === null) return null;
      const placed = roundedAt(home, stage.relaxation, stage.relaxed, (_, k) => k);
      stage.relaxation.dispose();
      return { placed, bound: bound + homes.dearer * (1 - 1e-6) };
    }
    if (teams.some(({ domains }) => domains.size === 0)) return null;
    const classes = teams.map((team) => team.classes);
    const together = new Relaxation(highs, free, goalOfAll(free), seed, classes);
    try {
      const inTeam = new Set(classes.flat());
      for (const { class: c, option } of relaxation.amounts(relaxed.values))
        if (!inTeam.has(c)) together.include(c, option);
      const housing = new Housing(free, together, teams, reduced);
      const solved = housing.solve();
      const settled = solved === null ? null : housing.settle(solved.relaxed);
      if (settled === null) return null;
      const home = atHome(batch, settled);
      return { placed: roundedAt(home, together, settled.relaxed, home.optionOf), bound: solved!.bound };
    } finally {
      together.dispose();
    }
  } finally {
    relaxation.dispose();
  }
}

/** A solution as an answer with each set at home; `optionOf`: what an option there is in the programme. */
function roundedAt(
  { batch, back }: AtHome,
  relaxation: Relaxation,
  { values, duals }: Relaxed,
  optionOf: (c: number, option: number) => number,
): Placed[] {
  const own = new Map<number, Map<number, number>>();
  const optionsOf = (c: number): Map<number, number> =>
    memo(own, c, () => {
      const all = Array.from({ length: batch.classes[c]!.options.length }, (_, k) => k);
      return new Map(all.map((k) => [optionOf(c, k), k]));
    });
  const amounts = relaxation.amounts(values).flatMap(({ class: c, option, amount }) => {
    const at = optionsOf(c).get(option);
    return at === undefined ? [] : [{ class: c, option: at, amount }];
  });
  const order = orderBy(batch, (c, k) => relaxation.reduced(c, optionOf(c, k), duals));
  return back(round(batch, amounts, order));
}
