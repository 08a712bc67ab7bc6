import type { CelRequest } from '../cel/schema.ts';
import { type CompiledPolicies, type CompiledRule, scopeHolds } from './compiled.ts';
import type { Decision, PlacementRequest } from './types.ts';

/** The rules a request is held to, in order, and the exceptions that set others aside. */
export interface InForce {
  rules: CompiledRule[];
  exceptions: NonNullable<Decision['exceptions']>;
}

/**
 * The rules a request is held to: those of its organization, those of its project, then its own; rules about machines
 * that exist are left out. A project's enforced rule with `override: true` takes the place of organization rules of
 * the same name that are `overridable`, if its own policy's `match` holds for the request; in every other case both
 * apply. An exception that has not expired at `now` and whose `match` holds takes its rule out.
 */
export function rulesInForce(
  policies: CompiledPolicies,
  own: readonly CompiledRule[],
  request: PlacementRequest,
  cel: CelRequest,
  now: Date,
): InForce {
  const inScope = policies.rules.filter((rule) => scopeHolds(rule.scope, request));
  const overriding = new Set(
    inScope
      .filter((r) => r.override && r.scope.kind === 'project' && r.mode === 'enforce' && r.matches(cel))
      .map((r) => r.rule),
  );
  const exceptions = new Map<string, InForce['exceptions'][number]>();
  const rules = [...inScope, ...own].filter((rule) => {
    if (rule.readsResource) return false;
    if (rule.scope.kind === 'organization' && rule.overridable && overriding.has(rule.rule)) return false;
    const except = rule.exceptions.find((e) => now.getTime() < e.until && e.matches(cel));
    if (except === undefined) return true;
    const { owner, reason, expires } = except;
    const named = { policy: rule.policy, rule: rule.rule, owner, reason, expires };
    exceptions.set(`${rule.scope.kind}\0${rule.policy}\0${rule.rule}`, named);
    return false;
  });
  return { rules, exceptions: [...exceptions.values()] };
}
