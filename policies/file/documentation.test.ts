import { readFileSync } from 'node:fs';
import { loadSnapshot } from '../catalogue/snapshot.ts';
import { formatPolicy } from './format.ts';
import { runPolicyTests } from './run-tests.ts';

const page = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8');
const HEAD = 'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: example}\n';

const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)];

/** Files that tests of the page name say in their first line which they are. */
const fixtures = new Map(
  blocks.flatMap(([, text]) => {
    const name = /^# (fixtures\/.*)\n/.exec(text!)?.[1];
    return name === undefined ? [] : [[name, text!] as const];
  }),
);
const unread = new Set(fixtures.keys());

function readFixture(path: string): string {
  const text = fixtures.get(path);
  if (text === undefined) throw new Error('it is not on the page');
  unread.delete(path);
  return text;
}

/** The YAML examples of the page, by the heading they stand under; short ones leave out their first three lines. */
const examples = blocks
  .filter(([, text]) => !text!.startsWith('# fixtures/'))
  .map((match, i) => {
    const heading = page
      .slice(0, match.index)
      .match(/^#+ .*$/gm)!
      .at(-1)!;
    const text = match[1]!;
    return [
      `${heading.replace(/^#+ /, '')} (example ${i + 1})`,
      text.startsWith('apiVersion') ? text : HEAD + text,
    ];
  });

test('the page has examples', () => {
  expect(examples.length).toBeGreaterThan(8);
});

test.each(examples)('%s is sound and passes its tests', (_heading, text) => {
  const { results, problems } = runPolicyTests(text!, 'docs', { catalogue: loadSnapshot(), readFixture });
  // The exception of the page expires one day; its tests bring their own time.
  expect(problems.filter(({ code }) => code !== 'expired-exception')).toEqual([]);
  expect(results.length).toBeGreaterThan(0);
  expect(results.filter((result) => !result.passed)).toEqual([]);
});

test('each file on the page is one that its tests read', () => {
  expect(fixtures.size).toBe(3);
  expect([...unread]).toEqual([]);
});

test('the policy that a newcomer saves is in the form that fmt gives', () => {
  const [, first] = examples[0]!;
  expect(formatPolicy(first!, 'docs')).toBe(first);
});

test('links within the page lead somewhere', () => {
  const anchors = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const [, anchor] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
});
