/** The output formats of `-o`. */
import { stringify } from 'yaml';
import { usageError } from '../errors.ts';
import { suggestion } from './suggestion.ts';

/** The formats. */
export const formats = ['table', 'wide', 'json', 'yaml', 'name'] as const;
/** `junit` is that of test results only. */
export type Format = (typeof formats)[number] | 'junit';

/** The format that `-o` names; `more` are those that only one command has. */
export function parseFormat(given: string | undefined, more: readonly Format[] = []): Format {
  if (given === undefined) return 'table';
  const known = [...formats, ...more];
  const format = known.find((one) => one === given);
  if (format) return format;
  throw usageError(
    `Unknown output format "${given}".`,
    `${suggestion(given, known)}Formats: ${known.join(', ')}.`,
  );
}

/** Pretty JSON with a line break at its end. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** YAML that does not fold long lines. */
export function yaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
