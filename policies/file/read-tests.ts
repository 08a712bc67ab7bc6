import { DESCRIPTIONS } from '../cel/descriptions.ts';
import { OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES, RESOURCE_ATTRIBUTES } from '../cel/schema.ts';
import { OFFER_OF_PLACE } from '../kinds/known.ts';
import { type PlacementRequest, RESOURCE_KINDS } from '../place/types.ts';
import type { PolicyTest } from './policy.ts';
import {
  choice,
  type Entry,
  flag,
  instant,
  list,
  mapping,
  optional,
  required,
  ruleName,
  type Shape,
  text,
} from './shape.ts';

/** Fields of an offer that `expect.placed` may name. */
const PLACED_FIELDS = [
  ...'site provider region zone host instanceType market vcpus memoryGiB architecture'.split(' '),
  ...'gpuName gpuCount burstable pricePerHour jurisdiction carbon scorePerHour'.split(' '),
];

const { price: _, currency: __, ...OFFER_FIELDS } = OFFER_ATTRIBUTES;
const PLACE_FIELDS = Object.fromEntries(
  Object.entries(OFFER_FIELDS).filter(([name]) => OFFER_OF_PLACE.has(name)),
);

const JSON_TYPES: Record<string, { words: string; schema: Shape<unknown>['schema'] }> = {
  string: { words: 'text', schema: { type: 'string' } },
  int: { words: 'whole number', schema: { type: 'integer' } },
  double: { words: 'number', schema: { type: 'number' } },
  bool: { words: 'true or false', schema: { type: 'boolean' } },
  'list<string>': { words: 'list of texts', schema: { type: 'array', items: { type: 'string' } } },
  'map<string, string>': {
    words: 'mapping of texts',
    schema: { type: 'object', additionalProperties: { type: 'string' } },
  },
};

/** A value of one of the attribute types. */
function attribute(type: string): Shape<unknown> {
  const { words, schema } = JSON_TYPES[type]!;
  return {
    schema,
    read({ key, value }, path, { reader }) {
      const plain = reader.plain(value, path);
      if (isOfType(plain, type)) return plain;
      const article = type === 'bool' ? '' : 'a ';
      reader.report(value ?? key, path, 'wrong-type', `${path} must be ${article}${words}`);
      return undefined;
    },
  };
}

function attributes(
  root: keyof typeof DESCRIPTIONS,
  types: Readonly<Record<string, string>>,
  needed: readonly string[] = [],
): Shape<Record<string, unknown>> {
  const entries = Object.entries(types).map(([name, type]): [string, Entry<unknown>] => [
    name,
    (needed.includes(name) ? required : optional)(
      root === 'request' && name === 'kind' ? choice(RESOURCE_KINDS) : attribute(type),
      `${DESCRIPTIONS[root][name]!.about} (${type})`,
    ),
  ]);
  return inAnyOrder(mapping(Object.fromEntries(entries)));
}

/** Data of tests: formatting leaves the order to whoever wrote it. */
function inAnyOrder(shape: Shape<Record<string, unknown>>): Shape<Record<string, unknown>> {
  const { schema, read } = shape;
  return { schema, read };
}

/** A value, or a list of values any of which will do. */
const wanted: Shape<unknown> = {
  schema: {},
  read: ({ value }, path, { reader }) => reader.plain(value, path),
};

const expectFields = mapping(
  {
    placed: optional(
      inAnyOrder(
        mapping(
          Object.fromEntries(
            PLACED_FIELDS.map((name) => [name, optional(wanted, 'A value, or a list of values.')]),
          ),
        ),
      ),
      'The winner has these values; a list means any of them.',
    ),
    rejectedBy: optional(
      list(ruleName, { min: 1 }),
      'Nothing is placed, each of these rules rejects something, and no other rule is needed to.',
    ),
    unplaceable: optional(flag, 'Whether nothing is placed.'),
    approvals: optional(list(ruleName), 'The rules whose approval the winner needs: these and no others.'),
  },
  { schema: { minProperties: 1 } },
);

