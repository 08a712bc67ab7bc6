import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PROBLEM_CODES } from '@landfall/policies/file/problems.ts';
import { type CodeAction, type Diagnostic, TextDocumentEdit } from 'vscode-languageserver';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { DIAGNOSTIC_CODES } from './diagnostic-codes.ts';
import { QUICK_FIXES } from './quick-fixes.ts';
import { TestClient } from './testing/client.ts';
import { EXAMPLES, rule, withTest } from './testing/quick-fix-examples.ts';

let folder: string;
let client: TestClient;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-fixes-'));
  mkdirSync(join(folder, 'fixtures'));
  writeFileSync(
    join(folder, 'fixtures/offers.yaml'),
    '- {provider: aws, region: eu-central-1, instanceType: m7g.large, pricePerHour: 0.1}\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  client = new TestClient();
});
afterEach(() => client.close());

const uriOf = (name: string): string => pathToFileURL(join(folder, name)).href;

/** The first problem of a code, and how it can be repaired. */
async function repairs(
  uri: string,
  text: string,
  code: string,
): Promise<{ diagnostic: Diagnostic; actions: CodeAction[] }> {
  await client.open(uri, text);
  const found = await client.diagnostics(uri, (all) => all.some((one) => one.code === code));
  const diagnostic = found.find((one) => one.code === code)!;
  const { range } = diagnostic;
  const context = { diagnostics: [diagnostic] };
  return { diagnostic, actions: await client.ask<CodeAction[]>('codeAction', uri, { range, context }) };
}

const amount = (found: readonly Diagnostic[] | undefined, code: string): number =>
  found?.filter((one) => one.code === code).length ?? 0;

test.each(EXAMPLES)('%s: %s', async (code, title, before, after, name = 'landfall.yaml') => {
  const uri = uriOf(name);
  const { actions } = await repairs(uri, before, code);
  const ofErrors = amount(client.published(uri)[0], code);
  const action = actions.find((one) => one.title === title);
  if (action === undefined) throw new Error(`There is only: ${actions.map((one) => one.title).join('; ')}`);
  expect(action.diagnostics).toMatchObject([{ code }]);
  const text = TextDocument.applyEdits(
    TextDocument.create(uri, 'yaml', 1, before),
    action.edit!.changes![uri]!,
  );
  expect(text).toBe(after);
  // Doubts take until the typing pauses: what is told at once shows that it is repaired.
  if (ofErrors === 0) return;
  await client.change(uri, text);
  expect(amount(await client.diagnostics(uri), code)).toBeLessThan(ofErrors);
});

test.each(DIAGNOSTIC_CODES)(
  '%s has a repair that an example shows, or a reason why there is none',
  (code) => {
    const decision = QUICK_FIXES[code];
    const examples = EXAMPLES.filter(([shown]) => shown === code);
    if ('none' in decision) {
      expect(decision.none).toMatch(/\w{3,} \w/);
      expect(examples).toEqual([]);
    } else expect(examples.length).toBeGreaterThan(0);
  },
);

test('the likeliest repair is the one that the editor takes unasked', async () => {
  const { actions } = await repairs(
    uriOf('a.yaml'),
    rule('deny: offer.burstable\n    missing: regect'),
    'wrong-value',
  );
  expect(actions.map(({ title, isPreferred }) => [title, isPreferred])).toEqual([
    ['Change to reject', true],
    ['Change to pass', false],
  ]);
});

test('what stands in the place of a value by an alias, or by one of no anchor, is left alone', async () => {
  const text = rule('deny: offer.burstable\n    owner: *nobody');
  for (const [name, given] of [
    ['c.yaml', text],
    ['d.yaml', text.replace('{name: p}', '{name: &nobody 12}')],
  ] as const) {
    await client.open(uriOf(name), given);
    const diagnostics = await client.diagnostics(uriOf(name), (all) => all.length > 0);
    const { range } = diagnostics.at(-1)!;
    const context = { diagnostics };
    const actions = await client.ask<CodeAction[]>('codeAction', uriOf(name), { range, context });
    expect(actions.filter(({ edit }) => JSON.stringify(edit).includes('nobody'))).toEqual([]);
  }
});

test('a file that a test names is made, with something to go on from', async () => {
  const { actions } = await repairs(uriOf('b.yaml'), withTest('fixtures/more-of-them.yaml'), 'missing-file');
  const { documentChanges } = actions.find(({ title }) => title === 'Create fixtures/more-of-them.yaml')!
    .edit!;
  const uri = uriOf('fixtures/more-of-them.yaml');
  expect(documentChanges![0]).toMatchObject({ kind: 'create', uri });
  const [{ newText }] = documentChanges!.filter(TextDocumentEdit.is)[0]!.edits as { newText: string }[] as [
    { newText: string },
  ];
  await client.open(uri, newText);
  expect(await client.diagnostics(uri)).toEqual([]);
});

test('docs/language-server.md has the table of them', () => {
  const page = readFileSync(new URL('../../docs/language-server.md', import.meta.url), 'utf8');
  const rows = DIAGNOSTIC_CODES.map((code) => {
    const decision = QUICK_FIXES[code];
    return `| \`${code}\` | ${'fix' in decision ? decision.does : `none: ${decision.none}`} |`;
  });
  expect(page).toContain(`| code | repair |\n|---|---|\n${rows.join('\n')}\n\n`);
});

test('docs/policies.md names every code that policies have', () => {
  const page = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8');
  const section = page.split('## Problem codes\n')[1]!.split('\n## ')[0]!;
  expect(PROBLEM_CODES.filter((code) => !section.includes(`\`${code}\``))).toEqual([]);
});
