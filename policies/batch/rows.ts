import { memo } from '../memo.ts';
import { INFINITE, type LinearProgramme } from './linear.ts';
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
import { standingsOf } from './together.ts';
import { TogetherRows } from './together-rows.ts';

/** What can stand in the way of a machine, and can be thought away; the index is in the batch's own list. */
export interface Obstacle {
  kind: 'limit' | 'spread' | 'apart' | 'together' | 'pool';
  index: number;
}

/** What is made small: how many machines find no place, or, with at most so many left out, the score. */
export type Goal =
  | { unplaced: true }
  /** `penalty`: instead of `most` being kept to, each machine left out costs so much. */
  | { unplaced: false; most: number; penalty?: number };

/**
 * Whole machines of so many different sizes, the largest, are counted on each pool: the smaller, the less the rounding
 * says, and thousands of sizes at dozens of hosts would be more rows than the solver has memory for.
 */
const MOST_SIZES = 24;

/** The rows of a {@link Relaxation} but for its demands: limits, pools, spread groups, anti-affinity and affinity. */
export class Rows {
  readonly #batch: Batch;
  readonly #goal: Goal;
  readonly #programme: LinearProgramme;
  readonly #coming: Int32Array;
  /** By row: what it stands for, and its bounds. */
  readonly obstacles = new Map<number, { obstacle: Obstacle; lower: number; upper: number }>();
  /** By name, the obstacles that are not thought away; null: all. */
  only: Set<string> | null = null;
  /** All that `lazily` made. */
  readonly lazy: LazyRow[] = [];
  /** By limit; made when the first option under it is taken in. */
  readonly limitRows: LazyRow[] = [];
  readonly poolRows: PoolRow[][];
  readonly groups: GroupRows[] = [];
  readonly domains = new Map<string, DomainRows>();
  readonly #apartRows = new Map<string, number>();
  readonly #presence = new Map<string, { row: number; column: number }>();
  readonly #together: TogetherRows;

  constructor(batch: Batch, goal: Goal, programme: LinearProgramme) {
    this.#batch = batch;
    this.#goal = goal;
    this.#programme = programme;
    this.#coming = comingMembers(batch);
    this.#together = new TogetherRows(batch, programme, (lower, upper, rule) =>
      this.row({ kind: 'together', index: rule }, lower, upper),
    );
    this.poolRows = batch.pools.map((_, index) => this.#rowsOfPool(index));
  }

