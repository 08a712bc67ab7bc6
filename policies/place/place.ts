import type { Catalogue } from '../catalogue/catalogue.ts';
import { celRequest } from '../cel/schema.ts';
import { takeBest } from './best.ts';
import { type CompiledPolicies, rulesFor, scopeHolds } from './compiled.ts';
import { evaluateRules } from './evaluate.ts';
import { requestProblems } from './fit.ts';
import { cloudTable, type OfferTable } from './offers.ts';
import { onpremOffers } from './onprem.ts';
import { explainUnplaceable } from './reasons.ts';
import type { Decision, EstateMachine, PlacementRequest, SetAside, SiteView } from './types.ts';

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
  /** Machines that exist, for rules about other machines and for limits; those of the request's organization. */
  estate?: readonly EstateMachine[];
  /** How many fallbacks to name; 3 when not given. */
  fallbacks?: number;
}

/**
 * Decides where one machine goes: the cheapest offer that fits the request, that every enforced rule lets
 * through, and that can be had now. Exact: every offer is looked at. Ties are broken by fewer vCPUs, less
 * memory, then names, so equal inputs give equal decisions. Never throws for bad sizes in the request; they
 * make it unplaceable, with the reasons.
 */
export function place(input: PlacementInput): Decision {
  const { request, catalogue, policies, sites } = input;
  const unsound = requestProblems(request);
  if (unsound.length > 0) return { ...undecided(input), reasons: unsound };
  const onprem = onpremOffers(request, sites);
  return placeAmong(
    input,
    [cloudTable(catalogue, sites), onprem.table],
    onprem.refusal,
    onprem.notices,
    policies,
  );
}

/** {@link place} over given tables; a policy's own tests bring theirs. */
export function placeAmong(
  input: PlacementInput,
  tables: readonly OfferTable[],
  refusal: (site: string, host: string) => string | null,
  notices: readonly string[],
  policies: CompiledPolicies,
): Decision {
  const { request } = input;
  const cel = celRequest(request);
  const rules = rulesFor(policies, request, cel);
  const evaluated = tables.map((table) =>
    evaluateRules(table, request, cel, rules, input.includeUnconfigured),
  );
  const best = takeBest(evaluated, input.setAside, refusal, input.fallbacks ?? 3);
  const sum = (of: (e: (typeof evaluated)[number]) => number): number =>
    evaluated.reduce((t, e) => t + of(e), 0);

  const funnel = [
    { stage: 'all offers', remaining: sum((e) => e.table.length) },
    { stage: 'fits the request', remaining: sum((e) => e.fitting) },
    {
      stage: input.includeUnconfigured ? 'configured sites and plans' : 'configured sites',
      remaining: sum((e) => e.usable),
    },
  ];
  const records: Decision['rules'] = rules.map((rule, r) => {
    const rejected = sum((e) => e.rules[r]!.rejected);
    if (rule.mode === 'enforce')
      funnel.push({ stage: `${rule.policy}/${rule.rule}`, remaining: sum((e) => e.rules[r]!.remaining) });
    return {
      policy: rule.policy,
      policyVersion: rule.policyVersion,
      rule: rule.rule,
      mode: rule.mode,
      effect: rule.effect,
      line: rule.line,
      applies: evaluated.some((e) => e.rules[r]!.applies),
      rejected,
      rejectedAlone: sum((e) => e.rules[r]!.rejectedAlone),
      errors: sum((e) => e.rules[r]!.errors),
      message: rejected > 0 && rule.message !== null ? rule.message(cel) : null,
    };
  });
  funnel.push({ stage: 'capacity and set aside', remaining: best.available });

  const used = new Set([best.winner, ...best.fallbacks].map((o) => o?.provider));
  const prices = catalogueNotices(
    input.catalogue,
    [...used].some((p) => p !== undefined && p !== 'onprem'),
  );
  const decision: Decision = {
    ...undecided(input),
    outcome: best.winner === null ? 'unplaceable' : 'placed',
    winner: best.winner,
    fallbacks: best.fallbacks,
    cheapestByProvider: best.cheapestByProvider,
    considered: funnel[0]!.remaining,
    compliant: sum((e) => e.compliant),
    funnel,
    rules: records,
    certificate: { method: 'exact', bound: best.winner?.pricePerHour ?? null, gap: 0 },
  };
  if (best.winner === null)
    decision.reasons = explainUnplaceable(decision, request, evaluated, best.refusals, input);
  decision.reasons.push(...notices, ...prices);
  return decision;
}

function catalogueNotices(catalogue: Catalogue, cloudUsed: boolean): string[] {
  if (!cloudUsed) return [];
  return [
    ...new Set(catalogue.sources.flatMap((s) => (s.notice !== undefined && s.offers > 0 ? [s.notice] : []))),
  ];
}

function undecided({ catalogue, policies, request }: PlacementInput): Decision {
  return {
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
