/** Waits for operations and shows what they do. */
import type { Operation } from '@landfall/model';
import { type Broker, body } from './connection/broker.ts';
import { CommandError, exitCodes } from './errors.ts';
import { subject as subjectOf } from './kind-columns.ts';
import { renderProblem } from './output/problem.ts';
import { Progress } from './output/progress.ts';
import type { Session } from './session.ts';
import { pause } from './terminal.ts';

/** An operation and what it is about. */
export interface Pending {
  subject: string;
  operation: Operation;
}

/** How long a broker may be away while we wait for an operation: it may be restarting. */
const patience = 120_000;

/** Whether an operation has ended. */
export function ended(operation: Operation): boolean {
  return operation.state === 'Succeeded' || operation.state === 'Failed' || operation.state === 'Cancelled';
}

/** `create instance/first`. */
export function operationSubject(operation: Operation): string {
  return [operation.verb, subjectOf(operation.resource)].filter(Boolean).join(' ');
}

/** A progress display for this session's standard error. */
export function sessionProgress(session: Session): Progress {
  const { terminal } = session;
  return new Progress({
    write: (text) => terminal.err(text),
    live: terminal.errIsTTY,
    columns: terminal.columns,
    paint: session.paintErr,
  });
}

/** What a user reads of an operation's state. */
function doing(operation: Operation): string {
  return operation.message
    ? `${operation.state.toLowerCase()}: ${operation.message}`
    : operation.state.toLowerCase();
}

/**
 * Waits until all have ended. Progress goes to standard error. Failed ones are told there, and the
 * ended operations are answered in order; Ctrl-C says that they go on.
 */
export async function waitForOperations(
  session: Session,
  pending: Pending[],
  timeoutMs?: number,
): Promise<Operation[]> {
  const progress = sessionProgress(session);
  const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  const open = new Map(pending.map(({ subject, operation }) => [operation.id, subject]));
  try {
    return await Promise.all(
      pending.map(async ({ subject, operation }) => {
        const end = await waitForOne(session, subject, operation, progress, deadline);
        open.delete(end.id);
        const good = end.state === 'Succeeded';
        progress.end(subject, end.error ? `${end.state.toLowerCase()}` : doing(end), good);
        if (end.error) session.terminal.err(renderProblem(end.error, { subject, paint: session.paintErr }));
        return end;
      }),
    );
  } catch (error) {
    progress.stop();
    if (session.terminal.interrupted.aborted) {
      const lines = [...open].map(
        ([id, subject]) =>
          `${subject}: goes on in the broker. Follow it with \`landfall operation wait ${id}\`; stop it with \`landfall operation cancel ${id}\`.`,
      );
      throw new CommandError(`Interrupted; nothing was cancelled.\n${lines.join('\n')}`, {
        exitCode: exitCodes.interrupted,
      });
    }
    throw error;
  }
}

async function waitForOne(
  session: Session,
  subject: string,
  started: Operation,
  progress: Progress,
  deadline: number | undefined,
): Promise<Operation> {
  let operation = started;
  progress.update(subject, doing(operation));
  for (let round = 0; !ended(operation); round++) {
    if (deadline !== undefined && Date.now() >= deadline) {
      throw new CommandError(`${subject} has not ended in time; it goes on in the broker.`, {
        hint: `Follow it with \`landfall operation wait ${operation.id}\`.`,
      });
    }
    // The answer comes at the end of the operation or of the wait: a short one shows what happens on the way.
    const wait = round < 20 ? 1 : 3;
    const away = () => progress.update(subject, 'the broker does not answer; trying on');
    operation = await throughRestart(session, () => operationById(session.broker, operation.id, wait), away);
    if (!ended(operation)) progress.update(subject, doing(operation));
  }
  return operation;
}

/** Does a read; while the broker is away (it may be restarting) again and again, for a while. */
export async function throughRestart<T>(
  session: Session,
  read: () => Promise<T>,
  away: () => void = () => {},
): Promise<T> {
  const { interrupted } = session.terminal;
  const since = Date.now();
  for (;;) {
    try {
      return await read();
    } catch (error) {
      const transient = error instanceof CommandError && error.exitCode === exitCodes.unreachable;
      if (!transient || interrupted.aborted || Date.now() - since > patience) throw error;
      away();
      await pause(1000, interrupted);
      if (interrupted.aborted) throw error;
    }
  }
}

/** The operation, after at most so many seconds of waiting for its end. */
export function operationById(broker: Broker, operation: string, wait = 0): Promise<Operation> {
  return body(
    broker.client.GET('/v1/operations/{operation}', { params: { path: { operation }, query: { wait } } }),
  );
}

/** The exit code that an ended operation stands for. */
export function operationExitCode(operation: Operation): number {
  return operation.state === 'Succeeded' ? exitCodes.ok : exitCodes.failed;
}
