/** `landfall policy`: put, validate, test. (`list`, `get` and `delete` are those of every kind.) */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  checkPolicies,
  loadSnapshot,
  type ParsedPolicy,
  parsePolicy,
  runPolicyTests,
} from '@landfall/policies';
import { applyAll } from '../apply/apply.ts';
import { body, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes, usageError } from '../errors.ts';
import { type ManifestSource, manifestSubject } from '../manifests/manifest.ts';
import { readManifests, readSources, type SourceText } from '../manifests/read.ts';
import { printable } from '../output/colours.ts';
import { type JunitCase, junit } from '../output/junit.ts';
import { type PolicyProblem, renderPolicyProblems } from '../policy-check.ts';
import type { Session } from '../session.ts';

/** Flags of the policy commands that take files. */
export interface PolicyFlags {
  file: string[];
  /** Ask the broker instead of the engine here. */
  server?: boolean;
  dryRun?: boolean;
}

/** The texts of the policy files given. */
export async function sourcesOf(session: Session, files: string[]): Promise<SourceText[]> {
  if (files.length === 0) throw usageError('No policy file given.', 'Give one with -f <file|folder|->.');
  return readSources(files, session.terminal);
}

/** Puts policies in force. */
export async function putPolicies(session: Session, flags: PolicyFlags): Promise<number> {
  const manifests = await readManifests(flags.file, session.terminal);
  const other = manifests.find((manifest) => manifest.kind !== 'PlacementPolicy');
  if (other)
    throw usageError(
      `${manifestSubject(other)} is not a policy.`,
      'Use `landfall apply -f` for other kinds.',
    );
  const applied = await applyAll(session, manifests, { dryRun: flags.dryRun === true, defaultKey: false });
  if (session.structured) {
    session.outStructured({
      items: applied.map(({ manifest, outcome }) => ({
        name: manifest.name,
        result: outcome?.action ?? 'failed',
      })),
    });
  }
  const sources = applied.flatMap(({ manifest, error }) => (error === undefined ? [manifest.source] : []));
  const doubtful = distinct([...warningsOf(sources), ...(await warningsInForce(session, sources))]);
  if (doubtful.length > 0) session.notice(renderPolicyProblems(doubtful, session.paint).trimEnd());
  const failed = applied.find(({ error }) => error !== undefined)?.error;
  return failed === undefined
    ? exitCodes.ok
    : failed instanceof CommandError
      ? failed.exitCode
      : exitCodes.failed;
}

/** What the broker finds sound and hardly meant in each, beside the policies in force and under its own prices. */
async function warningsInForce(
  session: Session,
  sources: readonly ManifestSource[],
): Promise<PolicyProblem[]> {
  const found: PolicyProblem[] = [];
  for (const { text, file, linesBefore } of sources) {
    const { problems } = await body(
      session.broker.client.POST('/v1/policies/validate', {
        params: { header: idempotencyKey() },
        body: { source: text, file },
      }),
    );
    for (const problem of problems)
      if (problem.severity === 'warning') found.push({ ...problem, line: problem.line + linesBefore });
  }
  return found;
}

