/** The tests of policy files, as a test explorer shows and runs them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadSnapshot, type ParsedPolicy, type PolicyTest } from '@landfall/policies';
import { runTest } from '@landfall/policies/file/run-tests.ts';
import { stringify } from 'yaml';
import type { LandfallFile } from './file.ts';
import { beside } from './fixtures.ts';
import type { PolicyTestItem, PolicyTestOutcome, UnrunnableFile } from './protocol.ts';
import type { Workspace } from './workspace.ts';

/** The tests of a file, in its order; those of a policy with errors are not known. */
export function testsOf(file: LandfallFile): PolicyTestItem[] {
  return file.policies.policies.flatMap((policy) => policy.tests.map((test) => itemOf(file, policy, test)));
}

function itemOf({ uri }: LandfallFile, policy: ParsedPolicy, test: PolicyTest): PolicyTestItem {
  const { name, line, request, offers, estate, expect } = test;
  return {
    uri,
    policy: policy.name,
    policyLine: policy.line - 1,
    name,
    line: line - 1,
    fixtures: [request, offers, estate].flatMap((one) =>
      typeof one === 'string' ? (beside(uri, one) ?? []) : [],
    ),
    rules: rulesNamed(expect),
  };
}

/** The rules that an expectation names. */
export function rulesNamed({ rejectedBy = [], approvals = [] }: PolicyTest['expect']): string[] {
  return [...rejectedBy, ...approvals];
}

/** Runs tests of a file on the texts as the editor has them, of what they name too. */
export function runTests(
  file: LandfallFile,
  workspace: Workspace,
  only?: readonly { policy: string; name: string }[],
): { outcomes: PolicyTestOutcome[]; unrunnable: UnrunnableFile[] } {
  const error = file.policies.problems.find(({ severity }) => severity === 'error');
  if (error !== undefined) {
    const message = `The tests cannot run: ${error.message}`;
    return { outcomes: [], unrunnable: [{ uri: file.uri, line: error.line - 1, message }] };
  }
  const wanted = (policy: string, name: string): boolean =>
    only === undefined || only.some((one) => one.policy === policy && one.name === name);
  const outcomes = file.policies.policies.flatMap((policy) =>
    policy.tests
      .filter(({ name }) => wanted(policy.name, name))
      .map((test): PolicyTestOutcome => {
        const started = performance.now();
        const { passed, message, actual } = runTest(policy, test, {
          catalogue: loadSnapshot(),
          readFixture: (path) => {
            const uri = beside(file.uri, path);
            if (uri === undefined) throw new Error('a file beside one that is not on disk cannot be read');
            return workspace.file(uri)?.text.getText() ?? readFileSync(fileURLToPath(uri), 'utf8');
          },
        });
        return {
          ...itemOf(file, policy, test),
          passed,
          message,
          expected: stringify(test.expect),
          actual: actual === null ? message : stringify(actual),
          durationMs: performance.now() - started,
        };
      }),
  );
  return { outcomes, unrunnable: [] };
}
