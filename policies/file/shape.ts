import { isMap, isScalar, isSeq } from 'yaml';
import type { ExpressionOptions, ExpressionReader } from './expressions.ts';
import type { Message } from './policy.ts';
import { nearest, type ProblemCode } from './problems.ts';
import { type Field, join, type Reader } from './reader.ts';

const INSTANT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

/** A JSON Schema (draft 7), or part of one. */
export type JsonSchema = { [keyword: string]: unknown };

/** What reading one document needs and finds on the way. */
export interface Reading {
  reader: Reader;
  expressions: ExpressionReader;
  /** Rules seen so far and their lines; wrong ones too, so that a test that names one is not called wrong as well. */
  ruleNames: Map<string, number>;
  /** What has expired is told by this time. */
  now: Date;
}

/**
 * A part of the policy language, said once: how it is read from YAML and which JSON Schema it has. `read` answers
 * undefined for a wrong value, which it has reported.
 */
export interface Shape<T> {
  readonly schema: JsonSchema;
  read(field: Field, path: string, reading: Reading): T | undefined;
  /** Of a mapping: its fields, in the order in which `landfall policy fmt` writes them. */
  readonly fields?: Readonly<Record<string, Shape<unknown>>>;
  /** Of a list: its items. */
  readonly items?: Shape<unknown>;
  /** Of a mapping with free names: its values. */
  readonly values?: Shape<unknown>;
  /** Of CEL: what it may read. */
  readonly expression?: ExpressionOptions;
  /** It names a rule of the policy. */
  readonly isRuleName?: true;
}

/** A field of a mapping; `about` is what an editor shows. */
export interface Entry<T, Needed extends boolean = boolean> {
  shape: Shape<T>;
  needed: Needed;
  about: string;
}

/** A field that must be there. */
export function required<T>(shape: Shape<T>, about: string): Entry<T, true> {
  return { shape, needed: true, about };
}

/** A field that may be there. */
export function optional<T>(shape: Shape<T>, about: string): Entry<T, false> {
  return { shape, needed: false, about };
}

type Values<E extends Record<string, Entry<unknown>>> = {
  [K in keyof E]: E[K] extends Entry<infer T, true> ? T : E[K] extends Entry<infer T> ? T | undefined : never;
};

/**
 * A mapping of known fields; `what` names it in messages. All its fields are read, whatever is wrong with one, in the
 * order given, but `first` before the others.
 */
export function mapping<E extends Record<string, Entry<unknown>>>(
  entries: E,
  more: { what?: string; first?: keyof E & string; schema?: JsonSchema } = {},
): Shape<Values<E>> {
  const names = Object.keys(entries);
  const inOrder = Object.entries(entries).sort(
    ([a], [b]) => Number(b === more.first) - Number(a === more.first),
  );
  const needed = names.filter((name) => entries[name]!.needed);
  return {
    schema: {
      type: 'object',
      additionalProperties: false,
      ...(needed.length > 0 && { required: needed }),
      properties: Object.fromEntries(
        names.map((name) => [
          name,
          { description: entries[name]!.about, ...withoutDescription(entries[name]!.shape.schema) },
        ]),
      ),
      ...more.schema,
    },
    fields: Object.fromEntries(names.map((name) => [name, entries[name]!.shape])),
    read({ key, value }, path, reading) {
      const node = reading.reader.follow(value, path);
      if (!isMap(node)) {
        const message = `${more.what ?? (path || 'the document')} must be a mapping`;
        reading.reader.report(node ?? value ?? key, path, 'wrong-type', message);
        return undefined;
      }
      const found = reading.reader.fields(node, path, names);
      const out: Record<string, unknown> = {};
      let wrong = found.size < node.items.length;
      for (const [name, { shape, needed }] of inOrder) {
        const field = found.get(name);
        if (field !== undefined) {
          out[name] = shape.read(field, join(path, name), reading);
          wrong ||= out[name] === undefined;
        } else if (needed) {
          reading.reader.report(
            value ?? key,
            join(path, name),
            'missing-field',
            `${join(path, name)} is missing`,
          );
          wrong = true;
        }
      }
      return wrong ? undefined : (out as Values<E>);
    },
  };
}

