/**
 * Everything CI checks, after the bootstrap: system packages, the Temporal server, VS Code, lint, types, import rule,
 * generated files, the API document, then all tests. Each check counts as one in the total on the last line.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Counts, sum, totalLine } from './counts.ts';
import { root } from './node24.mjs';
import { Progress } from './progress.ts';
import { runTests } from './run-tests.ts';
import { prepareEditor, prepareSystem, prepareTemporal } from './test-preparation.ts';

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Runs a program of ours or of a package with this Node; a missing one is a failure, not a skip. */
async function program(script: string, args: string[]): Promise<void> {
  const path = join(root, script);
  if (!existsSync(path)) throw new Error(`${script} is missing`);
  const code = await new Promise<number | null>((done, failed) => {
    const child = spawn(process.execPath, [path, ...args], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', failed);
    child.once('exit', done);
  });
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
}

const progress = new Progress(process.stdout);

const checks: [string, () => Promise<void>][] = [
  ['system packages', () => prepareSystem(progress)],
  ['Temporal server', () => prepareTemporal(progress)],
  ['VS Code', () => prepareEditor(progress)],
  ['lint', () => program('node_modules/@biomejs/biome/bin/biome', ['check', '.'])],
  ['types', () => program('node_modules/typescript/bin/tsc', ['-p', 'tsconfig.json'])],
  ['import rule', () => program('tools/check-imports.ts', [])],
  ['generated files', () => program('tools/generate.ts', ['--check'])],
  ['API document', () => program('node_modules/@redocly/cli/bin/cli.js', ['lint', 'model/openapi.yaml'])],
  ['API fuzzing', () => program('broker/testing/schemathesis.ts', [])],
];

const times: string[] = [];

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  say(`\n=== ${name}`);
  const started = Date.now();
  try {
    return await work();
  } finally {
    times.push(`${name.padEnd(18)} ${((Date.now() - started) / 1000).toFixed(1).padStart(8)} s`);
  }
}

// The bootstrap's install ended well, or this would not run: that is the first check.
const results: Counts[] = [{ passed: 1, failed: 0, skipped: 0 }];
const failures: string[] = [];
for (const [name, check] of checks) {
  try {
    await timed(name, check);
    results.push({ passed: 1, failed: 0, skipped: 0 });
  } catch (error) {
    failures.push(`${name}: ${(error as Error).message}`);
    say(`FAILED: ${failures.at(-1)}`);
    results.push({ passed: 0, failed: 1, skipped: 0 });
  }
}
const tests = await timed('tests', () =>
  runTests({ suites: ['unit', 'e2e'], patterns: [], jestArgs: ['--ci'], fileLimitSeconds: 1200 }),
).catch((error: Error) => {
  failures.push(`tests: ${error.stack}`);
  return { passed: 0, failed: 1, skipped: 0 };
});
if (tests.passed === 0 && tests.failed === 0) {
  failures.push('tests: none ran');
  tests.failed = 1;
}
results.push(tests);
say(`\n${times.join('\n')}\n`);
for (const failure of failures) say(`FAILED: ${failure}`);
const total = sum(results);
say(totalLine(total));
process.exitCode = total.failed > 0 ? 1 : 0;
