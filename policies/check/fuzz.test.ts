import { readdirSync, readFileSync } from 'node:fs';
import { loadSnapshot } from '../catalogue/snapshot.ts';
import { parsePolicy } from '../file/parse.ts';
import { RandomExpressions } from '../testing/random-expressions.ts';
import { checkPolicies } from './check-policies.ts';

const folder = new URL('../packs/', import.meta.url);
const packs = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(new URL(name, folder), 'utf8'));
const catalogue = loadSnapshot();

/** The slowest input allowed, ms of this thread; other tests share the machine, so a second try counts. */
const LIMIT = 1000;

/** Reads and checks a file. Throws for a problem without a place, and for what takes too long. */
function read(text: string): { problems: number; policies: number } {
  const once = (): { took: number; problems: number; policies: number } => {
    const before = process.threadCpuUsage();
    const { policies, problems } = parsePolicy(text, 'fuzz.yaml');
    const found = [...problems, ...checkPolicies(policies, catalogue)];
    for (const problem of found)
      if (
        !(
          problem.line >= 1 &&
          problem.column >= 1 &&
          problem.message !== '' &&
          /^[a-z-]+$/.test(problem.code)
        )
      )
        throw new Error(`a problem without a place or words: ${JSON.stringify(problem)}`);
    const { user, system } = process.threadCpuUsage(before);
    return { took: (user + system) / 1000, problems: problems.length, policies: policies.length };
  };
  const first = once();
  const took = first.took < LIMIT ? first.took : Math.min(first.took, once().took);
  if (took >= LIMIT)
    throw new Error(`${Math.round(took)} ms for ${text.length} characters: ${text.slice(0, 300)}`);
  return first;
}

const SCRAPS = [
  '&a ',
  '*a ',
  '*a',
  '<<: *a',
  '!!binary ',
  '!!set ',
  '!<tag:x> ',
  '? ',
  '- ',
  ': ',
  '{',
  '}',
  '[',
  ']',
  '|',
  '>',
  '"',
  "'",
  '#',
  '---\n',
  '...\n',
  '%YAML 9.9\n',
  '\t',
  '\r\n',
  '\0',
  '\uFEFF',
  '\u2028',
  '\u{1F600}',
  'e\u0301',
  '\u202E',
  '__proto__: x',
  'constructor: {}',
  'null',
  '~',
  'true',
  'yes',
  '1e999',
  '-0',
  '99999999999999999999',
  '0x7fffffffffffffff',
  '.nan',
  '.inf',
  '2026-02-30',
  '1h',
  'Fri 25:99/60h',
  'Mars/Olympus',
  'offer.price',
  'request.labels["a"]["b"]',
  'variables.x',
  'resource.zone',
  'has(offer.zone)',
  ' && ',
  ' || ',
  '!',
  ' ? ',
  '==',
  '9223372036854775808',
  '.all(x, ',
  'matches("(a+)+$")',
  '"\\u0000"',
  'cel.bind(x, 1, x)',
  'optional.of(1)',
  'timestamp("x")',
  'b"\\xff"',
  '[?0]',
  '.?a',
  'dyn(',
];

function mutated(text: string, random: RandomExpressions): string {
  let out = text;
  const at = (): number => Math.floor(random.next() * out.length);
  const times = 1 + Math.floor(random.next() * 4);
  for (let i = 0; i < times; i++) {
    const [a, b] = [at(), at()].sort((x, y) => x - y) as [number, number];
    const lines = out.split('\n');
    const line = Math.floor(random.next() * lines.length);
    out = random.pick([
      () => out.slice(0, a) + random.pick(SCRAPS) + out.slice(a),
      () => out.slice(0, a) + random.pick(SCRAPS) + out.slice(a + 3),
      () => out.slice(0, a) + String.fromCharCode(Math.floor(random.next() * 0x3000)) + out.slice(a + 1),
      () => out.slice(0, a) + out.slice(Math.min(b, a + 40)),
      () => out.slice(0, b) + out.slice(a, Math.min(b, a + 200)) + out.slice(b),
      () => lines.toSpliced(line, 1).join('\n'),
      () => lines.toSpliced(line, 0, lines[Math.floor(random.next() * lines.length)]!).join('\n'),
      () => lines.with(line, `  ${lines[line]!}`).join('\n'),
      () => lines.with(line, lines[line]!.replace(/^ {2}/, '')).join('\n'),
      () => lines.with(line, lines[line]!.replace(/:.*/, `: ${random.pick(SCRAPS)}`)).join('\n'),
      () =>
        lines.with(line, lines[line]!.replace(/:.*/, `: ${JSON.stringify(random.expression(3))}`)).join('\n'),
      () => out.replace(/\d+/, random.pick(['1e309', '-1', '0', '18446744073709551616', '0.1e-400'])),
      () => `${out}\n---\n${random.pick(packs)}`,
    ])();
  }
  return out;
}

