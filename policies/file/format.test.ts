import { readdirSync, readFileSync } from 'node:fs';
import { policyPacks } from '../packs.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { formatPolicy } from './format.ts';
import { parsePolicy } from './parse.ts';
import { PolicyProblems } from './problems.ts';

const examples = new URL('../../examples/policies/', import.meta.url);
const files = [
  ...readdirSync(examples)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => [file, readFileSync(new URL(file, examples), 'utf8')] as const),
  ...policyPacks().map((pack) => [pack.name, pack.source] as const),
];

/** What a file means, without what depends on its lines. */
function meaning(text: string): string {
  return JSON.stringify(parsePolicy(text, 'p').policies, (key, value) =>
    key === 'line' || key === 'version' ? undefined : value,
  );
}

test.each(files)('%s means the same once formatted, and is then left alone', (_name, text) => {
  const once = formatPolicy(text);
  expect(meaning(once)).toBe(meaning(text));
  expect(formatPolicy(once)).toBe(once);
  expect(once.match(/#.*/g)).toEqual(text.match(/#.*/g));
});

test('an alias of nothing in a place that nobody reads cannot be written, and is told', () => {
  const text =
    'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec: {rules: []}\nmore: *nothing\n';
  expect(() => formatPolicy(text)).toThrow(PolicyProblems);
});

test('fields come in the order of the language, with their comments', () => {
  const text = `# Head of the file.

kind: PlacementPolicy
apiVersion: landfall.dev/v1
metadata: {scope: projects/shop, name: p}
spec:
    rules:
        # Why this rule is there.
        - require: offer.vcpus > 1   # more than one
          name: a
          # Told to people.
          message: no
          when: >-
            request.count > 1 &&
            request.count < 9

        - {weight: 0.1, prefer: offer.burstable, name: b}
        # Why that one.
        - deny: offer.gpuCount > 0
          # The name.
          name: c
    # Loud.
    mode: audit
`;
  expect(formatPolicy(text)).toBe(`# Head of the file.

apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p, scope: projects/shop}
spec:
  # Loud.
  mode: audit
  rules:
  # Why this rule is there.
  - name: a
    when: >-
      request.count > 1 && request.count < 9
    require: offer.vcpus > 1 # more than one
    # Told to people.
    message: no

  - {name: b, prefer: offer.burstable, weight: 0.1}
  # Why that one.
  # The name.
  - name: c
    deny: offer.gpuCount > 0
`);
});

test('several documents stay several', () => {
  const one =
    'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata:\n  name: a\nspec:\n  rules: []\n';
  const text = `${one}---\n# second\n${one.replace('name: a', 'name: b')}`;
  expect(formatPolicy(text)).toBe(text);
});

test('an anchor stays in front of its aliases', () => {
  const text = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p}
tests:
- {name: t, request: &r {vcpus: 2}, expect: {unplaceable: false}}
- {name: u, request: *r, expect: {unplaceable: false}}
spec:
  rules:
  - {deny: &never "false", name: a}
  - {name: b, deny: *never}
`;
  expect(meaning(formatPolicy(text))).toBe(meaning(text));
});

test('what is no YAML is an error with its line', () => {
  expect(() => formatPolicy('a: [1,\nb: }\n', 'p.yaml')).toThrow(/p\.yaml:2:/);
  const flow = `a: ${'{a: '.repeat(20_000)}1${'}'.repeat(20_000)}\n`;
  for (const deep of [flow, '---\na\n'.repeat(1000)])
    expect(() => formatPolicy(deep)).toThrow(PolicyProblems);
});

test('a file that can be read, but is nested too deeply to be written, is an error too', () => {
  // Where the stack ends differs from run to run.
  let refused = 0;
  for (let depth = 500; depth <= 1300; depth += 200) {
    const deep = Array.from({ length: depth }, (_, i) => `${' '.repeat(i)}a:\n`).join('');
    try {
      formatPolicy(`${deep}${' '.repeat(depth)}b: 1\n`);
    } catch (error) {
      expect(error).toBeInstanceOf(PolicyProblems);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(0);
});

test('comments and blank lines anywhere neither change the meaning nor make formatting unstable', () => {
  const random = new RandomCases(7);
  for (let i = 0; i < 100; i++) {
    const [, text] = random.pick(files);
    const lines = text.split('\n');
    // Comments and blank lines anywhere.
    for (let k = 0; k < 4; k++) {
      const at = Math.floor(random.next() * lines.length);
      const indent = /^ */.exec(lines[at]!)![0];
      lines.splice(at, 0, random.chance(0.5) ? `${indent}# note ${k}` : '');
    }
    const changed = lines.join('\n');
    if (parsePolicy(changed, 'p').problems.length > 0) continue;
    const once = formatPolicy(changed);
    expect(meaning(once)).toBe(meaning(changed));
    expect(formatPolicy(once)).toBe(once);
  }
});
