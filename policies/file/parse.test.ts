import { readFileSync } from 'node:fs';
import { visit } from 'yaml';
import { compilePolicies } from '../place/compiled.ts';
import { RandomCases, seeded } from '../testing/random-cases.ts';
import { parsePolicy, ReadParts } from './parse.ts';
import { formatProblem, nearest, PolicyProblems } from './problems.ts';

const HEAD = 'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\n';

/** Problems as `line:column code message`. */
function problems(text: string): string[] {
  return parsePolicy(text, 'p.yaml').problems.map((p) => `${p.line}:${p.column} ${p.code} ${p.message}`);
}

const rules = (...list: string[]): string =>
  `${HEAD}spec:\n  rules:\n${list.map((r) => `  - ${r}\n`).join('')}`;

/** The text a problem points at, to the end of the line: what an editor would underline from. */
function pointed(text: string): string[] {
  const lines = text.split('\n');
  return parsePolicy(text, 'p.yaml').problems.map((p) => lines[p.line - 1]!.slice(p.column - 1));
}

test('a sound policy has no problems, and its rules keep their lines', () => {
  const { policies, problems } = parsePolicy(
    rules('{name: a, require: offer.vcpus > 1}', '{name: b, deny: offer.burstable, overridable: true}'),
    'p.yaml',
  );
  expect(problems).toEqual([]);
  expect(policies).toMatchObject([
    {
      name: 'p',
      scope: { kind: 'organization', name: 'default' },
      mode: 'enforce',
      rules: [
        { name: 'a', line: 6, clauses: [{ effect: 'require' }] },
        { name: 'b', line: 7, clauses: [{ effect: 'deny' }], overridable: true },
      ],
    },
  ]);
});

test('every error of a file is reported, not only the first', () => {
  const text = `${HEAD}spec:
  mode: enforced
  match: request.lables.env == "prod"
  variables:
    eu: offer.regoin == "x"
  rules:
  - {name: a, requires: "true"}
  - {name: b, require: offer.price * 730 > 100.0 && offer.family == 3}
  - {name: c, require: offer.vcpus}
  - {name: d, deny: 'offer.region.matches("[")'}
  - {name: d, deny: offer.vcpus >}
  - {name: e, require: variables.ue}
`;
  expect(problems(text)).toEqual([
    "5:9 wrong-value spec.mode must be one of enforce, audit, dryRun, is 'enforced'",
    "6:18 unknown-attribute 'lables' is not a known attribute of request",
    "8:15 unknown-attribute 'regoin' is not a known attribute of offer",
    expect.stringMatching(/^10:5 rule-effect a rule needs an effect: one or more of require, deny, prefer, /),
    "10:15 unknown-field unknown field 'requires'",
    '11:24 cel-type no such overload: double * int; write a double as 730.0, or convert with double() or int()',
    '11:53 cel-type no such overload: string == int',
    '12:24 cel-type must be a bool expression, this one is of type int',
    '13:43 cel-pattern not a valid pattern: /[/: Unterminated character class',
    "14:6 duplicate-rule rule 'd' is already on line 13",
    '14:34 cel-syntax Unexpected token: EOF',
    "15:34 unknown-attribute 'ue' is not a known variable (a variable may use the ones above it)",
  ]);
});

test.each([
  ['offer.regoin == "x"', 'offer.region'],
  ['request.vcpu > 1', 'request.vcpus'],
  ['ofer.region == "x"', 'offer'],
])('a misspelt name in %s is answered with %s', (expression, suggestion) => {
  expect(parsePolicy(rules(`{name: a, require: '${expression}'}`), 'p').problems).toMatchObject([
    { suggestion },
  ]);
});

