import { type ColumnarProgram, compileColumnar, interpret } from '../cel/columnar.ts';
import { type CelRequest, EVALUATION, reads } from '../cel/schema.ts';
import type { Clause, Effect, Message, Mode, ParsedPolicy, ParsedRule } from '../file/policy.ts';
import { PolicyProblems, type Problem, type ProblemCode } from '../file/problems.ts';
import type { PlacementRequest } from './types.ts';

/** Whose rule it is. A request's own rules come after those of its organization and its project. */
export type RuleScope = ParsedPolicy['scope'] | { kind: 'request'; name: '' };

/** One clause of a rule, ready to be asked about offers. */
export interface CompiledRule {
  policy: string;
  policyVersion: string;
  scope: RuleScope;
  file: string;
  rule: string;
  line: number;
  mode: Mode;
  effect: Effect;
  clause: Clause;
  /** What an error does to an offer. */
  missing: ParsedRule['missing'];
  overridable: boolean;
  override: boolean;
  onViolation: ParsedRule['onViolation'];
  owner: string | null;
  /** It speaks of a machine that exists, so placement leaves it out; compliance asks it. */
  readsResource: boolean;
  /** Whether the policy's `match` is true for a request. */
  matches: (request: CelRequest) => boolean;
  /** The policy's `match` and the rule's `when` as one CEL text; null = always. */
  gateText: string | null;
  /** The gate, ready; null also where the rule reads `resource`. */
  gate: ColumnarProgram | null;
  /**
   * The gate and the clause in one: true where a require, deny or maxPrice lets the offer through, and where a
   * preference is met. Null for the other kinds, whose verdict does not follow from the offer alone.
   */
  passes: ColumnarProgram | null;
  /** Of an egress price: the GiB read in a month; null where the expression has no value of at least 0. */
  gibPerMonth: ((request: CelRequest) => number | null) | null;
  exceptions: CompiledException[];
  /** It is held against who comes, for machines that stand under the rule that this names; see standing-rules.ts. */
  turned?: CompiledRule;
  message: ((request: CelRequest) => string) | null;
}

/** An exception of a policy, for each clause of the rule it names. */
export interface CompiledException {
  owner: string;
  reason: string;
  /** As written. */
  expires: string;
  /** Milliseconds since 1970; from then on it does not count. */
  until: number;
  matchText: string | null;
  matches: (request: CelRequest) => boolean;
}

/** All policies there are, of every scope; `rulesInForce` picks those of a request. */
export interface CompiledPolicies {
  readonly policies: readonly { name: string; version: string; scope: ParsedPolicy['scope'] }[];
  readonly rules: readonly CompiledRule[];
}

/** No policies: everything that fits is compliant. */
export const NO_POLICIES: CompiledPolicies = Object.freeze({ policies: [], rules: [] });

/** Strict preferences are one bit each of a double's 53 when offers are ordered. */
const MOST_STRICT = { policies: 32, request: 20 };

/**
 * Makes policies ready for `place`. Organizations' rules come first, then projects', each in the order given.
 * Throws {@link PolicyProblems} when two policies of one scope have one name, or for more than 32 strict
 * preferences in all.
 */
export function compilePolicies(parsed: readonly ParsedPolicy[]): CompiledPolicies {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const policy of parsed) {
    const key = `${policy.scope.kind}/${policy.scope.name}/${policy.name}`;
    if (seen.has(key))
      problems.push(
        problem(
          policy,
          policy.line,
          'duplicate-policy',
          `policy '${policy.name}' is given twice for its scope`,
        ),
      );
    seen.add(key);
  }
  if (problems.length > 0) throw new PolicyProblems(problems);
  const ordered = [...parsed].sort((a, b) => rank(a) - rank(b));
  const rules = ordered.flatMap((policy) =>
    policy.rules.flatMap((rule) => compileRule(policy, policy.scope, rule)),
  );
  refuseTooManyStrict(rules, MOST_STRICT.policies);
  return {
    policies: ordered.map(({ name, version, scope }) => ({ name, version, scope })),
    rules,
  };
}

/** Requests with rules of their own are alike (a group's machines), so the last few sets are kept. */
const REMEMBERED_SETS = 64;
const NO_RULES: readonly CompiledRule[] = Object.freeze([]);
const requestRules = new Map<string, readonly CompiledRule[]>();

/** A request's own rules, compiled once for equal rules. The policy in their records is called `request`. */
export function compileRequestRules(rules: readonly ParsedRule[]): readonly CompiledRule[] {
  if (rules.length === 0) return NO_RULES;
  const key = JSON.stringify(rules);
  const found = requestRules.get(key);
  if (found !== undefined) return found;
  const own = { name: 'request', version: '', file: 'request', mode: 'enforce' as const };
  const compiled = rules.flatMap((rule) =>
    compileRule({ ...own, match: null, exceptions: [] }, { kind: 'request', name: '' }, rule),
  );
  refuseTooManyStrict(compiled, MOST_STRICT.request);
  if (requestRules.size >= REMEMBERED_SETS) requestRules.delete(requestRules.keys().next().value!);
  requestRules.set(key, compiled);
  return compiled;
}

