import { memo } from '../memo.ts';
import { bestHost } from './fill.ts';
import { cellOf, EPSILON, type Placed, takes } from './problem.ts';
import type { Tally } from './tally.ts';

/** Exchanges tried per host or limit before it is left for the round, and made per round. */
const TRIES = 12;
const MOST_MADE = 24;

/** Sizes of machines looked at, on each side of an exchange, and how many of one that go. */
const SIZES = 12;
const ALIKE = 6;

/** A host, or a limit that is full: what machines give up places for. */
interface Scarce {
  /** -1: a limit. */
  host: number;
  /** What is counted of it: the limit itself, or limits that are full beside the host's room. */
  limits: readonly number[];
}

/** One machine that comes or goes, and what that saves, which is below 0 where it costs. */
interface Side {
  of: Placed;
  /** Where it goes; -1: where there is room. */
  option: number;
  saves: number;
  needs: number[];
  /** Of one that comes: the limits it makes room under by leaving where it is, which had none. */
  frees: readonly number[];
}

/**
 * Takes up the slack that rounding and packing leave: machines give up their places on a host, or under a limit that is
 * full, for one or two that gain more by them, and go to their next best places, where that lowers the score.
 * Of each size only the machines that gain most, or lose least, are looked at. Ends after so many rounds, or when
 * nothing moves.
 */
export function exchange(tally: Tally, rounds: number): void {
  for (let round = 0; round < rounds; round++) if (!new Market(tally).trade()) return;
}

class Market {
  readonly #tally: Tally;
  readonly #sizes: Int32Array;
  /** By pool, and by limit: per size, the two machines elsewhere that would gain most by a place in it. */
  readonly #toPools: Map<number, Wish[]>[];
  readonly #toLimits = new Map<number, Map<number, Wish[]>>();
  /** What is there, by host, and by the limits of {@link #toLimits}. */
  readonly #onHost: Placed[][];
  readonly #underLimit = new Map<number, Placed[]>();
  readonly #elsewhere = new Map<number, number>();

