import type { Highs } from 'highs';
import { INFINITE, type LinearAnswer, LinearProgramme, LinearSolver } from './linear.ts';
import { type Batch, cellOf, ROOM, type Share } from './problem.ts';
import { type Goal, type LazyRow, nameOf, type Obstacle, Rows } from './rows.ts';

/**
 * The batch as a programme: a column per class and option that is looked at (how many), and per class one for
 * how many are left out. Options are added only while they could improve the answer (column generation), so a
 * few of hundreds of thousands are ever in it, and the LP's objective is still a bound for all of them.
 *
 * On-prem, the hosts of a pool are one: their room is added up, and beside the sum stand the rows
 * Σ floor(size / t) x ≤ Σ floor(free / t) for the sizes t that are asked for, which every packing obeys
 * because floor(·/t) of a sum is at least the sum of the floors. It is a bound only; a pool of one host is exact.
 */
export class Relaxation {
  readonly programme = new LinearProgramme();
  readonly #batch: Batch;
  readonly #goal: Goal;
  readonly #solver: LinearSolver;
  readonly #out: number[] = [];
  /** Per class, the column of an option. */
  readonly #columns: Map<number, number>[];
  readonly #meaning = new Map<number, { class: number; option: number }>();
  /** Columns of several classes that go together: see {@link includeTogether}. */
  readonly #teams = new Map<number, readonly Share[]>();
  /** By class, how many demands its own stands for: 0 of one that goes with another, whose demand stands for both. */
  readonly #stands: Float64Array;
  readonly #inTeam: ReadonlySet<number>;
  readonly #rows: Rows;

  /** `teams`: classes that go together only, by {@link includeTogether}. */
  constructor(
    highs: Highs,
    batch: Batch,
    goal: Goal,
    seed: number,
    teams: readonly (readonly number[])[] = [],
  ) {
    this.#inTeam = new Set(teams.flat());
    this.#stands = new Float64Array(batch.classes.length).fill(1);
    for (const team of teams) {
      const all = team.reduce((t, c) => t + batch.classes[c]!.count, 0);
      for (const c of team) this.#stands[c] = c === team[0] ? all / batch.classes[c]!.count : 0;
    }
    this.#batch = batch;
    this.#goal = goal;
    this.#solver = new LinearSolver(highs, this.programme, seed);
    this.#columns = batch.classes.map(() => new Map());
    const p = this.programme;
    const demand = batch.classes.map((c, i) =>
      this.#stands[i] === 0 ? p.row(-INFINITE, INFINITE) : p.row(c.count, c.count),
    );
    const penalty = goal.unplaced ? 1 : (goal.penalty ?? 0);
    const left = penalty > 0 ? -1 : p.row(-INFINITE, goal.unplaced ? 0 : goal.most);
    this.#rows = new Rows(batch, goal, p);
    const sure = new Set(batch.classes.flatMap((c) => c.spreads));
    for (const g of sure) this.#rows.groups[g] = this.#rows.ofGroup(batch.spreads[g]!, g);
    batch.classes.forEach((c, i) => {
      const entries = [demand[i]!, 1];
      if (left >= 0) entries.push(left, 1);
      for (const g of c.spreads) {
        const { share } = this.#rows.groups[g]!;
        if (share !== null) entries.push(share.row, batch.spreads[g]!.maxShare);
      }
      const none = (penalty === 0 && !goal.unplaced && goal.most === 0) || this.#stands[i] === 0;
      this.#out.push(p.column(penalty * this.#stands[i]!, 0, none ? 0 : c.count, true, entries));
    });
  }

  leavesOut(values: Float64Array): boolean {
    return this.#out.some((column) => values[column]! > 1e-9);
  }

