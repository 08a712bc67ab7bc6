/** `landfall operation`: get, wait, cancel. */
import { durationMs } from '@landfall/model';
import { answer, idempotencyKey } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import type { Session } from '../session.ts';
import { operationById, operationExitCode, operationSubject, waitForOperations } from '../waiting.ts';

/** The milliseconds that `--timeout` gives. */
export function parseTimeout(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const milliseconds = durationMs(given);
  if (Number.isNaN(milliseconds))
    throw usageError(`--timeout must be a duration such as 90s or 10m, not "${given}".`);
  return milliseconds;
}

/** Waits for operations; fails when one of them failed. */
export async function waitOperations(
  session: Session,
  ids: string[],
  flags: { timeout?: string },
): Promise<number> {
  const operations = await Promise.all(ids.map((id) => operationById(session.broker, id)));
  const pending = operations.map((operation) => ({ subject: operationSubject(operation), operation }));
  const ended = await waitForOperations(session, pending, parseTimeout(flags.timeout));
  if (session.structured) session.outStructured(ended.length === 1 ? ended[0] : { items: ended });
  return ended.map(operationExitCode).find((code) => code !== exitCodes.ok) ?? exitCodes.ok;
}

/** Asks for cancellation. With `--wait`, until the operation has ended, however it did. */
export async function cancelOperation(
  session: Session,
  id: string,
  flags: { wait?: boolean; timeout?: string },
): Promise<number> {
  const { body: asked } = await answer(
    session.broker.client.POST('/v1/operations/{operation}/cancel', {
      params: { path: { operation: id }, header: idempotencyKey() },
    }),
  );
  session.notice(`operation/${id}: cancellation asked for`);
  if (!flags.wait) {
    if (session.structured) session.outStructured(asked);
    return exitCodes.ok;
  }
  const operation = await operationById(session.broker, id);
  const [end] = await waitForOperations(
    session,
    [{ subject: operationSubject(operation), operation }],
    parseTimeout(flags.timeout),
  );
  if (session.structured) session.outStructured(end);
  return end?.state === 'Cancelled' ? exitCodes.ok : exitCodes.failed;
}
