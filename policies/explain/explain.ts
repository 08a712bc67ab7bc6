import type { Bits } from '../cel/trivalue.ts';
import { availableOffers } from '../place/available.ts';
import type { Evaluation } from '../place/place.ts';
import { pricesAnything, pricingRules, surchargeClasses } from '../place/surcharges.ts';
import { difference, intersection, type RuleGroup, rejectedByExactly, ruleGroups } from './groups.ts';
import { type Ranked, Ranking, wordsInReach } from './ranking.ts';
import { relaxations } from './relaxations.ts';
import { capacityShortages, limitShortage } from './shortages.ts';
import { requestThresholds, ruleThresholds } from './thresholds.ts';
import {
  type Counterfactual,
  type Explanation,
  type LimitShortage,
  MOST_RULES,
  type Threshold,
} from './types.ts';

/**
 * Explains a decision: what else was near, and what would change it. Exact: what it says of a rule is what placing again
 * without the rule (or with the other number, the higher limit, the room) gives, among the rules in force; a rule that
 * one of them overrides stays overridden. It works on sets of offers, one bit each, that the decision left behind, and
 * places nothing again. Its own sets are no longer than the offers that can be better than the winner reach.
 */
export function explain(evaluation: Evaluation): Explanation {
  const { input, inForce, tables, refusal, context, priced } = evaluation;
  const ranking = new Ranking(
    tables,
    tables.map(({ classes }) => classes),
    priced,
  );
  const compliant = tables.map(({ available }) => available);
  const winner = ranking.best(compliant);
  const words = tables.map(({ table }) => wordsInReach(table, winner));
  const groups = ruleGroups(evaluation, words);
  const pricing = pricingRules(inForce.rules);
  const rankingWithout = (dropped: readonly RuleGroup[]): Ranking => {
    const out = new Set(dropped.flatMap((group) => group.clauses.map((r) => inForce.rules[r]!)));
    const left = pricing.filter((rule) => !out.has(rule));
    if (left.length === pricing.length) return ranking;
    const classes = tables.map(({ table, base }, t) =>
      surchargeClasses(table, base.subarray(0, words[t]!), left, context),
    );
    return new Ranking(tables, classes, pricesAnything(left));
  };
  const obtainable = tables.map(({ table, base }, t) =>
    availableOffers(table, base.subarray(0, words[t]!), input.setAside, refusal, new Map()),
  );
  const rejected = rejectedByExactly(groups, obtainable, winner === null ? MOST_RULES : 1);
  /** What each group alone keeps out. */
  const alone = groups.map((group) => rejected[0]!.map((bits, t) => difference(bits, group.passes[t]!)));

  const counterfactuals = groups.flatMap((group, g): Counterfactual[] => {
    const own = rankingWithout([group]);
    // Without the group, what it alone keeps out competes with what is compliant.
    const best = own.best(alone[g]!, own === ranking ? winner : own.best(compliant));
    if (best === null || (winner !== null && best.table === winner.table && best.row === winner.row))
      return [];
    return [{ ...group.reference, ...own.kept(best, winner) }];
  });
  const { thresholds, limits } = ofClauses(evaluation, groups, alone, ranking, winner);
  const runnerUp = winner === null ? null : ranking.after(winner, compliant);
  return {
    runnerUp: runnerUp === null ? null : ranking.offer(runnerUp),
    counterfactuals: counterfactuals.sort((a, b) => (b.savingPerMonth ?? 0) - (a.savingPerMonth ?? 0)),
    relaxations: winner === null ? relaxations(groups, rejected, rankingWithout) : [],
    thresholds: [...thresholds, ...requestThresholds(evaluation, winner, words)],
    limits,
    capacity: capacityShortages(evaluation, ranking, winner, words),
  };
}

/** What single clauses keep out that all others, of their own rule too, let through. */
function ofClauses(
  evaluation: Evaluation,
  groups: readonly RuleGroup[],
  alone: readonly (readonly Bits[])[],
  ranking: Ranking,
  winner: Ranked | null,
): { thresholds: Threshold[]; limits: LimitShortage[] } {
  const { inForce, tables } = evaluation;
  const thresholds: Threshold[] = [];
  const limits: LimitShortage[] = [];
  for (const [g, group] of groups.entries()) {
    if (ranking.best(alone[g]!, winner) === winner) continue;
    for (const r of group.clauses) {
      const rule = inForce.rules[r]!;
      const siblings = group.clauses.filter((other) => other !== r);
      const keptOut =
        siblings.length === 0
          ? alone[g]!
          : tables.map(({ verdicts }, t) =>
              difference(
                intersection(alone[g]![t]!, ...siblings.map((s) => verdicts[s]!.passes)),
                verdicts[r]!.passes,
              ),
            );
      thresholds.push(...ruleThresholds(rule, keptOut, evaluation, ranking, winner));
      const limit = limitShortage(rule, keptOut, evaluation, ranking, winner);
      if (limit !== null) limits.push(limit);
    }
  }
  return { thresholds, limits };
}
