import type { Highs } from 'highs';
import { finish, greedy, type Ordering, orderBy } from './fill.ts';
import { standTogether } from './homes.ts';
import { housed } from './housed.ts';
import { type Batch, type Placed, scoreOf, takes } from './problem.ts';
import { AGAIN, asTheyAre, blockedIn, dealtOut, EXCHANGES, round } from './round.ts';
import type { Goal } from './rows.ts';
import { goalOfAll, relax, type Stage } from './stage.ts';
import type { Tally } from './tally.ts';
import { brokenBy } from './validate.ts';
import { solveWhole } from './whole.ts';

export interface SolveOptions {
  /** Stop when the score is proven to be within this part of the least. */
  gap: number;
  /** Branch-and-bound nodes per programme. */
  nodeLimit: number;
  seed: number;
}

/** An answer that holds, and how far from the best it can be. */
export interface Answer {
  method: 'greedy' | 'lp' | 'milp';
  placed: Placed[];
  unplaced: number;
  /** At least this many find no place, whatever one does. */
  unplacedBound: number;
  /** USD per hour. */
  score: number;
  /** No answer that leaves as many or fewer unplaced has a lower score. */
  bound: number;
  /** (score - bound) / score. */
  gap: number;
  /** Per limit, what one more unit would save, USD per hour; and per pool and kind of room. Null: no LP was solved. */
  worth: { limits: number[]; room: number[][] } | null;
}

/** Batches of more kinds of machines than this are large. */
const LARGE = 1000;

/** With more kinds than this, affinity is not looked at row by row: the linear programme alone would take minutes. */
const MOST_TOGETHER = 2000;

/** More columns than this are not given to the mixed-integer solver; the LP's bound stands then. */
const MOST_COLUMNS = 60_000;

/**
 * Gives answers, each better than the one before: greedy where it is all there is, as without `highs`; then from the LP,
 * rounded and repaired; then from the mixed-integer programme, until the gap or the node limit. First as few unplaced as
 * can be, then the least score: two stages, as one sum with a penalty for the unplaced never closes its gap. Equal
 * batches, options and seeds give equal answers. May take long, and lets nothing else run: see `solver.ts`.
 */
export function solveHere(
  highs: Highs | null,
  batch: Batch,
  options: SolveOptions,
  give: (answer: Answer) => void,
): void {
  if (highs === null || batch.classes.length === 0) give(solveGreedy(batch));
  else new Search(highs, batch, options, give).run();
}

/** Greedy alone: what there is without a solver. Its bound is every machine at its cheapest. */
export function solveGreedy(batch: Batch): Answer {
  return greedyAnswer(greedy(batch));
}

function greedyAnswer(tally: Tally): Answer {
  const { batch } = tally;
  const placed = tally.placed();
  const unplaced = tally.unplaced();
  // With some left out, which ones is open, so the dearest count for nothing.
  const each = batch.classes.flatMap((c) =>
    c.options.length > 0 ? new Array<number>(c.count).fill(c.options.score[0]!) : [],
  );
  const none = batch.classes.reduce((t, c) => t + (c.options.length === 0 ? c.count : 0), 0);
  each.sort((a, b) => a - b);
  const bound = each.slice(0, each.length - (unplaced - none)).reduce((a, b) => a + b, 0);
  return answer('greedy', batch, placed, unplaced, none, bound, null);
}

function answer(
  method: Answer['method'],
  batch: Batch,
  placed: Placed[],
  unplaced: number,
  unplacedBound: number,
  bound: number,
  worth: Answer['worth'],
): Answer {
  const broken = brokenBy(batch, placed);
  if (broken.length > 0) throw new Error(`an answer does not hold: ${broken.slice(0, 3).join('; ')}`);
  const score = scoreOf(batch, placed);
  const sure = Math.min(bound, score);
  const gap = score <= 0 ? 0 : (score - sure) / score;
  return { method, placed, unplaced, unplacedBound, score, bound: sure, gap, worth };
}

class Search {
  readonly #highs: Highs;
  readonly #batch: Batch;
  readonly #options: SolveOptions;
  readonly #give: (answer: Answer) => void;
  readonly #all: number;
  #placed: Placed[] = [];
  #unplaced = 0;
  #method: Answer['method'] = 'greedy';
  #unplacedBound = 0;
  /** No answer that places all has a lower score. */
  #sure = 0;

