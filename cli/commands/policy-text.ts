/** `landfall policy fmt` and `explain`: policy files as text, offline. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  explainPolicy,
  formatPolicy,
  type ParsedPolicy,
  PolicyProblems,
  parsePolicy,
} from '@landfall/policies';
import { CommandError, exitCodes, usageError } from '../errors.ts';
import { printable } from '../output/colours.ts';
import { suggestion } from '../output/suggestion.ts';
import { renderPolicyProblems } from '../policy-check.ts';
import type { Session } from '../session.ts';
import { sourcesOf } from './policy.ts';

/** Flags of `policy fmt`. */
export interface FormatFlags {
  file: string[];
  check?: boolean;
  write?: boolean;
}

/** Prints policy files in their one form; or writes them so, or tells which are not. */
export async function formatPolicies(session: Session, flags: FormatFlags): Promise<number> {
  if (flags.check && flags.write) throw usageError('--check and --write exclude each other.');
  const sources = await sourcesOf(session, flags.file);
  const piped = sources.find(({ file }) => file.startsWith('<'));
  if (flags.write && piped) throw usageError('Standard input cannot be written to.', 'Leave --write out.');
  if (!flags.check && !flags.write && sources.length > 1)
    throw usageError(`${sources.length} files given.`, 'Use --write to format them, or --check to compare.');
  const formatted = sources.map(({ file, text }) => ({ file, text, made: format(file, text, session) }));
  const changed = formatted.filter(({ text, made }) => made !== text);
  if (!flags.check && !flags.write) session.out(formatted[0]!.made);
  for (const { file, made } of flags.check || flags.write ? changed : []) {
    if (flags.write) writeFileSync(resolve(session.terminal.cwd, file), made);
    session.out(`${printable(file)}${flags.write ? ' formatted' : ''}\n`);
  }
  if (flags.check && changed.length > 0)
    session.notice(
      `${changed.length} of ${sources.length} not formatted; \`landfall policy fmt --write\` does it.`,
    );
  return flags.check && changed.length > 0 ? exitCodes.failed : exitCodes.ok;
}

function format(file: string, text: string, session: Session): string {
  try {
    return formatPolicy(text, file);
  } catch (error) {
    if (!(error instanceof PolicyProblems)) throw error;
    throw new CommandError(renderPolicyProblems(error.problems, session.paintErr).trimEnd(), {
      exitCode: exitCodes.failed,
    });
  }
}

/** Says in plain words what the rules of policy files do, or the named one. */
export async function explainPolicies(
  session: Session,
  flags: { file: string[] },
  rule: string | undefined,
): Promise<number> {
  const policies: ParsedPolicy[] = [];
  for (const { file, text } of await sourcesOf(session, flags.file)) {
    const read = parsePolicy(text, file);
    const errors = read.problems.filter(({ severity }) => severity === 'error');
    if (errors.length > 0)
      throw new CommandError(renderPolicyProblems(errors, session.paintErr).trimEnd(), {
        exitCode: exitCodes.failed,
      });
    policies.push(...read.policies);
  }
  const all = policies.flatMap((policy) => explainPolicy(policy, new Date()));
  const wanted = rule === undefined ? all : all.filter((one) => one.rule === rule);
  if (wanted.length === 0 && rule !== undefined) {
    const names = [...new Set(all.map((one) => one.rule))];
    throw usageError(`There is no rule ${rule}.`, `${suggestion(rule, names)}Rules: ${names.join(', ')}.`);
  }
  if (session.structured) session.outStructured({ rules: wanted });
  else
    for (const one of wanted) {
      const title = session.paint('bold', printable(`${one.policy}/${one.rule}`));
      session.out(`${title} ${printable(`${one.file}:${one.line}`)}\n`);
      const lines = [
        ...one.does,
        one.applies,
        ...one.notes,
        one.layer,
        `Reads ${one.reads.join(', ') || 'nothing'}.`,
      ];
      session.out(lines.map((line) => `  ${printable(line)}\n`).join(''));
    }
  return exitCodes.ok;
}
