import { complete, finish, type Ordering, put, putOnHosts } from './fill.ts';
import { type Batch, cellOf, type Placed } from './problem.ts';
import type { Relaxation } from './relaxation.ts';
import { comingMembers, Tally } from './tally.ts';
import { brokenBy } from './validate.ts';

/** So much of a class at an option, in a solution of a programme. */
export type Amount = ReturnType<Relaxation['amounts']>[number];

/**
 * An answer from amounts that need not be whole, nor fit the hosts one by one: as they are, where they hold;
 * otherwise floors first, then the largest rests, then {@link finish}.
 */
export function round(batch: Batch, amounts: readonly Amount[], order: Ordering): Placed[] {
  const exact = asTheyAre(batch, amounts);
  if (exact !== null) return exact;
  const tally = dealtOut(batch, amounts, order);
  finish(tally, order, EXCHANGES);
  return tally.placed();
}

/** Amounts as whole machines on hosts, before any repair. */
export function dealtOut(batch: Batch, amounts: readonly Amount[], order: Ordering): Tally {
  const members = membersOf(batch, amounts);
  const first = new Set<number>();
  let best = dealt(batch, amounts, order, members, first);
  for (let again = 0; again < AGAIN && best.unplaced() > 0; again++) {
    const before = first.size;
    const { blocked, full } = blockedIn(best);
    for (const c of blocked) first.add(c);
    batch.classes.forEach(({ options }, c) => {
      if (options.length > 0 && cellOf(options, 0).limits.some((l) => full.has(l))) first.add(c);
    });
    if (first.size === before) break;
    const other = dealt(batch, amounts, order, members, first);
    if (other.unplaced() < best.unplaced()) best = other;
  }
  return best;
}

/** Classes with machines left out, and full limits of their own project or label that are in their way. */
export function blockedIn(tally: Tally): { blocked: number[]; full: Set<number> } {
  const { classes, limits } = tally.batch;
  const blocked = [...classes.keys()].filter((c) => tally.open[c]! > 0);
  const full = new Set<number>();
  for (const c of blocked)
    for (let k = 0; k < classes[c]!.options.length; k++)
      for (const l of tally.full(c, k).limits) if (!limits[l]!.shared) full.add(l);
  return { blocked, full };
}

/** Times that rounding is begun again, the classes it left machines out of in front. */
export const AGAIN = 4;

/** Floors, the largest machines first, then the largest rests, then what is open; each with the classes of `first` in front. */
function dealt(
  batch: Batch,
  amounts: readonly Amount[],
  order: Ordering,
  members: Int32Array,
  first: ReadonlySet<number>,
): Tally {
  const tally = new Tally(batch, members);
  const rests: { class: number; option: number; rest: number }[] = [];
  const weight = (c: number): number => batch.classes[c]!.size[0] + batch.classes[c]!.size[1] / 4;
  const spot = (c: number, option: number): typeof put =>
    batch.classes[c]!.options.pool[option]! < 0 ? put : putOnHosts;
  const late = (c: number): number => (first.has(c) ? 0 : 1);
  const largestFirst = [...amounts].sort(
    (a, b) => late(a.class) - late(b.class) || weight(b.class) - weight(a.class),
  );
  for (const { class: c, option, amount } of largestFirst) {
    const whole = Math.floor(amount + WHOLE);
    spot(c, option)(tally, c, option, whole);
    if (amount - whole > WHOLE) rests.push({ class: c, option, rest: amount - whole });
  }
  rests.sort((a, b) => late(a.class) - late(b.class) || b.rest - a.rest);
  for (const { class: c, option } of rests) if (tally.open[c]! > 0) spot(c, option)(tally, c, option, 1);
  complete(tally, order, first);
  complete(tally, order, batch.classes.keys());
  return tally;
}

/** Rounds of exchanges between hosts; more find next to nothing. */
export const EXCHANGES = 2;

/** How far from a whole number the solver's whole numbers may be. */
const WHOLE = 1e-6;

/** The answer the amounts are, if they are whole, on hosts that are known, and hold. */
export function asTheyAre(batch: Batch, amounts: readonly Amount[]): Placed[] | null {
  const placed: Placed[] = [];
  for (const { class: c, option, amount } of amounts) {
    const count = Math.round(amount);
    const { pool } = cellOf(batch.classes[c]!.options, option);
    const hosts = pool < 0 ? [-1] : batch.pools[pool]!.hosts;
    if (Math.abs(amount - count) > WHOLE || hosts.length > 1) return null;
    if (count > 0) placed.push({ class: c, option, host: hosts[0]!, count });
  }
  return brokenBy(batch, placed).length === 0 ? placed : null;
}

/** Members the amounts give each spread group; -1 where that is not fixed beforehand. */
function membersOf(batch: Batch, amounts: readonly Amount[]): Int32Array {
  const sure = comingMembers(batch);
  const sums = new Float64Array(sure.length);
  for (const { class: c, option, amount } of amounts)
    for (const { group } of cellOf(batch.classes[c]!.options, option).spreads) sums[group]! += amount;
  return sure.map((n, g) => (n < 0 ? -1 : Math.floor(sums[g]! + WHOLE)));
}