  constructor(tally: Tally) {
    this.#tally = tally;
    const { classes, hosts, pools } = tally.batch;
    const known = new Map<string, number>();
    this.#sizes = Int32Array.from(classes, (c) => memo(known, c.size.join(), () => known.size));
    this.#toPools = pools.map(() => new Map<number, Wish[]>());
    this.#onHost = hosts.map(() => []);
    for (const of of tally.placements()) {
      if (of.host >= 0) this.#onHost[of.host]!.push(of);
      this.#wishesOf(of);
    }
    for (const l of this.#toLimits.keys()) this.#underLimit.set(l, []);
    for (const of of tally.placements())
      for (const l of cellOf(classes[of.class]!.options, of.option).limits) this.#underLimit.get(l)?.push(of);
  }

  #wishesOf(of: Placed): void {
    const { options } = this.#tally.batch.classes[of.class]!;
    const { score, pool } = options;
    const size = this.#sizes[of.class]!;
    for (let option = 0; option < of.option; option++) {
      const saves = score[of.option]! - score[option]!;
      if (saves <= EPSILON) break;
      if (pool[option]! >= 0) noteWish(this.#toPools[pool[option]!]!, size, { of, option, saves });
      else {
        const full = this.#tally.onlyFull(of.class, option);
        if (full >= 0)
          noteWish(
            memo(this.#toLimits, full, () => new Map<number, Wish[]>()),
            size,
            { of, option, saves },
          );
      }
    }
  }

  trade(): boolean {
    const { hosts } = this.#tally.batch;
    let moved = false;
    for (let h = 0; h < hosts.length; h++) {
      const wishes = this.#toPools[hosts[h]!.pool]!;
      const limits = this.#fullFor(wishes);
      if (this.#tradeAt({ host: h, limits }, wishes, this.#onHost[h]!)) moved = true;
    }
    for (const [l, wishes] of this.#toLimits)
      if (this.#tradeAt({ host: -1, limits: [l] }, wishes, this.#underLimit.get(l)!)) moved = true;
    return moved;
  }

  /** Limits that keep some machine from a place on hosts. */
  #fullFor(wishes: ReadonlyMap<number, Wish[]>): number[] {
    const found = new Set<number>();
    for (const of of wishes.values())
      for (const { of: p, option } of of)
        for (const l of this.#tally.full(p.class, option).limits) found.add(l);
    return [...found];
  }

  #tradeAt(at: Scarce, wishes: ReadonlyMap<number, Wish[]>, here: Placed[]): boolean {
    let moved = false;
    for (let made = 0; made < MOST_MADE; made++) {
      const found = this.#bestTrades(at, this.#coming(at, wishes), this.#going(at, here));
      const done = found.find((trade) => this.#try(at, trade, here));
      if (done === undefined) break;
      moved = true;
    }
    return moved;
  }

  #coming(at: Scarce, wishes: ReadonlyMap<number, Wish[]>): Side[] {
    const sides: Side[] = [];
    for (const of of wishes.values())
      for (const wish of of)
        if (wish.of.count > 0)
          sides.push({
            ...wish,
            needs: this.#needs(at, wish.of.class, wish.option),
            frees: this.#fullAt(wish.of),
          });
    return sides.sort((a, b) => b.saves - a.saves).slice(0, 2 * SIZES);
  }

  /** By size, the machines here that lose least by going, least first. */
  #going(at: Scarce, here: readonly Placed[]): Side[][] {
    const { classes } = this.#tally.batch;
    const bySize = new Map<number, Side[]>();
    for (const of of here) {
      const next = of.count < 1 ? -1 : this.#next(of.class);
      if (next < 0) continue;
      const { score } = classes[of.class]!.options;
      const saves = score[of.option]! - score[next]!;
      const kept = memo(bySize, this.#sizes[of.class]!, () => [] as Side[]);
      if (kept.length === ALIKE && saves <= kept[ALIKE - 1]!.saves) continue;
      const side = { of, option: -1, saves, needs: this.#needs(at, of.class, of.option), frees: [] };
      for (let n = 0; n < Math.min(of.count, ALIKE); n++) kept.push(side);
      kept.sort((a, b) => b.saves - a.saves).splice(ALIKE);
    }
    return [...bySize.values()].sort((a, b) => b[0]!.saves - a[0]!.saves).slice(0, SIZES);
  }

  /** A class's cheapest place in a cloud that had room when it was first asked for in this round; -1: none. */
  #next(c: number): number {
    return memo(this.#elsewhere, c, () => {
      const { pool, length } = this.#tally.batch.classes[c]!.options;
      for (let k = 0; k < length; k++) if (pool[k]! < 0 && this.#tally.couldTake(c, k)) return k;
      return -1;
    });
  }

  /** Limits that are full where a machine is, so that one like it could only take its place. */
  #fullAt({ class: c, option }: Placed): number[] {
    return this.#tally.full(c, option).limits;
  }

  /** What one that goes saves if it takes the place of one that comes, at most; it may also go where there is room. */
  #savesInStead({ of, saves }: Side, frees: readonly number[]): number {
    let most = saves;
    const { score } = this.#tally.batch.classes[of.class]!.options;
    for (const l of frees) {
      const k = this.#cheapestUnder(of.class, l);
      if (k >= 0) most = Math.max(most, score[of.option]! - score[k]!);
    }
    return most;
  }

  readonly #under = new Map<number, Map<number, number>>();

  /** A class's cheapest place in a cloud that a limit counts; -1: none. */
  #cheapestUnder(c: number, l: number): number {
    const known = memo(this.#under, l, () => new Map<number, number>());
    return memo(known, c, () => {
      const { options } = this.#tally.batch.classes[c]!;
      for (let k = 0; k < options.length; k++)
        if (options.pool[k]! < 0 && cellOf(options, k).limits.includes(l)) return k;
      return -1;
    });
  }

  #needs({ host, limits }: Scarce, c: number, option: number): number[] {
    const { classes, limits: all } = this.#tally.batch;
    const machines = classes[c]!;
    const cell = cellOf(machines.options, option);
    const needs = limits.map((l) => (cell.limits.includes(l) ? takes(all[l]!, machines, option) : 0));
    return host < 0 ? needs : [...machines.size, ...needs];
  }

  /** The trades that promise most and fit what is left of the scarce thing. */
  #bestTrades({ host, limits }: Scarce, coming: readonly Side[], going: readonly Side[][]): Trade[] {
    const left = limits.map((l) => this.#tally.left(l));
    const free = host < 0 ? left : [...this.#tally.free(host), ...left];
    const found: Trade[] = [];
    /** False: it promises no more than those at hand, which are tried before it. */
    const look = (...into: Side[]): boolean => {
      const saves = into.reduce((t, s) => t + s.saves, 0);
      const least = found[TRIES - 1]?.saves ?? EPSILON;
      if (saves <= least) return false;
      const short = free.map((n, d) => into.reduce((t, s) => t + s.needs[d]!, 0) - n);
      const frees = into.length === 1 ? into[0]!.frees : into.flatMap((one) => one.frees);
      const out = this.#makeRoom(short, going, frees, saves, least);
      if (out === null) return true;
      found.push({ into, ...out });
      found.sort((a, b) => b.saves - a.saves).splice(TRIES);
      return true;
    };
    for (const one of coming) look(one);
    // Those that come are in order: after one that promises too little, all do.
    coming.forEach((one, i) => {
      for (let j = i + 1; j < coming.length && look(one, coming[j]!); j++);
    });
    return found;
  }

  /**
   * Those that go so that what is short is there: one after the other the one that loses least for what it gives of
   * that. Null: there are none, or they would leave no more than `least` to save.
   */
  #makeRoom(
    short: number[],
    going: readonly Side[][],
    frees: readonly number[],
    saves: number,
    least: number,
  ): { out: Side[]; saves: number } | null {
    const out: Side[] = [];
    const taken = going.map(() => 0);
    while (short.some((n) => n > EPSILON)) {
      let best = -1;
      let [loses, rate] = [0, Number.POSITIVE_INFINITY];
      for (let g = 0; g < going.length; g++) {
        const side = going[g]![taken[g]!];
        if (side === undefined) continue;
        let gives = 0;
        for (let d = 0; d < short.length; d++)
          if (short[d]! > EPSILON) gives += Math.min(1, side.needs[d]! / short[d]!);
        if (gives === 0) continue;
        const loss = -this.#savesInStead(side, frees);
        if (loss / gives >= rate) continue;
        [best, loses, rate] = [g, loss, loss / gives];
      }
      if (best < 0) return null;
      const side = going[best]![taken[best]!++]!;
      out.push(side);
      saves -= loses;
      if (saves <= least) return null;
      for (let d = 0; d < short.length; d++) short[d]! -= side.needs[d]!;
    }
    return saves > least ? { out, saves } : null;
  }

  #try({ host }: Scarce, { into, out }: Trade, here: Placed[]): boolean {
    const tally = this.#tally;
    const { classes } = tally.batch;
    const undo: (() => void)[] = [];
    const add = (c: number, option: number, at: number, n: number): void => {
      tally.add(c, option, at, n);
      undo.push(() => tally.add(c, option, at, -n));
    };
    const score = (c: number, option: number): number => classes[c]!.options.score[option]!;
    const fail = (): boolean => {
      for (const back of undo.reverse()) back();
      return false;
    };
    let change = 0;
    for (const { of } of [...into, ...out]) {
      // Two sides may be of one place with one machine; and the entry is gone from the books with its last.
      if (of.count < 1 || !tally.mayGo(of)) return fail();
      const { class: c, option, host: at } = of;
      add(c, option, at, -1);
      change -= score(c, option);
    }
    for (const { of, option } of into) {
      if (tally.room(of.class, option, host) < 1) return fail();
      add(of.class, option, host, 1);
      change += score(of.class, option);
    }
    for (const { of } of out) {
      const { length } = classes[of.class]!.options;
      let done = false;
      for (let k = 0; k < length && !done; k++) {
        if (change + score(of.class, k) >= -EPSILON) break;
        if (!tally.couldTake(of.class, k)) continue;
        const at = classes[of.class]!.options.pool[k]! < 0 ? -1 : bestHost(tally, of.class, k);
        if (at === null || tally.room(of.class, k, at) < 1) continue;
        add(of.class, k, at, 1);
        change += score(of.class, k);
        done = true;
      }
      if (!done) return fail();
    }
    if (change >= -EPSILON) return fail();
    for (const { of, option } of into) {
      const there = tally.at(of.class, option, host);
      if (!here.includes(there)) here.push(there);
    }
    return true;
  }
}

/** A machine that is elsewhere and would be cheaper at an option. */
interface Wish {
  of: Placed;
  option: number;
  saves: number;
}

interface Trade {
  into: readonly Side[];
  out: readonly Side[];
  saves: number;
}

/** Keeps the two of a size that save most. */
function noteWish(bySize: Map<number, Wish[]>, size: number, wish: Wish): void {
  const kept = bySize.get(size);
  if (kept === undefined) bySize.set(size, [wish]);
  else if (kept.length < 2) kept.push(wish);
  else {
    const worse = kept[0]!.saves < kept[1]!.saves ? 0 : 1;
    if (wish.saves > kept[worse]!.saves) kept[worse] = wish;
  }
}