const expectation: Shape<PolicyTest['expect']> = {
  ...expectFields,
  read(field, path, reading) {
    const values = expectFields.read(field, path, reading);
    if (values === undefined) return undefined;
    const { placed, rejectedBy, unplaceable, approvals } = values;
    const outcomes = [placed, rejectedBy, unplaceable].filter((one) => one !== undefined).length;
    const refused = rejectedBy !== undefined || unplaceable === true;
    if (outcomes > 1 || (outcomes === 0 && approvals === undefined) || (refused && approvals !== undefined)) {
      const message = `${path} needs exactly one of placed, rejectedBy, unplaceable; approvals may stand beside placed, or alone`;
      reading.reader.report(field.key, path, 'wrong-value', message);
      return undefined;
    }
    return {
      ...(placed && { placed }),
      ...(rejectedBy && { rejectedBy }),
      ...(unplaceable !== undefined && { unplaceable }),
      ...(approvals && { approvals }),
    };
  },
};

/** What a test may have in a file of its own. */
export interface FixtureValue {
  request: Record<string, unknown>;
  offers: Record<string, unknown>[];
  places: Record<string, unknown>[];
  estate: Record<string, unknown>[];
}

export type FixtureKind = keyof FixtureValue;

/** What is in a file of each kind, in words, and how it is read: as it would be in the test itself. */
export const FIXTURES: { [K in FixtureKind]: { words: string; shape: Shape<FixtureValue[K]> } } = {
  request: {
    words: 'a request: a mapping of attributes',
    shape: attributes('request', REQUEST_ATTRIBUTES),
  },
  offers: {
    words: 'a list of offers',
    shape: list(attributes('offer', OFFER_FIELDS, ['provider', 'region', 'instanceType', 'pricePerHour']), {
      min: 1,
    }),
  },
  places: {
    words: 'a list of places',
    shape: list(attributes('offer', PLACE_FIELDS, ['provider', 'region']), { min: 1 }),
  },
  estate: {
    words: 'a list of machines',
    shape: list(attributes('resource', RESOURCE_ATTRIBUTES, ['name', 'provider', 'region'])),
  },
};

/** What stands in the test, or the name of a file of it. */
function inlineOrFile<T>(inline: Shape<T>): Shape<T | string> {
  return {
    ...inline,
    schema: { anyOf: [text.schema, inline.schema] },
    read(field, path, reading) {
      const value = reading.reader.follow(field.value, path);
      const isText = typeof (value as { value?: unknown } | null)?.value === 'string';
      return isText ? text.read(field, path, reading) : inline.read(field, path, reading);
    },
  };
}

const testFields = mapping({
  name: required(text, 'What the test shows, as a sentence.'),
  now: optional(instant, 'The time the test is at; now, when absent.'),
  request: optional(
    inlineOrFile(FIXTURES.request.shape),
    'What is asked for, or a file of it; what is left out is not asked for (one vCPU, one GiB).',
  ),
  offers: optional(
    inlineOrFile(FIXTURES.offers.shape),
    'What there is to choose from: a list, or a file of one; the catalogue, when absent.',
  ),
  places: optional(
    inlineOrFile(FIXTURES.places.shape),
    "Where a request of a kind other than Instance may go, the first choice first: a list, or a file of one; the catalogue's regions, when absent.",
  ),
  estate: optional(
    inlineOrFile(FIXTURES.estate.shape),
    'Machines that exist already: a list, or a file of one.',
  ),
  expect: required(expectation, 'What must come of it.'),
});

const test: Shape<PolicyTest> = {
  ...testFields,
  read(field, path, reading) {
    const values = testFields.read(field, path, reading);
    if (values === undefined) return undefined;
    const { name, request = {}, offers, places, estate = [], now, expect } = values;
    const { line } = reading.reader.position(field.value?.range?.[0] ?? 0);
    return {
      name,
      line,
      request: request as Partial<PlacementRequest> | string,
      offers: offers ?? null,
      places: places ?? null,
      estate,
      now: now ?? null,
      expect,
    };
  },
};

/** `tests`; read after the rules. */
export const tests: Shape<PolicyTest[]> = list(test, { max: 1000 });

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
