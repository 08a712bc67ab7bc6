/** What a broker answered: the body, or the problem as an error in words. */
import type { Problem } from './index.ts';

/** An answer that is a problem document. Its message is for people. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    const errors = (problem.errors ?? []).map(({ pointer, parameter, message }) =>
      [pointer ?? parameter, message].filter(Boolean).join(' '),
    );
    super([problem.detail ?? problem.title, ...errors].join('\n'));
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

/** An answer of the typed client. */
export interface Answer {
  data?: unknown;
  error?: unknown;
  response: Response;
}

/** The answer's body; throws ProblemError. */
export async function body<A extends Answer>(pending: Promise<A>): Promise<NonNullable<A['data']>> {
  const { data, error, response } = await pending;
  if (!response.ok) throw new ProblemError(problemOf(error, response));
  return data as NonNullable<A['data']>;
}

/** The body, or undefined when there is no such thing. */
export async function bodyIfFound<A extends Answer>(
  pending: Promise<A>,
): Promise<NonNullable<A['data']> | undefined> {
  const answer = await pending;
  return answer.response.status === 404 ? undefined : body(Promise.resolve(answer));
}

/** The problem document of an answer; made up when something between us and the broker answered. */
export function problemOf(error: unknown, response: Response): Problem {
  if (typeof error === 'object' && error !== null && typeof (error as Problem).title === 'string')
    return { ...(error as Problem), status: response.status };
  return {
    type: 'about:blank',
    title: `The broker's address answered ${response.status} ${response.statusText}`.trim(),
    status: response.status,
    detail: typeof error === 'string' && error !== '' ? error.slice(0, 500) : undefined,
  };
}
