/**
 * Runs the tests with jest: the unit tests of each workspace in one run, the end-to-end suites in test/ file
 * by file, each in a process of its own with a time limit.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { endAbandonedHosts } from './abandoned-hosts.ts';
import {
  type Counts,
  countBySuite,
  failureLines,
  type JestReport,
  type SuiteResult,
  sum,
  tableLines,
} from './counts.ts';
import { root } from './node24.mjs';
import { endStrays, runMark } from './strays.ts';

/** What to run. */
export interface TestSelection {
  suites: readonly ('unit' | 'e2e')[];
  /** Only files whose path contains one of these; empty for all. */
  patterns: readonly string[];
  /** Handed to jest as they are. */
  jestArgs: readonly string[];
  /** Seconds one end-to-end file may take. */
  fileLimitSeconds: number;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Tests lie in every workspace; those in test/ need more than one. */
function unitRoots(): string[] {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    workspaces: string[];
  };
  return workspaces.filter((each) => each !== 'test' && !each.includes('/') && existsSync(join(root, each)));
}

function filesIn(folders: readonly string[], patterns: readonly string[]): string[] {
  return folders
    .flatMap((folder) =>
      globSync(`${folder}/**/*.test.ts`, { cwd: root, exclude: (name) => name === 'node_modules' }),
    )
    .filter((file) => !file.includes('node_modules/') && !file.includes('.landfall/'))
    .filter((file) => patterns.length === 0 || patterns.some((each) => file.includes(each)))
    .sort();
}

interface JestRun {
  report?: JestReport;
  /** Why there is no report, or what else went wrong. */
  trouble?: string;
  seconds: number;
}

