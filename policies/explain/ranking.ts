import { type Bits, hasBit, nextBit } from '../cel/trivalue.ts';
import type { Evaluated } from '../place/evaluate.ts';
import { compareOffers, HOURS_PER_MONTH } from '../place/offers.ts';
import { type SurchargeClass, scoreOf } from '../place/surcharges.ts';
import type { PlacedOffer } from '../place/types.ts';
import type { Kept } from './types.ts';

/** An offer and its place in the order that placement goes by: tier, score, then as {@link compareOffers}. */
export interface Ranked {
  table: number;
  row: number;
  tier: number;
  score: number;
  price: number;
}

/** The order of the offers of several tables under some rules that price. Sets of offers are one for each table. */
export class Ranking {
  readonly #evaluated: readonly Evaluated[];
  readonly #classes: readonly (readonly SurchargeClass[])[];
  readonly #prices: readonly Float64Array[];
  readonly #priced: boolean;

  /** `priced`: whether scores may differ from prices, and are shown. */
  constructor(
    evaluated: readonly Evaluated[],
    classes: readonly (readonly SurchargeClass[])[],
    priced: boolean,
  ) {
    this.#evaluated = evaluated;
    this.#classes = classes;
    this.#prices = evaluated.map(({ table }) => table.numbers('pricePerHour'));
    this.#priced = priced;
  }

  /** The best offer of the sets but one, or null. */
  best(sets: readonly Bits[], except: Ranked | null = null): Ranked | null {
    let best: Ranked | null = null;
    for (const [table, bits] of sets.entries())
      for (const own of this.#classes[table]!) {
        let row = firstOfBoth(bits, own.bits, 0);
        if (except !== null && except.table === table && except.row === row)
          row = firstOfBoth(bits, own.bits, row + 1);
        if (row < 0) continue;
        const ranked = this.#rank(table, row, own);
        if (this.isBetter(ranked, best)) best = ranked;
      }
    return best;
  }

  /** The best of some rows (of each table, in order; at least one in all). */
  bestOf(rows: readonly (readonly number[])[]): Ranked {
    let best: Ranked | null = null;
    for (const [table, own] of rows.entries()) {
      const classes = this.#classes[table]!;
      // In one class the rows are in the order of preference.
      for (const row of classes.length === 1 ? own.slice(0, 1) : own) {
        const ranked = this.#rank(table, row, classes.find(({ bits }) => hasBit(bits, row))!);
        if (this.isBetter(ranked, best)) best = ranked;
      }
    }
    return best!;
  }

  /** The offers of the sets that are better than one, in each class best first; all of them when it is null. */
  *betterThan(sets: readonly Bits[], than: Ranked | null): Generator<Ranked> {
    for (const [table, bits] of sets.entries())
      for (const own of this.#classes[table]!)
        for (let row = firstOfBoth(bits, own.bits, 0); row >= 0; row = firstOfBoth(bits, own.bits, row + 1)) {
          const ranked = this.#rank(table, row, own);
          if (!this.isBetter(ranked, than)) break;
          yield ranked;
        }
  }

  /** Whether the first is to be preferred; to nothing, everything is. */
  isBetter(a: Ranked, b: Ranked | null): boolean {
    if (b === null) return true;
    const order = a.tier - b.tier || a.score - b.score || a.price - b.price;
    if (order !== 0) return order < 0;
    // The rows of a table are in the order of preference.
    if (a.table === b.table) return a.row < b.row;
    return compareOffers(this.#offerAt(a), this.#offerAt(b)) < 0;
  }

  /** The offer as records carry it. */
  offer(ranked: Ranked): PlacedOffer {
    const offer = this.#offerAt(ranked);
    return this.#priced ? { ...offer, scorePerHour: ranked.score } : offer;
  }

  /** The offer, and what it saves against the winner. */
  kept(ranked: Ranked, winner: Ranked | null): Kept {
    return { offer: this.offer(ranked), savingPerMonth: saving(ranked, winner) };
  }

  #offerAt({ table, row }: Ranked): PlacedOffer {
    return this.#evaluated[table]!.table.offer(row);
  }

  #rank(table: number, row: number, own: SurchargeClass): Ranked {
    const price = this.#prices[table]![row]!;
    return { table, row, tier: own.tier, score: scoreOf(own, price), price };
  }
}

/** USD a month that an offer costs less than the winner; null without a winner. */
export function saving(of: Ranked, winner: Ranked | null): number | null {
  return winner === null ? null : (winner.price - of.price) * HOURS_PER_MONTH;
}

function firstOfBoth(a: Bits, b: Bits, from: number): number {
  if (a === b) return nextBit(a, from);
  let word = from >>> 5;
  if (word >= a.length) return -1;
  let x = (a[word]! & b[word]! & (0xffffffff << (from & 31))) >>> 0;
  while (x === 0) {
    if (++word >= a.length) return -1;
    x = (a[word]! & b[word]!) >>> 0;
  }
  return word * 32 + 31 - Math.clz32(x & -x);
}
