import { type Bits, hasBit } from '../cel/trivalue.ts';
import type { PlacedOffer } from '../place/types.ts';
import type { RuleGroup } from './groups.ts';
import type { Ranked, Ranking } from './ranking.ts';
import { MOST_RULES, MOST_SETS, type Relaxation } from './types.ts';

/** A set of groups, by their places in the list, and the offers that exactly they reject. */
interface Part {
  groups: number[];
  /** By table, in the order of the rows. */
  rows: number[][];
}

/**
 * The smallest sets of rules without which something fits, where the rules reject every offer that can be had. An offer is
 * freed by dropping exactly the rules that reject it, so the sets are those rejecting sets of offers that contain no
 * smaller one. Offers are counted by how many rules reject them in saturating binary counters, one bit an offer; of those
 * with few, the ones that a smaller set frees already are left out, and the others are parted by who rejects them.
 */
export function relaxations(
  groups: readonly RuleGroup[],
  available: readonly Bits[],
  rankingWithout: (dropped: readonly RuleGroup[]) => Ranking,
): Relaxation[] {
  const rejecting = groups.filter((group) => group.rejects);
  const rejectedBy = available.map((bits, t) => rejectedByExactly(bits, rejecting, t));
  const found: { groups: number[]; frees: number; best: Ranked; offer: PlacedOffer }[] = [];
  for (let size = 1; size <= MOST_RULES; size++) {
    const left = rejectedBy.map((sets, t) => withoutFreed(sets[size - 1]!, rejecting, found, t));
    for (const part of partsOf(left, rejecting)) {
      const ranking = rankingWithout(part.groups.map((g) => rejecting[g]!));
      const best = ranking.bestOf(part.rows);
      const frees = part.rows.reduce((sum, rows) => sum + rows.length, 0);
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
      rules: each.groups.map((g) => rejecting[g]!.reference),
      frees: each.frees,
      offer: each.offer,
    }));
}

/** Offers of a set by how many groups reject them: exactly 1, 2, … {@link MOST_RULES}. */
function rejectedByExactly(set: Bits, groups: readonly RuleGroup[], table: number): Bits[] {
  const atLeast = Array.from({ length: MOST_RULES + 1 }, () => new Uint32Array(set.length));
  for (const group of groups) {
    const passes = group.passes[table]!;
    for (let w = 0; w < set.length; w++) {
      const out = set[w]! & ~passes[w]!;
      if (out === 0) continue;
      for (let k = MOST_RULES; k > 0; k--) atLeast[k]![w]! |= atLeast[k - 1]![w]! & out;
      atLeast[0]![w]! |= out;
    }
  }
  return atLeast.slice(0, MOST_RULES).map((bits, k) => bits.map((word, w) => word & ~atLeast[k + 1]![w]!));
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
    for (let w = 0; w < left.length; w++)
      if (left[w] !== 0) left[w]! &= passes.reduce((any, bits) => any | bits[w]!, 0);
  }
  return left;
}

/** Parts offers by the groups that reject them. */
function partsOf(sets: readonly Bits[], groups: readonly RuleGroup[]): Part[] {
  const parts = new Map<string, Part>();
  for (const [t, bits] of sets.entries()) {
    const rejectors: number[][] = [];
    for (let w = 0; w < bits.length; w++) {
      if (bits[w] === 0) continue;
      for (let i = 0; i < 32; i++) rejectors[i] = [];
      for (let g = 0; g < groups.length; g++) {
        let out = (bits[w]! & ~groups[g]!.passes[t]![w]!) >>> 0;
        for (; out !== 0; out = (out & (out - 1)) >>> 0) rejectors[31 - Math.clz32(out & -out)]!.push(g);
      }
      for (let i = 0; i < 32; i++) {
        const row = w * 32 + i;
        if (!hasBit(bits, row)) continue;
        const own = rejectors[i]!;
        const key = own.join();
        const known = parts.get(key) ?? { groups: own, rows: sets.map(() => []) };
        known.rows[t]!.push(row);
        parts.set(key, known);
      }
    }
  }
  return [...parts.values()];
}