describe('the place of an error', () => {
  test.each([
    ['plain', 'name: a\n    require: offer.vcpus > 1 && offer.regoin == "x"'],
    [
      'single-quoted',
      `name: a\n    require: 'offer.name != "it''s" && offer.regoin == "x"'`.replace(
        'offer.name',
        'offer.site',
      ),
    ],
    ['double-quoted', 'name: a\n    require: "offer.site != \\"\\u00e9\\" && offer.regoin == \\"x\\""'],
    ['block literal', 'name: a\n    require: |\n      offer.vcpus > 1 &&\n        offer.regoin == "x"'],
    [
      'block folded',
      'name: a\n    require: >-\n      offer.vcpus > 1\n      && offer.vcpus < 100\n      && offer.regoin == "x"',
    ],
    ['folded plain', 'name: a\n    require: offer.vcpus > 1\n      && offer.regoin == "x"'],
    ['folded double-quoted', 'name: a\n    require: "offer.vcpus > 1\n      && offer.regoin == \\"x\\""'],
  ])('is exact in a %s scalar', (_kind, rule) => {
    expect(pointed(rules(rule))).toEqual([expect.stringMatching(/^regoin == /)]);
  });

  test('is right in the second document of a file, and with Windows line ends', () => {
    const second = `${rules('{name: a, require: "true"}')}---\n${rules('{name: a, require: offer.regoin == "x"}').replace('name: p', 'name: q')}`;
    expect(pointed(second)).toEqual([expect.stringMatching(/^regoin/)]);
    const windows = rules(
      'name: a\n    require: |\n      offer.vcpus > 1 &&\n      offer.regoin == "x"',
    ).replaceAll('\n', '\r\n');
    expect(pointed(windows)).toEqual([expect.stringMatching(/^regoin/)]);
  });
});

test('a bomb of aliases is refused before it is unfolded', () => {
  const bomb = ['a: &a ["x","x","x","x","x","x","x","x","x"]'];
  for (let i = 1; i < 9; i++)
    bomb.push(
      `${'abcdefghi'[i]}: &${'abcdefghi'[i]} [${Array(9)
        .fill(`*${'abcdefghi'[i - 1]}`)
        .join()}]`,
    );
  const text = `${HEAD}spec:\n  rules: [{name: r, require: "true"}]\ntests:\n- name: t\n  expect: {unplaceable: true}\n  request: {labels: {${bomb.join(', ')}}}\n`;
  const started = process.threadCpuUsage();
  const found = problems(text);
  expect(process.threadCpuUsage(started).user / 1000).toBeLessThan(1000);
  expect(found.some((p) => p.includes('yaml-aliases more than 50 aliases'))).toBe(true);
});

test('an alias that contains itself ends', () => {
  expect(
    problems(`${HEAD}spec: {rules: [{name: r, require: "true"}]}\ntests: &t [*t]\n`).length,
  ).toBeGreaterThan(0);
});

test.each([
  ['longer than a megabyte', `# ${'x'.repeat(1024 * 1024)}`, 'file-too-large'],
  ['nested ten thousand deep', '['.repeat(10_000), 'yaml-syntax'],
  ['not YAML', 'a: [1,\nb: }', 'yaml-syntax'],
  ['with a key twice', `${HEAD}kind: PlacementPolicy\n`, 'yaml-syntax'],
  ['empty', '', 'no-policy'],
  ['a list', '- 1\n', 'wrong-type'],
  ['a scalar', 'hello', 'wrong-type'],
  ['null bytes', '\u0000\u0001', 'wrong-type'],
])('a file that is %s is a problem, not an exception', (_what, text, code) => {
  expect(parsePolicy(text, 'p.yaml').problems.map((p) => p.code)).toContain(code);
});

test('an expression that grows by its variables beyond reason is refused', () => {
  const variables = Array.from(
    { length: 20 },
    (_, i) => `    v${i}: ${i === 0 ? 'offer.vcpus > 1' : `variables.v${i - 1} && variables.v${i - 1}`}\n`,
  ).join('');
  expect(
    problems(`${HEAD}spec:\n  variables:\n${variables}  rules:\n  - {name: a, require: variables.v19}\n`)[0],
  ).toContain('cel-too-long');
  // Short as a text, too deep as a tree.
  const nested = Array.from(
    { length: 200 },
    (_, i) => `    v${i}: ${i === 0 ? 'offer.burstable' : `"!variables.v${i - 1}"`}\n`,
  );
  const rule = '  - {name: a, require: variables.v199}\n';
  expect(problems(`${HEAD}spec:\n  variables:\n${nested.join('')}  rules:\n${rule}`)[0]).toContain(
    'cel-too-long',
  );
});

