/** The broker, over HTTP: the typed client with problems as errors. */
import { randomUUID } from 'node:crypto';
import { createClient, type LandfallClient } from '@landfall/model';
import { type Answer, problemOf } from '@landfall/model/answer.ts';
import { connectionFailure, failureWords } from '@landfall/model/connection-failure.ts';
import { CommandError, exitCodes, ProblemError } from '../errors.ts';
import type { Connection } from './connection.ts';

/** This program's version, sent as its user agent. */
export const version = '0.1.0';

/** A connected broker. */
export interface Broker {
  readonly connection: Connection;
  readonly client: LandfallClient;
  readonly project: string;
}

/** Longer than the longest `wait` of an operation. */
const requestTimeout = 90_000;

/** Connects; nothing is sent yet. */
export function connect(connection: Connection, signal?: AbortSignal): Broker {
  const client = createClient({
    url: connection.url,
    token: connection.token,
    userAgent: `landfall-cli/${version}`,
    fetch: (request) => steadyFetch(request as Request, connection, signal),
  });
  return { connection, client, project: connection.project };
}

/** A fresh key for a POST: repeats of it do nothing again. */
export function idempotencyKey(): { 'Idempotency-Key': string } {
  return { 'Idempotency-Key': randomUUID() };
}

/**
 * One request. A connection that broke in the middle is tried once more where a repeat is harmless:
 * reads, and writes with a key or a precondition.
 */
async function steadyFetch(
  request: Request,
  connection: Connection,
  signal?: AbortSignal,
): Promise<Response> {
  const repeatable = request.method === 'GET' || request.headers.has('Idempotency-Key');
  for (let attempt = 1; ; attempt++) {
    const signals = [AbortSignal.timeout(requestTimeout), request.signal];
    if (signal) signals.push(signal);
    try {
      return await fetch(repeatable ? request.clone() : request, { signal: AbortSignal.any(signals) });
    } catch (cause) {
      if (signal?.aborted) throw new CommandError('Interrupted.', { exitCode: exitCodes.interrupted });
      if (request.signal.aborted) throw cause;
      const code = connectionFailure(cause);
      if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') {
        if (repeatable && attempt < 3) continue;
      }
      throw unreachable(connection, code, cause);
    }
  }
}

/** The error for a broker that cannot be reached. */
export function unreachable(connection: Connection, code: string, cause: unknown): CommandError {
  const { source } = connection;
  const advice =
    typeof source === 'object'
      ? `It is the address of context "${source.context}". Is the broker up? Other contexts: \`landfall context list\`.`
      : source === 'local'
        ? 'Start it with `npm run up` (its logs are in .landfall/logs), or connect elsewhere with `landfall login`.'
        : source === 'default'
          ? 'It is the default address. Start a broker with `npm run up`, or name one with --url or LANDFALL_URL.'
          : `It is the address that ${source === 'flags' ? '--url' : 'LANDFALL_URL'} names. Is the broker up?`;
  return new CommandError(`No broker at ${connection.url}: ${failureWords[code] ?? code}.`, {
    exitCode: exitCodes.unreachable,
    hint: advice,
    cause,
  });
}

/** The answer's body and headers; a problem is thrown. */
export async function answer<A extends Answer>(
  pending: Promise<A>,
): Promise<{ body: NonNullable<A['data']>; response: Response }> {
  const { data, error, response } = await pending;
  if (!response.ok) throw new ProblemError(problemOf(error, response));
  return { body: data as NonNullable<A['data']>, response };
}

/** The answer's body; a problem is thrown. */
export async function body<A extends Answer>(pending: Promise<A>): Promise<NonNullable<A['data']>> {
  return (await answer(pending)).body;
}

/** The body, or undefined when there is no such thing. */
export async function bodyIfFound<A extends Answer>(
  pending: Promise<A>,
): Promise<{ body: NonNullable<A['data']>; etag: string } | undefined> {
  const { data, error, response } = await pending;
  if (response.status === 404) return undefined;
  if (!response.ok) throw new ProblemError(problemOf(error, response));
  return { body: data as NonNullable<A['data']>, etag: response.headers.get('etag') ?? '*' };
}

/** Every item of a list, page after page, up to a limit. */
export async function pages<T>(
  list: (query: { pageSize: number; pageToken?: string }) => Promise<{ items: T[]; nextPageToken?: string }>,
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = [];
  let pageToken: string | undefined;
  do {
    const page = await list({
      pageSize: Math.min(500, limit - items.length),
      ...(pageToken ? { pageToken } : {}),
    });
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken && items.length < limit);
  return items;
}