function withoutDescription({ description: _, ...schema }: JsonSchema): JsonSchema {
  return schema;
}

/** A mapping with free names. */
export function dictionary<T>(
  shape: Shape<T>,
  names: { pattern: RegExp; what: string },
): Shape<Record<string, T>> {
  return {
    schema: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: names.pattern.source },
      additionalProperties: shape.schema,
    },
    read(field, path, reading) {
      const entries = reading.reader.entries(field, path);
      if (entries === null) return undefined;
      let wrong = false;
      const read = entries.map(({ name, key, value }): [string, T | undefined] => {
        const at = join(path, name);
        if (!names.pattern.test(name)) {
          reading.reader.report(key, at, 'wrong-value', `'${name}' is not ${names.what}`);
          wrong = true;
        }
        const one = shape.read({ key, value }, at, reading);
        wrong ||= one === undefined;
        return [name, one];
      });
      return wrong ? undefined : (Object.fromEntries(read) as Record<string, T>);
    },
  };
}

/** A list of at least `min` things. */
export function list<T>(shape: Shape<T>, limits: { min?: number; max?: number } = {}): Shape<T[]> {
  const { min = 0, max } = limits;
  return {
    schema: {
      type: 'array',
      items: shape.schema,
      ...(min > 0 && { minItems: min }),
      ...(max !== undefined && { maxItems: max }),
    },
    items: shape,
    read(field, path, reading) {
      const items = reading.reader.items(field, path);
      if (items === null) return undefined;
      if (items.length < min)
        reading.reader.report(field.value ?? field.key, path, 'wrong-value', `${path} needs at least ${min}`);
      if (max !== undefined && items.length > max) {
        const message = `${path} may have ${max} items, has ${items.length}`;
        reading.reader.report(field.key, path, 'too-many', message);
      }
      const read = items
        .slice(0, max)
        .map((value, i) => shape.read({ key: value ?? field.key, value }, `${path}[${i}]`, reading));
      const sound = items.length >= min && items.length === read.length && !read.includes(undefined);
      return sound ? (read as T[]) : undefined;
    },
  };
}

/** One thing, or a list of at least one. */
export function oneOrMore<T>(shape: Shape<T>): Shape<T[]> {
  const many = list(shape, { min: 1 });
  return {
    schema: { anyOf: [shape.schema, many.schema] },
    read(field, path, reading) {
      if (isSeq(reading.reader.follow(field.value, path))) return many.read(field, path, reading);
      const one = shape.read(field, path, reading);
      return one === undefined ? undefined : [one];
    },
  };
}

/** What another shape reads, checked further or turned into something else; `refine` answers undefined when it reports. */
export function refined<T, U>(
  shape: Shape<T>,
  refine: (
    value: T,
    report: (message: string, more?: { suggestion?: string; code?: ProblemCode }) => undefined,
  ) => U | undefined,
  schema: JsonSchema = {},
): Shape<U> {
  return {
    ...shape,
    schema: { ...shape.schema, ...schema },
    read(field, path, reading) {
      const value = shape.read(field, path, reading);
      if (value === undefined) return undefined;
      return refine(value, (message, { suggestion, code = 'wrong-value' } = {}) => {
        reading.reader.report(
          field.value ?? field.key,
          path,
          code,
          `${path} ${message}`,
          suggestion === undefined ? {} : { suggestion },
        );
        return undefined;
      });
    },
  };
}

/** A text that is not empty. */
export const text: Shape<string> = {
  schema: { type: 'string', minLength: 1 },
  read: (field, path, { reader }) => reader.text1(field, path),
};