test.each([
  ['(a+)+$', 'exponential'],
  ['(?=a)b', 'lookahead'],
  ['(a)\\\\1', 'backreferences'],
  ['^(a|a)*$', 'begin with different'],
  ['^(?:ab|.b)+$', 'begin with different'],
  ['a*b*c*d*e*f*', 'in too many ways'],
])('the pattern %s is refused', (pattern, why) => {
  expect(problems(rules(`{name: a, require: 'offer.region.matches("${pattern}")'}`)).join()).toContain(why);
});

test('ordinary patterns are accepted', () => {
  for (const pattern of [
    '^(?:c|m|r)[5-7]g?[.]',
    '^eu-(west|central)-[0-9]+$',
    '^(foo|bar)+$',
    '^[a-z]+-[a-z]+-[0-9]+$',
    '[(+*]{2,3}',
  ])
    expect(problems(rules(`{name: a, require: 'offer.region.matches("${pattern}")'}`))).toEqual([]);
});

test('an expression that could take very long is refused', () => {
  const all = (inner: string, depth: number): string =>
    depth === 0 ? inner : `request.regions.all(x${depth}, ${all(inner, depth - 1)})`;
  expect(problems(rules(`{name: a, require: '${all('true', 3)}'}`)).join()).toContain('cel-too-costly');
  expect(problems(rules(`{name: a, require: '${all('offer.region == x1', 2)}'}`))).toEqual([]);
  expect(
    problems(rules(`{name: a, require: '[1].all(a, [1].all(b, [1].all(c, [1].all(d, d == a))))'}`)).join(),
  ).toContain('cel-too-costly');
  expect(problems(rules(`{name: a, require: 'cel.bind(x, offer.region, x == x)'}`)).join()).toContain(
    'use variables',
  );
});

test('a pattern must be a literal, because a request could bring a bad one', () => {
  expect(problems(rules('{name: a, require: offer.region.matches(request.name)}')).join()).toContain(
    'must be a literal',
  );
});

test('match and messages may read the request only', () => {
  expect(
    problems(
      `${HEAD}spec:\n  match: offer.burstable\n  rules: [{name: a, require: "true", message: '"x" + offer.region'}]\n`,
    ),
  ).toEqual([
    "5:10 cel-not-allowed 'offer' is not known here: only the request is",
    "6:54 cel-not-allowed 'offer' is not known here: only the request is",
  ]);
  expect(
    problems(
      `${HEAD}spec:\n  variables: {b: offer.burstable}\n  match: variables.b\n  rules: [{name: a, require: "true"}]\n`,
    )[0],
  ).toContain("'offer' is not known here, and a variable used here reads it");
});

test('a message is plain text, or CEL when it looks like it', () => {
  const { policies, problems: none } = parsePolicy(
    rules(
      `{name: a, require: "true", message: must stay in the EU}`,
      `{name: b, require: "true", message: '"class " + request.dataClass'}`,
    ),
    'p',
  );
  expect(none).toEqual([]);
  expect(policies[0]!.rules.map((r) => r.message?.kind)).toEqual(['text', 'cel']);
});

test('an expression that needs a call per offer is pointed out', () => {
  const { problems: found } = parsePolicy(
    rules('{name: a, require: string(offer.price).startsWith(offer.region)}'),
    'p',
  );
  expect(found).toMatchObject([{ code: 'slow-expression', severity: 'warning', line: 6 }]);
});

test('the version of a policy is that of its text, and only of its own document', () => {
  const version = (text: string): string => parsePolicy(text, 'p').policies[0]!.version;
  const text = rules('{name: a, require: "true"}');
  expect(version(text)).toBe(version(text.replaceAll('\n', '\r\n')));
  expect(version(text)).not.toBe(version(text.replace('true', 'false')));
  expect(version(text)).toMatch(/^[0-9a-f]{12}$/);
});

