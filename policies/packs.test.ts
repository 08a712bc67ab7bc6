import { parseDocument } from 'yaml';
import { Catalogue } from './catalogue/catalogue.ts';
import { parsePolicy } from './file/parse.ts';
import { runPolicyTests } from './file/run-tests.ts';
import { policyPacks } from './packs.ts';

const catalogue = Catalogue.fromRows([], { name: 'none: packs bring their offers', date: '' });

describe.each(policyPacks().map((pack) => [pack.name, pack] as const))('the policy pack %s', (name, pack) => {
  test('is one policy of its name, says what it is for, and has not one problem', () => {
    const { policies, problems } = parsePolicy(pack.source, `${name}.yaml`);
    expect(problems).toEqual([]);
    expect(policies.map((policy) => policy.name)).toEqual([name]);
    expect(pack.summary).toMatch(/^[A-Z].{30,}\.$/);
  });

  test('passes its own tests', () => {
    const { results } = runPolicyTests(pack.source, `${name}.yaml`, { catalogue });
    expect(results.length).toBeGreaterThan(1);
    expect(results.filter((result) => !result.passed)).toEqual([]);
  });

  test('each rule that can refuse is named by a test that it makes fail', () => {
    const [policy] = parsePolicy(pack.source, `${name}.yaml`).policies;
    const named = new Set(policy!.tests.flatMap((one) => one.expect.rejectedBy ?? []));
    expect(named.size).toBeGreaterThan(0);
    for (const rule of named) {
      const document = parseDocument(pack.source);
      const at = policy!.rules.findIndex((one) => one.name === rule);
      document.setIn(['spec', 'rules', at, 'when'], 'false');
      const changed = document.toString();
      const { results } = runPolicyTests(changed, name, { catalogue });
      const testsOfRule = policy!.tests
        .filter((one) => one.expect.rejectedBy?.includes(rule))
        .map((one) => one.name);
      expect(results.filter((result) => !result.passed).map((result) => result.name)).toEqual(
        expect.arrayContaining(testsOfRule),
      );
    }
  });
});
