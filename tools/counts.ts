/** Counting tests: from jest's JSON, over suites, into the one line at the end. */
import { stripVTControlCharacters } from 'node:util';

/** Tests counted. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** One row of the table. */
export interface SuiteResult extends Counts {
  suite: string;
  seconds: number;
}

/** The part of jest's `--json` output that is read here. */
export interface JestReport {
  testResults: {
    name: string;
    status: string;
    startTime?: number;
    endTime?: number;
    /** Why the file did not load; empty otherwise. */
    message?: string;
    assertionResults: { status: string; fullName?: string; failureMessages?: string[] }[];
  }[];
}

/** Adds counts up. */
export function sum(list: readonly Counts[]): Counts {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const each of list) {
    total.passed += each.passed;
    total.failed += each.failed;
    total.skipped += each.skipped;
  }
  return total;
}

/** The counts of one jest run by suite; a file that does not even load counts as one failed. */
export function countBySuite(report: JestReport, suiteOf: (file: string) => string): SuiteResult[] {
  const suites = new Map<string, SuiteResult>();
  for (const file of report.testResults) {
    const suite = suiteOf(file.name);
    const row = suites.get(suite) ?? { suite, passed: 0, failed: 0, skipped: 0, seconds: 0 };
    suites.set(suite, row);
    const before = row.failed;
    for (const { status } of file.assertionResults) {
      if (status === 'passed') row.passed++;
      else if (status === 'failed') row.failed++;
      else row.skipped++;
    }
    if (file.status === 'failed' && row.failed === before) row.failed++;
    row.seconds += Math.max(0, (file.endTime ?? 0) - (file.startTime ?? 0)) / 1000;
  }
  return [...suites.values()].sort((one, other) => one.suite.localeCompare(other.suite));
}

/** Of each failed test its name and the first lines of why, colours taken out: short enough to stand together at the end. */
export function failureLines(report: JestReport, linesEach = 6): string[] {
  const reason = (text: string | undefined): string[] =>
    stripVTControlCharacters(text ?? '')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(0, linesEach)
      .map((line) => `    ${line.slice(0, 200)}`);
  return report.testResults.flatMap((file) => {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed');
    if (file.status === 'failed' && failed.length === 0)
      return [`✕ ${file.name} did not run`, ...reason(file.message)];
    return failed.flatMap((each) => [`✕ ${each.fullName}`, ...reason(each.failureMessages?.[0])]);
  });
}

/** The line at the end. */
export function totalLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** The table, a row per suite. */
export function tableLines(rows: readonly SuiteResult[]): string[] {
  const width = Math.max(5, ...rows.map(({ suite }) => suite.length));
  const cell = (value: string | number) => String(value).padStart(8);
  return [
    `${'suite'.padEnd(width)}${cell('passed')}${cell('failed')}${cell('skipped')}${cell('time')}`,
    ...rows.map(
      (row) =>
        `${row.suite.padEnd(width)}${cell(row.passed)}${cell(row.failed)}${cell(row.skipped)}${cell(`${row.seconds.toFixed(1)} s`)}`,
    ),
  ];
}
