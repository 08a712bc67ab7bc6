import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { parseFixture } from './fixture-file.ts';
import { formatProblem } from './problems.ts';
import { fixtureSchema } from './schema.ts';

const OFFER = '{provider: aws, region: eu-west-1, instanceType: m5.large, pricePerHour: 0.1}';
const problemsOf = (text: string): string[] =>
  parseFixture('offers', text, 'o.yaml').problems.map(formatProblem);

test('a file of offers is the list that a test would have', () => {
  expect(parseFixture('offers', `# Two.\n- ${OFFER}\n- ${OFFER}\n`, 'o.yaml')).toMatchObject({
    value: [{ region: 'eu-west-1' }, { pricePerHour: 0.1 }],
    problems: [],
  });
});

test('every mistake is told where it stands, with what was meant', () => {
  expect(problemsOf(`- ${OFFER}\n- provider: aws\n  regoin: x\n  vcpus: two\n`)).toEqual([
    'o.yaml:2:3: error: offers[1].region is missing [missing-field]',
    'o.yaml:2:3: error: offers[1].instanceType is missing [missing-field]',
    'o.yaml:2:3: error: offers[1].pricePerHour is missing [missing-field]',
    "o.yaml:3:3: error: unknown field 'regoin' (did you mean region?) [unknown-field]",
    'o.yaml:4:10: error: offers[1].vcpus must be a whole number [wrong-type]',
  ]);
});

test('a request and an estate are read as they would be in the test', () => {
  expect(parseFixture('request', 'vcpus: 2\nlabels: {env: prod}\n', 'r.yaml')).toMatchObject({
    value: { vcpus: 2, labels: { env: 'prod' } },
    problems: [],
  });
  const machine = '{name: a, provider: aws, region: eu-west-1}';
  expect(parseFixture('estate', `- ${machine}\n`, 'e.yaml')).toMatchObject({
    value: [{ name: 'a', region: 'eu-west-1' }],
    problems: [],
  });
  expect(parseFixture('estate', '[]', 'e.yaml').value).toEqual([]);
});

test('mistakes in a request and an estate are told where they stand', () => {
  const said = (kind: 'request' | 'estate', text: string) =>
    parseFixture(kind, text, 'f.yaml').problems.map(formatProblem);
  expect(said('request', 'vcpus: two\nregoins: []\n')).toEqual([
    'f.yaml:1:8: error: request.vcpus must be a whole number [wrong-type]',
    "f.yaml:2:1: error: unknown field 'regoins' (did you mean regions?) [unknown-field]",
  ]);
  expect(said('estate', '- {name: a, provider: aws}\n')).toEqual([
    'f.yaml:1:3: error: estate[0].region is missing [missing-field]',
  ]);
  expect(said('request', '- vcpus: 2\n')).toEqual([
    'f.yaml:1:1: error: request must be a mapping [wrong-type]',
  ]);
  expect(said('request', '')).toEqual([
    'f.yaml:1:1: error: the file must be a request: a mapping of attributes [wrong-type]',
  ]);
});

test.each([
  ['an empty file', '', 'o.yaml:1:1: error: the file must be a list of offers [wrong-type]'],
  ['a price list', 'provider,region\naws,x\n', 'o.yaml:1:1: error: offers must be a list [wrong-type]'],
  ['an empty list', '[]', 'o.yaml:1:1: error: offers needs at least 1 [wrong-value]'],
  [
    'a second list',
    `- ${OFFER}\n---\n- ${OFFER}\n`,
    'must be a list of offers, this one has several documents [too-many]',
  ],
  ['broken YAML', `- ${OFFER}\n- [`, 'yaml-syntax'],
  ['YAML nested too deeply', '['.repeat(200), 'brackets may be nested 100 deep'],
  ['a file that is too large', `# ${'x'.repeat(1024 * 1024)}`, 'file-too-large'],
])('%s is refused', (_what, text, said) => {
  expect(problemsOf(text).join('\n')).toContain(said);
  expect(parseFixture('offers', text, 'o.yaml').value).toBeUndefined();
});

test('the schema takes what the reader takes, and refuses what it refuses', () => {
  const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(fixtureSchema('offers'));
  const cases = [
    [`- ${OFFER}`, true],
    ['[]', false],
    ['- {provider: aws}', false],
    [`- ${OFFER.replace('0.1', 'dear')}`, false],
    [`- ${OFFER.replace('region', 'regoin')}`, false],
  ] as const;
  for (const [text, sound] of cases)
    expect([text, validate(parse(text)), problemsOf(text).length === 0]).toEqual([text, sound, sound]);
});
