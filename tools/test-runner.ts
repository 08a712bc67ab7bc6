/**
 * `npm test`: unit tests, then the end-to-end suites. The last line is `N passed, N failed`.
 *
 *     npm test -- [unit|e2e] [pattern…] [--file-limit <seconds>] [jest's own options]
 */
import { totalLine } from './counts.ts';
import { Progress } from './progress.ts';
import { runTests, type TestSelection } from './run-tests.ts';
import { prepareEditor, prepareSystem, prepareTemporal } from './test-preparation.ts';

/** Reads the command line. */
export function parseSelection(args: readonly string[]): TestSelection {
  const suites = new Set<'unit' | 'e2e'>();
  const patterns: string[] = [];
  const jestArgs: string[] = [];
  let fileLimitSeconds = 900;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string;
    if (arg === 'unit' || arg === 'e2e') suites.add(arg);
    else if (arg === '--file-limit') {
      at++;
      fileLimitSeconds = Number(args[at]);
      if (!(fileLimitSeconds > 0)) throw new Error('--file-limit wants a number of seconds.');
    } else if (arg === '-t' || arg === '--testNamePattern') {
      at++;
      jestArgs.push('--testNamePattern', args[at] ?? '');
    } else if (arg.startsWith('-')) jestArgs.push(arg);
    else patterns.push(arg);
  }
  return { suites: suites.size === 0 ? ['unit', 'e2e'] : [...suites], patterns, jestArgs, fileLimitSeconds };
}

if (process.argv[1] === import.meta.filename) {
  try {
    const selection = parseSelection(process.argv.slice(2));
    const progress = new Progress(process.stdout);
    await prepareSystem(progress);
    await prepareTemporal(progress);
    const { patterns } = selection;
    if (patterns.length === 0 || patterns.some((each) => each.includes('vscode')))
      await prepareEditor(progress);
    const counts = await runTests(selection);
    if (counts.passed + counts.failed === 0)
      process.stderr.write('No test ran: nothing matches what was asked for.\n');
    process.stdout.write(`${totalLine(counts)}\n`);
    process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.stdout.write('0 passed, 1 failed\n');
    process.exitCode = 1;
  }
}
