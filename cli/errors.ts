/** What ends a command other than well, and the exit code it ends with. */
import type { Problem } from '@landfall/model';

/** Exit codes, as documented in docs/cli.md. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  unreachable: 6,
  refused: 7,
  interrupted: 130,
} as const;

/** A failure told to the user in one message, with a hint on what to do about it. */
export class CommandError extends Error {
  readonly exitCode: number;
  readonly hint: string | undefined;

  constructor(message: string, options: { exitCode?: number; hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CommandError';
    this.exitCode = options.exitCode ?? exitCodes.failed;
    this.hint = options.hint;
  }
}

/** Whether the broker found a request itself wrong, or does not allow it: others beside it are still of interest. */
export function isAboutRequest(error: unknown): error is ProblemError {
  return (
    error instanceof ProblemError &&
    (error.exitCode === exitCodes.usage || error.exitCode === exitCodes.refused)
  );
}

/** The command line or a file given to it is wrong. */
export function usageError(message: string, hint?: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.usage, hint });
}

/** The broker answered with a problem document. */
export class ProblemError extends CommandError {
  readonly problem: Problem;
  /** Whose request it was, e.g. `instance/first`, where one command makes several. */
  subject: string | undefined;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title, { exitCode: exitCodeOf(problem) });
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

/** Problems of a request that is as it should be, and is not allowed. */
const refusals = ['policy-refused', 'limit-exceeded'].map((code) => `https://landfall.dev/problems/${code}`);

/** The exit code for a problem that the broker answered. */
export function exitCodeOf({ status, type }: Pick<Problem, 'status' | 'type'>): number {
  if (refusals.includes(type)) return exitCodes.refused;
  if (status === 400 || status === 413 || status === 415 || status === 422) return exitCodes.usage;
  if (status === 401 || status === 403) return exitCodes.denied;
  if (status === 404 || status === 410) return exitCodes.notFound;
  if (status === 409 || status === 412 || status === 428) return exitCodes.conflict;
  if (status === 502 || status === 503 || status === 504) return exitCodes.unreachable;
  return exitCodes.failed;
}
