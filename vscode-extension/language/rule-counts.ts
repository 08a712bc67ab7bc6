/** Which offers of the shipped catalogue the rules of a policy reject, and how many. */
import {
  cloudTable,
  compilePolicies,
  loadSnapshot,
  NEUTRAL_REQUEST,
  type ParsedPolicy,
} from '@landfall/policies';
import { reads, writtenOut } from '@landfall/policies/cel/schema.ts';
import { type Bits, countBits } from '@landfall/policies/cel/trivalue.ts';
import { rejectedByExactly, ruleGroups } from '@landfall/policies/explain/groups.ts';
import type { ParsedRule } from '@landfall/policies/file/policy.ts';
import type { OfferTable } from '@landfall/policies/place/offers.ts';
import { evaluateAmong } from '@landfall/policies/place/place.ts';

export interface RuleCount {
  rejected: number;
  of: number;
  /** Those that no other rule of the policy rejects. */
  alone: number;
  /** Whether that is so only for some requests, by `match` or `when`. */
  whereItApplies: boolean;
}

/** What a rule rejects: one bit for each offer of the table. */
export interface RejectedOffers {
  rule: string;
  line: number;
  rejected: Bits;
  alone: Bits;
  whereItApplies: boolean;
}

/** The offers that a policy's rules were held against: those of `base`, for a request that asks for nothing in particular. */
export interface JudgedOffers {
  table: OfferTable;
  base: Bits;
  compliant: Bits;
  rules: RejectedOffers[];
}

/**
 * What each rule rejects of all offers. Where a rule is for some requests only, that is left aside, and so is a policy's mode. A
 * rule that rejects no offer by what it is (a preference, say) is not there.
 */
export function rejectedOffers(policy: ParsedPolicy): JudgedOffers {
  const gated = new Set<string>();
  const rules = policy.rules.flatMap((rule): ParsedRule[] => {
    const gates = [policy.match, rule.when].filter((gate) => gate !== null);
    if (gates.some(readsRequestOnly)) gated.add(rule.name);
    // Labels, windows and limits say no to a request or a time, whatever the offer is.
    const clauses = rule.clauses.filter(({ effect }) => ['require', 'deny', 'maxPrice'].includes(effect));
    if (clauses.length === 0) return [];
    return [{ ...rule, clauses, when: rule.when !== null && readsRequestOnly(rule.when) ? null : rule.when }];
  });
  const catalogue = loadSnapshot();
  const evaluation = evaluateAmong(
    {
      request: { ...NEUTRAL_REQUEST, [policy.scope.kind]: policy.scope.name },
      catalogue,
      sites: [],
      policies: compilePolicies([{ ...policy, mode: 'enforce', match: null, exceptions: [], rules }]),
      setAside: [],
      includeUnconfigured: true,
    },
    [cloudTable(catalogue, [])],
    () => null,
  );
  const { table, base, compliantBits } = evaluation.tables[0]!;
  const groups = ruleGroups(evaluation, [base.length]);
  const [once] = rejectedByExactly(groups, [base], 1)[0]!;
  return {
    table,
    base,
    compliant: compliantBits,
    rules: groups.map(({ reference: { rule, line }, passes: [passes] }) => ({
      rule,
      line,
      rejected: without(base, passes!),
      alone: without(once!, passes!),
      whereItApplies: gated.has(rule),
    })),
  };
}

/** By rule: how much of all offers it rejects. */
export function ruleCounts(policy: ParsedPolicy): Map<string, RuleCount> {
  const { base, rules } = rejectedOffers(policy);
  const of = countBits(base);
  return new Map(
    rules.map(({ rule, rejected, alone, whereItApplies }) => [
      rule,
      { rejected: countBits(rejected), of, alone: countBits(alone), whereItApplies },
    ]),
  );
}

/** Bits of the first that are not in the second. */
function without(bits: Bits, others: Bits): Bits {
  return bits.map((word, w) => word & ~others[w]!);
}

function readsRequestOnly(expression: string): boolean {
  const ast = writtenOut(expression);
  if (ast === null) return false;
  const { offer, resource } = reads(ast);
  return offer.size === 0 && resource.size === 0;
}
