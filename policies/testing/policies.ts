import type { ParsedPolicy, ParsedRule } from '../file/policy.ts';

/** A rule by its parts; `effect` and `expression` are short for one require or deny clause. */
type RuleParts = Partial<ParsedRule> & { effect?: 'require' | 'deny'; expression?: string };

/** A policy as the parser would give it, from the parts a test cares about. */
export function policy(name: string, rules: RuleParts[], more: Partial<ParsedPolicy> = {}): ParsedPolicy {
  return {
    name,
    version: 'v1',
    file: `${name}.yaml`,
    line: 1,
    scope: { kind: 'organization', name: 'default' },
    mode: 'enforce',
    match: null,
    exceptions: [],
    tests: [],
    ...more,
    rules: rules.map(({ effect = 'require', expression = 'true', ...rule }, i) => ({
      name: `rule-${i}`,
      line: i + 1,
      clauses: [{ effect, expression }],
      when: null,
      message: null,
      missing: 'reject',
      onViolation: 'report',
      owner: null,
      overridable: false,
      override: false,
      ...rule,
    })),
  };
}