  constructor(highs: Highs, batch: Batch, options: SolveOptions, give: (answer: Answer) => void) {
    this.#highs = highs;
    this.#batch = batch;
    this.#options = options;
    this.#give = give;
    this.#all = batch.classes.reduce((t, c) => t + c.count, 0);
  }

  run(): void {
    // In a large batch the linear programme is sooner done than greedy.
    const isLarge = this.#batch.classes.length > LARGE;
    const isTogether = this.#batch.together.length > 0;
    let all = isLarge && !isTogether ? this.#relaxAll() : null;
    const gap = isLarge && isTogether ? this.#atHome() : null;
    if (gap !== null && (gap <= this.#options.gap || this.#batch.classes.length > MOST_TOGETHER)) return;
    if (all === null && gap === null) {
      const tally = greedy(this.#batch);
      this.#take(tally.placed(), 'greedy');
      // What follows may take long: whoever has no time for it has this.
      if (this.#unplaced > 0 || isTogether) this.#give(greedyAnswer(tally));
      if (this.#unplaced > 0 && (!isLarge || isTogether)) all = this.#relaxAll();
    }
    const fewest = this.#unplaced > 0 && all === null ? this.#relax({ unplaced: true }) : null;
    let least: Stage | null = all;
    try {
      if (fewest !== null) {
        this.#unplacedBound = Math.max(0, Math.ceil(fewest.relaxed.bound - 1e-6));
        this.#take(this.#rounded(fewest), 'lp');
      }
      const first = this.#unplaced;
      least ??= this.#relaxScore();
      this.#give(this.#answer(least));
      if (fewest !== null && this.#unplaced > this.#unplacedBound) {
        this.#fewerUnplaced(fewest);
        if (this.#unplaced < first) {
          least.relaxation.dispose();
          least = this.#relaxScore();
        }
        this.#give(this.#answer(least));
      }
      this.#lowerScore(least);
    } finally {
      fewest?.relaxation.dispose();
      least?.relaxation.dispose();
    }
  }

  /**
   * A large batch with affinity as one without, in which each set of machines goes to a home as one: a hundredth of the rows. Answers
   * its gap; null: not all machines found a place so.
   */
  #atHome(): number | null {
    if (!standTogether(this.#batch)) return null;
    const found = housed(this.#highs, this.#batch, this.#options.seed);
    if (found === null) return null;
    const { placed, bound } = found;
    if (placed.reduce((t, p) => t + p.count, 0) < this.#all || brokenBy(this.#batch, placed).length > 0)
      return null;
    this.#take(placed, 'lp');
    this.#sure = bound;
    const answered = answer(this.#method, this.#batch, this.#placed, 0, 0, this.#sure, null);
    this.#give(answered);
    return answered.gap;
  }

  /** Takes an answer if it leaves fewer unplaced, or as many at a lower score. */
  #take(placed: Placed[], method: Answer['method']): boolean {
    const unplaced = this.#all - placed.reduce((t, p) => t + p.count, 0);
    const known = this.#method === 'greedy' && this.#placed.length === 0;
    const better =
      known ||
      unplaced < this.#unplaced ||
      (unplaced === this.#unplaced &&
        scoreOf(this.#batch, placed) < scoreOf(this.#batch, this.#placed) - 1e-12);
    if (!better) return false;
    this.#placed = placed;
    this.#unplaced = unplaced;
    this.#method = method;
    return true;
  }

  #answer({ relaxation, relaxed, bound }: Stage): Answer {
    const { limits, pools } = this.#batch;
    return answer(
      this.#method,
      this.#batch,
      this.#placed,
      this.#unplaced,
      Math.min(this.#unplaced, this.#unplacedBound),
      this.#unplaced === 0 ? Math.max(bound, this.#sure) : bound,
      {
        limits: limits.map((_, l) => relaxation.worthOfLimit(l, relaxed.duals)),
        room: pools.map((_, p) => relaxation.worthOfRoom(p, relaxed.duals)),
      },
    );
  }

  #relax(goal: Goal): Stage {
    const stage = relax(this.#highs, this.#batch, goal, this.#options.seed, this.#placed);
    if (stage === null) throw new Error('the LP has no solution although an answer is known');
    return stage;
  }

  /**
   * Where greedy left machines out: the least score with all placed, if the LP can place all; null if it cannot, or if
   * rounding it leaves some out. A penalty gives it something to start from; with none left out it has no part in the
   * answer.
   */
  #relaxAll(): Stage | null {
    const stage = relax(this.#highs, this.#batch, goalOfAll(this.#batch), this.#options.seed, this.#placed);
    // With a spread rule, leaving all out is no solution, so there may be none to begin with.
    if (stage === null) return null;
    if (stage.relaxation.closeOut(stage.relaxed.values)) {
      this.#take(this.#roundedWhole(stage), 'lp');
      if (this.#unplaced === 0) return stage;
    }
    stage.relaxation.dispose();
    return null;
  }

  /**
   * Rounds a solution that places all. Where whole machines do not fit a budget or quota of one project, though parts
   * of them do, the solution is found again with a little less of it: for the rounding only, the bound stands.
   */
  #roundedWhole(stage: Stage): Placed[] {
    const { relaxation } = stage;
    const order = this.#order(stage);
    let values = stage.relaxed.values;
    const less = new Map<number, number>();
    try {
      for (let again = 0; ; again++) {
        const amounts = relaxation.amounts(values);
        const exact = again === 0 ? asTheyAre(this.#batch, amounts) : null;
        if (exact !== null) return exact;
        const tally = dealtOut(this.#batch, amounts, order);
        const { blocked, full } = blockedIn(tally);
        if (blocked.length === 0 || full.size === 0 || again === AGAIN) {
          finish(tally, order, EXCHANGES);
          return tally.placed();
        }
        for (const l of full) {
          const limit = this.#batch.limits[l]!;
          const largest = blocked.reduce((t, c) => Math.max(t, takes(limit, this.#batch.classes[c]!, 0)), 0);
          less.set(l, (less.get(l) ?? 0) + 2 * largest);
        }
        for (const [l, by] of less) relaxation.lessOf(l, by);
        const other = relaxation.solve();
        if (other === null) for (const l of less.keys()) relaxation.lessOf(l, 0);
        values = other?.values ?? stage.relaxed.values;
      }
    } finally {
      for (const l of less.keys()) relaxation.lessOf(l, 0);
    }
  }

  #relaxScore(): Stage {
    const stage = this.#relax({ unplaced: false, most: this.#unplaced });
    this.#take(this.#rounded(stage), 'lp');
    return stage;
  }

  #fewerUnplaced(stage: Stage): void {
    const complete = stage.relaxation.includeWithin(stage.relaxed, this.#unplaced, MOST_COLUMNS);
    const enough = (): boolean => this.#unplaced <= this.#unplacedBound;
    const bound = this.#whole(stage, 0, (placed) => {
      this.#take(placed, 'milp');
      return enough();
    });
    if (bound !== null && complete)
      this.#unplacedBound = Math.max(this.#unplacedBound, Math.ceil(bound - 1e-6));
  }

  #lowerScore(stage: Stage): void {
    const { gap } = this.#options;
    let last = this.#answer(stage);
    if (last.gap <= gap) return;
    const complete = stage.relaxation.includeWithin(stage.relaxed, last.score, MOST_COLUMNS);
    const again = (): boolean => {
      last = this.#answer(stage);
      this.#give(last);
      return last.gap <= gap;
    };
    const bound = this.#whole(stage, gap, (placed) => this.#take(placed, 'milp') && again());
    if (!complete || bound === null || bound <= stage.bound) return;
    stage.bound = bound;
    if (last.gap > gap) again();
  }

  #order({ relaxation, relaxed }: Stage): Ordering {
    return orderBy(this.#batch, (c, k) => relaxation.reduced(c, k, relaxed.duals));
  }

  #rounded(stage: Stage): Placed[] {
    return round(this.#batch, stage.relaxation.amounts(stage.relaxed.values), this.#order(stage));
  }

  /** Solves for whole machines and answers the bound. Once `better` answers true to an answer, the search ends. */
  #whole(stage: Stage, gap: number, better: (placed: Placed[]) => boolean): number | null {
    const { nodeLimit, seed } = this.#options;
    const { relaxation } = stage;
    const task = { model: relaxation.programme.wholeData(), gap, nodeLimit, seed };
    const order = this.#order(stage);
    const rounded = (values: Float64Array): Placed[] => round(this.#batch, relaxation.amounts(values), order);
    const { values, bound } = solveWhole(this.#highs, task, (found) => better(rounded(found)));
    if (values !== null) better(rounded(values));
    return bound;
  }
}