function refuseTooManyStrict(rules: readonly CompiledRule[], most: number): void {
  const strict = rules.filter((r) => r.clause.effect === 'prefer' && r.clause.weight.kind === 'strict');
  if (strict.length <= most) return;
  const { file, line } = strict[most]!;
  const message = `more than ${most} strict preferences: give the later ones a weight`;
  throw new PolicyProblems([problem({ file }, line, 'too-many', message)]);
}

function rank(policy: ParsedPolicy): number {
  return policy.scope.kind === 'organization' ? 0 : 1;
}

function compileRule(
  policy: Pick<ParsedPolicy, 'name' | 'version' | 'file' | 'mode' | 'match' | 'exceptions'>,
  scope: RuleScope,
  rule: ParsedRule,
): CompiledRule[] {
  const gates = [policy.match, rule.when].filter((g) => g !== null);
  const gateText = gates.length === 0 ? null : gates.map((g) => `(${g})`).join(' && ');
  const matches = requestTest(policy.match);
  const exceptions = policy.exceptions
    .filter((e) => e.rule === rule.name)
    .map(({ owner, reason, expires, match }) => ({
      owner,
      reason,
      expires,
      until: Date.parse(expires),
      matchText: match,
      matches: requestTest(match),
    }));
  return rule.clauses.map((clause) => {
    const verdict = offerTest(clause);
    const readsResource = [gateText, verdict].some((text) => text !== null && mentionsResource(text));
    return {
      policy: policy.name,
      policyVersion: policy.version,
      scope,
      file: policy.file,
      rule: rule.name,
      line: rule.line,
      mode: policy.mode,
      effect: clause.effect,
      clause,
      missing: rule.missing,
      overridable: rule.overridable,
      override: rule.override,
      onViolation: rule.onViolation,
      owner: rule.owner,
      readsResource,
      matches,
      gateText,
      gate: gateText === null || readsResource ? null : compileColumnar(gateText),
      passes: verdict === null || readsResource ? null : compileColumnar(gated(gateText, verdict)),
      gibPerMonth: clause.effect === 'gravity' ? amount(clause.gibPerMonth) : null,
      exceptions,
      message: rule.message === null ? null : compileMessage(rule.message),
    };
  });
}

/** `when W require R` is !(W) || R, and `when W deny D` is !(W && D): CEL's own rules for errors do the rest. */
function gated(gate: string | null, verdict: string): string {
  return gate === null ? verdict : `!(${gate}) || ${verdict}`;
}

/** The CEL that says whether an offer passes, for the kinds that can say it so. */
function offerTest(clause: Clause): string | null {
  switch (clause.effect) {
    case 'require':
    case 'prefer':
      return `(${clause.expression})`;
    case 'deny':
      return `!(${clause.expression})`;
    case 'maxPrice':
      return `(offer.pricePerHour <= ${celDouble(clause.perHour)})`;
    default:
      return null;
  }
}

/** A number as a CEL literal that is surely a double. */
function celDouble(x: number): string {
  return Number.isInteger(x) ? x.toFixed(1) : String(x);
}

function mentionsResource(text: string): boolean {
  return reads(EVALUATION.parse(text).ast).resource.size > 0;
}

/** True where the expression is; always, when there is none. An error is not true. */
function requestTest(match: string | null): (request: CelRequest) => boolean {
  if (match === null) return () => true;
  const evaluate = interpret(match);
  return (request) => evaluate(request, {}) === 'true';
}

function amount(source: string): (request: CelRequest) => number | null {
  const evaluate = EVALUATION.parse(source);
  return (request) => {
    try {
      const value = Number(evaluate({ request }));
      return Number.isFinite(value) && value >= 0 ? value : null;
    } catch {
      // An evaluation error is a value in this language; the record counts it.
      return null;
    }
  };
}

function compileMessage(message: Message): (request: CelRequest) => string {
  if (message.kind === 'text') return () => message.text;
  const evaluate = EVALUATION.parse(message.source);
  return (request) => {
    try {
      return String(evaluate({ request }));
    } catch (error) {
      // The verdict stands without its message; the reader sees what the message lacked.
      const { summary } = error as { summary?: string };
      return `(no message: ${summary ?? (error as Error).message})`;
    }
  };
}

function problem(policy: { file: string }, line: number, code: ProblemCode, message: string): Problem {
  return { code, message, file: policy.file, line, column: 1, path: '', severity: 'error' };
}

/** Whether rules of a scope are for a request. */
export function scopeHolds(scope: RuleScope, request: PlacementRequest): boolean {
  if (scope.kind === 'request') return true;
  return scope.name === (scope.kind === 'organization' ? request.organization : request.project);
}
