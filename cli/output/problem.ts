/** Failures as the user sees them. */
import type { Problem } from '@landfall/model';
import { CommandError, ProblemError } from '../errors.ts';
import { type Paint, plainPaint, printable } from './colours.ts';

type ProblemDetail = NonNullable<Problem['errors']>[number];

/** Where in a file a JSON pointer leads, as `file:line:column`; undefined when no file is behind the request. */
export type Locate = (pointer: string) => { place: string; field: string } | undefined;

/** `/spec/placement/providers/0` as `spec.placement.providers[0]`. */
export function fieldOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce(
      (path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`),
      '',
    );
}

function detailLine(detail: ProblemDetail, locate: Locate | undefined, paint: Paint): string {
  const located = detail.pointer === undefined ? undefined : locate?.(detail.pointer);
  const field = located?.field ?? (detail.pointer ? fieldOf(detail.pointer) : detail.parameter);
  // Most messages of the broker name the value themselves.
  const told = detail.value === undefined || detail.message.includes(String(detail.value));
  const given = told ? '' : ` (it is ${JSON.stringify(detail.value)})`;
  const { suggestion } = detail;
  const isTold = suggestion === undefined || detail.message.includes(suggestion);
  const advice = isTold
    ? ''
    : `${given || !/[.?!]$/.test(detail.message) ? '.' : ''} ${paint('cyan', printable(suggestion))}`;
  const subject = field ? `${paint('bold', printable(field))}: ` : '';
  return `${located ? `${located.place} ` : '  '}${subject}${printable(detail.message)}${printable(given)}${advice}\n`;
}

/** Title, detail, and a line per error with place, field, value and what would be right. */
export function renderProblem(
  problem: Problem,
  options: { subject?: string; locate?: Locate; paint?: Paint } = {},
): string {
  const paint = options.paint ?? plainPaint;
  const subject = options.subject ? `${options.subject}: ` : '';
  // The detail often is the first of the errors, which follow with their places.
  const repeated = (problem.errors ?? []).some((error) => problem.detail?.includes(error.message));
  const detail = problem.detail === problem.title || repeated ? undefined : problem.detail;
  const message = detail ? `${problem.title.replace(/\.$/, '')}: ${detail}` : problem.title;
  let text = `${paint('red', 'Error:')} ${subject}${printable(message)}${/[.!?:\n]$/.test(message) ? '' : '.'}\n`;
  for (const error of problem.errors ?? []) text += detailLine(error, options.locate, paint);
  if (problem.status >= 500 && problem.requestId)
    text += `  request ${printable(problem.requestId)}: the broker's log has more\n`;
  return text;
}

/** What to do about a problem of a kind that users meet at the start. */
function problemHint(problem: Problem): string | undefined {
  if (problem.status === 401)
    return 'The token is missing, wrong, expired or revoked: `landfall login`, --token or LANDFALL_TOKEN.';
  if (problem.status === 403) return '`landfall whoami` shows the role of your token.';
  return undefined;
}

/** The message of any failure. A stack is shown with LANDFALL_DEBUG=1 only. */
export function renderFailure(
  error: unknown,
  options: { paint?: Paint; debug?: boolean; locate?: Locate } = {},
): string {
  const paint = options.paint ?? plainPaint;
  let text: string;
  if (error instanceof ProblemError) {
    text = renderProblem(error.problem, { subject: error.subject, locate: options.locate, paint });
    const hint = problemHint(error.problem);
    if (hint) text += `${hint}\n`;
  } else if (error instanceof CommandError) {
    text = `${paint('red', 'Error:')} ${printable(error.message)}\n${error.hint ? `${printable(error.hint)}\n` : ''}`;
  } else {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    text = `${paint('red', 'Error:')} ${printable(message)}\nThis is a defect of landfall. LANDFALL_DEBUG=1 shows where.\n`;
  }
  if (options.debug) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      text += `${cause.stack ?? cause.message}\n`;
  }
  return text;
}
