import type { Problem } from '../file/problems.ts';
import type { CaseFinder } from './cases.ts';
import { exampleOf, type RuleCases, ruleProblem } from './rule-cases.ts';
import { describeRequest } from './witness.ts';

/** Rules that another makes superfluous, and pairs that let nothing through. */
export function pairProblems(rules: readonly RuleCases[], finder: CaseFinder): Problem[] {
  const problems: Problem[] = [];
  const superfluous = new Set<RuleCases>();
  for (const [earlier, later] of relatedPairs(rules)) {
    if (superfluous.has(earlier) || superfluous.has(later)) continue;
    const [gone, by] = implied(later, earlier, finder)
      ? [later, earlier]
      : implied(earlier, later, finder)
        ? [earlier, later]
        : [];
    if (gone !== undefined && by !== undefined) {
      superfluous.add(gone);
      problems.push(
        ruleProblem(gone, 'redundant-rule', `${named(by, gone)} already rejects all that it rejects`),
      );
    } else {
      const example = contradiction(earlier, later, finder);
      if (example !== null)
        problems.push(
          ruleProblem(
            later,
            'contradiction',
            `together with ${named(earlier, later)} it rejects every offer, for example of ${example}`,
          ),
        );
    }
  }
  return problems;
}

/** Pairs that have a term in common, in order; others have nothing to do with each other. */
function* relatedPairs(rules: readonly RuleCases[]): Iterable<[RuleCases, RuleCases]> {
  const byTerm = new Map<string, number[]>();
  rules.forEach((rule, i) => {
    for (const term of rule.terms) {
      const those = byTerm.get(term);
      if (those === undefined) byTerm.set(term, [i]);
      else those.push(i);
    }
  });
  for (let i = 0; i < rules.length; i++) {
    const related = new Set([...rules[i]!.terms].flatMap((term) => byTerm.get(term)!));
    for (const j of [...related].sort((a, b) => a - b)) if (j > i) yield [rules[i]!, rules[j]!];
  }
}

/** Whether `by` rejects whatever `rule` rejects, as surely and with the same consequences. */
function implied(rule: RuleCases, by: RuleCases, finder: CaseFinder): boolean {
  const sameScope =
    rule.policy.scope.kind === by.policy.scope.kind && rule.policy.scope.name === by.policy.scope.name;
  if (!sameScope || !rule.complete || rule.rule.override || by.rule.overridable) return false;
  if (by.policy.mode !== 'enforce' && by.policy.mode !== rule.policy.mode) return false;
  if (by.policy.exceptions.some((exception) => exception.rule === by.rule.name)) return false;
  if (rule.rule.onViolation !== 'report' && rule.rule.onViolation !== by.rule.onViolation) return false;
  return finder.both(rule.rejects(), by.passes()).length === 0;
}

/** A request for which both rules have a say and reject every offer; null when there is none to be found. */
function contradiction(a: RuleCases, b: RuleCases, finder: CaseFinder): string | null {
  if (a.policy.mode !== 'enforce' || b.policy.mode !== 'enforce' || !meet(a, b)) return null;
  const passing = finder.both(a.clausesPass(), b.clausesPass());
  const gates = finder.both(a.gate('true'), b.gate('true'));
  if (passing.length > 0 && finder.both(gates, passing).length > 0) return null;
  const example = exampleOf([a, b], gates);
  return example === null ? null : describeRequest(example);
}

/** Whether there are requests under both rules, with neither taking the other's place. */
function meet(a: RuleCases, b: RuleCases): boolean {
  const [x, y] = [a.policy.scope, b.policy.scope];
  if (x.kind === y.kind) return x.name === y.name;
  const [parent, child] = x.kind === 'organization' ? [a, b] : [b, a];
  return !(parent.rule.overridable && child.rule.override && parent.rule.name === child.rule.name);
}

function named(rule: RuleCases, seenFrom: RuleCases): string {
  const where = rule.policy.file === seenFrom.policy.file ? '' : `${rule.policy.file} `;
  const policy = rule.policy === seenFrom.policy ? '' : ` of policy '${rule.policy.name}'`;
  return `rule '${rule.rule.name}'${policy} (${where}line ${rule.rule.line})`;
}
