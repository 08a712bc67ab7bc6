import type { Node } from 'yaml';
import { OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES } from '../cel/schema.ts';
import type { PlacementRequest } from '../place/types.ts';
import type { PolicyTest } from './policy.ts';
import { nearest } from './problems.ts';
import { type Field, join, type Reader } from './reader.ts';

/** Fields of an offer that `expect.placed` may name. */
const PLACED_FIELDS =
  'site provider region zone host instanceType market vcpus memoryGiB architecture gpuName gpuCount burstable pricePerHour jurisdiction'.split(
    ' ',
  );

const OFFER_FIELDS = Object.keys(OFFER_ATTRIBUTES).filter((name) => name !== 'price' && name !== 'currency');

/** Reads the `tests:` of a policy; `rules` are the names `rejectedBy` may use. */
export function readTests(
  field: Field | undefined,
  reader: Reader,
  rules: ReadonlySet<string>,
): PolicyTest[] {
  if (field === undefined) return [];
  const tests: PolicyTest[] = [];
  reader.items(field.value, 'tests').forEach((node, i) => {
    const test = readTest(node, `tests[${i}]`, reader, rules);
    if (test !== null) tests.push(test);
  });
  return tests;
}

function readTest(
  node: Node | null,
  path: string,
  reader: Reader,
  rules: ReadonlySet<string>,
): PolicyTest | null {
  const fields = reader.fields(node, path, ['name', 'request', 'offers', 'expect']);
  if (fields === null) return null;
  for (const name of ['name', 'expect'])
    if (!fields.has(name)) reader.report(node, path, 'missing-field', `${path}.${name} is missing`);
  const name = reader.text1(fields.get('name'), `${path}.name`);
  const request = fields.has('request') ? readRequest(fields.get('request')!, `${path}.request`, reader) : {};
  const offers = fields.has('offers') ? readOffers(fields.get('offers')!, `${path}.offers`, reader) : null;
  const expect = fields.has('expect')
    ? readExpect(fields.get('expect')!, `${path}.expect`, reader, rules)
    : null;
  if (name === undefined || expect === null) return null;
  return {
    name,
    line: reader.position(node?.range?.[0] ?? 0).line,
    request,
    offers,
    estate: [],
    now: null,
    expect,
  };
}

function readRequest(field: Field, path: string, reader: Reader): Partial<PlacementRequest> {
  return typedValues(field.value, path, reader, REQUEST_ATTRIBUTES) as Partial<PlacementRequest>;
}

function readOffers(field: Field, path: string, reader: Reader): PolicyTest['offers'] {
  const node = reader.follow(field.value, path);
  const value = reader.plain(node, path);
  if (typeof value === 'string') return value;
  const types = Object.fromEntries(
    OFFER_FIELDS.map((f) => [f, OFFER_ATTRIBUTES[f as keyof typeof OFFER_ATTRIBUTES]]),
  );
  return reader.items(node, path).map((item, i) => {
    const offer = typedValues(item, `${path}[${i}]`, reader, types);
    for (const needed of ['provider', 'region', 'instanceType', 'pricePerHour'])
      if (!(needed in offer))
        reader.report(item, `${path}[${i}]`, 'missing-field', `${path}[${i}].${needed} is missing`);
    return offer;
  });
}

function typedValues(
  node: Node | null,
  path: string,
  reader: Reader,
  types: Record<string, string>,
): Record<string, unknown> {
  const fields = reader.fields(node, path, Object.keys(types));
  const out: Record<string, unknown> = {};
  for (const [name, field] of fields ?? []) {
    const value = reader.plain(field.value, join(path, name));
    if (isOfType(value, types[name]!)) out[name] = value;
    else
      reader.report(
        field.value ?? field.key,
        join(path, name),
        'wrong-type',
        `${join(path, name)} must be a ${WORDS[types[name]!]}`,
      );
  }
  return out;
}

const WORDS: Record<string, string> = {
  string: 'text',
  int: 'whole number',
  double: 'number',
  bool: 'true or false',
  'list<string>': 'list of texts',
  'map<string, string>': 'mapping of texts',
};

/** Whether a plain value is of one of the attribute types. */
export function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'int':
      return Number.isSafeInteger(value);
    case 'double':
      return typeof value === 'number' && Number.isFinite(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'list<string>':
      return Array.isArray(value) && value.every((v) => typeof v === 'string');
    default:
      return (
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        Object.values(value).every((v) => typeof v === 'string')
      );
  }
}

function readExpect(
  field: Field,
  path: string,
  reader: Reader,
  rules: ReadonlySet<string>,
): PolicyTest['expect'] | null {
  const fields = reader.fields(field.value, path, ['placed', 'rejectedBy', 'unplaceable']);
  if (fields === null) return null;
  if (fields.size !== 1) {
    reader.report(
      field.key,
      path,
      'wrong-value',
      `${path} needs exactly one of placed, rejectedBy, unplaceable`,
    );
    return null;
  }
  if (fields.has('placed')) {
    const at = `${path}.placed`;
    const names = reader.fields(fields.get('placed')!.value, at, PLACED_FIELDS);
    return names === null
      ? null
      : { placed: reader.plain(fields.get('placed')!.value, at) as Record<string, unknown> };
  }
  if (fields.has('unplaceable')) {
    const flag = reader.flag(fields.get('unplaceable'), `${path}.unplaceable`);
    return flag === undefined ? null : { unplaceable: flag };
  }
  const list = fields.get('rejectedBy')!;
  const names = reader.items(list.value, `${path}.rejectedBy`).map((n, i) => {
    const name = String(reader.plain(n, `${path}.rejectedBy[${i}]`));
    if (!rules.has(name)) {
      const near = nearest(name, rules);
      reader.report(
        n,
        `${path}.rejectedBy[${i}]`,
        'unknown-name',
        `the policy has no rule '${name}'`,
        near ? { suggestion: near } : {},
      );
    }
    return name;
  });
  return names.length === 0 ? null : { rejectedBy: names };
}
