import type { Kind } from '@landfall/adapters';
import type { Entry } from '@landfall/adapters/conformance/journal.ts';

const kinds: Kind[] = ['Instance', 'Network', 'Firewall', 'Volume', 'Snapshot', 'Address', 'Image'];

/** One row of the document's tables: a test of the suites and a knob that it asked for, or none. */
interface Row {
  kind: Kind;
  rules: string[];
  title: string;
  knob: string;
}

/** Every row that the entries make, in the order of the suites; the knobs of a row are those of any provider. */
export function rowsOf(entries: readonly Entry[]): Row[] {
  return kinds.flatMap((kind) => {
    const titles = new Map<string, { rules: string[]; knobs: Set<string> }>();
    for (const entry of entries) {
      if (entry.kind !== kind) continue;
      const known = titles.get(entry.title) ?? { rules: entry.rules, knobs: new Set<string>() };
      for (const { knob } of entry.knobs ?? []) known.knobs.add(knob);
      titles.set(entry.title, known);
    }
    return [...titles].flatMap(([title, { rules, knobs }]) =>
      (knobs.size > 0 ? [...knobs].sort() : ['']).map((knob) => ({ kind, rules, title, knob })),
    );
  });
}

/** The first three cells of a row, as they stand in the document under the heading of its kind. */
export function headOf({ rules, title, knob }: Row): string {
  return `| ${rules.join(', ') || '–'} | ${title} | ${knob || '–'} |`;
}

/** What stands in the document under the kinds' headings: the first three cells of each row. */
export function headsIn(document: string): { kind: string; head: string }[] {
  let kind = '';
  return document.split('\n').flatMap((line) => {
    if (line.startsWith('#')) kind = /^### (\w+)$/.exec(line)?.[1] ?? '';
    const head = /^\| (?!rules |---)[^|]* \| [^|]* \| [^|]* \|/.exec(line)?.[0];
    return kind && head ? [{ kind, head }] : [];
  });
}

/** Reasons, numbered in the order in which they are first needed. */
class Notes {
  readonly texts: string[] = [];

  mark(text: string): string {
    if (!this.texts.includes(text)) this.texts.push(text);
    return `[${this.texts.indexOf(text) + 1}]`;
  }
}

/** How a row went at one provider. */
function cellOf(row: Row, entry: Entry | undefined, suiteHas: boolean, suite: string, notes: Notes): string {
  if (!entry)
    return `not run ${notes.mark(
      suiteHas
        ? `${suite}: its run did not have this test`
        : `${suite}: no test runs the suite of the other kinds for it yet`,
    )}`;
  if (entry.outcome !== 'passed') return '**failed**';
  const reasonOf = (knob: string, reason: string) => notes.mark(`${suite}: ${row.kind}, ${knob}: ${reason}`);
  const lacking = (entry.knobs ?? []).flatMap(({ knob, unsupported }) =>
    unsupported === undefined ? [] : [{ knob, unsupported }],
  );
  const own = lacking.find(({ knob }) => knob === row.knob);
  if (own) return `${entry.checked ? 'without' : 'not possible'} ${reasonOf(own.knob, own.unsupported)}`;
  const marks = (entry.refused ?? []).map(({ verb, reason }) => notes.mark(`${suite}: ${verb}: ${reason}`));
  const reached = row.knob === '' || entry.knobs?.some(({ knob }) => knob === row.knob);
  if (entry.checked && reached) return marks.length > 0 ? `in part ${marks.join(' ')}` : 'passed';
  // What came before it was not possible, and that is the reason.
  marks.push(...lacking.map(({ knob, unsupported }) => reasonOf(knob, unsupported)));
  return `${entry.checked ? 'not reached' : 'not possible'} ${marks.join(' ')}`.trim();
}

