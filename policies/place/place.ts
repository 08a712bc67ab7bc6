import type { Catalogue } from '../catalogue/catalogue.ts';
import { celRequest } from '../cel/schema.ts';
import { type Bits, countBits, nextInBoth } from '../cel/trivalue.ts';
import { explain } from '../explain/explain.ts';
import type { ParsedRule } from '../file/policy.ts';
import { availableOffers, type Refusal } from './available.ts';
import { type Best, type Candidates, type Choice, offerOf, takeBest } from './best.ts';
import type { Circumstances } from './circumstances.ts';
import { type CompiledPolicies, compileRequestRules, scopeHolds } from './compiled.ts';
import { canReject, type Evaluated, evaluateRules, scoreAt } from './evaluate.ts';
import { offersWith, requestProblems } from './fit.ts';
import { type InForce, rulesInForce } from './in-force.ts';
import { messageOf } from './messages.ts';
import { cloudTable, compareOffers, type OfferTable } from './offers.ts';
import { onpremOffers } from './onprem.ts';
import { explainUnplaceable } from './reasons.ts';
import { rulesAgainst } from './standing-rules.ts';
import { pricesAnything, pricingRules } from './surcharges.ts';
import type { Decision, EstateMachine, PlacedOffer, PlacementRequest, SetAside, SiteView } from './types.ts';
import { approvalsOf, limitsOf, preferencesOf, ttlOf } from './winner.ts';

/** What a placement is decided on. */
export interface PlacementInput {
  request: PlacementRequest;
  catalogue: Catalogue;
  sites: readonly SiteView[];
  policies: CompiledPolicies;
  setAside: readonly SetAside[];
  /** Also consider providers without a site: for a plan, whose winner then has no site. */
  includeUnconfigured: boolean;
  /** The time of the decision: windows and exceptions depend on it. Now, when not given. */
  now?: Date;
  /**
   * Machines that exist, for rules about other machines and for limits; those of the request's organization. The list is
   * not changed once given: what follows from it is kept by it.
   */
  estate?: readonly EstateMachine[];
  /** Rules that came with the request: they apply after those of its organization and its project. */
  requestRules?: readonly ParsedRule[];
  /** How many fallbacks to name; 3 when not given. */
  fallbacks?: number;
}

/** Everything a placement was decided by: what the decision is made of, and explanations. */
export interface Evaluation {
  input: PlacementInput;
  context: Circumstances;
  inForce: InForce;
  /** One for each table: the clouds', then the hosts'. */
  tables: (Evaluated & {
    /** Of the compliant offers, those that can be had now. */
    available: Bits;
  })[];
  /** Why compliant offers cannot be had, with how many each. */
  refusals: Map<string, number>;
  /** Why a host cannot take the machine now; null: it can. */
  refusal: Refusal;
  best: Best;
  /** Whether scores differ from prices. */
  priced: boolean;
}

/**
 * Decides where one machine goes: the best offer that fits the request, that every enforced rule lets through, and
 * that can be had now. Best: fewest strict preferences missed, then the lowest price with what preferences and egress
 * add. Exact: every offer is looked at. Ties are broken by price, fewer vCPUs, less memory, then names, so equal inputs
 * give equal decisions. Never throws for bad sizes in the request; they make it unplaceable, with the reasons.
 */
export function place(input: PlacementInput): Decision {
  const { request, catalogue, sites } = input;
  const unsound = requestProblems(request);
  if (unsound.length > 0) return { ...undecided(input, input.now ?? new Date()), reasons: unsound };
  const onprem = onpremOffers(request, sites);
  return placeAmong(input, [cloudTable(catalogue, sites), onprem.table], onprem.refusal, onprem.notices);
}

/** {@link place} over given tables; a policy's own tests bring theirs. */
export function placeAmong(
  input: PlacementInput,
  tables: readonly OfferTable[],
  refusal: Refusal,
  notices: readonly string[],
): Decision {
  return decisionOf(evaluateAmong(input, tables, refusal), notices);
}

/** Holds every offer of the tables against the request and the rules in force, and takes the best. */
export function evaluateAmong(
  input: PlacementInput,
  tables: readonly OfferTable[],
  refusal: Refusal,
): Evaluation {
  const context = circumstancesOf(input);
  const { request, cel, now } = context;
  const own = compileRequestRules(input.requestRules ?? []);
  const { rules, exceptions } = rulesInForce(input.policies, own, request, cel, now);
  // Of the rules of machines that stand, those that have something against this request: the others would only fill its record.
  const standing = rulesAgainst(input.policies, context);
  const inForce = { rules: [...rules, ...standing], exceptions };
  const refusals = new Map<string, number>();
  const evaluated = tables.map((table) => {
    const found = evaluateRules(table, inForce.rules, context, input.includeUnconfigured);
    const available = availableOffers(table, found.compliantBits, input.setAside, refusal, refusals);
    return { ...found, available };
  });
  const best = takeBest(evaluated.flatMap(candidatesOf), input.fallbacks ?? 3);
  const priced = pricesAnything(pricingRules(inForce.rules));
  return { input, context, inForce, tables: evaluated, refusals, refusal, best, priced };
}

/** What rules look at beside the offers. */
export function circumstancesOf(input: PlacementInput): Circumstances {
  const { request, sites } = input;
  return {
    request,
    cel: celRequest(request),
    now: input.now ?? new Date(),
    estate: input.estate ?? NO_MACHINES,
    sites,
  };
}