test('mutated policy files are read and checked without a throw, each within a second', () => {
  const random = new RandomExpressions(4711);
  let [broken, whole] = [0, 0];
  for (let i = 0; i < 1000; i++) {
    const { problems, policies } = read(mutated(random.pick(packs), random));
    if (problems > 0) broken++;
    if (policies > 0) whole++;
  }
  expect(broken).toBeGreaterThan(200);
  expect(whole).toBeGreaterThan(200);
});

const policyOf = (expression: string): string =>
  `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  match: has(request.labels.env)\n  rules:\n  - name: r\n    require: ${JSON.stringify(expression)}\n`;

test('random expressions are read and checked without a throw, each within a second', () => {
  const random = new RandomExpressions(815);
  let sound = 0;
  for (let i = 0; i < 700; i++) {
    const { policies } = read(policyOf(random.expression(1 + (i % 6))));
    sound += policies;
  }
  expect(sound).toBeGreaterThan(600);
  for (let i = 0; i < 1500; i++) {
    const soup = Array.from({ length: 1 + Math.floor(random.next() * 12) }, () =>
      random.chance(0.5)
        ? random.pick(SCRAPS)
        : random.pick([random.text(), random.int(), random.double(), '(', ')', ',', ' in ', '+']),
    ).join('');
    read(policyOf(soup));
  }
});

const repeated = (text: string, n: number): string => text.repeat(n);

test.each<[string, () => string]>([
  ['5 MB of one policy', () => packs[0]! + repeated('# a comment\n', 430_000)],
  ['1 MB of documents', () => repeated('---\nkind: x\n', 90_000)],
  ['1 MB of keys', () => Array.from({ length: 80_000 }, (_, i) => `k${i}: ${i}`).join('\n')],
  ['1 MB of rules', () => policyOf('true') + repeated('  - {name: r, require: "offer.vcpus > 1"}\n', 23_000)],
  ['lists in lists', () => repeated('[', 100_000)],
  ['maps in maps', () => repeated('{a: ', 50_000)],
  ['block lists in lists', () => repeated('- ', 3000)],
  ['quotes', () => repeated('"', 900_000)],
  ['as many quotes as are read', () => repeated('"', 79_000)],
  [
    'as many rules as are read',
    () => policyOf('true') + repeated('  - {name: r, require: "offer.vcpus > 1"}\n', 3000),
  ],
  ['anchors', () => repeated('- &a [*a]\n', 50_000)],
  [
    'a bomb of aliases',
    () =>
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${repeated(`*${'abcdefghi'[i]},`, 9)}]`)
        .join('\n')}`,
  ],
  ['parentheses', () => policyOf(repeated('(', 5000))],
  ['negations', () => policyOf(`${repeated('!', 20_000)}true`)],
  [
    'many operands',
    () => policyOf(Array.from({ length: 1200 }, (_, i) => `offer.vcpus == ${i}`).join(' || ')),
  ],
  [
    'many alternatives',
    () =>
      policyOf(
        Array.from({ length: 300 }, (_, i) => `(offer.vcpus == ${i} || offer.region == "r${i}")`).join(
          ' && ',
        ),
      ),
  ],
  ['ternaries in ternaries', () => policyOf(`${repeated('offer.burstable ? true : ', 50)}false`)],
  [
    'ternaries as conditions',
    () =>
      policyOf(
        Array.from({ length: 40 }).reduce<string>(
          (c) => `(${c} ? offer.burstable : has(offer.zone))`,
          'offer.vcpus > 1',
        ),
      ),
  ],
  [
    'a long list',
    () => policyOf(`offer.region in [${Array.from({ length: 1900 }, (_, i) => `"r${i}"`).join(', ')}]`),
  ],
  ['a long text', () => policyOf(`offer.region == "${repeated('a', 60_000)}"`)],
  [
    'macros in macros',
    () =>
      policyOf(
        'request.regions.all(a, request.regions.all(b, request.regions.all(c, request.regions.all(d, a == d))))',
      ),
  ],
  [
    'variables that double',
    () =>
      `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  variables:\n    v0: offer.burstable\n${Array.from({ length: 30 }, (_, i) => `    v${i + 1}: variables.v${i} && variables.v${i}\n`).join('')}  rules: [{name: r, require: variables.v30}]\n`,
  ],
])('%s', (_what, make) => {
  read(make());
});
