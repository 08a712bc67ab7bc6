/**
 * Runs the conformance suites of every provider and writes docs/conformance.md from what they left in their journals.
 *
 *   npm run conformance:matrix -- [--journal <folder>] [path…]
 *
 * With a journal's folder, earlier runs in it count where this one has nothing newer: `adapters/gcp` alone can be run again.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Entry, journalVariable } from '@landfall/adapters/conformance/journal.ts';
import { root } from '@landfall/tools/node24.mjs';
import { Progress } from '@landfall/tools/progress.ts';
import { runTests } from '@landfall/tools/run-tests.ts';
import { prepareSystem } from '@landfall/tools/test-preparation.ts';
import { renderMatrix } from './matrix.ts';

const document = join(root, 'docs/conformance.md');
const all = ['adapters/aws', 'adapters/azure', 'adapters/gcp', 'adapters/conformance', 'onprem-agent'];

const { values, positionals } = parseArgs({
  options: { journal: { type: 'string' } },
  allowPositionals: true,
});
const folder = values.journal
  ? resolve(values.journal)
  : mkdtempSync(join(tmpdir(), 'landfall-conformance-'));
mkdirSync(folder, { recursive: true });
try {
  await prepareSystem(new Progress(process.stdout));
  process.env[journalVariable] = mkdtempSync(join(folder, 'run-'));
  for (const where of positionals.length > 0 ? positionals : all) {
    // One provider after another: the rules have time limits, and each suite keeps a machine busy.
    const patterns = [`${where}/conformance.test.ts`, `${where}/kinds.conformance.test.ts`];
    if (where === 'adapters/conformance') patterns.push(`${where}/tiny.conformance.test.ts`);
    await runTests({ suites: ['unit'], patterns, jestArgs: ['--runInBand'], fileLimitSeconds: 900 });
  }
  const entries = readJournals(folder);
  if (entries.length === 0)
    throw new Error(`no conformance test ran: nothing matches ${positionals.join(', ')}`);
  writeFileSync(document, renderMatrix(entries));
  const failed = entries.filter(({ outcome }) => outcome !== 'passed');
  for (const { suite, kind, rules, title } of failed)
    process.stdout.write(`failed: ${suite}, ${kind}: ${[...rules, title].join(' ')}\n`);
  process.stdout.write(`docs/conformance.md: ${entries.length} tests, ${failed.length} failed\n`);
  process.exitCode = failed.length > 0 ? 1 : 0;
} finally {
  if (!values.journal) rmSync(folder, { recursive: true, force: true });
}

/** The newest entry of each test, in the order of the suites. */
function readJournals(from: string): Entry[] {
  const files = readdirSync(from, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.jsonl'))
    .map((file) => join(from, file))
    .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
  const newest = new Map<string, Entry>();
  for (const file of files)
    for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
      const entry = JSON.parse(line) as Entry;
      newest.set([entry.suite, entry.kind, entry.title].join('\n'), entry);
    }
  // The runs' order must not show: by suite, each in the order in which it registers.
  return [...newest.values()].sort((a, b) => a.suite.localeCompare(b.suite));
}
