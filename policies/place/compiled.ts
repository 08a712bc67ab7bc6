import { type ColumnarProgram, compileColumnar, interpret } from '../cel/columnar.ts';
import { type CelRequest, EVALUATION } from '../cel/schema.ts';
import type { Message, Mode, ParsedPolicy, ParsedRule } from '../file/policy.ts';
import { PolicyProblems, type Problem } from '../file/problems.ts';
import type { PlacementRequest } from './types.ts';

/** A rule ready to be asked about offers. */
export interface CompiledRule {
  policy: string;
  policyVersion: string;
  scope: ParsedPolicy['scope'];
  file: string;
  rule: string;
  line: number;
  mode: Mode;
  effect: 'require' | 'deny';
  overridable: boolean;
  override: boolean;
  /** Whether the policy's `match` is true for a request. */
  matches: (request: CelRequest) => boolean;
  /** The policy's `match` and the rule's `when`; null = always. */
  gate: ColumnarProgram | null;
  /** True where the rule lets the offer through; an error rejects. */
  passes: ColumnarProgram;
  message: ((request: CelRequest) => string) | null;
}

/** All policies there are, of every scope; {@link rulesFor} picks those of a request. */
export interface CompiledPolicies {
  readonly policies: readonly { name: string; version: string; scope: ParsedPolicy['scope'] }[];
  readonly rules: readonly CompiledRule[];
  /** An override that its parent does not allow: both rules apply, and its author should know. */
  readonly warnings: readonly Problem[];
}

/** No policies: everything that fits is compliant. */
export const NO_POLICIES: CompiledPolicies = Object.freeze({ policies: [], rules: [], warnings: [] });

/**
 * Makes policies ready for {@link place}. Organizations' rules come first, then projects', each in the order
 * given. Throws {@link PolicyProblems} when two policies of one scope have one name.
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
          'error',
        ),
      );
    seen.add(key);
  }
  if (problems.length > 0) throw new PolicyProblems(problems);
  const ordered = [...parsed].sort((a, b) => rank(a) - rank(b));
  const rules = ordered.flatMap((policy) =>
    policy.rules.flatMap((rule) =>
      rule.clauses.flatMap((clause) =>
        clause.effect === 'require' || clause.effect === 'deny'
          ? [compileRule(policy, rule, clause.effect, clause.expression)]
          : [],
      ),
    ),
  );
  return {
    policies: ordered.map(({ name, version, scope }) => ({ name, version, scope })),
    rules,
    warnings: ordered.flatMap((policy) => overrideWarnings(policy, rules)),
  };
}

function rank(policy: ParsedPolicy): number {
  return policy.scope.kind === 'organization' ? 0 : 1;
}

function compileRule(
  policy: ParsedPolicy,
  rule: ParsedRule,
  effect: 'require' | 'deny',
  expression: string,
): CompiledRule {
  const gates = [policy.match, rule.when].filter((g) => g !== null);
  const gate = gates.length === 0 ? null : gates.map((g) => `(${g})`).join(' && ');
  // `when W require R` is !(W) || R, and `when W deny D` is !(W && D): CEL's own rules for errors do the rest.
  const verdict = effect === 'require' ? `(${expression})` : `!(${expression})`;
  const match = policy.match === null ? null : interpret(policy.match);
  return {
    policy: policy.name,
    policyVersion: policy.version,
    scope: policy.scope,
    file: policy.file,
    rule: rule.name,
    line: rule.line,
    mode: policy.mode,
    effect,
    overridable: rule.overridable,
    override: rule.override,
    matches: (request) => match === null || match(request, {}) === 'true',
    gate: gate === null ? null : compileColumnar(gate),
    passes: compileColumnar(gate === null ? verdict : `!(${gate}) || ${verdict}`),
    message: rule.message === null ? null : compileMessage(rule.message),
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

function overrideWarnings(policy: ParsedPolicy, rules: readonly CompiledRule[]): Problem[] {
  return policy.rules
    .filter((rule) => rule.override)
    .flatMap((rule) => {
      const warn = (message: string): Problem[] => [
        problem(policy, rule.line, 'override', message, 'warning'),
      ];
      if (policy.scope.kind !== 'project')
        return warn(
          `rule '${rule.name}': only a project's policy can override, so this adds to what is there`,
        );
      const parents = rules.filter((r) => r.scope.kind === 'organization' && r.rule === rule.name);
      if (parents.length === 0)
        return warn(`rule '${rule.name}' overrides nothing: no organization's rule has this name`);
      const closed = parents.filter((r) => !r.overridable);
      return closed.length === 0
        ? []
        : warn(`rule '${rule.name}' of policy '${closed[0]!.policy}' is not overridable: both apply`);
    });
}

function problem(
  policy: ParsedPolicy,
  line: number,
  code: string,
  message: string,
  severity: Problem['severity'],
): Problem {
  return { code, message, file: policy.file, line, column: 1, path: '', severity };
}

/**
 * The rules a request is held to: those of its organization, then those of its project. A project's enforced
 * rule with `override: true` takes the place of organization rules of the same name that are `overridable`,
 * if its own policy's `match` holds for the request; in every other case both apply.
 */
export function rulesFor(
  policies: CompiledPolicies,
  request: PlacementRequest,
  cel: CelRequest,
): CompiledRule[] {
  const inScope = policies.rules.filter((rule) => scopeHolds(rule.scope, request));
  const overriding = new Set(
    inScope
      .filter((r) => r.override && r.scope.kind === 'project' && r.mode === 'enforce' && r.matches(cel))
      .map((r) => r.rule),
  );
  return inScope.filter(
    (rule) => !(rule.scope.kind === 'organization' && rule.overridable && overriding.has(rule.rule)),
  );
}

/** Whether policies of a scope are for a request. */
export function scopeHolds(scope: ParsedPolicy['scope'], request: PlacementRequest): boolean {
  return scope.name === (scope.kind === 'organization' ? request.organization : request.project);
}