test('broken YAML hides neither the other documents nor what is wrong above it', () => {
  const broken = rules(
    '{name: a, require: offer.regoin == "x"}',
    '{name: b, require: "true"',
    '{name: c}',
  ).replace('name: p', 'name: broken, scop: x');
  const found = problems(`${broken}---\n${rules('{name: a, deny: offer.burstabel}')}`);
  expect(found.map((p) => p.split(' ').slice(0, 2).join(' '))).toEqual([
    '3:26 unknown-field',
    '6:30 unknown-attribute',
    expect.stringMatching(/yaml-syntax/),
    ...found.slice(3, -1).map(() => expect.stringMatching(/yaml-syntax/)),
    '15:27 unknown-attribute',
  ]);
  const quote = `${rules('{name: a, require: "true}')}---\n${rules('{name: a, require: "true"}').replace('name: p', 'name: q')}`;
  expect(parsePolicy(quote, 'p').policies.map((p) => p.name)).toEqual(['q']);
});

test('a file with very many keys, documents, variables, rules or tests is answered at once', () => {
  const many = (count: number, line: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => line(i)).join('');
  const sound = rules('{name: a, require: "true"}');
  for (const [text, code] of [
    [sound + many(5000, (i) => `k${i}: 1\n`), 'unknown-field'],
    [sound + many(2, () => 'k: 1\n'), 'yaml-syntax'],
    [many(200_000, () => '---\n'), 'too-many'],
    [
      sound.replace(
        'spec:\n',
        `spec:\n  variables:\n${many(20_000, (i) => `    v${i}: variables.v${i + 1}\n`)}`,
      ),
      'too-many',
    ],
    [sound + many(100_000, () => '  - {}\n'), 'too-many'],
    [`${sound}tests:\n${many(100_000, () => '- {}\n')}`, 'too-many'],
  ] as const) {
    const started = process.threadCpuUsage();
    expect(parsePolicy(text, 'p').problems.map((p) => p.code)).toContain(code);
    expect(process.threadCpuUsage(started).user / 1000).toBeLessThan(5000);
  }
});

test('comments, directives and ends of documents stand where YAML lets them', () => {
  const one = rules('{name: a, require: "true"}');
  const two = one.replace('name: p', 'name: q');
  for (const text of [
    `# head\n\n---\n${one}---\n${two}`,
    `%YAML 1.2\n---\n${one}...\n---\n${two}`,
    `${one}...\n---\n${two}---\n`,
  ])
    expect(parsePolicy(text, 'p')).toMatchObject({ problems: [], policies: [{ name: 'p' }, { name: 'q' }] });
  expect(parsePolicy(`# head\n\n---\n${one}---\n${two}`, 'p').policies.map((p) => p.line)).toEqual([4, 11]);
});

test('variables that need each other are reported once, by the whole cycle', () => {
  const text = `${HEAD}spec:
  variables:
    a: variables.b && offer.burstable
    b: '!variables.c'
    c: request.count > 1 || variables.a
    self: variables.self
    sound: offer.vcpus > 1
  rules:
  - {name: r, require: variables.a && variables.sound}
  - {name: s, require: variables.b}
  - {name: t, require: variables.c + 1 > 2 && offer.vcpu > 1}
`;
  expect(problems(text)).toEqual([
    '6:5 variable-cycle variables need each other: a → b → c → a',
    '9:5 variable-cycle variables need each other: self → self',
    "14:53 unknown-attribute 'vcpu' is not a known attribute of offer",
  ]);
});

