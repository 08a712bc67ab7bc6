import { compareOffers, type OfferTable } from './offers.ts';
import { type SurchargeClass, scoreOf } from './surcharges.ts';
import type { PlacedOffer } from './types.ts';

/** Offers of one table and one class of surcharges that can be had now, cheapest first. */
export interface Candidates {
  table: OfferTable;
  of: Pick<SurchargeClass, 'tier' | 'terms'>;
  /** The first candidate at or after a row, or -1. */
  next: (from: number) => number;
}

/** One offer, by its row. */
export interface Choice {
  candidates: Candidates;
  row: number;
  price: number;
  score: number;
}

/** The winner and its fallbacks. */
export interface Best {
  winner: Choice | null;
  fallbacks: Choice[];
}

/** At most this many of the winner and its fallbacks are one instance type of one region of one site. */
const ALIKE = 2;

/**
 * Takes the best candidates in order: fewest strict preferences missed, then the score, then as
 * {@link compareOffers}. Fallbacks are there for when the winner is refused, so they differ in more than the market
 * (never the same site, zone, host and instance type twice) and at most two share site, region and instance type,
 * whose capacity fails together. When that leaves too few, the passed-over ones of the second kind fill up, still
 * best first.
 */
export function takeBest(candidates: readonly Candidates[], fallbacks: number): Best {
  const chosen: Choice[] = [];
  const passedOver: Choice[] = [];
  const seen = new Map<OfferTable, Seen>();
  const wanted = 1 + Math.max(0, fallbacks);
  const heads = candidates.flatMap((c) => headAt(c, 0) ?? []);
  while (chosen.length < wanted) {
    const pick = takeFirst(heads);
    if (pick === null) break;
    const { table } = pick.candidates;
    let known = seen.get(table);
    if (known === undefined) {
      known = new Seen(table);
      seen.set(table, known);
    }
    if (!known.isNewPlace(pick.row)) continue;
    if (known.isAlike(pick.row)) {
      if (passedOver.length < wanted) passedOver.push(pick);
    } else chosen.push(pick);
  }
  const [winner = null, ...rest] = chosen;
  return { winner, fallbacks: [...rest, ...passedOver.slice(0, wanted - chosen.length)].sort(comparePicks) };
}

/** The offer of a pick, with its score where rules price anything. */
export function offerOf({ candidates, row, score }: Choice, priced: boolean): PlacedOffer {
  const offer = candidates.table.offer(row);
  return priced ? { ...offer, scorePerHour: score } : offer;
}

function headAt(candidates: Candidates, from: number): Choice | null {
  const row = candidates.next(from);
  if (row < 0) return null;
  const price = candidates.table.numbers('pricePerHour')[row]!;
  return { candidates, row, price, score: scoreOf(candidates.of, price) };
}

/** Takes the best of the heads, and puts the one after it in its place. */
function takeFirst(heads: Choice[]): Choice | null {
  if (heads.length === 0) return null;
  let best = 0;
  for (let h = 1; h < heads.length; h++) if (comparePicks(heads[h]!, heads[best]!) < 0) best = h;
  const pick = heads[best]!;
  const after = headAt(pick.candidates, pick.row + 1);
  if (after === null) heads.splice(best, 1);
  else heads[best] = after;
  return pick;
}

function comparePicks(a: Choice, b: Choice): number {
  const order = a.candidates.of.tier - b.candidates.of.tier || a.score - b.score || a.price - b.price;
  if (order !== 0) return order;
  // The rows of a table are in the order of preference.
  if (a.candidates.table === b.candidates.table) return a.row - b.row;
  return compareOffers(a.candidates.table.offer(a.row), b.candidates.table.offer(b.row));
}

/** Which offers of a table were met before, by the codes of their names. */
class Seen {
  readonly #kind: (row: number) => number;
  readonly #place: (row: number) => number;
  readonly #alone: (row: number) => boolean;
  readonly #places = new Set<number>();
  readonly #kinds = new Map<number, number>();

  constructor(table: OfferTable) {
    const number = (
      attributes: ('provider' | 'site' | 'region' | 'instanceType' | 'zone' | 'host')[],
    ): ((row: number) => number) => {
      const columns = attributes.map((a) => table.column(a));
      return (row) => columns.reduce((n, { codes, values }) => n * values.length + codes[row]!, 0);
    };
    this.#kind = number(['provider', 'site', 'region', 'instanceType']);
    this.#place = number(['provider', 'site', 'region', 'instanceType', 'zone', 'host']);
    const host = table.column('host');
    // On-prem hosts fail one by one, so they count as unlike.
    this.#alone = (row) => host.values[host.codes[row]!] !== '';
  }

  isNewPlace(row: number): boolean {
    const place = this.#place(row);
    if (this.#places.has(place)) return false;
    this.#places.add(place);
    return true;
  }

  isAlike(row: number): boolean {
    if (this.#alone(row)) return false;
    const kind = this.#kind(row);
    const count = (this.#kinds.get(kind) ?? 0) + 1;
    if (count > ALIKE) return true;
    this.#kinds.set(kind, count);
    return false;
  }
}
