/** What the schema of a kind says of a place in its documents, and whether a value would do there. */
import { schemaOf } from './yaml.ts';

/** As much of JSON Schema as the schemas of documents use for values. */
export interface ValueSchema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  required?: string[];
  properties?: Record<string, ValueSchema>;
  additionalProperties?: boolean | ValueSchema;
  items?: ValueSchema;
  anyOf?: ValueSchema[];
  oneOf?: ValueSchema[];
}

/** The forms that a value may have at a place; none where the schema knows no such place. */
export function schemasAt(kind: string, path: readonly (string | number)[]): ValueSchema[] {
  let schemas = formsOf(schemaOf(kind) as ValueSchema);
  for (const step of path) schemas = schemas.flatMap((schema) => below(schema, step)).flatMap(formsOf);
  return schemas;
}

function below(
  { properties, additionalProperties, items }: ValueSchema,
  step: string | number,
): ValueSchema[] {
  if (typeof step === 'number') return items ? [items] : [];
  if (properties && Object.hasOwn(properties, step)) return [properties[step]!];
  return typeof additionalProperties === 'object' ? [additionalProperties] : [];
}

function formsOf(schema: ValueSchema): ValueSchema[] {
  const forms = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  const own = { ...schema, anyOf: undefined, oneOf: undefined };
  // One that only says which forms there are allows nothing by itself.
  const isOpen = own.type === undefined && own.enum === undefined && !('const' in own) && forms.length > 0;
  // What stands beside the forms holds for each of them.
  return [
    ...(isOpen || forms.some((form) => form.enum ?? form.pattern) ? [] : [own]),
    ...forms.flatMap(formsOf),
  ];
}

/** Words that may stand there, and no others. */
export function wordsOf(schemas: readonly ValueSchema[]): string[] {
  return schemas
    .flatMap((schema) => [...(schema.enum ?? []), ...('const' in schema ? [schema.const] : [])])
    .filter((word) => typeof word === 'string');
}

/** Whether a value has one of the forms. */
export function suits(value: unknown, schemas: readonly ValueSchema[]): boolean {
  return schemas.some((schema) => hasForm(value, schema));
}

function hasForm(value: unknown, schema: ValueSchema): boolean {
  if ('const' in schema) return value === schema.const;
  if (schema.enum) return schema.enum.includes(value);
  const types = [schema.type ?? (schema.pattern === undefined ? [] : 'string')].flat();
  if (!types.some((type) => isOf(type, value))) return false;
  if (typeof value === 'string') {
    const { pattern, minLength = 0, maxLength = Infinity } = schema;
    const fits = value.length >= minLength && value.length <= maxLength;
    return fits && (pattern === undefined || new RegExp(pattern).test(value));
  }
  if (typeof value === 'number') {
    const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity } = schema;
    return value >= minimum && value <= maximum && value > exclusiveMinimum;
  }
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined || value.every((item) => suits(item, formsOf(items)));
  }
  return true;
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isSafeInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default: {
      // `string`, `number` and `boolean` are called so in JavaScript, too.
      const own: string = typeof value;
      return own === type;
    }
  }
}

/** Values of their own for fields whose first allowed value says little. */
const USUAL: Record<string, unknown> = {
  image: 'debian-12',
  weight: 0.03,
  sizeGiB: 10,
  expires: '2099-12-31',
  rules: [{ name: 'example', require: 'true' }],
  expect: { unplaceable: true },
};

/** Texts to begin with, the first that has the form wanted. */
const TEXTS = [
  'example',
  '24h',
  '10 USD',
  '0.1 USD/h',
  '10.0.0.0/16',
  'projects/default',
  '2099-12-31',
  '00000000-0000-0000-0000-000000000000',
  '',
];

/** Something that may stand at a place, for the author to go on from; undefined where nothing is known to. */
export function placeholder(field: string, schemas: readonly ValueSchema[]): unknown {
  if (Object.hasOwn(USUAL, field) && suits(USUAL[field], schemas)) return USUAL[field];
  for (const schema of schemas) {
    const value = beginning(schema);
    if (value !== undefined) return value;
  }
  return undefined;
}

function beginning(schema: ValueSchema): unknown {
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const [type] = [schema.type ?? []].flat();
  switch (type) {
    case 'integer':
    case 'number':
      return schema.minimum ?? Math.min((schema.exclusiveMinimum ?? 0) + 1, schema.maximum ?? Infinity);
    case 'boolean':
      return false;
    case 'string':
      return TEXTS.find((text) => hasForm(text, schema));
    case 'array': {
      const item = schema.items === undefined ? undefined : placeholder('', formsOf(schema.items));
      return item === undefined ? [] : [item];
    }
    case 'object':
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [
          name,
          placeholder(name, below(schema, name).flatMap(formsOf)),
        ]),
      );
    default:
      return undefined;
  }
}
