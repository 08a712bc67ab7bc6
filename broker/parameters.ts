import type { IncomingHttpHeaders } from 'node:http';
import { type ApiOperation, errorsOf, type Parameter } from './openapi.ts';
import type { ProblemError } from './problems.ts';
import { closest } from './suggestion.ts';
import { explain } from './validation-messages.ts';

type Values = Record<string, unknown>;

/** Reads the path's parameters; errors are appended to `errors`. */
export function readPath(
  operation: ApiOperation,
  raw: Record<string, string>,
  errors: ProblemError[],
): Values {
  const values: Values = {};
  for (const parameter of operation.parameters) {
    if (parameter.in === 'path') read(parameter, raw[parameter.name], values, errors);
  }
  return values;
}

/** Reads the query: unknown and repeated parameters are errors, texts become what the document says they are. */
export function readQuery(
  operation: ApiOperation,
  raw: Record<string, unknown>,
  errors: ProblemError[],
): Values {
  const values: Values = {};
  const known = operation.parameters.filter((parameter) => parameter.in === 'query');
  const names = known.map((parameter) => parameter.name);
  for (const name of Object.keys(raw)) {
    if (names.includes(name)) continue;
    const suggestion = closest(name, names);
    const meant = suggestion
      ? `; did you mean \`${suggestion}\`?`
      : names.length > 0
        ? `; parameters here are ${names.join(', ')}`
        : '; this operation takes none';
    errors.push({
      parameter: name.slice(0, 100),
      message: `is not a query parameter here${meant}`,
      ...(suggestion ? { suggestion } : {}),
    });
  }
  for (const parameter of known) {
    const text = raw[parameter.name];
    if (Array.isArray(text))
      errors.push({ parameter: parameter.name, message: `is given ${text.length} times; give it once` });
    else read(parameter, text as string | undefined, values, errors);
  }
  return values;
}

/** Reads the declared headers. */
export function readHeaders(
  operation: ApiOperation,
  raw: IncomingHttpHeaders,
  errors: ProblemError[],
): Values {
  const values: Values = {};
  for (const parameter of operation.parameters) {
    if (parameter.in !== 'header') continue;
    const text = raw[parameter.name.toLowerCase()];
    read(parameter, Array.isArray(text) ? text.join(', ') : text, values, errors);
  }
  return values;
}

/** `If-Match`: null for `*`, a revision, undefined when not sent. */
export function readIfMatch(text: unknown, errors: ProblemError[]): number | null | undefined {
  if (typeof text !== 'string') return undefined;
  if (text === '*') return null;
  const match = /^"(0|[1-9][0-9]{0,14})"$/.exec(text);
  if (match) return Number(match[1]);
  errors.push({
    parameter: 'If-Match',
    message: 'must be an ETag as it was given (such as `"3"`, with its quotes) or `*`',
    value: text,
  });
  return undefined;
}

function read(parameter: Parameter, text: string | undefined, values: Values, errors: ProblemError[]): void {
  if (text === undefined) {
    if (parameter.required) errors.push({ parameter: parameter.name, message: 'is missing' });
    else if (parameter.default !== undefined) values[parameter.name] = parameter.default;
    return;
  }
  if (/[\u0000-\u001f\u007f]/.test(text) || !text.isWellFormed()) {
    errors.push({
      parameter: parameter.name,
      message: 'has a control character or half of a surrogate pair in it',
    });
    return;
  }
  const value = coerce(parameter.type, text);
  if (parameter.validate(value)) values[parameter.name] = value;
  else errors.push(...explain(errorsOf(parameter.validate), parameter.name));
}

/** Only what the type's own spelling is; anything else stays text, and the validator says what is wrong with it. */
function coerce(type: Parameter['type'], text: string): unknown {
  if (type === 'integer' && /^-?(0|[1-9][0-9]{0,14})$/.test(text)) return Number(text);
  if (type === 'number' && /^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
