import type { ErrorObject } from 'ajv/dist/2020.js';
import type { ProblemError } from './problems.ts';
import { closest } from './suggestion.ts';

/** What a value is, for a person: `the string "two"`, `an array`, `missing`. */
export function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string')
    return `the string ${JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)}`;
  return `${typeof value === 'number' ? 'the number' : 'the boolean'} ${String(value)}`;
}

const article = (type: string): string =>
  type === 'null' ? 'null' : `${/^[aio]/.test(type) ? 'an' : 'a'} ${type}`;

/** Errors that only say that others happened below them. */
const structural = new Set(['if', 'not', 'allOf', '$ref', 'propertyNames', 'discriminator']);

/**
 * Ajv's errors in plain words, each once, with the value found and, where a field or choice was probably misspelt, what
 * was probably meant. With `parameter` they are about that parameter, else about the body.
 */
export function explain(errors: readonly ErrorObject[], parameter?: string): ProblemError[] {
  const choices = errors.filter((error) => error.keyword === 'oneOf' || error.keyword === 'anyOf');
  const told = new Map<string, ProblemError>();
  for (const error of errors) {
    if (structural.has(error.keyword)) continue;
    // Inside a choice the branches' own errors contradict each other; the choice is told as one.
    if (choices.some((choice) => error !== choice && error.schemaPath.startsWith(`${choice.schemaPath}/`)))
      continue;
    const one = explainOne(error, parameter);
    const key = `${one.pointer ?? one.parameter} ${one.message}`;
    if (!told.has(key)) told.set(key, one);
    if (told.size === 50) break;
  }
  return [...told.values()];
}

function explainOne(error: ErrorObject, parameter: string | undefined): ProblemError {
  const { message, value, suggestion, pointer } = worded(error);
  return {
    ...(parameter === undefined ? { pointer } : { parameter }),
    message,
    ...(shown(value) ? { value } : {}),
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

/** Only what is short is sent back. */
function shown(value: unknown): boolean {
  if (value === undefined || (typeof value === 'object' && value !== null)) return false;
  return typeof value !== 'string' || value.length <= 200;
}

interface Worded {
  pointer: string;
  message: string;
  value?: unknown;
  suggestion?: string;
}

function worded(error: ErrorObject): Worded {
  const { data, params, keyword, instancePath } = error;
  const at = (message: string, more: Partial<Worded> = {}): Worded => ({
    pointer: instancePath,
    message,
    value: data,
    ...more,
  });
  const below = (name: string): string =>
    `${instancePath}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  switch (keyword) {
    case 'type': {
      const types = ([] as string[]).concat(params.type as string | string[]);
      return at(`must be ${types.map(article).join(' or ')}, is ${describe(data)}`);
    }
    case 'required':
      return {
        pointer: below(params.missingProperty as string),
        message: `is missing: \`${params.missingProperty}\` is needed`,
      };
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const name = (params.additionalProperty ?? params.unevaluatedProperty) as string;
      const known = Object.keys((error.parentSchema?.properties as object | undefined) ?? {}).filter(
        (each) => !isReadOnly(error, each),
      );
      const suggestion = closest(name, known);
      const meant = suggestion
        ? `; did you mean \`${suggestion}\`?`
        : known.length > 0
          ? `; fields here are ${known.join(', ')}`
          : '';
      return { pointer: below(name), message: `\`${name}\` is not a field here${meant}`, suggestion };
    }
    case 'readOnly':
      return at('is read-only: leave it out');
    case 'enum': {
      const allowed = (params.allowedValues as unknown[]).map(String);
      const suggestion = typeof data === 'string' ? closest(data, allowed) : undefined;
      return at(`must be one of ${allowed.join(', ')}, is ${describe(data)}`, { suggestion });
    }
    case 'const':
      return at(`must be ${JSON.stringify(params.allowedValue)}, is ${describe(data)}`);
    case 'pattern': {
      const meaning = error.parentSchema?.description as string | undefined;
      return at(
        `${describe(data)} does not fit${meaning ? `: ${meaning}` : ` the pattern ${params.pattern}`}`,
      );
    }
    case 'format':
      return at(`must be a valid ${params.format}, is ${describe(data)}`);
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum': {
      const words = { '>=': 'at least', '<=': 'at most', '>': 'more than', '<': 'less than' };
      return at(
        `must be ${words[params.comparison as keyof typeof words]} ${params.limit}, is ${String(data)}`,
      );
    }
    case 'minLength':
      return at(
        `must have at least ${params.limit} character${params.limit === 1 ? '' : 's'}, has ${(data as string).length}`,
      );
    case 'maxLength':
      return at(`must have at most ${params.limit} characters, has ${(data as string).length}`);
    case 'minItems':
    case 'maxItems':
      return at(
        `must have at ${keyword === 'minItems' ? 'least' : 'most'} ${params.limit} items, has ${(data as unknown[]).length}`,
      );
    case 'minProperties':
    case 'maxProperties':
      return at(
        `must have at ${keyword === 'minProperties' ? 'least' : 'most'} ${params.limit} field${params.limit === 1 ? '' : 's'}, has ${Object.keys(data as object).length}`,
      );
    case 'uniqueItems':
      return at(`items ${params.j} and ${params.i} are the same`);
    case 'oneOf':
    case 'anyOf':
      return at(`must be ${choices(error)}, is ${describe(data)}`);
    default:
      return at(error.message ?? `does not fit (${keyword})`);
  }
}

function isReadOnly(error: ErrorObject, name: string): boolean {
  const properties = error.parentSchema?.properties as Record<string, { readOnly?: boolean }> | undefined;
  return properties?.[name]?.readOnly === true;
}

/** The branches of a choice by what they require or are. */
function choices(error: ErrorObject): string {
  const branches =
    (error.schema as { required?: string[]; type?: string; $ref?: string }[] | undefined) ?? [];
  const words = branches.map((branch) => {
    if (branch.required) return `given by ${branch.required.join(' and ')}`;
    if (branch.$ref) return `a ${branch.$ref.split('/').at(-1)!}`;
    return branch.type ? article(branch.type) : 'of one of the kinds in the API document';
  });
  return `${words.length > 1 ? 'exactly one of: ' : ''}${[...new Set(words)].join('; or ')}`;
}