  ofLimit(l: number): LazyRow {
    this.limitRows[l] ??= this.lazily({ kind: 'limit', index: l }, Math.max(0, this.#batch.limits[l]!.left));
    return this.limitRows[l];
  }

  row(obstacle: Obstacle, lower: number, upper: number): number {
    const free = this.only !== null && !this.only.has(nameOf(obstacle));
    const row = free ? this.#programme.row(-INFINITE, INFINITE) : this.#programme.row(lower, upper);
    this.obstacles.set(row, { obstacle, lower, upper });
    return row;
  }

  /** A row Σ value · x ≤ upper that comes into the programme when a solution first breaks it: most never bind. */
  lazily(obstacle: Obstacle, upper: number): LazyRow {
    const made = { row: -1, obstacle, upper, used: 0 };
    this.lazy.push(made);
    return made;
  }

  #rowsOfPool(index: number): PoolRow[] {
    const { classes, hosts, pools } = this.#batch;
    const free = pools[index]!.hosts.map((h) => hosts[h]!.free);
    const rows: PoolRow[] = [];
    ROOM.forEach((_, d) => {
      const sum = free.reduce((t, f) => t + f[d]!, 0);
      rows.push({
        lazy: this.lazily({ kind: 'pool', index }, sum),
        of: (c) => c.size[d]!,
        d,
        perUnit: 1,
      });
      const sizes = [...new Set(classes.map((c) => c.size[d]!))].filter((t) => t > 0);
      for (const t of sizes.sort((a, b) => b - a).slice(0, MOST_SIZES)) {
        const times = free.reduce((n, f) => n + Math.floor((f[d]! + EPSILON) / t), 0);
        if (times * t < sum - EPSILON)
          rows.push({
            lazy: this.lazily({ kind: 'pool', index }, times),
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
  ofGroup(group: SpreadGroup, g: number): GroupRows {
    const p = this.#programme;
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
      const row = this.row(obstacle, -INFINITE, group.maxShare * all + 1 - 1e-6);
      rows.share = { row, column: p.column(0, 0, INFINITE, true, [row, 1]) };
    }
    // Where no domain may have so many that fewer than `min` suffice, the shares say it all.
    const implied = sure && before.machines === 0 && Math.ceil(coming / rows.most) >= group.min;
    if (missing <= 0 || implied) return rows;
    rows.atLeast = this.row(obstacle, 0, INFINITE);
    rows.own = this.row(obstacle, -INFINITE, 0);
    const n = coming >= 0 ? coming : this.#batch.classes.reduce((t, c) => t + c.count, 0);
    const spread = sure && coming >= missing ? 1 : 0;
    p.column(0, spread, sure && coming < missing ? 0 : 1, true, [rows.atLeast, -missing, rows.own, -n]);
    return rows;
  }

  #rowsOfDomain(g: number, domain: number, pool: number): DomainRows {
    const times = domain === THE_HOST ? this.#batch.pools[pool]!.hosts.length : 1;
    return memo(this.domains, domainKey(g, domain, pool), () => {
      const p = this.#programme;
      const obstacle: Obstacle = { kind: 'spread', index: g };
      const group = this.#batch.spreads[g]!;
      const rows = this.groups[g]!;
      const before = domain === THE_HOST ? 0 : (group.existing.get(domain) ?? 0);
      const most = rows.share === null ? Math.max(0, rows.most - before) * times : 0;
      const made: DomainRows = { group: g, share: this.lazily(obstacle, most), open: -1, link: -1 };
      if (rows.share !== null) {
        const { share } = made;
        share.row = this.row(obstacle, -INFINITE, most);
        p.entry(share.row, rows.share.column, -times);
        if (before > 0) {
          // A domain that is over its share already takes none, and must not force K up: b = 1 where it takes some.
          made.open = this.row(obstacle, -INFINITE, 0);
          const n = this.#batch.classes.reduce((t, c) => t + c.count, 0);
          p.column(0, 0, 1, true, [share.row, before, made.open, -n]);
        }
      }
      if (rows.atLeast >= 0 && before === 0) {
        made.link = this.row(obstacle, -INFINITE, 0);
        p.column(0, 0, times, true, [rows.atLeast, 1, rows.own, -1, made.link, 1]);
      }
      return made;
    });
  }

  /** Calls back with every row an option has a value in, making the rows of its domains where `make`. */
  of(c: number, option: number, make: boolean, visit: (row: number, value: number) => void): number {
    return this.allOf(c, option, make, visit, (lazy, value) => {
      if (lazy.row >= 0) visit(lazy.row, value);
    });
  }

  /** The same, and with those that are not in the programme yet. */
  allOf(
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
      const lazy = make ? this.ofLimit(l) : this.limitRows[l];
      if (lazy !== undefined) visitLazy(lazy, each);
    }
    if (cell.pool >= 0)
      for (const { lazy, of } of this.poolRows[cell.pool]!) {
        const value = of(machines);
        if (value !== 0) visitLazy(lazy, value);
      }
    for (const { rule, set, domain } of standingsOf(machines.apart, cell.apart)) {
      if (domain !== ALONE) this.#apart(rule, set, domain, cell.pool, make, visit);
    }
    this.#together.of(c, option, make, visit);
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
    if (make) this.groups[g] ??= this.ofGroup(this.#batch.spreads[g]!, g);
    const rows = this.groups[g];
    if (rows === undefined) return 0;
    if (rows.share !== null && (this.#coming[g] ?? -1) < 0)
      visit(rows.share.row, -this.#batch.spreads[g]!.maxShare);
    if (domain === ALONE) {
      if (rows.atLeast >= 0) visit(rows.atLeast, 1);
      return 0;
    }
    if (rows.own >= 0) visit(rows.own, 1);
    const here = make ? this.#rowsOfDomain(g, domain, pool) : this.domains.get(domainKey(g, domain, pool));
    if (here === undefined) return rows.atLeast < 0 ? 0 : this.hope[g]!;
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
        ? memo(this.#apartRows, key, () => this.row(obstacle, -INFINITE, times))
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
    const p = this.#programme;
    return memo(this.#presence, `${rule}/${set}/${domain}`, () => {
      const obstacle: Obstacle = { kind: 'apart', index: rule };
      const row = this.row(obstacle, -INFINITE, 0);
      const most = this.#batch.apart[rule]!.alone.has(set)
        ? 1
        : this.#batch.classes.reduce((t, c) => t + (c.apart.get(rule)?.includes(set) ? c.count : 0), 0);
      const column = p.column(0, 0, 1, true, [row, -most]);
      for (const other of others) {
        const known = this.#presence.get(`${rule}/${other}/${domain}`);
        if (known === undefined) continue;
        const pair = this.row(obstacle, -INFINITE, 1);
        p.entry(pair, column, 1);
        p.entry(pair, known.column, 1);
      }
      return { row, column };
    }).row;
  }

  /** How many fit the hosts one by one, where vCPUs, memory and disk each by themselves say more. */
  boundOfHosts(machines: MachineClass, pool: number, entries: number[]): void {
    const { size, count } = machines;
    const most = memo(this.#fitting, `${pool} ${size.join()}`, () => {
      const free = this.#batch.pools[pool]!.hosts.map((h) => this.#batch.hosts[h]!.free);
      const all = free.reduce((t, f) => t + fitsTimes(f, size), 0);
      const apart = size.map((n, d) =>
        n > 0 ? free.reduce((t, f) => t + Math.floor((f[d]! + EPSILON) / n), 0) : INFINITE,
      );
      return all < Math.min(...apart) ? all : INFINITE;
    });
    if (most < count) entries.push(this.row({ kind: 'pool', index: pool }, -INFINITE, most), 1);
  }

  /** By pool and size: how many fit, where that says more than each kind of room by itself. */
  readonly #fitting = new Map<string, number>();

  /** What one more domain in use would save, per group; and the most that any domain's rows make an option better. */
  hope: number[] = [];
  reward: number[] = [];

  /** The most that the rows of affinity make an option of a class better. */
  rewardOf(c: number): number {
    return this.#together.rewardOf(c);
  }

  setHope(duals: Float64Array): void {
    this.#together.setHope(duals);
    this.hope = this.groups.map(({ atLeast, own }) =>
      atLeast < 0 ? 0 : Math.max(0, (duals[atLeast] ?? 0) - (duals[own] ?? 0)),
    );
    this.reward = this.groups.map(({ atLeast }, g) =>
      atLeast < 0 ? 0 : Math.max(this.hope[g]!, duals[atLeast] ?? 0),
    );
    for (const { group, link } of this.domains.values())
      if (link >= 0) this.reward[group] = Math.max(this.reward[group]!, -(duals[link] ?? 0));
  }
}

export function nameOf({ kind, index }: Obstacle): string {
  return `${kind} ${index}`;
}

function domainKey(g: number, domain: number, pool: number): string {
  return `${g}/${domain === THE_HOST ? `pool ${pool}` : domain}`;
}

/** A row that may not be in the programme yet (-1). */
export interface LazyRow {
  row: number;
  obstacle: Obstacle;
  upper: number;
  /** By the solution looked at. */
  used: number;
}

/** A row of a pool, and what one machine takes of it. */
export interface PoolRow {
  lazy: LazyRow;
  of: (machines: MachineClass) => number;
  /** Which of {@link ROOM}, and what one more unit of it adds to the row's bound. */
  d: number;
  perUnit: number;
}

export interface GroupRows {
  /** Where members are not sure: the row that bounds K, and K's column. */
  share: { row: number; column: number } | null;
  /** Where they are sure: the most machines a domain may have. */
  most: number;
  /** Where domains are missing: the row that counts those in use, and the one for "each has its own"; -1 = none. */
  atLeast: number;
  own: number;
}

export interface DomainRows {
  group: number;
  share: LazyRow;
  /** -1: none. */
  open: number;
  link: number;
}
