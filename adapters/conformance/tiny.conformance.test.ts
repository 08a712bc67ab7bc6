import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { headOf, headsIn, rowsOf } from '../../test/conformance/matrix.ts';
import { resized, tinySubject } from '../../test/simulators/tiny/subject.ts';
import { journal, journalVariable } from './journal.ts';
import { kindsSuite } from './kinds.ts';
import { conformanceSuite } from './suite.ts';

conformanceSuite('tiny, in memory', tinySubject, { resize: resized });
kindsSuite('tiny, in memory', tinySubject);

// While the document is being made, it is the old one.
(process.env[journalVariable] ? test.skip : test)(
  'docs/conformance.md has the rules and the knobs that the suites have: else run npm run conformance:matrix',
  () => {
    const document = headsIn(readFileSync(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8'));
    const wanted = rowsOf(journal).map((row) => ({ kind: row.kind, head: headOf(row) }));
    expect(wanted.length).toBeGreaterThan(80);
    // In any order: which of the two suites runs first is the test runner's choice.
    const tests = (heads: { kind: string; head: string }[]) =>
      [...new Set(heads.map(({ kind, head }) => `${kind} ${head.replace(/[^|]*\|$/, '')}`))].sort();
    expect(tests(document)).toEqual(tests(wanted));
    // The document has the knobs of every provider: others ask for some where the tiny one has given up before.
    const known = document.map(({ kind, head }) => `${kind} ${head}`);
    const asked = wanted.filter(({ head }) => !head.endsWith('| – |'));
    expect(known).toEqual(expect.arrayContaining(asked.map(({ kind, head }) => `${kind} ${head}`)));
  },
);
