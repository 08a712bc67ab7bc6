import type { Catalogue } from '../catalogue/catalogue.ts';
import type { ParsedPolicy } from '../file/policy.ts';
import { nearest, type Problem, type ProblemCode } from '../file/problems.ts';
import { Budget, CaseFinder } from './cases.ts';
import { pairProblems } from './pairs.ts';
import { exampleOf, RuleCases, ruleProblem } from './rule-cases.ts';
import { unknownValues } from './unknown-values.ts';
import { wideSpreads } from './wide-spreads.ts';
import { describeRequest } from './witness.ts';

/** Joins of cases one call may make; some two million a second are made. */
const MAX_JOINS = 1_000_000;

/**
 * What is doubtful in policies that are free of errors, or in what is left of others (`ParsedFile.partly`), all of it warnings: rules that let nothing or everything
 * through, rules that another makes superfluous, rules that together let nothing through, values no offer of the
 * catalogue has, and spreads over more places than it has. A warning is never wrong; with very many rules some may be missing. Policies given together are
 * taken to be in force together; `whole`: and no others are. Without a catalogue (or an empty one) values are not looked up.
 */
export function checkPolicies(
  policies: readonly ParsedPolicy[],
  catalogue: Catalogue | null,
  { whole = false }: { whole?: boolean } = {},
): Problem[] {
  const finder = new CaseFinder(new Budget(MAX_JOINS));
  const problems: Problem[] = [];
  const sound: RuleCases[] = [];
  for (const policy of policies)
    policy.rules.forEach((rule, index) => {
      for (const preference of RuleCases.preferences(policy, rule, index, finder))
        problems.push(...alone(preference, finder, PREFERENCE));
      const cases = RuleCases.of(policy, rule, index, finder);
      if (cases === null) return;
      const found = alone(cases, finder, RULE);
      problems.push(...found);
      if (found.length === 0 && !cases.constant) sound.push(cases);
    });
  problems.push(...pairProblems(sound, finder), ...idleOverrides(policies, whole));
  if (catalogue !== null && catalogue.length > 0)
    problems.push(...unknownValues(policies, catalogue), ...wideSpreads(policies, catalogue));
  return problems.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line));
}

/**
 * Overrides that take no rule's place: of an organization's policy, of a rule that does not allow it, or of one that there is
 * not. That last is asked only where all policies are given, or some of an organization: else the rule may be elsewhere.
 */
function idleOverrides(policies: readonly ParsedPolicy[], whole: boolean): Problem[] {
  const parents = policies.filter(({ scope }) => scope.kind === 'organization');
  return policies.flatMap((policy) =>
    policy.rules.flatMap((rule, index): Problem[] => {
      if (!rule.override) return [];
      const warn = (message: string): Problem => ruleProblem({ policy, rule, index }, 'override', message);
      if (policy.scope.kind === 'organization')
        return [warn("only a project's policy can override, so this adds to what is there")];
      const named = parents.filter(({ rules }) => rules.some(({ name }) => name === rule.name));
      const closed = named.find(({ rules }) => rules.some((r) => r.name === rule.name && !r.overridable));
      if (closed !== undefined)
        return [warn(`policy '${closed.name}' does not make it overridable: both apply`)];
      if (named.length > 0 || !(whole || parents.length > 0) || !parents.every(isWhole)) return [];
      const open = parents.flatMap(({ rules }) => rules.filter((r) => r.overridable).map((r) => r.name));
      const suggestion = nearest(rule.name, open);
      const where = whole ? 'in force' : 'given here';
      return [
        {
          ...warn(`it overrides nothing: no organization's policy ${where} has a rule of this name`),
          ...(suggestion !== undefined && { suggestion }),
        },
      ];
    }),
  );
}

/** Whether all of its rules could be read: one that is a hole may have any name. */
function isWhole({ rules }: ParsedPolicy): boolean {
  return Object.keys(rules).length === rules.length;
}

const RULE = {
  never: 'no offer can ever meet it: it rejects everything it applies to',
  neverThen: 'no offer can meet it where it applies: it rejects everything, for example of',
  always: 'it never rejects anything',
};
const PREFERENCE = {
  never: 'no offer can ever meet this preference',
  neverThen: 'no offer can meet this preference where it applies, for example for',
  always: 'every offer meets this preference',
};

/** What is wrong with a rule by itself; at most one thing. */
function alone(cases: RuleCases, finder: CaseFinder, words: typeof RULE): Problem[] {
  const warn = (code: ProblemCode, message: string): Problem[] => [ruleProblem(cases, code, message)];
  // `deny: true` under a `when` is how a policy says "nothing of this".
  if (!cases.constant) {
    if (cases.clausesPass().length === 0) return warn('never-holds', words.never);
    if (finder.both(cases.gate('true'), cases.clausesPass()).length === 0) {
      const example = exampleOf([cases], cases.gate('true'));
      if (example !== null) return warn('never-holds', `${words.neverThen} ${describeRequest(example)}`);
    }
  }
  if (cases.gate('true').length === 0)
    return warn('never-applies', 'match and when are never true together: the rule never applies');
  if (cases.complete && cases.rejects().length === 0) return warn('always-holds', words.always);
  return [];
}