test('a name, scope or rule name used wrongly is reported where it stands', () => {
  const text =
    'apiVersion: landfall.dev/v2\nkind: PlacementPolicy\nmetadata: {name: Bad_Name, scope: team/x}\nspec: {rules: [{require: "true"}, {name: a, require: "true", deny: "false"}, 7]}\n';
  expect(problems(text).map((p) => p.split(' ').slice(0, 2).join(' '))).toEqual([
    '1:13 wrong-value',
    '3:18 wrong-value',
    '3:35 wrong-value',
    '4:16 missing-field',
    '4:62 rule-effect',
    '4:78 wrong-type',
  ]);
});

test('policies with problems cannot be compiled by mistake: they are not among the parsed', () => {
  expect(parsePolicy(rules('{name: a, require: offer.x}'), 'p').policies).toEqual([]);
  const good = parsePolicy(rules('{name: a, require: "true"}'), 'p').policies;
  expect(() => compilePolicies([...good, ...good])).toThrow(PolicyProblems);
});

test('a problem prints as compilers do', () => {
  const [problem] = parsePolicy(rules('{name: a, require: offer.regoin == "x"}'), 'p.yaml').problems;
  expect(formatProblem(problem!)).toBe(
    "p.yaml:6:30: error: 'regoin' is not a known attribute of offer (did you mean offer.region?) [unknown-attribute]",
  );
});

test('no mutilation of a policy file makes the parser throw, and every problem is in the file', () => {
  const random = new RandomCases(99);
  const sound = readFileSync(new URL('../../examples/policies/eu-restricted.yaml', import.meta.url), 'utf8');
  const scraps = [
    '{',
    '}',
    '[',
    ']',
    ':',
    '"',
    "'",
    '\n',
    '\t',
    '&a ',
    '*a ',
    '- ',
    '|',
    '>',
    '#',
    '!!',
    '\u0000',
    '\ud800',
    '9'.repeat(400),
    '('.repeat(300),
    'offer.',
    'prefer: 1',
    '? ',
    '---\n',
  ];
  for (let i = 0; i < 600; i++) {
    let text = sound;
    for (let k = 0; k < 1 + (i % 4); k++) {
      const at = Math.floor(random.next() * text.length);
      text =
        text.slice(0, at) +
        (random.chance(0.7) ? random.pick(scraps) : '') +
        text.slice(at + Math.floor(random.next() * 8));
    }
    const { problems: found, policies } = parsePolicy(text, 'p.yaml');
    compilePolicies(policies);
    const lines = text.split('\n').length;
    for (const p of found)
      expect(p.line >= 1 && p.line <= lines + 1 && p.column >= 1 && p.message !== '').toBe(true);
  }
});

test('a far-off name gets no suggestion', () => {
  expect(nearest('zebra', ['region', 'price'])).toBeUndefined();
});

test('a file read again after edits gives what a first reading gives, lines and messages too', () => {
  const one = rules('{name: a, require: "true"}', '{name: a, deny: offer.burstabel}');
  const two = `${rules('{name: b, require: "true"}')}tests:\n- {name: t, expect: {rejectedBy: [b]}}\n`;
  const three = two.replace('name: p', 'name: q');
  const now = new Date('2026-11-26T00:00:00Z');
  const known = new ReadParts();
  for (const text of [
    `${one}---\n${two}`,
    `# more\n\n${one}---\n${two}`,
    `# more\n${two}---\n${one}---\n${three}`,
    `${three}---\n${three}---\n${one}`,
    'a: [',
    `\n${two}`,
  ])
    expect(parsePolicy(text, 'p.yaml', now, known)).toEqual(parsePolicy(text, 'p.yaml', now));
});

