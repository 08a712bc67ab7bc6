import { type Bits, countBits, keepOnly, nextBit } from '../cel/trivalue.ts';
import type { PlacedOffer } from '../place/types.ts';
import { difference, type RuleGroup } from './groups.ts';
import type { Ranked, Ranking } from './ranking.ts';
import { MOST_RULES, MOST_SETS, type Relaxation } from './types.ts';

/** A set of groups, by their places in the list, and the offers (one set a table) that exactly they reject. */
interface Part {
  groups: number[];
  offers: Bits[];
}

/**
 * The smallest sets of rules without which something fits, where the rules reject every offer that can be had. An offer is
 * freed by dropping exactly the rules that reject it, so the sets are those rejecting sets of offers that contain no
 * smaller one. `rejected`: the offers by how many groups reject them; those that a smaller set frees already are left out,
 * and the others are parted by who rejects them.
 */
export function relaxations(
  groups: readonly RuleGroup[],
  rejected: readonly (readonly Bits[])[],
  rankingWithout: (dropped: readonly RuleGroup[]) => Ranking,
): Relaxation[] {
  const found: { groups: number[]; frees: number; best: Ranked; offer: PlacedOffer }[] = [];
  for (let size = 1; size <= MOST_RULES; size++) {
    const left = rejected[size - 1]!.map((sets, t) => withoutFreed(sets, groups, found, t));
    for (const part of partsOf(left, groups, size)) {
      const ranking = rankingWithout(part.groups.map((g) => groups[g]!));
      const best = ranking.best(part.offers)!;
      const frees = part.offers.reduce((sum, bits) => sum + countBits(bits), 0);
      found.push({ groups: part.groups, frees, best, offer: ranking.offer(best) });
    }
    // Larger sets come after all smaller ones, and these are enough.
    if (found.length >= MOST_SETS) break;
  }
  const ranking = rankingWithout([]);
  const order = (a: (typeof found)[number], b: (typeof found)[number]): number =>
    a.groups.length - b.groups.length || (ranking.isBetter(a.best, b.best) ? -1 : 1);
  return found
    .sort(order)
    .slice(0, MOST_SETS)
    .map((each) => ({
      rules: each.groups.map((g) => groups[g]!.reference),
      frees: each.frees,
      offer: each.offer,
    }));
}

/** Offers that no set found so far frees in part: those that let some group of each set pass. */
function withoutFreed(
  offers: Bits,
  groups: readonly RuleGroup[],
  found: readonly { groups: number[] }[],
  table: number,
): Bits {
  const left = offers.slice();
  for (const set of found) {
    const passes = set.groups.map((g) => groups[g]!.passes[table]!);
    for (let w = 0; w < left.length; w++) {
      if (left[w] === 0) continue;
      let any = 0;
      for (const bits of passes) any |= bits[w]!;
      left[w]! &= any;
    }
  }
  return left;
}

/** Parts offers that exactly `size` of the groups from one on reject by those groups. The sets are used up. */
function* partsOf(sets: Bits[], groups: readonly RuleGroup[], size: number, from = 0): Generator<Part> {
  for (let g = from; g < groups.length && sets.some(anyBit); g++) {
    const { rejects, passes } = groups[g]!;
    if (!rejects) continue;
    const offers = sets.map((bits, t) => difference(bits, passes[t]!));
    if (!offers.some(anyBit)) continue;
    for (const [t, bits] of sets.entries()) keepOnly(bits, passes[t]!);
    if (size === 1) yield { groups: [g], offers };
    else
      for (const part of partsOf(offers, groups, size - 1, g + 1))
        yield { ...part, groups: [g, ...part.groups] };
  }
}

function anyBit(bits: Bits): boolean {
  return nextBit(bits, 0) >= 0;
}
