/** `landfall events` and `landfall console`. */
import { body } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import type { Session } from '../session.ts';
import { pause } from '../terminal.ts';
import { type GetFlags, get } from './get.ts';

/** Events, oldest first; with `--watch` also as they happen. */
export function events(session: Session, flags: GetFlags): Promise<number> {
  return get(session, 'events', [], flags);
}

/** How much of an earlier log must be found again in a later one to join them. */
const joint = 512;

/** The part of a log's end that was not there before; `gap` when the two do not meet. */
export function newText(before: string, now: string): { text: string; gap: boolean } {
  if (before === '') return { text: now, gap: false };
  if (now.startsWith(before)) return { text: now.slice(before.length), gap: false };
  const tail = before.slice(-joint);
  const at = now.lastIndexOf(tail);
  return at < 0 ? { text: now, gap: true } : { text: now.slice(at + tail.length), gap: false };
}

/** The serial console's log; with `--follow`, what comes too, until Ctrl-C. */
export async function showConsole(
  session: Session,
  instance: string,
  flags: { follow?: boolean; bytes?: string },
): Promise<number> {
  const { broker } = session;
  const maxBytes = flags.bytes === undefined ? 16384 : Number(flags.bytes);
  if (!Number.isInteger(maxBytes) || maxBytes < 1 || maxBytes > 49152)
    throw usageError('--bytes must be a whole number from 1 to 49152.');
  const read = async (bytes: number): Promise<string> => {
    const params = { path: { project: broker.project, instance }, query: { maxBytes: bytes } };
    return (await body(broker.client.GET('/v1/projects/{project}/instances/{instance}/console', { params })))
      .text;
  };
  let seen = await read(maxBytes);
  if (session.structured && !flags.follow) {
    session.outStructured({ text: seen });
    return exitCodes.ok;
  }
  session.out(seen);
  if (!flags.follow) {
    if (seen !== '' && !seen.endsWith('\n') && session.terminal.outIsTTY) session.out('\n');
    if (seen === '') session.notice('The console has said nothing yet.');
    return exitCodes.ok;
  }
  const { interrupted } = session.terminal;
  for (;;) {
    await pause(1000, interrupted);
    if (interrupted.aborted) return exitCodes.interrupted;
    const now = await read(49152);
    const { text, gap } = newText(seen, now);
    if (gap) session.notice('[some of the log between was not read]');
    session.out(text);
    if (now !== '') seen = now;
  }
}