const NO_MACHINES: readonly EstateMachine[] = Object.freeze([]);

function candidatesOf({ table, classes, available }: Evaluation['tables'][number]): Candidates[] {
  return classes.map((of) => ({ table, of, next: (from) => nextInBoth(available, of.bits, from) }));
}

function decisionOf(evaluation: Evaluation, notices: readonly string[]): Decision {
  const { input, context, inForce, tables, best, priced } = evaluation;
  const sum = (of: (e: Evaluated & { available: Bits }) => number): number =>
    tables.reduce((t, e) => t + of(e), 0);

  const funnel = [
    { stage: 'all offers', remaining: sum((e) => e.table.length) },
    { stage: 'fits the request', remaining: sum((e) => e.fitting) },
    {
      stage: input.includeUnconfigured ? 'configured sites and plans' : 'configured sites',
      remaining: sum((e) => e.usable),
    },
  ];
  const records: Decision['rules'] = inForce.rules.map((rule, r) => {
    const rejected = sum((e) => e.rules[r]!.rejected);
    if (rule.mode === 'enforce' && canReject(rule))
      funnel.push({ stage: `${rule.policy}/${rule.rule}`, remaining: sum((e) => e.rules[r]!.remaining) });
    return {
      policy: rule.policy,
      policyVersion: rule.policyVersion,
      rule: rule.rule,
      mode: rule.mode,
      effect: rule.effect,
      file: rule.file,
      line: rule.line,
      applies: tables.some((e) => e.rules[r]!.applies),
      rejected,
      rejectedAlone: sum((e) => e.rules[r]!.rejectedAlone),
      errors: sum((e) => e.rules[r]!.errors),
      message: rejected > 0 ? messageOf(rule, r, context, tables) : null,
    };
  });
  funnel.push({ stage: 'capacity and set aside', remaining: sum((e) => countBits(e.available)) });

  const winner = best.winner === null ? null : offerOf(best.winner, priced);
  const fallbacks = best.fallbacks.map((choice) => offerOf(choice, priced));
  const cloudUsed = [winner, ...fallbacks].some((o) => o !== null && o.provider !== 'onprem');
  const decision: Decision = {
    ...undecided(input, context.now),
    outcome: winner === null ? 'unplaceable' : 'placed',
    winner,
    fallbacks,
    cheapestByProvider: cheapestByProvider(evaluation),
    considered: funnel[0]!.remaining,
    compliant: sum((e) => e.compliant),
    funnel,
    rules: records,
    certificate: { method: 'exact', bound: winner?.scorePerHour ?? winner?.pricePerHour ?? null, gap: 0 },
    ...(inForce.exceptions.length > 0 && { exceptions: inForce.exceptions }),
    ...(best.winner !== null && aboutWinner(best.winner, evaluation)),
  };
  if (winner === null)
    decision.reasons = explainUnplaceable(decision, context.request, tables, evaluation.refusals, input);
  decision.reasons.push(...notices, ...catalogueNotices(input.catalogue, cloudUsed));
  decision.explanation = explain(evaluation);
  return decision;
}

/** What the rules say of the winner; parts that nothing is to be said in are left out. */
function aboutWinner(winner: Choice, { context, inForce: { rules } }: Evaluation): Partial<Decision> {
  const approvals = approvalsOf(rules, winner, context);
  const preferences = preferencesOf(rules, winner);
  const limits = limitsOf(rules, winner, context);
  const ttlHours = ttlOf(rules, winner, context);
  return {
    ...(approvals.length > 0 && { approvals }),
    ...(preferences.length > 0 && { preferences }),
    ...(limits.length > 0 && { limits }),
    ...(ttlHours !== null && { ttlHours }),
  };
}

/** By price: what the others would cost. */
function cheapestByProvider({ tables, priced }: Evaluation): PlacedOffer[] {
  const cheapest = new Map<string, PlacedOffer>();
  for (const evaluated of tables) {
    const { table, available } = evaluated;
    for (const provider of table.column('provider').values) {
      const row = nextInBoth(available, offersWith(table, 'provider', provider as string), 0);
      if (row < 0) continue;
      const offer = table.offer(row);
      const scored = priced ? { ...offer, scorePerHour: scoreAt(evaluated, row) } : offer;
      const known = cheapest.get(offer.provider);
      if (known === undefined || compareOffers(offer, known) < 0) cheapest.set(offer.provider, scored);
    }
  }
  return [...cheapest.values()].sort(compareOffers);
}

function catalogueNotices(catalogue: Catalogue, cloudUsed: boolean): string[] {
  if (!cloudUsed) return [];
  return [
    ...new Set(catalogue.sources.flatMap((s) => (s.notice !== undefined && s.offers > 0 ? [s.notice] : []))),
  ];
}

function undecided({ catalogue, policies, request }: PlacementInput, now: Date): Decision {
  return {
    request,
    now: now.toISOString(),
    outcome: 'unplaceable',
    winner: null,
    fallbacks: [],
    cheapestByProvider: [],
    considered: 0,
    compliant: 0,
    funnel: [],
    rules: [],
    reasons: [],
    catalogue: {
      version: catalogue.version,
      date: catalogue.date,
      sources: catalogue.sources.map((s) => ({ ...s })),
    },
    policies: policies.policies
      .filter((p) => scopeHolds(p.scope, request))
      .map(({ name, version }) => ({ name, version })),
    certificate: { method: 'exact', bound: null, gap: 0 },
  };
}
