import { conformanceCases } from './cases.ts';
import { NOT_CONFORMING } from './not-conforming.ts';

/** The part of docs/cel.md that says how far the language is the specification's. */
export function conformanceSection(): string {
  const { cases, skipped } = conformanceCases();
  const failing = NOT_CONFORMING.reduce((sum, { cases: listed }) => sum + listed.length, 0);
  const excluded = [...skipped.values()].reduce((a, b) => a + b, 0);
  return [
    `${cases.length - failing} of ${cases.length} cases give the specification's answer. The others:`,
    '',
    '| cases | what differs |',
    '|---|---|',
    ...NOT_CONFORMING.map(({ reason, cases: listed }) => `| ${listed.length} | ${reason} |`),
    '',
    `${excluded} cases are not run, because they are about what the policy language does not have:`,
    '',
    '| cases | about |',
    '|---|---|',
    ...[...skipped].sort(([a], [b]) => (a < b ? -1 : 1)).map(([reason, n]) => `| ${n} | ${reason} |`),
  ].join('\n');
}