/** The document: the same entries give the same text. */
export function renderMatrix(entries: readonly Entry[]): string {
  const suites = [...new Set(entries.map(({ suite }) => suite))].sort();
  const rows = rowsOf(entries);
  const notes = new Notes();
  const find = (suite: string, row: Row) =>
    entries.find((each) => each.suite === suite && each.kind === row.kind && each.title === row.title);
  const has = (suite: string, kind: Kind) =>
    entries.some((each) => each.suite === suite && each.kind === kind);
  const cells = new Map(
    rows.map((row) => [
      row,
      suites.map((suite) => cellOf(row, find(suite, row), has(suite, row.kind), suite, notes)),
    ]),
  );
  const table = (head: string[], body: string[][]) => [
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---').join('|')}|`,
    ...body.map((line) => `| ${line.join(' | ')} |`),
  ];
  const counts = (of: Row[]) =>
    suites.map((_suite, at) => {
      const seen = of.map((row) => cells.get(row)?.[at] ?? '');
      const count = (word: string) => seen.filter((cell) => cell.startsWith(word)).length;
      const failed = count('**failed');
      const passed = count('passed') + count('in part') + count('without');
      return [`${passed} of ${of.length}`, ...(failed > 0 ? [`**${failed} failed**`] : [])].join(', ');
    });
  const rules = [...new Set(rows.flatMap((row) => row.rules))].sort(
    (a, b) => Number(a.slice(1)) - Number(b.slice(1)),
  );
  const knobs = [...new Set(rows.map(({ knob }) => knob).filter(Boolean))].sort();

  return [
    '# Conformance',
    '',
    'Made by `npm run conformance:matrix`; do not edit. Every provider’s adapter is run through the suites in `adapters/conformance`,',
    'before its simulator or, on-prem, before a real libvirt with emulated guests. The rules A1–A13 are those of',
    '[architecture.md](architecture.md), the knobs those of `adapters/conformance/subject.ts`. Which knob belongs to which rule is what',
    'the tests asked for while they ran.',
    '',
    'A cell is **passed**; **without** (the rule holds, the knob cannot be had); **in part** (a verb was left out); **not possible**',
    '(nothing of the test can be had); **not reached** (only asked for after something that was not possible); **not run**; or **failed**.',
    'The number names the reason, under [Gaps](#gaps).',
    '',
    '## Rules',
    '',
    'Tests, with each of their knobs, that passed, of those that there are.',
    '',
    ...table(
      ['rule', ...suites],
      [
        ...rules.map((rule) => [rule, ...counts(rows.filter((row) => row.rules.includes(rule)))]),
        ['verbs', ...counts(rows.filter((row) => row.rules.length === 0))],
      ],
    ),
    '',
    '## Knobs',
    '',
    ...table(
      ['knob', 'rules', ...suites],
      knobs.map((knob) => {
        const of = rows.filter((row) => row.knob === knob);
        const with_ = suites.map((_suite, at) => {
          const able = of.filter((row) => /^(passed|in part)/.test(cells.get(row)?.[at] ?? '')).length;
          const failed = of.filter((row) => cells.get(row)?.[at]?.startsWith('**failed')).length;
          return [`${able} of ${of.length}`, ...(failed > 0 ? [`**${failed} failed**`] : [])].join(', ');
        });
        return [
          knob,
          rules.filter((rule) => of.some((row) => row.rules.includes(rule))).join(', '),
          ...with_,
        ];
      }),
    ),
    '',
    '## Recorded answers',
    '',
    'Machines, volumes and networks that others recorded from the real clouds (the test fixtures of the Python package apache-libcloud',
    '3.9.1: EC2, Compute Engine, Azure) are replayed through the SDKs and our reading of them in',
    '`adapters/conformance/recorded.test.ts`, which lists what cannot be read: addresses of EC2-Classic, which have no id, and one recording',
    'with three lists where EC2 has one.',
    '',
    '## Kinds',
    '',
    ...kinds.flatMap((kind) => [
      `### ${kind}`,
      '',
      `| rules | test | knob | ${suites.join(' | ')} |`,
      `|${'---|'.repeat(3 + suites.length)}`,
      ...rows
        .filter((row) => row.kind === kind)
        .map((row) => `${headOf(row)} ${cells.get(row)?.join(' | ')} |`),
      '',
    ]),
    '## Gaps',
    '',
    ...notes.texts.map((text, at) => `${at + 1}. ${text}.`),
    '',
  ].join('\n');
}
