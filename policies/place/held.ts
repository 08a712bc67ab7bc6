import { memo } from '../memo.ts';
import { type AdmissionClause, admits } from './admission.ts';
import type { Circumstances } from './circumstances.ts';
import { type CompiledPolicies, type CompiledRule, scopeHolds } from './compiled.ts';
import { canReject, readsMachines } from './evaluate.ts';
import { rulesInForce } from './in-force.ts';
import { Recent } from './recent.ts';
import { readsOfRules, requestPart } from './request-parts.ts';
import { turnedRules } from './standing-rules.ts';
import { pricesAnything, pricingRules } from './surcharges.ts';

/** The enforced rules a request is held to, by what is needed to ask them. */
export interface Held {
  /** Equal for two requests only if each of `fixed` and `pricing` says the same of every offer for both. */
  signature: string;
  /** Rules whose verdict follows from the offer, the request and the time. */
  fixed: CompiledRule[];
  /** Rules that look at other machines too. */
  machines: CompiledRule[];
  pricing: CompiledRule[];
  priced: boolean;
}

/** How many organizations and projects are remembered, and for each how many requests that differ in what the rules read. */
const SCOPES = 256;
const REQUESTS = 64;

/** The rules for one organization and project: what they read of a request, and what that came to before. */
interface Scope {
  /** A text of what the rules read of a request: equal texts, equal rules in force and equal verdicts. */
  textOf: (context: Circumstances) => string;
  known: Recent<Held>;
}

const scopes = new WeakMap<CompiledPolicies, WeakMap<readonly CompiledRule[], Recent<Scope>>>();

/** The rules a request is held to; `own` came with it. What `rulesInForce` says, remembered. */
export function heldTo(
  policies: CompiledPolicies,
  own: readonly CompiledRule[],
  context: Circumstances,
): Held {
  const { request, cel, now } = context;
  const byOwn = memo(scopes, policies, () => new WeakMap<readonly CompiledRule[], Recent<Scope>>());
  const byScope = memo(byOwn, own, () => new Recent<Scope>(SCOPES));
  const name = `${request.organization}\0${request.project}`;
  const scope = byScope.get(name) ?? byScope.set(name, scopeOf(policies, own, context));
  const text = scope.textOf(context);
  const known = scope.known.get(text);
  if (known !== undefined) return known;
  const { rules } = rulesInForce(policies, own, request, cel, now);
  return scope.known.set(text, heldToRules([...rules, ...turnedRules(policies)], context));
}

/** With rules that hold for this moment only, as those of machines that stand. */
export function heldAlso(held: Held, rules: readonly CompiledRule[]): Held {
  if (rules.length === 0) return held;
  const signature = [held.signature, ...rules.map((rule) => `also ${numberOf(rule)}`)].join('\n');
  return { ...held, signature, machines: [...held.machines, ...rules] };
}

function scopeOf(
  policies: CompiledPolicies,
  own: readonly CompiledRule[],
  { request }: Circumstances,
): Scope {
  const rules = [...policies.rules.filter((rule) => scopeHolds(rule.scope, request)), ...own].filter(
    (rule) => !rule.readsResource,
  );
  const reads = readsOfRules(rules);
  const attributes = [...reads.attributes];
  const labels = attributes.includes('labels') ? [] : [...reads.labels];
  const windows = rules.flatMap(({ clause }) => (clause.effect === 'window' ? [clause] : []));
  const exceptions = rules.flatMap((rule) => rule.exceptions);
  return {
    known: new Recent<Held>(REQUESTS),
    textOf: ({ request: of, now }) =>
      JSON.stringify([
        ...attributes.map((name) => of[name]),
        ...labels.map((key) => (Object.hasOwn(of.labels, key) ? of.labels[key] : null)),
        ...windows.map((clause) => admits(clause, of, now)),
        ...exceptions.map(({ until }) => now.getTime() < until),
      ]),
  };
}

function heldToRules(rules: readonly CompiledRule[], context: Circumstances): Held {
  const enforced = rules.filter((rule) => rule.mode === 'enforce');
  const machines = enforced.filter((rule) => readsMachines(rule));
  const fixed = enforced.filter((rule) => canReject(rule) && !readsMachines(rule));
  const pricing = pricingRules(rules);
  const signature = [...fixed, ...machines, ...pricing]
    .map((rule) => `${numberOf(rule)} ${admission(rule, context)} ${requestPart(rule, context.cel)}`)
    .join('\n');
  return { signature, fixed, machines, pricing, priced: pricesAnything(pricing) };
}

function admission({ clause }: CompiledRule, { request, now }: Circumstances): string {
  const decidedByRequest =
    clause.effect === 'labels' || clause.effect === 'ttl' || clause.effect === 'window';
  return decidedByRequest ? String(admits(clause satisfies AdmissionClause, request, now)) : '';
}

const numbers = new WeakMap<CompiledRule, number>();
let last = 0;

/** A number that no other rule has, in this process. */
function numberOf(rule: CompiledRule): number {
  return memo(numbers, rule, () => ++last);
}
