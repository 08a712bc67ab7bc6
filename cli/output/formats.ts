/** The output formats of `-o`. */
import { stringify } from 'yaml';
import { usageError } from '../errors.ts';
import { suggestion } from './suggestion.ts';

/** The formats. */
export const formats = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof formats)[number];

/** The format that `-o` names. */
export function parseFormat(given: string | undefined): Format {
  if (given === undefined) return 'table';
  const format = formats.find((known) => known === given);
  if (format) return format;
  throw usageError(
    `Unknown output format "${given}".`,
    `${suggestion(given, formats)}Formats: ${formats.join(', ')}.`,
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
