import { memo } from '../memo.ts';
import { exchange } from './exchange.ts';
import { type Batch, cellOf, fitsTimes, type Placed, ROOM } from './problem.ts';
import { Tally } from './tally.ts';

/** Options of a class, the ones to try first in front. */
export type Ordering = (c: number) => Int32Array;

/** Orders options by a value of each, the score for one; ties in the order given. Sorted when first asked for. */
export function orderBy(batch: Batch, value: (c: number, option: number) => number): Ordering {
  const known = new Map<number, Int32Array>();
  return (c) =>
    memo(known, c, () => {
      const values = Float64Array.from({ length: batch.classes[c]!.options.length }, (_, k) => value(c, k));
      return Int32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]! || a - b);
    });
}

/** Options come by score. */
export function orderByScore(batch: Batch): Ordering {
  const known = new Map<number, Int32Array>();
  return (c) => {
    const { length } = batch.classes[c]!.options;
    return memo(known, length, () => Int32Array.from({ length }, (_, k) => k));
  };
}

/**
 * Puts up to `most` machines of a class at an option; answers how many went. On-prem, each goes to the host whose free
 * vCPUs and memory are most like the machine's in their proportion, so that no host is left with much of one and none
 * of the other: the angle between the two vectors, as in Panigrahy et al., "Heuristics for Vector Bin Packing",
 * Microsoft Research 2011. On 200 scarce hosts it wasted 1% of the memory where the fullest host first wasted 4%.
 */
export function put(tally: Tally, c: number, option: number, most: number): number {
  const { batch } = tally;
  const { pool } = cellOf(batch.classes[c]!.options, option);
  let done = 0;
  while (done < most) {
    const host = pool < 0 ? -1 : bestHost(tally, c, option);
    if (host === null) break;
    const n = Math.min(most - done, tally.room(c, option, host));
    if (n === 0) break;
    tally.add(c, option, host, n);
    done += n;
  }
  return done;
}

/** The host of an option's pool that a machine of a class is put on next; null: none has room. */
export function bestHost(tally: Tally, c: number, option: number): number | null {
  return bestOf(tally, c, [option])?.host ?? null;
}

function bestOf(
  tally: Tally,
  c: number,
  options: readonly number[],
): { option: number; host: number } | null {
  const { pools, classes } = tally.batch;
  const { size, options: all } = classes[c]!;
  const length = Math.hypot(size[0] * 4, size[1]);
  let best: { option: number; host: number } | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const option of options)
    for (const host of pools[all.pool[option]!]!.hosts) {
      const free = tally.free(host);
      if (fitsTimes(free, size) === 0) continue;
      // The sine of the angle, with four GiB for a vCPU.
      const turn = Math.abs(free[0] * size[1] - free[1] * size[0]);
      const angle = turn / Math.hypot(free[0] * 4, free[1]) / length;
      if (angle < least && tally.room(c, option, host) > 0) {
        best = { option, host };
        least = angle;
      }
    }
  return best;
}

/**
 * Puts machines of a class on hosts of an option, or of others at its score that are under the same limits but for those
 * of its own project, one by one; answers how many went.
 */
export function putOnHosts(tally: Tally, c: number, option: number, most: number): number {
  const { classes, limits } = tally.batch;
  const { options } = classes[c]!;
  const { score, pool, length } = options;
  const shared = (k: number): string =>
    cellOf(options, k)
      .limits.filter((l) => limits[l]!.shared)
      .join();
  const alike = [option];
  const look = (k: number): void => {
    if (pool[k]! >= 0 && shared(k) === shared(option)) alike.push(k);
  };
  for (let k = option + 1; k < length && score[k]! === score[option]!; k++) look(k);
  for (let k = option - 1; k >= 0 && score[k]! === score[option]!; k--) look(k);
  let done = 0;
  for (; done < most; done++) {
    const best = bestOf(tally, c, alike);
    if (best === null) break;
    tally.add(c, best.option, best.host, 1);
  }
  return done;
}

/** Places what is still open, each class at its first options with room. */
export function complete(tally: Tally, order: Ordering, classes: Iterable<number>): void {
  for (const c of classes) {
    if (tally.open[c] === 0) continue;
    for (const option of order(c)) {
      put(tally, c, option, tally.open[c]!);
      if (tally.open[c] === 0) break;
    }
  }
}

/** Looks in {@link improve}: a number of steps, not a time, so that answers repeat. */
const EFFORT = 100_000;

/**
 * For each machine still open, moves one other machine elsewhere if that lets it in. Prefers the move that
 * adds least to the score; stops after a fixed number of looks.
 */
