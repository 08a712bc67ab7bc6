import { type Bits, keepOnly, nextBit, nextOutside } from '../cel/trivalue.ts';
import type { CompiledRule } from '../place/compiled.ts';
import { canReject } from '../place/evaluate.ts';
import type { Evaluation } from '../place/place.ts';
import type { RuleReference } from './types.ts';

/** One enforced rule with all its clauses: people drop rules, not clauses. */
export interface RuleGroup {
  reference: RuleReference;
  /** The places of its clauses in the list of rules in force. */
  clauses: number[];
  rejects: boolean;
  prices: boolean;
  /** By table: the offers that all its clauses let through; of one clause, its own set, not to be changed. */
  passes: Bits[];
}

/** The enforced rules that reject or price offers, in order. `words`: how much of each table's sets is looked at. */
export function ruleGroups(
  { inForce, tables }: Pick<Evaluation, 'inForce' | 'tables'>,
  words: readonly number[],
): RuleGroup[] {
  const clauses = new Map<string, number[]>();
  for (const [r, rule] of inForce.rules.entries()) {
    if (rule.mode !== 'enforce' || rule.effect === 'approval') continue;
    const key = JSON.stringify([rule.scope, rule.policy, rule.rule]);
    const known = clauses.get(key);
    if (known === undefined) clauses.set(key, [r]);
    else known.push(r);
  }
  return [...clauses.values()].map((own) => {
    const rules = own.map((r) => inForce.rules[r]!);
    return {
      reference: referenceTo(rules[0]!),
      clauses: own,
      rejects: rules.some(canReject),
      prices: rules.some((rule) => !canReject(rule)),
      passes: tables.map(({ verdicts }, t) => {
        const [first, ...others] = own.map((r) => verdicts[r]!.passes);
        return others.length === 0 ? first! : intersection(first!.subarray(0, words[t]!), ...others);
      }),
    };
  });
}

/** Where a rule stands. */
export function referenceTo({ policy, rule, file, line }: CompiledRule): RuleReference {
  return { policy, rule, file, line };
}

/** Bits that are in every set; as long as the first. */
export function intersection(first: Bits, ...others: readonly Bits[]): Bits {
  const bits = first.slice();
  for (const other of others) keepOnly(bits, other);
  return bits;
}

const NOTHING: Bits = new Uint32Array(0);

/** Bits that are in one set and not in another; as long as the first, or empty. */
export function difference(bits: Bits, other: Bits): Bits {
  if (nextOutside(bits, other, 0) < 0) return NOTHING;
  const left = bits.slice();
  for (let w = 0; w < left.length; w++) left[w]! &= ~other[w]!;
  return left;
}

/**
 * Offers of sets (one a table) by how many groups reject them: at 0, by table, those that exactly one does, and so on up to
 * `most`. Counted in saturating binary counters, one bit an offer.
 */
export function rejectedByExactly(
  groups: readonly RuleGroup[],
  sets: readonly Bits[],
  most: number,
): Bits[][] {
  const byTable = sets.map((set, t) => {
    const atLeast = Array.from({ length: most + 1 }, () => new Uint32Array(set.length));
    const none = nextBit(set, 0) < 0;
    for (const group of groups) {
      if (!group.rejects || none) continue;
      const passes = group.passes[t]!;
      for (let k = most; k > 0; k--) {
        const [more, fewer] = [atLeast[k]!, atLeast[k - 1]!];
        for (let w = 0; w < set.length; w++) more[w]! |= fewer[w]! & ~passes[w]!;
      }
      const [any] = atLeast;
      for (let w = 0; w < set.length; w++) any![w]! |= set[w]! & ~passes[w]!;
    }
    for (let k = 0; k < most; k++) {
      const [exactly, more] = [atLeast[k]!, atLeast[k + 1]!];
      for (let w = 0; w < set.length; w++) exactly[w]! &= ~more[w]!;
    }
    return atLeast;
  });
  return Array.from({ length: most }, (_, k) => byTable.map((counters) => counters[k]!));
}
