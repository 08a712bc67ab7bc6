import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { parseAllDocuments, stringify } from 'yaml';
import { policyPacks } from '../packs.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { parsePolicy } from './parse.ts';
import { policySchema } from './schema.ts';

const validate = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true }).compile(
  policySchema(),
);
const examples = new URL('../../examples/policies/', import.meta.url);

const HEAD = 'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\n';

const documents = (text: string): unknown[] => parseAllDocuments(text).map((document) => document.toJS());

test.each(readdirSync(examples).filter((file) => file.endsWith('.yaml')))('the example %s fits', (file) => {
  for (const document of documents(readFileSync(new URL(file, examples), 'utf8')))
    expect({ fits: validate(document), errors: validate.errors }).toEqual({ fits: true, errors: null });
});

test.each(policyPacks().map((pack) => [pack.name, pack.source]))('the pack %s fits', (_name, source) => {
  for (const document of documents(source)) expect(validate(document)).toBe(true);
});

/** Whether the reader and the schema take a file. */
function both(text: string): { reader: boolean; schema: boolean } {
  const sound = parsePolicy(text, 'p.yaml').problems.every((problem) => problem.severity !== 'error');
  return { reader: sound, schema: documents(text).every((document) => validate(document)) };
}

const rule = (text: string): string => `${HEAD}spec: {rules: [{name: a, ${text}}]}\n`;

test.each([
  rule('require: true'),
  rule('prefer: offer.burstable, weight: strict'),
  rule('spread: {by: zone, min: 2, group: labels.app}'),
  rule('window: {allow: [daily 02:00/4h], timeZone: UTC}'),
  rule('labels: {required: owner, allowed: {env: [dev]}}'),
  rule('gravity: {at: aws/us-east-1, gibPerMonth: 20}'),
])('reader and schema take %s', (text) => {
  expect(both(text)).toEqual({ reader: true, schema: true });
});

test.each([
  'apiVersion: landfall.dev/v2\nkind: PlacementPolicy\nmetadata: {name: p}\nspec: {rules: []}\n',
  `${HEAD}spec: {}\n`,
  `${HEAD}spec: {rules: [], mod: audit}\n`,
  `${HEAD}spec: {rules: [], mode: loud}\n`,
  HEAD.replace('{name: p}', '{name: P_1}'),
  rule('message: hello'),
  rule('requires: "true"'),
  rule('require: "true", deny: "true"'),
  rule('require: 3'),
  rule('prefer: offer.burstable'),
  rule('prefer: offer.burstable, weight: 11'),
  rule('prefer: offer.burstable, weight: 1 EUR/h'),
  rule('require: "true", weight: 1'),
  rule('spread: {by: planet, min: 2}'),
  rule('spread: {min: 2}'),
  rule('budget: {group: team, per: month, limit: 5 USD}'),
  rule('budget: {group: project, per: month, limit: 5}'),
  rule('quota: {group: project, resource: gpu, limit: -1}'),
  rule('approval: {by: [], expires: 24h}'),
  rule('ttl: {max: 3 days}'),
  rule('labels: {}'),
  rule('window: {deny: Fri 18:00}'),
  rule('window: {timeZone: UTC}'),
  `${HEAD}spec: {rules: [], exceptions: [{rule: a}]}\n`,
  `${HEAD}spec: {rules: []}\ntests: [{name: t}]\n`,
])('neither reader nor schema takes %s', (text) => {
  expect(both(text)).toEqual({ reader: false, schema: false });
});

test('what the reader takes, the schema takes, however a file is changed', () => {
  const random = new RandomCases(5);
  const values: unknown[] = [
    0,
    -1,
    0.5,
    3,
    true,
    '',
    'x',
    'zone',
    '5 USD',
    '1 USD/h',
    '2h',
    'strict',
    null,
    [],
    {},
  ];
  const sources = policyPacks().flatMap((pack) => documents(pack.source));
  let taken = 0;
  for (let i = 0; i < 300; i++) {
    const document = structuredClone(random.pick(sources)) as Record<string, unknown>;
    // Down to some value, which is replaced, wrapped, unwrapped, repeated or left out.
    let at = document;
    for (;;) {
      const key = random.pick(Object.keys(at));
      const value = at[key];
      const inner = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
      if (inner && random.chance(0.85)) {
        at = value as Record<string, unknown>;
        continue;
      }
      if (random.chance(0.2)) at[key] = [value];
      else if (Array.isArray(value) && random.chance(0.3)) at[key] = value[0] ?? 'x';
      else if (random.chance(0.15) && !Array.isArray(at)) delete at[key];
      else if (random.chance(0.1)) at[random.pick(['min', 'default', 'weight', 'prefer', 'owner'])] = value;
      else at[key] = random.pick(values);
      break;
    }
    const text = stringify(document);
    const verdict = both(text);
    if (!verdict.reader) continue;
    taken++;
    if (!verdict.schema) throw new Error(`${JSON.stringify(validate.errors)}\n${text}`);
  }
  expect(taken).toBeGreaterThan(20);
});

test('an editor shows what every field of a rule is for', () => {
  const properties = (value: unknown): Record<string, { description?: string }> =>
    (value as { properties: Record<string, { description?: string }> }).properties;
  const spec = properties(policySchema()).spec;
  const rules = properties(spec).rules as unknown as { items: unknown };
  for (const [name, field] of Object.entries(properties(rules.items)))
    expect([name, field.description]).toEqual([name, expect.stringMatching(/^[A-Z].+\.$/)]);
});
