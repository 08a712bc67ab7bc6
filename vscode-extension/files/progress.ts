/** Follows what was asked for until it has ended. */
import type { Operation } from '@landfall/model';
import { type Broker, ended, operationById } from 'landfall/client.ts';
import { UnreachableError } from '../broker/connection.ts';

/** An operation that was asked for, and what it is about: `instance/web`. */
export interface Followed {
  subject: string;
  broker: Broker;
  operation: Operation;
}

/** So many are named at once; the others are counted. */
const named = 3;

/** How long after an answer that did not come it is asked again, in milliseconds. */
const retryMs = 1_000;

/**
 * Asks for each until it has ended; `say` is told in one line what goes on. A broker that is away is waited for, it may be
 * restarting. With `stop` the waiting ends, and nothing else does: what goes on is then in the state that was last seen.
 * Throws what the broker says where it refuses to tell.
 */
export async function followOperations(
  followed: readonly Followed[],
  say: (line: string) => void,
  stop: AbortSignal,
): Promise<Followed[]> {
  const now = followed.map((each) => ({ ...each }));
  const tell = (): void => say(progressLine(now));
  tell();
  await Promise.all(
    now.map(async (each) => {
      while (!ended(each.operation) && !stop.aborted) {
        try {
          // The answer comes at the end of the operation, or after a second with what it does.
          each.operation = await operationById(each.broker, each.operation.id, 1);
          tell();
        } catch (error) {
          if (!(error instanceof UnreachableError)) throw error;
          say('the broker does not answer; trying on');
          await pause(retryMs, stop);
        }
      }
    }),
  );
  return now;
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
}

/** `1 of 3 done; instance/web: running: waits for its host`. */
export function progressLine(followed: readonly Followed[]): string {
  const open = followed.filter(({ operation }) => !ended(operation));
  const lines = open
    .slice(0, named)
    .map(({ subject, operation: { state, message } }) =>
      [subject, state.toLowerCase(), message].filter(Boolean).join(': '),
    );
  if (open.length > named) lines.push(`${open.length - named} more`);
  const done = followed.length - open.length;
  return [followed.length > 1 && `${done} of ${followed.length} done`, ...lines].filter(Boolean).join('; ');
}

/** Why an operation did not do what was asked; undefined where it did, or goes on. */
export function failureOf({ subject, operation }: Followed): string | undefined {
  if (!ended(operation) || operation.state === 'Succeeded') return undefined;
  const { error, message, state } = operation;
  return `${subject}: ${error?.detail ?? error?.title ?? message ?? `it was ${state.toLowerCase()}`}`;
}

/**
 * What is told at the end, a line each: what failed, what was done, what goes on. `done`: what became of each subject, in a word;
 * `failed`: what was not even begun.
 */
export function endLines(
  done: ReadonlyMap<string, string>,
  failed: readonly string[],
  ends: readonly Followed[],
): { failures: string[]; lines: string[] } {
  const failures = [...failed, ...ends.map(failureOf).filter((each) => each !== undefined)];
  const goesOn = ends.filter(({ operation }) => !ended(operation)).map(({ subject }) => subject);
  const unlike = new Set(
    ends.filter(({ operation }) => operation.state !== 'Succeeded').map(({ subject }) => subject),
  );
  const good = [...done].filter(([subject]) => !unlike.has(subject)).map((each) => each.join(' '));
  return {
    failures,
    lines: [
      ...failures,
      ...(good.length > 0 ? [`${good.join(', ')}.`] : []),
      ...(goesOn.length > 0 ? [`${goesOn.join(', ')}: goes on in the broker.`] : []),
    ],
  };
}