/** A text of a pattern; `must` says which, such as `must be a duration such as 72h`. */
export function textOf(pattern: RegExp, must: string): Shape<string> {
  return refined(text, (value, report) => (pattern.test(value) ? value : report(`${must}, is '${value}'`)), {
    pattern: pattern.source,
  });
}

/** `true` or `false`. */
export const flag: Shape<boolean> = {
  schema: { type: 'boolean' },
  read: (field, path, { reader }) => reader.flag(field, path),
};

/** One of some words. */
export function choice<const T extends string>(choices: readonly T[]): Shape<T> {
  return {
    schema: { enum: choices },
    read: (field, path, { reader }) => reader.choice(field, path, choices),
  };
}

/** A number in limits. */
export function number(limits: {
  whole?: boolean;
  min?: number;
  above?: number;
  max?: number;
}): Shape<number> {
  const { whole = false, min, above, max } = limits;
  const words = [
    whole ? 'a whole number' : 'a number',
    min === undefined ? '' : `of at least ${min}`,
    above === undefined ? '' : `above ${above}`,
    max === undefined ? '' : `${min === undefined && above === undefined ? 'of' : 'and'} at most ${max}`,
  ].filter((word) => word !== '');
  return {
    schema: {
      type: whole ? 'integer' : 'number',
      ...(min !== undefined && { minimum: min }),
      ...(above !== undefined && { exclusiveMinimum: above }),
      ...(max !== undefined && { maximum: max }),
    },
    read(field, path, { reader }) {
      const node = reader.follow(field.value, path);
      const value = isScalar(node) ? node.value : undefined;
      const sound =
        typeof value === 'number' &&
        (whole ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
        value >= (min ?? -Infinity) &&
        value > (above ?? -Infinity) &&
        value <= (max ?? Infinity);
      if (sound) return value;
      const shown =
        isScalar(node) && node.value !== null ? `, is ${JSON.stringify(node.value) ?? 'no number'}` : '';
      reader.report(
        field.value ?? field.key,
        path,
        typeof value === 'number' ? 'wrong-value' : 'wrong-type',
        `${path} must be ${words.join(' ')}${shown}`,
      );
      return undefined;
    },
  };
}

/** A CEL expression; what is read is its text with the policy's variables written out. */
export function cel(options: ExpressionOptions): Shape<string> {
  return {
    schema: { type: options.wanted === 'double' ? ['string', 'number'] : ['string', 'boolean'] },
    expression: options,
    read: (field, path, { expressions }) => expressions.read(field, path, options),
  };
}

/** A message for people. */
export const message: Shape<Message> = {
  schema: text.schema,
  expression: { wanted: 'string' },
  read: (field, path, { expressions }) => expressions.readMessage(field, path),
};

/** The name of a rule of the policy; an unknown one is answered with the nearest. Rules are read before. */
export const ruleName: Shape<string> = {
  schema: text.schema,
  isRuleName: true,
  read(field, path, reading) {
    const name = text.read(field, path, reading);
    if (name === undefined || reading.ruleNames.has(name)) return name;
    const near = nearest(name, reading.ruleNames.keys());
    const more = near === undefined ? {} : { suggestion: near };
    reading.reader.report(field.value, path, 'unknown-name', `the policy has no rule '${name}'`, more);
    return undefined;
  },
};

/** A time, as ISO 8601 with its zone, or a day (its midnight in UTC); read as `2026-12-24T00:00:00.000Z`. */
export const instant: Shape<string> = refined(
  text,
  (value, report) => {
    const time = INSTANT.test(value) ? Date.parse(value) : Number.NaN;
    const day = Number.isNaN(time) ? undefined : value.slice(0, 10);
    // Date.parse takes 30 February for 2 March.
    const real = day !== undefined && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
    if (!real)
      return report(`must be a day such as 2026-12-24 or a time such as 2026-12-24T18:00:00Z, is '${value}'`);
    return new Date(time).toISOString();
  },
  { pattern: INSTANT.source },
);