async function jest(
  files: readonly string[],
  args: readonly string[],
  limitSeconds: number,
): Promise<JestRun> {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-jest-'));
  const outputFile = join(folder, 'report.json');
  const mark = randomUUID();
  const started = Date.now();
  const nodeArgs = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const jestArgs = ['--json', `--outputFile=${outputFile}`, '--testLocationInResults', ...args];
  try {
    const child = spawn(
      process.execPath,
      [...nodeArgs, join(root, 'node_modules/jest/bin/jest.js'), ...jestArgs, '--runTestsByPath', ...files],
      // jest writes the report to stdout too when a file is asked for with --json; its reporter is on stderr.
      { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, [runMark]: mark } },
    );
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limitSeconds * 1000);
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward);
    const code = await new Promise<number | null>((done, failed) => {
      child.once('error', failed);
      child.once('exit', done);
    });
    clearTimeout(timer);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
    const left = await endStrays(mark);
    const seconds = (Date.now() - started) / 1000;
    if (left > 0) say(`${left} processes outlived their tests and were ended.`);
    if (late) return { trouble: `took longer than ${limitSeconds} s and was ended`, seconds };
    if (!existsSync(outputFile)) return { trouble: `jest ended with ${code} and left no report`, seconds };
    const report = JSON.parse(readFileSync(outputFile, 'utf8')) as JestReport;
    // jest can fail as a whole with every test passed (a coverage limit, an open handle, a crash at the end).
    const failed = report.testResults.some((each) => each.status === 'failed');
    return {
      report,
      seconds,
      trouble: code !== 0 && !failed ? `jest ended with ${code} though no test failed` : undefined,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function troubleRow(suite: string, { trouble, seconds }: JestRun): SuiteResult[] {
  if (trouble === undefined) return [];
  say(`${suite}: ${trouble}`);
  return [{ suite: `${suite} (${trouble})`, passed: 0, failed: 1, skipped: 0, seconds }];
}

/**
 * What boots guests on this host: one file at a time, since emulated processors are slow and the host's network is one. The
 * other files mostly wait for something, and run beside them: the unit tests one after the other, and the rest in as many lanes as are free.
 */
function bootsGuests(file: string): boolean {
  // Those of test/e2e that start no agent are no part of it.
  return /^(onprem-agent|test\/(e2e\/(?!aws|azure|bad-input|gcp)|faults|vscode\/real-machine|reliability\/(killed-worker|onprem)))/.test(
    file,
  );
}

/**
 * What presses keys and clicks in a browser: a busy machine can lose a key press between two frames of a page that is not
 * ours. Such a file gets a second try, in a new editor, and the table says so. Nothing else does: there a test that fails now and then has found something.
 */
function drivesBrowser(file: string): boolean {
  return file.startsWith('test/vscode/');
}

/** Some files one after the other: the unit tests in one run of jest for each workspace, the end-to-end suites in one each. */
async function runInTurn(
  files: readonly string[],
  selection: TestSelection,
  failures: string[],
): Promise<SuiteResult[]> {
  const rows: SuiteResult[] = [];
  const noteFailures = (suite: string, run: JestRun): void => {
    const lines = run.report === undefined ? [] : failureLines(run.report);
    if (lines.length > 0) failures.push(`${suite}:`, ...lines);
  };
  // A run for each workspace: one that hangs or dies takes no other's results with it.
  const units = Map.groupBy(
    files.filter((file) => !file.startsWith('test/')),
    (file) => file.split('/')[0],
  );
  for (const [workspace, own] of units) {
    const suite = `unit ${workspace}`;
    say(`== ${suite}: ${own.length} files`);
    const run = await jest(own, ['--runInBand', ...selection.jestArgs], 1800);
    noteFailures(suite, run);
    if (run.report !== undefined) rows.push(...countBySuite(run.report, () => suite));
    rows.push(...troubleRow(suite, run));
  }
  for (const file of files.filter((each) => each.startsWith('test/'))) {
    say(`== ${file}`);
    let suite = `e2e ${relative('test', file).replace(/\.test\.ts$/, '')}`;
    const once = () => jest([file], ['--runInBand', ...selection.jestArgs], selection.fileLimitSeconds);
    let run = await once();
    noteFailures(suite, run);
    const failed =
      run.trouble !== undefined || run.report?.testResults.some((each) => each.status === 'failed');
    if (failed && drivesBrowser(file)) {
      suite += ' (second try)';
      say(`== ${file} once more`);
      run = await once();
      noteFailures(suite, run);
    }
    const counted = run.report === undefined ? [] : countBySuite(run.report, () => suite);
    rows.push(...counted.map((row) => ({ ...row, seconds: run.seconds })), ...troubleRow(suite, run));
  }
  return rows;
}

/** Runs the selection, prints the table, and answers the counts. */
export async function runTests({ suites, patterns, ...how }: TestSelection): Promise<Counts> {
  for (const folder of await endAbandonedHosts())
    say(`The host that a killed test left in ${folder} was ended.`);
  const files = [
    ...(suites.includes('unit') ? filesIn(unitRoots(), patterns) : []),
    ...(suites.includes('e2e') ? filesIn(['test'], patterns) : []),
  ];
  const selection = { suites, patterns, ...how };
  const { true: guests = [], false: others = [] } = Object.groupBy(files, (file) => `${bootsGuests(file)}`);
  const { true: either = [], false: units = [] } = Object.groupBy(
    others,
    (file) => `${file.startsWith('test/')}`,
  );
  // Whoever is done with its own takes from what both can run.
  const failures: string[] = [];
  const lane = async (own: readonly string[]): Promise<SuiteResult[]> => {
    const rows = await runInTurn(own, selection, failures);
    for (let file = either.shift(); file !== undefined; file = either.shift())
      rows.push(...(await runInTurn([file], selection, failures)));
    return rows;
  };
  const rows = (await Promise.all([guests, units, []].map(lane)))
    .flat()
    .sort((a, b) => (a.suite < b.suite ? -1 : 1));
  if (rows.length > 0) say(`\n${tableLines(rows).join('\n')}`);
  // Again and short, at the end: what failed may stand ten thousand lines above.
  if (failures.length > 0) say(`\nWhat failed:\n${failures.join('\n')}`);
  return sum(rows);
}