  /** False: a solution leaves machines out; if it does not, none may be from here on, and the penalty is moot. */
  closeOut(values: Float64Array): boolean {
    if (this.leavesOut(values)) return false;
    for (const column of this.#out) this.programme.upper[column] = 0;
    return true;
  }

  dispose(): void {
    this.#solver.dispose();
  }

  /** Takes an option into the programme. */
  include(c: number, option: number): void {
    const known = this.#columns[c]!;
    if (known.has(option)) return;
    const machines = this.#batch.classes[c]!;
    const entries = [c, 1];
    this.#rows.of(c, option, true, (row, value) => entries.push(row, value));
    const { pool } = cellOf(machines.options, option);
    if (pool >= 0) this.#rows.boundOfHosts(machines, pool, entries);
    const cost = this.#goal.unplaced ? 0 : machines.options.score[option]!;
    const column = this.programme.column(cost, 0, machines.count, true, entries);
    known.set(option, column);
    this.#meaning.set(column, { class: c, option });
  }

  /** Takes in that all machines of a team go to these options, in shares; answers the column, of which there is at most one. */
  includeTogether(shares: readonly Share[]): number {
    const entries = new Map<number, number>([[shares[0]!.class, shares[0]!.count]]);
    let cost = 0;
    for (const { class: c, option, count } of shares) {
      cost += this.#batch.classes[c]!.options.score[option]! * count;
      this.#rows.of(c, option, true, (row, value) => {
        entries.set(row, (entries.get(row) ?? 0) + value * count);
      });
    }
    const column = this.programme.column(cost, 0, INFINITE, true, [...entries].flat());
    this.#teams.set(column, shares);
    return column;
  }

  /** Whether a team may go as a column says. */
  allow(column: number, may: boolean): void {
    this.#solver.atMost(column, may ? INFINITE : 0);
  }

  /**
   * Solves the LP over all options: solves, takes in what has a negative reduced cost, and so on until none has. Null:
   * infeasible.
   */
  solve(): Relaxed | null {
    this.programme.start ??= this.#start();
    for (;;) {
      const answer = this.#solver.solve();
      if (answer === null) return null;
      if (this.#takeInBroken(answer.values)) continue;
      this.#rows.setHope(answer.duals);
      let added = 0;
      this.#batch.classes.forEach((_, c) => {
        if (this.#inTeam.has(c)) return;
        const found = this.#negative(c, answer.duals);
        if (found.length === 0) return;
        for (const { option } of found.slice(0, AT_ONCE)) this.include(c, option);
        added += found.length;
      });
      if (added === 0) return { ...answer, bound: answer.objective };
    }
  }

  /** Each class at its cheapest, or left out where it has none: the answer but for what binds, and next to no work from there. */
  #start(): NonNullable<LinearProgramme['start']> {
    const rows = [...this.#batch.classes.keys()].filter((c) => this.#stands[c]! > 0);
    const columns = rows.map((c) => {
      const known = this.#columns[c]!;
      return known.get(0) ?? known.values().next().value ?? this.#out[c]!;
    });
    return { columns, rows };
  }

  /**
   * Starts where the solution of a {@link Merged} batch is, dealt out to the classes that each of its classes is made of:
   * the machines in order, so that one class at most is at both of two options that follow each other. That is a basis
   * of this programme, and the best but for what only this one knows of.
   */
  startAt(merged: Relaxation, solved: Relaxed, members: readonly (readonly number[])[]): void {
    const { columns: basic, rows: slack } = merged.#solver.basis();
    const tight = new Set<LazyRow>();
    const note = (theirs: LazyRow, make: () => LazyRow): void => {
      if (theirs.row >= 0 && !slack[theirs.row]) tight.add(make());
    };
    merged.#rows.limitRows.forEach((theirs, l) => {
      note(theirs, () => this.#rows.ofLimit(l));
    });
    merged.#rows.poolRows.forEach((rows, p) => {
      for (const [i, { lazy }] of rows.entries()) note(lazy, () => this.#rows.poolRows[p]![i]!.lazy);
    });
    this.#takeIn(tight);
    const start: number[] = [];
    members.forEach((own, m) => {
      // Those in the basis, an amount each; -1 is left out.
      const parts = [...merged.#columns[m]!, [-1, merged.#out[m]!] as const]
        .filter(([, column]) => basic[column])
        .map(([option, column]) => ({ option, amount: solved.values[column]! }));
      const begin = [...parts.map(({ option }) => option), ...merged.#best(m, solved.duals)];
      for (const c of own) for (const option of begin) if (option >= 0) this.include(c, option);
      let at = 0;
      let rest = parts[0]!.amount;
      own.forEach((c, i) => {
        const take = (): number =>
          start.push(parts[at]!.option < 0 ? this.#out[c]! : this.#columns[c]!.get(parts[at]!.option)!);
        let open = this.#batch.classes[c]!.count;
        take();
        while (at < parts.length - 1 && (open >= rest - 1e-9 || i === own.length - 1)) {
          open -= rest;
          rest = parts[++at]!.amount;
          take();
        }
        rest -= open;
      });
    });
    const rows = [...tight].map(({ row }) => row);
    this.programme.start = { columns: start, rows: [...this.#batch.classes.keys(), ...rows] };
  }

  /** The options of a class that are best, or nearly, at a solution's prices. */
  #best(c: number, duals: Float64Array): number[] {
    const near: { option: number; reduced: number }[] = [];
    const { length } = this.#batch.classes[c]!.options;
    for (let option = 0; option < length; option++)
      near.push({ option, reduced: this.reduced(c, option, duals) });
    near.sort((a, b) => a.reduced - b.reduced);
    return near.slice(0, NEAR).map(({ option }) => option);
  }

  /** Takes rows that a solution breaks into the programme. False: it breaks none. */
  #takeInBroken(values: Float64Array): boolean {
    for (const lazy of this.#rows.lazy) lazy.used = 0;
    const nothing = (): void => {};
    for (const { class: c, option, amount } of this.amounts(values))
      this.#rows.allOf(c, option, false, nothing, (lazy, value) => {
        lazy.used += value * amount;
      });
    const broken = new Set(
      this.#rows.lazy.filter(
        ({ row, used, upper, obstacle }) =>
          row < 0 &&
          used > upper + BROKEN * Math.max(1, Math.abs(upper)) &&
          (this.#rows.only === null || this.#rows.only.has(nameOf(obstacle))),
      ),
    );
    this.#takeIn(broken);
    return broken.size > 0;
  }

  #takeIn(rows: ReadonlySet<LazyRow>): void {
    if (rows.size === 0) return;
    for (const lazy of rows) lazy.row = this.#rows.row(lazy.obstacle, -INFINITE, lazy.upper);
    const nothing = (): void => {};
    for (const [column, { class: c, option }] of this.#meaning)
      this.#rows.allOf(c, option, false, nothing, (lazy, value) => {
        if (rows.has(lazy)) this.programme.entry(lazy.row, column, value);
      });
    for (const [column, shares] of this.#teams) {
      const sums = new Map<LazyRow, number>();
      for (const { class: c, option, count } of shares)
        this.#rows.allOf(c, option, false, nothing, (lazy, value) => {
          if (rows.has(lazy)) sums.set(lazy, (sums.get(lazy) ?? 0) + value * count);
        });
      for (const [lazy, value] of sums) this.programme.entry(lazy.row, column, value);
    }
  }

  #negative(c: number, duals: Float64Array): { option: number; reduced: number }[] {
    const found: { option: number; reduced: number }[] = [];
    for (const candidate of this.#below(c, duals, -TOLERANCE)) {
      found.push(candidate);
      if (found.length >= LOOKED_AT) break;
    }
    return found.sort((a, b) => a.reduced - b.reduced || a.option - b.option);
  }

  /** Options that are not in the programme with a reduced cost under a limit. */
  *#below(c: number, duals: Float64Array, limit: number): Iterable<{ option: number; reduced: number }> {
    const { spreads, loose, options } = this.#batch.classes[c]!;
    const known = this.#columns[c]!;
    const own = duals[c]!;
    // All other rows only make an option worse, so with options by score the rest can be left out at once.
    const reward = loose
      ? Number.POSITIVE_INFINITY
      : spreads.reduce((t, g) => t + this.#rows.reward[g]!, this.#rows.rewardOf(c));
    for (let option = 0; option < options.length; option++) {
      const cost = this.#goal.unplaced ? 0 : options.score[option]!;
      if (cost - own - reward >= limit) break;
      if (known.has(option)) continue;
      const reduced = this.reducedAtLeast(c, option, duals);
      if (reduced < limit) yield { option, reduced };
    }
  }

  /**
   * Takes in every option that a better answer than `score` could use: one with a reduced cost past the gap
   * cannot be in any. Answers false, and takes in nothing, when they are more than `most`.
   */
  includeWithin(relaxed: Relaxed, score: number, most: number): boolean {
    this.#takeIn(new Set(this.#rows.lazy.filter(({ row }) => row < 0)));
    this.#rows.setHope(relaxed.duals);
    const within: [number, number][] = [];
    const limit = Math.max(0, score - relaxed.bound) + TOLERANCE;
    for (let c = 0; c < this.#batch.classes.length; c++)
      for (const { option } of this.#below(c, relaxed.duals, limit)) {
        within.push([c, option]);
        if (within.length > most) return false;
      }
    for (const [c, option] of within) this.include(c, option);
    // With the options came rows of their own.
    this.#takeIn(new Set(this.#rows.lazy.filter(({ row }) => row < 0)));
    return true;
  }

  /** How much of a class goes to which option, in a solution of the programme. */
  amounts(values: Float64Array): { class: number; option: number; amount: number }[] {
    const found: { class: number; option: number; amount: number }[] = [];
    for (const [column, of] of this.#meaning)
      if (column < values.length && values[column]! > 1e-9) found.push({ ...of, amount: values[column]! });
    for (const [column, shares] of this.#teams)
      if (column < values.length && values[column]! > 1e-9)
        for (const { class: c, option, count } of shares)
          found.push({ class: c, option, amount: count * values[column]! });
    return found;
  }

  /** What an option would add to the objective beside the prices of what it takes; for ordering. */
  reduced(c: number, option: number, duals: Float64Array): number {
    let reduced = (this.#goal.unplaced ? 0 : this.#batch.classes[c]!.options.score[option]!) - duals[c]!;
    this.#rows.of(c, option, false, (row, value) => {
      // Rows made since the duals were found have none.
      reduced -= (duals[row] ?? 0) * value;
    });
    return reduced;
  }

  /** The same, and no more than it would be with the rows that are not in the programme: for bounds. */
  reducedAtLeast(c: number, option: number, duals: Float64Array): number {
    let reduced = (this.#goal.unplaced ? 0 : this.#batch.classes[c]!.options.score[option]!) - duals[c]!;
    const hoped = this.#rows.of(c, option, false, (row, value) => {
      reduced -= (duals[row] ?? 0) * value;
    });
    return reduced - hoped;
  }

  /** Obstacles whose rows have a price in a solution: what its objective rests on. */
  priced(duals: Float64Array): { obstacle: Obstacle; dual: number; row: number }[] {
    return [...this.#rows.obstacles].flatMap(([row, { obstacle }]) =>
      row < duals.length && Math.abs(duals[row]!) > TOLERANCE ? [{ obstacle, dual: duals[row]!, row }] : [],
    );
  }

  /** What one more unit of a pool's room saves, by {@link ROOM}; a floor row counts with its part. */
  worthOfRoom(pool: number, duals: Float64Array): number[] {
    return ROOM.map((_, d) =>
      this.#rows.poolRows[pool]!.reduce(
        (t, r) => t - (r.d === d && r.lazy.row >= 0 ? (duals[r.lazy.row] ?? 0) * r.perUnit : 0),
        0,
      ),
    );
  }

  /** What one more unit of a limit saves. */
  worthOfLimit(l: number, duals: Float64Array): number {
    const row = this.#rows.limitRows[l]?.row ?? -1;
    return Math.max(0, -(duals[row] ?? 0));
  }

  /** Has so much less of a limit, until it is told otherwise. */
  lessOf(l: number, by: number): void {
    const left = Math.max(0, this.#batch.limits[l]!.left);
    const lazy = this.#rows.ofLimit(l);
    if (lazy.row < 0) this.#takeIn(new Set([lazy]));
    this.#solver.bound(lazy.row, -INFINITE, Math.max(0, left - by));
  }

  /** Changes how many of a class are wanted. */
  want(c: number, count: number): void {
    this.#solver.bound(c, count, count);
  }

  /** Thinks all obstacles but these away, those that are met later included. */
  only(obstacles: readonly Obstacle[]): void {
    this.#rows.only = new Set(obstacles.map(nameOf));
    for (const [row, { obstacle }] of this.#rows.obstacles)
      if (!this.#rows.only.has(nameOf(obstacle))) this.#solver.bound(row, -INFINITE, INFINITE);
  }

  /** After {@link only}: thinks one of those away, too, until what it answers is called. */
  drop(obstacle: Obstacle): () => void {
    const name = nameOf(obstacle);
    const each = (change: (row: number, lower: number, upper: number) => void): void => {
      for (const [row, of] of this.#rows.obstacles)
        if (nameOf(of.obstacle) === name) change(row, of.lower, of.upper);
    };
    this.#rows.only?.delete(name);
    each((row) => this.#solver.bound(row, -INFINITE, INFINITE));
    return () => {
      this.#rows.only?.add(name);
      each((row, lower, upper) => this.#solver.bound(row, lower, upper));
    };
  }
}

const TOLERANCE = 1e-9;

/** Options per class to begin with. */
const NEAR = 4;

/** A row is broken by more than this part of its bound, so that the solver's own tolerance breaks none. */
const BROKEN = 1e-6;

/** Options of one class looked at, and taken in, per round; the last round looks at all and finds none. */
const LOOKED_AT = 40;
const AT_ONCE = 8;

/** A solution of the LP over all options. */
export interface Relaxed extends LinearAnswer {
  /** No answer is better. */
  bound: number;
}
