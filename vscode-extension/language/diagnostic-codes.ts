/** What diagnostics are called: stable words, for tools and for quick fixes. */
import { PROBLEM_CODES } from '@landfall/policies/file/problems.ts';

/** Every code that the server reports: those of policies, and those of what it alone sees. */
export const DIAGNOSTIC_CODES = [
  ...PROBLEM_CODES,
  'unknown-kind',
  'duplicate-name',
  'missing-label',
  'missing-file',
] as const;

export type DiagnosticCode = (typeof DIAGNOSTIC_CODES)[number];

/** What goes with a diagnostic for its quick fixes. */
export interface DiagnosticData {
  /** What to write in the place of what is underlined. */
  suggestion?: string;
  /** Where in its document, such as `spec.rules[2].require`; of a label that is missing its key, of a field the schema misses its name. */
  path?: string;
}
