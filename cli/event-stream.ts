/** The watch stream (server-sent events), kept open over reconnects. */
import type { Event, Problem } from '@landfall/model';
import { problemOf } from '@landfall/model/answer.ts';
import { connectionFailure } from '@landfall/model/connection-failure.ts';
import { ServerSentEventParser } from '@landfall/model/server-sent-events.ts';
import { unreachable, version } from './connection/broker.ts';
import { CommandError, ProblemError } from './errors.ts';
import type { Session } from './session.ts';
import { pause } from './terminal.ts';

/** An open stream. */
export interface EventStream {
  /** Settles when the broker has begun to answer. */
  opened: Promise<void>;
  events: AsyncIterable<Event>;
}

/** A stream that says nothing for so long, bookmarks included, is taken for dead. */
const silence = 120_000;

/** Events as they happen, until Ctrl-C. A broken stream is resumed where it broke. */
export function watchEvents(
  session: Session,
  options: { filter?: string; since?: string } = {},
): EventStream {
  const { connection } = session.broker;
  const { interrupted } = session.terminal;
  let lastId = options.since;
  const open = async (signal: AbortSignal): Promise<Response> => {
    const url = new URL(`${connection.url}/v1/watch`);
    if (options.filter) url.searchParams.set('filter', options.filter);
    const headers: Record<string, string> = {
      accept: 'text/event-stream',
      'user-agent': `landfall-cli/${version}`,
    };
    if (connection.token) headers.authorization = `Bearer ${connection.token}`;
    if (lastId !== undefined) headers['last-event-id'] = lastId;
    const response = await fetch(url, { headers, signal });
    if (response.ok && response.body) return response;
    const problem = await response.json().catch(() => undefined);
    throw new ProblemError(problemOf(problem as Problem | undefined, response));
  };
  let idle = new AbortController();
  const connectOnce = () => {
    idle = new AbortController();
    return open(AbortSignal.any([interrupted, idle.signal]));
  };
  const first = connectOnce().catch((error: unknown) => {
    if (error instanceof CommandError) throw error;
    throw unreachable(connection, connectionFailure(error), error);
  });
  async function* read(): AsyncGenerator<Event> {
    let pending: Promise<Response> | undefined = first;
    for (let failures = 0; !interrupted.aborted; ) {
      try {
        const response = await (pending ?? connectOnce());
        pending = undefined;
        failures = 0;
        const parser = new ServerSentEventParser();
        const decoder = new TextDecoder();
        let timer = setTimeout(() => idle.abort(), silence);
        try {
          for await (const piece of response.body!) {
            clearTimeout(timer);
            timer = setTimeout(() => idle.abort(), silence);
            for (const event of parser.push(decoder.decode(piece, { stream: true }))) {
              if (event.id) lastId = event.id;
              if (event.event === 'event') yield JSON.parse(event.data) as Event;
            }
          }
        } finally {
          clearTimeout(timer);
        }
      } catch (error) {
        if (interrupted.aborted) return;
        if (pending) throw error;
        if (error instanceof ProblemError && error.problem.status === 410) {
          session.notice(
            'The broker no longer keeps the events since the connection broke: some are missing here (`landfall get events`).',
          );
          lastId = undefined;
          continue;
        }
        if (error instanceof ProblemError && error.problem.status < 500 && error.problem.status !== 429)
          throw error;
        if (failures++ === 0) session.notice('The event stream broke; connecting again.');
        await pause(Math.min(5000, 250 * 2 ** failures), interrupted);
        continue;
      }
      // The broker ended the stream in good order (it restarts): connect again at once, but not in a busy loop.
      await pause(250, interrupted);
    }
  }
  return { opened: first.then(() => undefined), events: read() };
}