/** Of warnings of one kind about one rule, the first. */
function distinct(problems: readonly PolicyProblem[]): PolicyProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ file, line, code }) => {
    const key = `${file}:${line} ${code}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** What is sound and hardly meant in policies put together. Values are not looked up: the broker may have other prices. */
function warningsOf(sources: readonly ManifestSource[]): PolicyProblem[] {
  const read = sources.map(({ text, file, linesBefore }) => {
    const { policies, problems } = parsePolicy(text, file);
    const moved = policies.map((policy) => ({
      ...policy,
      rules: policy.rules.map((rule) => ({ ...rule, line: rule.line + linesBefore })),
    }));
    return { moved, warnings: problems.map((p) => ({ ...p, line: p.line + linesBefore })) };
  });
  return [
    ...read.flatMap(({ warnings }) => warnings.filter(({ severity }) => severity === 'warning')),
    ...checkPolicies(
      read.flatMap(({ moved }) => moved),
      null,
    ),
  ];
}

/** Every problem of policy files. Exit code 1 when one is an error. */
export async function validatePolicies(session: Session, flags: PolicyFlags): Promise<number> {
  const problems: PolicyProblem[] = [];
  const policies: ParsedPolicy[] = [];
  const sources = await sourcesOf(session, flags.file);
  for (const { file, text } of sources) {
    if (flags.server) {
      const params = { header: idempotencyKey() };
      problems.push(
        ...(
          await body(
            session.broker.client.POST('/v1/policies/validate', { params, body: { source: text, file } }),
          )
        ).problems,
      );
    } else {
      const read = parsePolicy(text, file);
      problems.push(...read.problems);
      policies.push(...read.policies, ...read.partly);
    }
  }
  if (policies.length > 0) problems.push(...checkPolicies(policies, loadSnapshot()));
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  if (session.structured) session.outStructured({ problems });
  else if (session.format === 'junit')
    session.out(
      junit(
        'policy validate',
        sources.map(({ file }) => fileCase(file, problems)),
      ),
    );
  else {
    session.out(renderPolicyProblems(problems, session.paint));
    const files = `${sources.length} ${sources.length === 1 ? 'file' : 'files'}`;
    if (errors > 0) session.notice(`${errors} ${errors === 1 ? 'error' : 'errors'} in ${files}.`);
    else session.out(`${files} valid\n`);
  }
  return errors > 0 ? exitCodes.failed : exitCodes.ok;
}

interface TestResult {
  policy: string;
  name: string;
  passed: boolean;
  message?: string | null;
  line?: number;
}

/** Runs the tests in policy files. Exit code 1 when one fails, or when there is none. */
export async function testPolicies(session: Session, flags: PolicyFlags): Promise<number> {
  const all: (TestResult & { file: string })[] = [];
  const problems: PolicyProblem[] = [];
  for (const { file, text } of await sourcesOf(session, flags.file)) {
    const run = flags.server ? await runByBroker(session, file, text) : runHere(session, file, text);
    problems.push(...run.problems);
    all.push(...run.results.map((result) => ({ ...result, file })));
  }
  const failed = all.filter((result) => !result.passed).length;
  const broken = problems.some((problem) => problem.severity === 'error');
  if (session.structured) session.outStructured({ problems, results: all });
  else if (session.format === 'junit') session.out(junit('policy test', casesOf(problems, all)));
  else {
    session.out(renderPolicyProblems(problems, session.paint));
    for (const { file, line, policy, name, passed, message } of all) {
      const mark = passed ? session.paint('green', 'passed') : session.paint('red', 'failed');
      const place = line === undefined ? file : `${file}:${line}`;
      session.out(`${mark} ${policy}: ${printable(name)}${passed ? '' : ` (${place})`}\n`);
      if (!passed && message) session.out(`       ${printable(message).replaceAll('\n', '\n       ')}\n`);
    }
    session.out(`${all.length - failed} passed, ${failed} failed\n`);
    if (all.length === 0 && !broken) session.notice('No tests in there.');
  }
  return failed > 0 || broken || all.length === 0 ? exitCodes.failed : exitCodes.ok;
}

/** Whether a file is valid, as a case: an error when it is not; its warnings are told where it is. */
function fileCase(of: string, problems: readonly PolicyProblem[]): JunitCase {
  const own = problems.filter(({ file }) => (file ?? '') === of);
  const [first] = own.filter(({ severity }) => severity === 'error');
  const text = renderPolicyProblems(own).trimEnd();
  return {
    file: of,
    suite: 'policy file',
    name: 'is valid',
    ...(first !== undefined && { line: first.line, error: text }),
    ...(first === undefined && own.length > 0 && { said: text }),
  };
}

/** A file with errors is a test that could not be run; warnings are no tests. */
function casesOf(
  problems: readonly PolicyProblem[],
  results: readonly (TestResult & { file: string })[],
): JunitCase[] {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const broken = new Set(errors.map(({ file }) => file ?? ''));
  return [
    ...[...broken].map((file) => fileCase(file, errors)),
    ...results.map(({ file, line, policy, name, passed, message }) => ({
      file,
      ...(line !== undefined && { line }),
      suite: policy,
      name,
      ...(!passed && { failure: message ?? 'failed' }),
    })),
  ];
}

function runHere(
  session: Session,
  file: string,
  text: string,
): { problems: PolicyProblem[]; results: TestResult[] } {
  const { cwd } = session.terminal;
  const folder = file.startsWith('<') ? cwd : dirname(resolve(cwd, file));
  return runPolicyTests(text, file, {
    catalogue: loadSnapshot(),
    readFixture: (path) => readFileSync(resolve(folder, path), 'utf8'),
  });
}

async function runByBroker(
  session: Session,
  file: string,
  text: string,
): Promise<{ problems: PolicyProblem[]; results: TestResult[] }> {
  const params = { header: idempotencyKey() };
  const { problems = [], results } = await body(
    session.broker.client.POST('/v1/policies/test', { params, body: { source: text, file } }),
  );
  return { problems, results };
}