test('a file that is typed in, a character or a line at a time, is always read as if it were new', () => {
  const text = `# head\n${HEAD}spec:
  variables:
    eu: offer.jurisdiction == "EU"
  rules:
  # about the first
  - name: a
    when: >-
      variables.eu &&
      request.count > 1
    require: offer.vcpus > 1   # why

  - {name: b, deny: offer.burstable}
  -
    name: c
    spread:
      by: zone
      group:
      - project
      - labels.app
    min: 2
  - name: d
    prefer: offer.carbon < 100.0
# not indented
    weight: 0.1
tests:
- name: t
  request: &r {vcpus: 2, labels: {"a b": 'c'}}
  expect: {rejectedBy: [a]}
- name: u
  request: *r
  expect: {unplaceable: true}
---
${rules('{name: x, require: "true"}')}`;
  const pieces = [
    'x',
    ' ',
    '\n',
    '\n  ',
    '\n  - name: q',
    ': ',
    '#',
    '"',
    "'",
    '- ',
    '{',
    ']',
    '&z ',
    '*r',
    '!t ',
    '\t',
    '---\n',
    '|',
    '\r\n',
    '',
  ];
  const random = seeded(7);
  const upTo = (most: number): number => Math.floor(random() * most);
  const now = new Date('2026-11-26T00:00:00Z');
  let edited = 0;
  for (let round = 0; round < 200; round++) {
    const known = new ReadParts();
    let current = text;
    parsePolicy(current, 'p.yaml', now, known);
    for (let edit = 0; edit < 6; edit++) {
      // Half of them where a value begins, where tags, anchors and quotes count.
      const values = [...current.matchAll(/: /g)].map(({ index }) => index + 2);
      const at = upTo(2) === 0 ? upTo(current.length) : (values[upTo(values.length)] ?? 0);
      current =
        current.slice(0, at) +
        pieces[upTo(pieces.length)] +
        current.slice(at + (upTo(3) === 0 ? upTo(12) : 0));
      const nodes = new Set(known.current.flatMap(({ yaml }) => yaml.documents.map((one) => one.contents)));
      const fresh = new ReadParts();
      const [again, anew] = [known, fresh].map((parts) => parsePolicy(current, 'p.yaml', now, parts));
      expect({ current, found: again }).toEqual({ current, found: anew });
      expect(placesOf(known)).toEqual(placesOf(fresh));
      if (known.current[0]!.yaml.documents.some(({ contents }) => nodes.has(contents))) edited++;
    }
  }
  // Or this would show nothing.
  expect(edited).toBeGreaterThan(50);
});

test.each([
  ['a variable', 'variables: {v: *e}\n  ', 'variables.v'],
  ['a rule', '', '*e'],
])(
  'an edit of what an alias in %s stands for is seen by rules that stand as they were',
  (_what, variables, expression) => {
    const text = (anchored: string): string =>
      `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\ntests:\n- name: &e ${anchored}\n  expect: {unplaceable: false}\nspec:\n  ${variables}rules:\n  - {name: a, require: ${expression}}\n`;
    const now = new Date('2026-11-26T00:00:00Z');
    const known = new ReadParts();
    parsePolicy(text('offer.burstable'), 'p.yaml', now, known);
    const [before] = known.current[0]!.yaml.documents;
    for (const edited of ['offer.vcpus > 2', 'offer.region']) {
      const found = parsePolicy(text(edited), 'p.yaml', now, known);
      expect(known.current[0]!.yaml.documents[0]!.contents).toBe(before!.contents);
      expect(found).toEqual(parsePolicy(text(edited), 'p.yaml', now));
    }
  },
);

test('what a window is told of follows the time, though its rule stands as it was', () => {
  const text = (test: string): string =>
    `${rules('{name: a, window: {deny: 2026-12-24/3d}}')}tests:\n- {name: ${test}, expect: {unplaceable: false}}\n`;
  const known = new ReadParts();
  parsePolicy(text('t'), 'p.yaml', new Date('2026-11-26T00:00:00Z'), known);
  const later = new Date('2027-01-01T00:00:00Z');
  const { problems } = parsePolicy(text('u'), 'p.yaml', later, known);
  expect(problems).toEqual(parsePolicy(text('u'), 'p.yaml', later).problems);
  expect(problems).not.toEqual([]);
});

/** Where every scalar of a file stands. */
function placesOf(parts: ReadParts): unknown[] {
  const places: unknown[] = [];
  for (const { yaml } of parts.current)
    for (const document of yaml.documents)
      visit(document, { Scalar: (_key, { value, range }) => void places.push([value, range?.slice(0, 2)]) });
  return places;
}
