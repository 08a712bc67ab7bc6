import { refusedBy } from './admission.ts';
import type { Choice } from './best.ts';
import type { Circumstances } from './circumstances.ts';
import type { CompiledRule } from './compiled.ts';
import { limitUse } from './limits.ts';
import { isTurned, whoseRule } from './standing-rules.ts';
import { pricingRules } from './surcharges.ts';
import type { Decision } from './types.ts';
import { gateHolds } from './verdicts.ts';

/** The message of a rule that rejects something: its own, or why the request is refused; null when there is neither. */
export function messageOf(rule: CompiledRule, context: Circumstances): string | null {
  const { cel, request, now } = context;
  if (isTurned(rule)) return whoseRule(rule, context);
  if (rule.message !== null) return rule.message(cel);
  const { clause } = rule;
  return clause.effect === 'labels' || clause.effect === 'ttl' || clause.effect === 'window'
    ? refusedBy(clause, request, now)
    : null;
}

/** Approvals the chosen offer needs. A gate without a value asks for the approval. */
export function approvalsOf(
  rules: readonly CompiledRule[],
  choice: Choice,
  context: Circumstances,
): NonNullable<Decision['approvals']> {
  return rules.flatMap((rule) => {
    const { clause, mode, policy } = rule;
    if (clause.effect !== 'approval' || mode !== 'enforce' || !hasSay(rule, choice, context)) return [];
    const { by, expiresHours } = clause;
    return [{ policy, rule: rule.rule, by, expiresHours, message: rule.message?.(context.cel) ?? null }];
  });
}

/** The life a request that names none gets: the shortest that the rules with a say give or allow; null: none says. */
export function ttlOf(rules: readonly CompiledRule[], choice: Choice, context: Circumstances): number | null {
  if (context.request.ttlHours > 0) return null;
  const lives = rules.flatMap((rule) => {
    const { clause, mode } = rule;
    if (clause.effect !== 'ttl' || mode !== 'enforce' || clause.defaultHours === null) return [];
    return hasSay(rule, choice, context) ? [clause.defaultHours, clause.maxHours] : [];
  });
  return lives.length === 0 ? null : Math.min(...lives);
}

/** Each preference and egress price, and what it adds to the score. */
export function preferencesOf(
  rules: readonly CompiledRule[],
  { candidates, price }: Choice,
): NonNullable<Decision['preferences']> {
  return pricingRules(rules).map(({ policy, rule, effect }, r) => {
    const { met, share, perHour } = candidates.of.terms[r]!;
    return { policy, rule, effect, met, addsPerHour: share * price + perHour };
  });
}

/** Each enforced budget and quota with a say over the offer. */
export function limitsOf(
  rules: readonly CompiledRule[],
  choice: Choice,
  context: Circumstances,
): NonNullable<Decision['limits']> {
  return rules.flatMap((rule) => {
    const { clause, mode, policy } = rule;
    if ((clause.effect !== 'budget' && clause.effect !== 'quota') || mode !== 'enforce') return [];
    if (!hasSay(rule, choice, context)) return [];
    const use = limitUse(clause, choice.candidates.table, choice.row, context);
    return [{ policy, rule: rule.rule, effect: clause.effect, ...use }];
  });
}

function hasSay(rule: CompiledRule, { candidates, row }: Choice, context: Circumstances): boolean {
  return gateHolds(rule, candidates.table, context)(row);
}
