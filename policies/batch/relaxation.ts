import type { Highs } from 'highs';
import { memo } from '../memo.ts';
import { type LinearAnswer, LinearProgramme, LinearSolver } from './linear.ts';
import {
  ALONE,
  type Batch,
  cellOf,
  EPSILON,
  fitsTimes,
  type MachineClass,
  ROOM,
  type SpreadGroup,
  shareOf,
  standing,
  THE_HOST,
  takes,
} from './problem.ts';
import { comingMembers } from './tally.ts';

/** What can stand in the way of a machine, and can be thought away; the index is in the batch's own list. */
export interface Obstacle {
  kind: 'limit' | 'spread' | 'apart' | 'pool';
  index: number;
}

/** What is made small: how many machines find no place, or, with at most so many left out, the score. */
export type Goal =
  | { unplaced: true }
  /** `penalty`: instead of `most` being kept to, each machine left out costs so much. */
  | { unplaced: false; most: number; penalty?: number };

const INFINITE = 1e30;

/**
 * Whole machines of so many different sizes, the largest, are counted on each pool: the smaller, the less the rounding
 * says, and thousands of sizes at dozens of hosts would be more rows than the solver has memory for.
 */
const MOST_SIZES = 24;

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
  readonly #obstacles = new Map<number, { obstacle: Obstacle; lower: number; upper: number }>();
  /** By limit and spread group; the batch's lists grow as options are looked at, and these when one is taken in. */
  readonly #limitRows: LazyRow[] = [];
  readonly #poolRows: PoolRow[][];
  readonly #coming: Int32Array;
  readonly #groups: GroupRows[] = [];
  readonly #domains = new Map<string, DomainRows>();
  /** All that `lazy` made. */
  readonly #lazy: LazyRow[] = [];
  readonly #apartRows = new Map<string, number>();
  readonly #presence = new Map<string, { row: number; column: number }>();

  constructor(highs: Highs, batch: Batch, goal: Goal, seed: number) {
    this.#batch = batch;
    this.#goal = goal;
    this.#solver = new LinearSolver(highs, this.programme, seed);
    this.#columns = batch.classes.map(() => new Map());
    this.#coming = comingMembers(batch);
    const p = this.programme;
    const demand = batch.classes.map((c) => p.row(c.count, c.count));
    const penalty = goal.unplaced ? 1 : (goal.penalty ?? 0);
    const left = penalty > 0 ? -1 : p.row(-INFINITE, goal.unplaced ? 0 : goal.most);
    this.#poolRows = batch.pools.map((_, index) => this.#rowsOfPool(index));
    const sure = new Set(batch.classes.flatMap((c) => c.spreads));
    for (const g of sure) this.#groups[g] = this.#rowsOfGroup(batch.spreads[g]!, g);
    batch.classes.forEach((c, i) => {
      const entries = [demand[i]!, 1];
      if (left >= 0) entries.push(left, 1);
      for (const g of c.spreads) {
        const { share } = this.#groups[g]!;
        if (share !== null) entries.push(share.row, batch.spreads[g]!.maxShare);
      }
      const none = penalty === 0 && !goal.unplaced && goal.most === 0;
      this.#out.push(p.column(penalty, 0, none ? 0 : c.count, true, entries));
    });
  }

  /** Whether a solution leaves machines out; if it does not, none may be from here on, and the penalty is moot. */
  closeOut(values: Float64Array): boolean {
    if (this.#out.some((column) => values[column]! > 1e-9)) return false;
    for (const column of this.#out) this.programme.upper[column] = 0;
    return true;
  }

  dispose(): void {
    this.#solver.dispose();
  }

  #row(obstacle: Obstacle, lower: number, upper: number): number {
    const free = this.#only !== null && !this.#only.has(nameOf(obstacle));
    const row = free ? this.programme.row(-INFINITE, INFINITE) : this.programme.row(lower, upper);
    this.#obstacles.set(row, { obstacle, lower, upper });
    return row;
  }

  /** A row Σ value · x ≤ upper that comes into the programme when a solution first breaks it: most never bind. */
  #lazily(obstacle: Obstacle, upper: number): LazyRow {
    const made = { row: -1, obstacle, upper, used: 0 };
    this.#lazy.push(made);
    return made;
  }

  #rowsOfPool(index: number): PoolRow[] {
    const { classes, hosts, pools } = this.#batch;
    const free = pools[index]!.hosts.map((h) => hosts[h]!.free);
    const rows: PoolRow[] = [];
    ROOM.forEach((_, d) => {
      const sum = free.reduce((t, f) => t + f[d]!, 0);
      rows.push({
        lazy: this.#lazily({ kind: 'pool', index }, sum),
        of: (c) => c.size[d]!,
        d,
        perUnit: 1,
      });
      const sizes = [...new Set(classes.map((c) => c.size[d]!))].filter((t) => t > 0);
      for (const t of sizes.sort((a, b) => b - a).slice(0, MOST_SIZES)) {
        const times = free.reduce((n, f) => n + Math.floor((f[d]! + EPSILON) / t), 0);
        if (times * t < sum - EPSILON)
          rows.push({
            lazy: this.#lazily({ kind: 'pool', index }, times),
            of: (c) => Math.floor((c.size[d]! + EPSILON) / t),
            d,
            perUnit: 1 / t,
          });
      }
    });
    return rows;
  }

  /**
   * Share: with everybody placed a number; otherwise a whole K ≤ maxShare × members + 1 - ε, which is the
   * share rounded up. At least: either `min` domains are in use (z = 1) or every machine has a domain of its own.
   */
  #rowsOfGroup(group: SpreadGroup, g: number): GroupRows {
    const p = this.programme;
    const obstacle: Obstacle = { kind: 'spread', index: g };
    const coming = this.#coming[g] ?? -1;
    const sure = coming >= 0 && !this.#goal.unplaced && this.#goal.most === 0;
    const before = standing(group);
    const missing = group.min - before.domains;
    const rows: GroupRows = {
      share: null,
      most: shareOf(group.maxShare, before.machines + coming),
      atLeast: -1,
      own: -1,
    };
    if (!sure) {
      const all = before.machines + Math.max(0, coming);
      const row = this.#row(obstacle, -INFINITE, group.maxShare * all + 1 - 1e-6);
      rows.share = { row, column: p.column(0, 0, INFINITE, true, [row, 1]) };
    }
    // Where no domain may have so many that fewer than `min` suffice, the shares say it all.
    const implied = sure && before.machines === 0 && Math.ceil(coming / rows.most) >= group.min;
    if (missing <= 0 || implied) return rows;
    rows.atLeast = this.#row(obstacle, 0, INFINITE);
    rows.own = this.#row(obstacle, -INFINITE, 0);
    const n = coming >= 0 ? coming : this.#batch.classes.reduce((t, c) => t + c.count, 0);
    const spread = sure && coming >= missing ? 1 : 0;
    p.column(0, spread, sure && coming < missing ? 0 : 1, true, [rows.atLeast, -missing, rows.own, -n]);
    return rows;
  }

  #rowsOfDomain(g: number, domain: number, pool: number): DomainRows {
    const times = domain === THE_HOST ? this.#batch.pools[pool]!.hosts.length : 1;
    return memo(this.#domains, domainKey(g, domain, pool), () => {
      const p = this.programme;
      const obstacle: Obstacle = { kind: 'spread', index: g };
      const group = this.#batch.spreads[g]!;
      const rows = this.#groups[g]!;
      const before = domain === THE_HOST ? 0 : (group.existing.get(domain) ?? 0);
      const most = rows.share === null ? Math.max(0, rows.most - before) * times : 0;
      const made: DomainRows = { group: g, share: this.#lazily(obstacle, most), open: -1, link: -1 };
      if (rows.share !== null) {
        const { share } = made;
        share.row = this.#row(obstacle, -INFINITE, most);
        p.entry(share.row, rows.share.column, -times);
        if (before > 0) {
          // A domain that is over its share already takes none, and must not force K up: b = 1 where it takes some.
          made.open = this.#row(obstacle, -INFINITE, 0);
          const n = this.#batch.classes.reduce((t, c) => t + c.count, 0);
          p.column(0, 0, 1, true, [share.row, before, made.open, -n]);
        }
      }
      if (rows.atLeast >= 0 && before === 0) {
        made.link = this.#row(obstacle, -INFINITE, 0);
        p.column(0, 0, times, true, [rows.atLeast, 1, rows.own, -1, made.link, 1]);
      }
      return made;
    });
  }

  /** Calls back with every row an option has a value in, making the rows of its domains where `make`. */
  #rowsOf(c: number, option: number, make: boolean, visit: (row: number, value: number) => void): number {
    return this.#allRowsOf(c, option, make, visit, (lazy, value) => {
      if (lazy.row >= 0) visit(lazy.row, value);
    });
  }

  /** The same, and with those that are not in the programme yet. */
  #allRowsOf(
    c: number,
    option: number,
    make: boolean,
    visit: (row: number, value: number) => void,
    visitLazy: (lazy: LazyRow, value: number) => void,
  ): number {
    const machines = this.#batch.classes[c]!;
    const cell = cellOf(machines.options, option);
    for (const l of cell.limits) {
      const each = takes(this.#batch.limits[l]!, machines, option);
      if (each === 0) continue;
      if (make) {
        const limit = Math.max(0, this.#batch.limits[l]!.left);
        this.#limitRows[l] ??= this.#lazily({ kind: 'limit', index: l }, limit);
      }
      const lazy = this.#limitRows[l];
      if (lazy !== undefined) visitLazy(lazy, each);
    }
    if (cell.pool >= 0)
      for (const { lazy, of } of this.#poolRows[cell.pool]!) {
        const value = of(machines);
        if (value !== 0) visitLazy(lazy, value);
      }
    for (const { rule, domain } of cell.apart) {
      const set = machines.apart.get(rule);
      if (set !== undefined && domain !== ALONE) this.#apart(rule, set, domain, cell.pool, make, visit);
    }
    let hoped = 0;
    for (const { group, domain } of cell.spreads)
      hoped += this.#spread(group, domain, cell.pool, make, visit, visitLazy);
    return hoped;
  }

  /** Answers what a domain that is not in the programme yet could save at most, where domains are still missing. */
  #spread(
    g: number,
    domain: number,
    pool: number,
    make: boolean,
    visit: (row: number, value: number) => void,
    visitLazy: (lazy: LazyRow, value: number) => void,
  ): number {
    if (make) this.#groups[g] ??= this.#rowsOfGroup(this.#batch.spreads[g]!, g);
    const rows = this.#groups[g];
    if (rows === undefined) return 0;
    if (rows.share !== null && (this.#coming[g] ?? -1) < 0)
      visit(rows.share.row, -this.#batch.spreads[g]!.maxShare);
    if (domain === ALONE) {
      if (rows.atLeast >= 0) visit(rows.atLeast, 1);
      return 0;
    }
    if (rows.own >= 0) visit(rows.own, 1);
    const here = make ? this.#rowsOfDomain(g, domain, pool) : this.#domains.get(domainKey(g, domain, pool));
    if (here === undefined) return rows.atLeast < 0 ? 0 : this.#hope[g]!;
    visitLazy(here.share, 1);
    if (here.open >= 0) visit(here.open, 1);
    if (here.link >= 0) visit(here.link, -1);
    return 0;
  }

  #apart(
    rule: number,
    set: number,
    domain: number,
    pool: number,
    make: boolean,
    visit: (row: number, value: number) => void,
  ): void {
    const obstacle: Obstacle = { kind: 'apart', index: rule };
    const key = `${rule}/${set}/${domain === THE_HOST ? `pool ${pool}` : domain}`;
    if (this.#batch.apart[rule]!.alone.has(set)) {
      const times = domain === THE_HOST ? this.#batch.pools[pool]!.hosts.length : 1;
      const row = make
        ? memo(this.#apartRows, key, () => this.#row(obstacle, -INFINITE, times))
        : this.#apartRows.get(key);
      if (row !== undefined) visit(row, 1);
    }
    // Which host a machine of a pool is on is not known here, so the bound leaves such pairs out.
    if (domain === THE_HOST) return;
    const others = this.#batch.apart[rule]!.pairs.flatMap(([a, b]) =>
      a === set ? [b] : b === set ? [a] : [],
    );
    if (others.length === 0) return;
    const present = make ? this.#presenceOf(rule, set, domain, others) : this.#presence.get(key)?.row;
    if (present !== undefined) visit(present, 1);
  }

  /** Σ machines of the set ≤ M z, with z + z' ≤ 1 for every set that excludes it. */
  #presenceOf(rule: number, set: number, domain: number, others: readonly number[]): number {
    const p = this.programme;
    return memo(this.#presence, `${rule}/${set}/${domain}`, () => {
      const obstacle: Obstacle = { kind: 'apart', index: rule };
      const row = this.#row(obstacle, -INFINITE, 0);
      const most = this.#batch.apart[rule]!.alone.has(set)
        ? 1
        : this.#batch.classes.reduce((t, c) => t + (c.apart.get(rule) === set ? c.count : 0), 0);
      const column = p.column(0, 0, 1, true, [row, -most]);
      for (const other of others) {
        const known = this.#presence.get(`${rule}/${other}/${domain}`);
        if (known === undefined) continue;
        const pair = this.#row(obstacle, -INFINITE, 1);
        p.entry(pair, column, 1);
        p.entry(pair, known.column, 1);
      }
      return { row, column };
    }).row;
  }

  /** Takes an option into the programme. */
  include(c: number, option: number): void {
    const known = this.#columns[c]!;
    if (known.has(option)) return;
    const machines = this.#batch.classes[c]!;
    const entries = [c, 1];
    this.#rowsOf(c, option, true, (row, value) => entries.push(row, value));
    const { pool } = cellOf(machines.options, option);
    if (pool >= 0) this.#boundOfHosts(machines, pool, entries);
    const cost = this.#goal.unplaced ? 0 : machines.options.score[option]!;
    const column = this.programme.column(cost, 0, machines.count, true, entries);
    known.set(option, column);
    this.#meaning.set(column, { class: c, option });
  }

  /** How many fit the hosts one by one, where vCPUs, memory and disk each by themselves say more. */
  #boundOfHosts(machines: MachineClass, pool: number, entries: number[]): void {
    const free = this.#batch.pools[pool]!.hosts.map((h) => this.#batch.hosts[h]!.free);
    const most = free.reduce((t, f) => t + fitsTimes(f, machines.size), 0);
    const apart = machines.size.map((size, d) =>
      size > 0 ? free.reduce((t, f) => t + Math.floor((f[d]! + EPSILON) / size), 0) : INFINITE,
    );
    if (most < machines.count && most < Math.min(...apart))
      entries.push(this.#row({ kind: 'pool', index: pool }, -INFINITE, most), 1);
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
      this.#setHope(answer.duals);
      let added = 0;
      this.#batch.classes.forEach((_, c) => {
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
    const columns = this.#batch.classes.map((_, c) => this.#columns[c]!.get(0) ?? this.#out[c]!);
    return { columns, rows: [...columns.keys()] };
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
    merged.#limitRows.forEach((theirs, l) => {
      const left = Math.max(0, this.#batch.limits[l]!.left);
      note(theirs, () => (this.#limitRows[l] ??= this.#lazily({ kind: 'limit', index: l }, left)));
    });
    merged.#poolRows.forEach((rows, p) => {
      for (const [i, { lazy }] of rows.entries()) note(lazy, () => this.#poolRows[p]![i]!.lazy);
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
    for (const lazy of this.#lazy) lazy.used = 0;
    const nothing = (): void => {};
    for (const { class: c, option, amount } of this.amounts(values))
      this.#allRowsOf(c, option, false, nothing, (lazy, value) => {
        lazy.used += value * amount;
      });
    const broken = new Set(
      this.#lazy.filter(
        ({ row, used, upper, obstacle }) =>
          row < 0 &&
          used > upper + BROKEN * Math.max(1, Math.abs(upper)) &&
          (this.#only === null || this.#only.has(nameOf(obstacle))),
      ),
    );
    this.#takeIn(broken);
    return broken.size > 0;
  }

  #takeIn(rows: ReadonlySet<LazyRow>): void {
    if (rows.size === 0) return;
    for (const lazy of rows) lazy.row = this.#row(lazy.obstacle, -INFINITE, lazy.upper);
    const nothing = (): void => {};
    for (const [column, { class: c, option }] of this.#meaning)
      this.#allRowsOf(c, option, false, nothing, (lazy, value) => {
        if (rows.has(lazy)) this.programme.entry(lazy.row, column, value);
      });
  }

  /** What one more domain in use would save, per group; and the most that any domain's rows make an option better. */
  #hope: number[] = [];
  #reward: number[] = [];

  #setHope(duals: Float64Array): void {
    this.#hope = this.#groups.map(({ atLeast, own }) =>
      atLeast < 0 ? 0 : Math.max(0, (duals[atLeast] ?? 0) - (duals[own] ?? 0)),
    );
    this.#reward = this.#groups.map(({ atLeast }, g) =>
      atLeast < 0 ? 0 : Math.max(this.#hope[g]!, duals[atLeast] ?? 0),
    );
    for (const { group, link } of this.#domains.values())
      if (link >= 0) this.#reward[group] = Math.max(this.#reward[group]!, -(duals[link] ?? 0));
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
    const reward = loose ? Number.POSITIVE_INFINITY : spreads.reduce((t, g) => t + this.#reward[g]!, 0);
    for (let option = 0; option < options.length; option++) {
      const cost = this.#goal.unplaced ? 0 : options.score[option]!;
      if (cost - own - reward >= limit) break;
      if (known.has(option)) continue;
      let reduced = cost - own;
      const hoped = this.#rowsOf(c, option, false, (row, value) => {
        // Rows made since the duals were found have none.
        reduced -= (duals[row] ?? 0) * value;
      });
      reduced -= hoped;
      if (reduced < limit) yield { option, reduced };
    }
  }

  /**
   * Takes in every option that a better answer than `score` could use: one with a reduced cost past the gap
   * cannot be in any. Answers false, and takes in nothing, when they are more than `most`.
   */
  includeWithin(relaxed: Relaxed, score: number, most: number): boolean {
    const within: [number, number][] = [];
    const limit = Math.max(0, score - relaxed.bound) + TOLERANCE;
    for (let c = 0; c < this.#batch.classes.length; c++)
      for (const { option } of this.#below(c, relaxed.duals, limit)) {
        within.push([c, option]);
        if (within.length > most) return false;
      }
    for (const [c, option] of within) this.include(c, option);
    this.#takeIn(new Set(this.#lazy.filter(({ row }) => row < 0)));
    return true;
  }

  /** How much of a class goes to which option, in a solution of the programme. */
  amounts(values: Float64Array): { class: number; option: number; amount: number }[] {
    const found: { class: number; option: number; amount: number }[] = [];
    for (const [column, of] of this.#meaning)
      if (column < values.length && values[column]! > 1e-9) found.push({ ...of, amount: values[column]! });
    return found;
  }

  /** What an option would add to the objective beside the prices of what it takes; for ordering. */
  reduced(c: number, option: number, duals: Float64Array): number {
    let reduced = (this.#goal.unplaced ? 0 : this.#batch.classes[c]!.options.score[option]!) - duals[c]!;
    this.#rowsOf(c, option, false, (row, value) => {
      // Rows made since the duals were found have none.
      reduced -= (duals[row] ?? 0) * value;
    });
    return reduced;
  }

  /** Obstacles whose rows have a price in a solution: what its objective rests on. */
  priced(duals: Float64Array): { obstacle: Obstacle; dual: number; row: number }[] {
    return [...this.#obstacles].flatMap(([row, { obstacle }]) =>
      row < duals.length && Math.abs(duals[row]!) > TOLERANCE ? [{ obstacle, dual: duals[row]!, row }] : [],
    );
  }

  /** What one more unit of a pool's room saves, by {@link ROOM}; a floor row counts with its part. */
  worthOfRoom(pool: number, duals: Float64Array): number[] {
    return ROOM.map((_, d) =>
      this.#poolRows[pool]!.reduce(
        (t, r) => t - (r.d === d && r.lazy.row >= 0 ? (duals[r.lazy.row] ?? 0) * r.perUnit : 0),
        0,
      ),
    );
  }

  /** What one more unit of a limit saves. */
  worthOfLimit(l: number, duals: Float64Array): number {
    const row = this.#limitRows[l]?.row ?? -1;
    return Math.max(0, -(duals[row] ?? 0));
  }

  /** Has so much less of a limit, until it is told otherwise. */
  lessOf(l: number, by: number): void {
    const left = Math.max(0, this.#batch.limits[l]!.left);
    this.#limitRows[l] ??= this.#lazily({ kind: 'limit', index: l }, left);
    const lazy = this.#limitRows[l];
    if (lazy.row < 0) this.#takeIn(new Set([lazy]));
    this.#solver.bound(lazy.row, -INFINITE, Math.max(0, left - by));
  }

  /** Changes how many of a class are wanted. */
  want(c: number, count: number): void {
    this.#solver.bound(c, count, count);
  }

  #only: Set<string> | null = null;

  /** Thinks all obstacles but these away, those that are met later included. */
  only(obstacles: readonly Obstacle[]): void {
    this.#only = new Set(obstacles.map(nameOf));
    for (const [row, { obstacle }] of this.#obstacles)
      if (!this.#only.has(nameOf(obstacle))) this.#solver.bound(row, -INFINITE, INFINITE);
  }

  /** After {@link only}: thinks one of those away, too, until what it answers is called. */
  drop(obstacle: Obstacle): () => void {
    const name = nameOf(obstacle);
    const each = (change: (row: number, lower: number, upper: number) => void): void => {
      for (const [row, of] of this.#obstacles)
        if (nameOf(of.obstacle) === name) change(row, of.lower, of.upper);
    };
    this.#only?.delete(name);
    each((row) => this.#solver.bound(row, -INFINITE, INFINITE));
    return () => {
      this.#only?.add(name);
      each((row, lower, upper) => this.#solver.bound(row, lower, upper));
    };
  }
}

function nameOf({ kind, index }: Obstacle): string {
  return `${kind} ${index}`;
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

function domainKey(g: number, domain: number, pool: number): string {
  return `${g}/${domain === THE_HOST ? `pool ${pool}` : domain}`;
}

/** A row that may not be in the programme yet (-1). */
interface LazyRow {
  row: number;
  obstacle: Obstacle;
  upper: number;
  /** By the solution looked at. */
  used: number;
}

/** A row of a pool, and what one machine takes of it. */
interface PoolRow {
  lazy: LazyRow;
  of: (machines: MachineClass) => number;
  /** Which of {@link ROOM}, and what one more unit of it adds to the row's bound. */
  d: number;
  perUnit: number;
}

interface GroupRows {
  /** Where members are not sure: the row that bounds K, and K's column. */
  share: { row: number; column: number } | null;
  /** Where they are sure: the most machines a domain may have. */
  most: number;
  /** Where domains are missing: the row that counts those in use, and the one for "each has its own"; -1 = none. */
  atLeast: number;
  own: number;
}

interface DomainRows {
  group: number;
  share: LazyRow;
  /** -1: none. */
  open: number;
  link: number;
}
