import { type Bits, nextInBoth } from '../cel/trivalue.ts';
import type { Evaluated } from '../place/evaluate.ts';
import { compareOffers, HOURS_PER_MONTH, type OfferTable } from '../place/offers.ts';
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

  /** The best offer of the sets; `than`, where none of them is better. */
  best(sets: readonly Bits[], than: Ranked | null = null): Ranked | null {
    let best = than;
    for (const [table, bits] of sets.entries())
      for (const own of this.#classes[table]!) {
        const row = nextInBoth(bits, own.bits, 0, this.#end(table, own, best));
        if (row >= 0) best = this.#rank(table, row, own);
      }
    return best;
  }

  /** The best offer of the sets but the very best. */
  after(very: Ranked, sets: readonly Bits[]): Ranked | null {
    let best: Ranked | null = null;
    for (const [table, bits] of sets.entries())
      for (const own of this.#classes[table]!) {
        const end = this.#end(table, own, best);
        let row = nextInBoth(bits, own.bits, 0, end);
        if (table === very.table && row === very.row) row = nextInBoth(bits, own.bits, row + 1, end);
        if (row >= 0) best = this.#rank(table, row, own);
      }
    return best;
  }

  /** The offers of the sets that are better than one, in each class best first; all of them when it is null. */
  *betterThan(sets: readonly Bits[], than: Ranked | null): Generator<Ranked> {
    for (const [table, bits] of sets.entries())
      for (const own of this.#classes[table]!) {
        const end = this.#end(table, own, than);
        for (
          let row = nextInBoth(bits, own.bits, 0, end);
          row >= 0;
          row = nextInBoth(bits, own.bits, row + 1, end)
        )
          yield this.#rank(table, row, own);
      }
  }

  /**
   * Of the offers of the sets that are better than one, the best of those with the least number, or the greatest.
   * `numbers`: by row, NaN where it is not known; null where nothing is. Asked only of tables that have such offers.
   */
  extreme(
    sets: readonly Bits[],
    than: Ranked | null,
    least: boolean,
    numbers: (table: number) => Float64Array | null,
  ): { number: number; best: Ranked } | null {
    let best: Ranked | null = null;
    let number = Number.NaN;
    for (const [table, bits] of sets.entries()) {
      let column: Float64Array | null | undefined;
      for (const own of this.#classes[table]!) {
        const end = this.#end(table, own, than);
        let row = nextInBoth(bits, own.bits, 0, end);
        if (row >= 0 && column === undefined) column = numbers(table);
        if (!column) continue;
        let first = true;
        for (; row >= 0; row = nextInBoth(bits, own.bits, row + 1, end)) {
          const here = column[row]!;
          // Of equals in one class the first is the best.
          if (least ? here > number : here < number) continue;
          if (!Number.isFinite(here) || (here === number && !first)) continue;
          const ranked = this.#rank(table, row, own);
          if (here !== number || this.isBetter(ranked, best)) best = ranked;
          number = here;
          first = false;
        }
      }
    }
    return best && { number, best };
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

  /** The first row of a class that is not better than an offer. */
  #end(table: number, own: SurchargeClass, than: Ranked | null): number {
    const { length } = this.#prices[table]!;
    if (than === null || own.tier < than.tier) return length;
    if (own.tier > than.tier) return 0;
    let [low, high] = [0, length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.isBetter(this.#rank(table, middle, own), than)) low = middle + 1;
      else high = middle;
    }
    return low;
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

/**
 * How many words of a table's sets hold every offer that is better than the winner, or would be without some of the rules
 * that price. What they add is never below 0, so that offer costs no more than the winner's score; but where the winner
 * misses a strict preference, or there is none, it may be any.
 */
export function wordsInReach(table: OfferTable, winner: Ranked | null): number {
  const prices = table.numbers('pricePerHour');
  let [low, high] = [0, prices.length];
  if (winner === null || winner.tier > 0) low = high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (prices[middle]! <= winner!.score) low = middle + 1;
    else high = middle;
  }
  return (low + 31) >>> 5;
}
