/** Checks policy text with the same engine as the broker, offline. */
import type { Schemas } from '@landfall/model';
import { CommandError, exitCodes } from './errors.ts';
import type { ManifestSource } from './manifests/manifest.ts';
import { type Paint, plainPaint, printable } from './output/colours.ts';

/** A problem, the engine's or the broker's: they have the same form. */
export type PolicyProblem = Schemas['PolicyProblem'];

/** `file:line:column error: message` for each problem. */
export function renderPolicyProblems(problems: readonly PolicyProblem[], paint: Paint = plainPaint): string {
  return problems
    .map((problem) => {
      const severity = paint(problem.severity === 'error' ? 'red' : 'yellow', problem.severity);
      // Many messages name the path themselves.
      const named = !problem.path || problem.message.startsWith(problem.path);
      const path = named ? '' : `${printable(problem.path!)}: `;
      const advice = problem.suggestion
        ? `. ${paint('cyan', `Did you mean ${printable(problem.suggestion)}?`)}`
        : '';
      return `${problem.file ?? ''}:${problem.line}:${problem.column} ${severity} ${path}${printable(problem.message)}${advice} [${problem.code}]\n`;
    })
    .join('');
}

/** Refuses a policy document with errors, before the broker does: here the lines are the file's own. */
export async function refuseInvalidPolicy(source: ManifestSource): Promise<void> {
  const { parsePolicy } = await import('@landfall/policies');
  const errors = parsePolicy(source.text, source.file)
    .problems.filter((problem) => problem.severity === 'error')
    .map((problem) => ({ ...problem, line: problem.line + source.linesBefore }));
  if (errors.length === 0) return;
  throw new CommandError(renderPolicyProblems(errors).trimEnd(), { exitCode: exitCodes.usage });
}
