import type { ParsedPolicy, ParsedRule } from '../file/policy.ts';

/** A policy as the parser would give it, from the parts a test cares about. */
export function policy(
  name: string,
  rules: Partial<ParsedRule>[],
  more: Partial<ParsedPolicy> = {},
): ParsedPolicy {
  return {
    name,
    version: 'v1',
    file: `${name}.yaml`,
    line: 1,
    scope: { kind: 'organization', name: 'default' },
    mode: 'enforce',
    match: null,
    tests: [],
    ...more,
    rules: rules.map((rule, i) => ({
      name: `rule-${i}`,
      line: i + 1,
      effect: 'require',
      when: null,
      expression: 'true',
      message: null,
      overridable: false,
      override: false,
      ...rule,
    })),
  };
}