export function makeRoom(tally: Tally, order: Ordering): void {
  let looks = 0;
  const { classes } = tally.batch;
  const roomFor = (c: number): boolean => {
    for (const option of order(c)) {
      const others = rivals(tally, c, option);
      looks += LISTING;
      for (const p of others) {
        if (looks++ > EJECTIONS) return false;
        if (tryEjection(tally, c, option, p, order)) return true;
      }
      if (looks > EJECTIONS) return false;
    }
    return false;
  };
  for (let c = 0; c < classes.length; c++) while (tally.open[c]! > 0 && roomFor(c));
}

/** Moves that {@link makeRoom} tries, and how many of them finding the rivals of an option counts for. */
const EJECTIONS = 10_000;
const LISTING = 100;

/** Machines that take of what an option takes of. */
function rivals(tally: Tally, c: number, option: number): Placed[] {
  const { classes } = tally.batch;
  const cell = cellOf(classes[c]!.options, option);
  const limits = new Set(cell.limits);
  const groups = new Set(cell.spreads.map((s) => s.group));
  const rules = new Set(cell.apart.map((a) => a.rule));
  const found: Placed[] = [];
  for (const p of tally.placements()) {
    const other = cellOf(classes[p.class]!.options, p.option);
    if (
      (cell.pool >= 0 && other.pool === cell.pool) ||
      other.limits.some((l) => limits.has(l)) ||
      other.spreads.some((s) => groups.has(s.group)) ||
      (classes[p.class]!.apart.size > 0 && other.apart.some((a) => rules.has(a.rule)))
    )
      found.push({ ...p });
  }
  return found;
}

function tryEjection(tally: Tally, c: number, option: number, p: Placed, order: Ordering): boolean {
  if (!tally.mayGo(p)) return false;
  tally.add(p.class, p.option, p.host, -1);
  if (put(tally, c, option, 1) === 1) {
    const open = tally.open[p.class]!;
    for (const other of order(p.class)) {
      if (other === p.option && p.host < 0) continue;
      if (put(tally, p.class, other, 1) === 1) return true;
    }
    if (tally.open[p.class] === open) takeBack(tally, c, option);
  }
  tally.add(p.class, p.option, p.host, 1);
  return false;
}

/** Undoes the one machine that was put last at an option; which host it is on does not matter to its limits. */
function takeBack(tally: Tally, c: number, option: number): void {
  const last = tally
    .placedOf(c)
    .filter((p) => p.option === option)
    .at(-1)!;
  tally.add(c, option, last.host, -1);
}

/** Moves machines to cheaper options that have room, until nothing moves or {@link EFFORT} looks are spent. */
export function improve(tally: Tally, order: Ordering): void {
  const { classes } = tally.batch;
  let looks = 0;
  for (let moved = true; moved && looks < EFFORT; ) {
    moved = false;
    for (let c = 0; c < classes.length; c++) {
      const { score } = classes[c]!.options;
      for (const p of tally.placedOf(c)) {
        let { count } = p;
        if (!tally.mayGo(p)) continue;
        for (const option of order(c)) {
          if (score[option]! >= score[p.option]! - 1e-12 || count === 0 || looks > EFFORT) break;
          // One by one: the new place may take more of a limit, so that not all that were taken away could go back.
          for (let went = true; went && count > 0; ) {
            looks++;
            if (!tally.couldMove(p, option)) break;
            tally.add(c, p.option, p.host, -1);
            went = put(tally, c, option, 1) === 1;
            if (went) count--;
            else tally.add(c, p.option, p.host, 1);
            if (went) moved = true;
          }
        }
      }
    }
  }
}

/** From an answer that may leave machines open to one that holds: fill, make room, move to cheaper, exchange, settle. */
export function finish(tally: Tally, order: Ordering, rounds: number): void {
  const { batch } = tally;
  complete(tally, order, bySize(batch));
  for (let open = tally.unplaced(); ; ) {
    if (open > 0) makeRoom(tally, order);
    improve(tally, orderByScore(batch));
    exchange(tally, rounds);
    // What became cheaper may have left room in a budget.
    const before = open;
    if (open > 0) complete(tally, order, bySize(batch));
    open = tally.unplaced();
    if (open === 0 || open === before) break;
  }
  tally.settle();
}

/** Classes, the ones with the largest machines first. */
function bySize(batch: Batch): number[] {
  const largest = ROOM.map((_, d) => Math.max(1, ...batch.hosts.map((h) => h.free[d]!)));
  const of = batch.classes.map((c) => c.size.reduce((t, n, d) => t + n / largest[d]!, 0));
  return [...of.keys()].sort((a, b) => of[b]! - of[a]! || a - b);
}

/** One class after the other in the order asked for, each at its cheapest, and then what {@link finish} does. */
export function greedy(batch: Batch): Tally {
  const tally = new Tally(batch);
  const order = orderByScore(batch);
  complete(tally, order, batch.classes.keys());
  finish(tally, order, 1);
  return tally;
}
