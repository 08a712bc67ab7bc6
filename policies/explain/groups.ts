import type { Bits } from '../cel/trivalue.ts';
import type { CompiledRule } from '../place/compiled.ts';
import { canReject } from '../place/evaluate.ts';
import type { Evaluation } from '../place/place.ts';
import { all } from '../place/verdicts.ts';
import type { RuleReference } from './types.ts';

/** One enforced rule with all its clauses: people drop rules, not clauses. */
export interface RuleGroup {
  reference: RuleReference;
  /** The places of its clauses in the list of rules in force. */
  clauses: number[];
  rejects: boolean;
  prices: boolean;
  /** By table: the offers that all its clauses let through. */
  passes: Bits[];
}

/** The enforced rules that reject or price offers, in order. */
export function ruleGroups({ inForce, tables }: Pick<Evaluation, 'inForce' | 'tables'>): RuleGroup[] {
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
      passes: tables.map(({ table, verdicts }) =>
        intersection(all(table), ...own.map((r) => verdicts[r]!.passes)),
      ),
    };
  });
}

/** Where a rule stands. */
export function referenceTo({ policy, rule, file, line }: CompiledRule): RuleReference {
  return { policy, rule, file, line };
}

/** Bits that are in every set. */
export function intersection(first: Bits, ...others: readonly Bits[]): Bits {
  const bits = first.slice();
  for (const other of others) for (let w = 0; w < bits.length; w++) bits[w]! &= other[w]!;
  return bits;
}

/** For each group: the offers of a set (one a table) that every other group lets through. */
export function passingOthers(groups: readonly RuleGroup[], sets: readonly Bits[]): Bits[][] {
  const found = groups.map(() => [] as Bits[]);
  for (const [t, set] of sets.entries()) {
    let before = set;
    for (const [g, group] of groups.entries()) {
      found[g]![t] = before.slice();
      before = intersection(before, group.passes[t]!);
    }
    const after = new Uint32Array(set.length).fill(0xffffffff);
    for (let g = groups.length - 1; g >= 0; g--) {
      const bits = found[g]![t]!;
      const passes = groups[g]!.passes[t]!;
      for (let w = 0; w < bits.length; w++) {
        bits[w]! &= after[w]!;
        after[w]! &= passes[w]!;
      }
    }
  }
  return found;
}
