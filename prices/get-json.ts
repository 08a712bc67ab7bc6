import { setTimeout as sleep } from 'node:timers/promises';

/** How {@link getJson} asks. */
export interface Asking {
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Tries in all. */
  attempts?: number;
  /** Milliseconds before the second try; doubled for each further one. */
  firstWaitMs?: number;
}

/** Why a list without an end is not read on. */
export const LOOP = 'a page names one that was read before as the next one';

const answerWithinMs = 60_000;
const longestWaitMs = 120_000;
const largestBytes = 128_000_000;

/** A price API that does not answer as it should. */
export class PriceApiError extends Error {
  constructor(url: string, reason: string, options?: ErrorOptions) {
    super(`${new URL(url).origin}${new URL(url).pathname}: ${reason}`, options);
    this.name = 'PriceApiError';
  }
}

/** A price API that refuses: asking again would not help. */
export class PriceApiRefusal extends PriceApiError {
  constructor(url: string, reason: string, options?: ErrorOptions) {
    super(url, reason, options);
    this.name = 'PriceApiRefusal';
  }
}

/** What no connection was made because of, and why in words. */
const unreachable: Record<string, string> = {
  ENOTFOUND: 'its name is not known here',
  EAI_AGAIN: 'no name server answers',
  ENETUNREACH: 'there is no network that leads there',
  EHOSTUNREACH: 'there is no way to it',
  ECONNREFUSED: 'nothing listens there',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
};

/** Tries in all where no connection can be made: what is missing then seldom comes within seconds. */
const unreachableAttempts = 3;

/** A price API that no connection can be made to. */
export class PriceApiUnreachable extends PriceApiError {
  constructor(url: string, reason: string, options?: ErrorOptions) {
    super(url, reason, options);
    this.name = 'PriceApiUnreachable';
  }
}

/** The error of an API that cannot be reached, if that is what `error` or its cause says. */
export function unreachableApi(url: string, error: unknown): PriceApiUnreachable | undefined {
  for (let at = error; typeof at === 'object' && at !== null; at = (at as { cause?: unknown }).cause) {
    const { code } = at as { code?: unknown };
    if (typeof code !== 'string' || !Object.hasOwn(unreachable, code)) continue;
    const reason = `cannot be reached: ${unreachable[code]} (${code})`;
    return new PriceApiUnreachable(url, reason, { cause: error });
  }
  return undefined;
}

/**
 * Reads a JSON document over HTTP. 408, 429, 5xx, a broken connection and a body that ends early are tried again, after
 * `Retry-After` where it is given (seconds or a date, at most two minutes are waited); where no connection can be made, a
 * few seconds only. Throws {@link PriceApiUnreachable} then, for other answers of 4xx {@link PriceApiRefusal}, else
 * {@link PriceApiError}; the query, which may hold a key, is in no message.
 */
export async function getJson(url: string, asking: Asking = {}): Promise<unknown> {
  const attempts = asking.attempts ?? 6;
  for (let attempt = 1; ; attempt++) {
    const answer = await once(url, asking);
    if ('document' in answer) return answer.document;
    const most =
      answer.error instanceof PriceApiUnreachable ? Math.min(attempts, unreachableAttempts) : attempts;
    if (!answer.again || attempt >= most) throw answer.error;
    const backOff = (asking.firstWaitMs ?? 1_000) * 2 ** (attempt - 1);
    await sleep(Math.min(longestWaitMs, answer.afterMs ?? backOff), undefined, { signal: asking.signal });
  }
}

type Answer = { document: unknown } | { error: PriceApiError; again: boolean; afterMs?: number };

async function once(url: string, { headers, signal }: Asking): Promise<Answer> {
  const within = AbortSignal.timeout(answerWithinMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      headers: { accept: 'application/json', ...headers },
      signal: signal ? AbortSignal.any([signal, within]) : within,
    });
    text = await bodyOf(response);
  } catch (error) {
    signal?.throwIfAborted();
    const away = unreachableApi(url, error);
    if (away !== undefined) return { error: away, again: true };
    const reason =
      error instanceof RangeError ? error.message : 'the connection broke or the answer did not end';
    return { error: new PriceApiError(url, reason, { cause: error }), again: !(error instanceof RangeError) };
  }
  if (!response.ok) {
    const again = response.status === 408 || response.status === 429 || response.status >= 500;
    const afterMs = retryAfterMs(response.headers.get('retry-after'));
    const reason = `answered ${response.status}: ${text.slice(0, 200)}`;
    const error = again ? new PriceApiError(url, reason) : new PriceApiRefusal(url, reason);
    return { error, again, ...(afterMs === undefined ? {} : { afterMs }) };
  }
  try {
    return { document: JSON.parse(text) };
  } catch (error) {
    return { error: new PriceApiError(url, 'the answer is no whole JSON', { cause: error }), again: true };
  }
}

async function bodyOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > largestBytes) throw new RangeError(`an answer of more than ${largestBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
