import { availableOffers } from '../place/available.ts';
import type { Evaluation } from '../place/place.ts';
import { pricesAnything, pricingRules, surchargeClasses } from '../place/surcharges.ts';
import { intersection, passingOthers, type RuleGroup, ruleGroups } from './groups.ts';
import { type Ranked, Ranking } from './ranking.ts';
import { relaxations } from './relaxations.ts';
import { capacityShortages, limitShortage } from './shortages.ts';
import { requestThresholds, ruleThresholds } from './thresholds.ts';
import type { Counterfactual, Explanation, LimitShortage, Threshold } from './types.ts';

/**
 * Explains a decision: what else was near, and what would change it. Exact: what it says of a rule is what placing again
 * without the rule (or with the other number, the higher limit, the room) gives, among the rules in force; a rule that
 * one of them overrides stays overridden. It works on sets of offers, one bit each, that the decision left behind, and
 * places nothing again.
 */
export function explain(evaluation: Evaluation): Explanation {
  const { input, inForce, tables, refusal, context, priced } = evaluation;
  const groups = ruleGroups(evaluation);
  const pricing = pricingRules(inForce.rules);
  const rankingWithout = (dropped: readonly RuleGroup[]): Ranking => {
    const out = new Set(dropped.flatMap((group) => group.clauses.map((r) => inForce.rules[r]!)));
    const left = pricing.filter((rule) => !out.has(rule));
    if (left.length === pricing.length) return ranking;
    const classes = tables.map(({ table, base }) => surchargeClasses(table, base, left, context));
    return new Ranking(tables, classes, pricesAnything(left));
  };
  const ranking = new Ranking(
    tables,
    tables.map(({ classes }) => classes),
    priced,
  );
  const compliant = tables.map(({ available }) => available);
  const winner = ranking.best(compliant);
  const obtainable = tables.map(({ table, base }) =>
    availableOffers(table, base, input.setAside, refusal, new Map()),
  );
  const others = passingOthers(groups, obtainable);

  const counterfactuals = groups.flatMap((group, g): Counterfactual[] => {
    const own = rankingWithout([group]);
    const best = own.best(others[g]!);
    if (best === null || (winner !== null && best.table === winner.table && best.row === winner.row))
      return [];
    return [{ ...group.reference, ...own.kept(best, winner) }];
  });
  const { thresholds, limits } = ofClauses(evaluation, groups, others, ranking, winner);
  const runnerUp = winner === null ? null : ranking.best(compliant, winner);
  return {
    runnerUp: runnerUp === null ? null : ranking.offer(runnerUp),
    counterfactuals: counterfactuals.sort((a, b) => (b.savingPerMonth ?? 0) - (a.savingPerMonth ?? 0)),
    relaxations: winner === null ? relaxations(groups, obtainable, rankingWithout) : [],
    thresholds: [...thresholds, ...requestThresholds(evaluation, winner)],
    limits,
    capacity: capacityShortages(evaluation, ranking, winner),
  };
}

/** What single clauses keep out that all others, of their own rule too, let through. */
function ofClauses(
  evaluation: Evaluation,
  groups: readonly RuleGroup[],
  others: readonly (readonly Uint32Array[])[],
  ranking: Ranking,
  winner: Ranked | null,
): { thresholds: Threshold[]; limits: LimitShortage[] } {
  const { inForce, tables } = evaluation;
  const thresholds: Threshold[] = [];
  const limits: LimitShortage[] = [];
  for (const [g, group] of groups.entries()) {
    const best = ranking.best(others[g]!);
    if (best === null || !ranking.isBetter(best, winner)) continue;
    for (const r of group.clauses) {
      const rule = inForce.rules[r]!;
      const siblings = group.clauses.filter((other) => other !== r);
      const keptOut = tables.map(({ verdicts }, t) => {
        const bits = intersection(others[g]![t]!, ...siblings.map((s) => verdicts[s]!.passes));
        const { passes } = verdicts[r]!;
        for (let w = 0; w < bits.length; w++) bits[w]! &= ~passes[w]!;
        return bits;
      });
      thresholds.push(...ruleThresholds(rule, keptOut, evaluation, ranking, winner));
      const limit = limitShortage(rule, keptOut, evaluation, ranking, winner);
      if (limit !== null) limits.push(limit);
    }
  }
  return { thresholds, limits };
}
