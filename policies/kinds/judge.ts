import type { Violation } from '../compliance/judge.ts';
import type { Effect } from '../file/policy.ts';
import { memo } from '../memo.ts';
import type { CompiledPolicies, CompiledRule } from '../place/compiled.ts';
import { rulesInForce } from '../place/in-force.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import { askedOf, type PlaceRefusal, refusalOf } from './at-place.ts';
import type { Place, ResourceRequest } from './known.ts';

/** A volume, a network, … that exists, and where. */
export interface StandingResource {
  id: string;
  request: ResourceRequest;
  place: Place;
}

/** One that a rule would not let be where it is. */
export type ResourceViolation = Omit<Violation, 'machine'> & { resource: StandingResource };

/** A window is about the moment of making. */
const JUDGED: ReadonlySet<Effect> = new Set(['require', 'deny', 'labels']);
/** Resources judged between two yields. */
const AT_ONCE = 64;

/**
 * Holds what is no machine against the rules that it would be held to if it were asked for now. Rules that an exception sets aside
 * are found too, with the exception. At most one violation for each resource and rule, in the order of the resources; yields as it goes.
 */
export function* judgeResources(input: {
  resources: readonly StandingResource[];
  policies: CompiledPolicies;
  now: Date;
}): Generator<void, ResourceViolation[]> {
  const { resources, policies, now } = input;
  const original = new Map<CompiledRule, CompiledRule>();
  const rules = policies.rules
    .filter(({ effect }) => JUDGED.has(effect))
    .map((rule) => {
      const bare = { ...rule, exceptions: [] };
      original.set(bare, rule);
      return bare;
    });
  const found: ResourceViolation[] = [];
  for (const [at, resource] of resources.entries()) {
    if (at % AT_ONCE === AT_ONCE - 1) yield;
    const { request, place } = resource;
    const asked = askedOf(request, place);
    const inForce = rulesInForce(
      { ...policies, rules },
      [],
      { ...NEUTRAL_REQUEST, ...request },
      asked.request,
      now,
    );
    const byRule = new Map<string, PlaceRefusal[]>();
    for (const bare of inForce.rules) {
      const refusal = refusalOf(original.get(bare)!, request, asked, now);
      if (refusal) memo(byRule, `${bare.policy}/${bare.rule}`, () => [] as PlaceRefusal[]).push(refusal);
    }
    for (const refusals of byRule.values()) found.push(violationOf(resource, refusals, asked.request, now));
  }
  return found;
}

/** One violation for each rule, whatever number of its clauses is broken. */
function violationOf(
  resource: StandingResource,
  refusals: readonly PlaceRefusal[],
  cel: Parameters<CompiledRule['matches']>[0],
  now: Date,
): ResourceViolation {
  const { rule } = refusals[0]!;
  const except = rule.exceptions.find((e) => now.getTime() < e.until && e.matches(cel));
  return {
    resource,
    policy: rule.policy,
    policyVersion: rule.policyVersion,
    rule: rule.rule,
    line: rule.line,
    mode: rule.mode,
    effect: rule.effect,
    message: [...new Set(refusals.map(({ message }) => message))].join('; '),
    owner: rule.owner,
    onViolation: rule.onViolation,
    exception: except ? { owner: except.owner, reason: except.reason, expires: except.expires } : null,
  };
}
