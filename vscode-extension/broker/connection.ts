/** One broker over HTTP: the typed client with a token that may change, and errors in words. */
import { createClient, type LandfallClient } from '@landfall/model';
import { connectionFailure, failureWords } from '@landfall/model/connection-failure.ts';
import type { Context } from './contexts.ts';

export { body, bodyIfFound, ProblemError, problemOf } from '@landfall/model/answer.ts';

/** No answer at all. */
export class UnreachableError extends Error {
  constructor(url: string, cause: unknown) {
    const code = connectionFailure(cause);
    super(`No broker at ${url}: ${failureWords[code] ?? code}.`, { cause });
    this.name = 'UnreachableError';
  }
}

/** It is there, but a browser lets no page of this origin read what it answers: the broker does not name it. */
export class OriginRefusedError extends UnreachableError {
  /** What to set in the broker's environment. */
  readonly setting: string;
  constructor(url: string, origin: string, cause: unknown) {
    super(url, cause);
    // Editors of vscode.dev have another origin for each workspace.
    const domain = /^https:\/\/[^/]+(\.vscode-cdn\.net)$/.exec(origin)?.[1];
    this.setting = `LANDFALL_ALLOWED_ORIGINS=${domain ? `https://*${domain}` : origin}`;
    this.message = `The broker at ${url} does not let this editor read its answers: start it with ${this.setting} in its environment.`;
    this.name = 'OriginRefusedError';
  }
}

/**
 * Why a request had no answer. A browser says only that it failed: whether the broker is there is asked in a way that a browser
 * lets every page ask, without reading the answer.
 */
async function unanswered(url: string, cause: unknown): Promise<Error> {
  const { origin } = globalThis as { origin?: string };
  if (origin === undefined || (cause as Error).name === 'TimeoutError')
    return new UnreachableError(url, cause);
  const isThere = await fetch(`${url}/healthz`, { mode: 'no-cors', signal: AbortSignal.timeout(5_000) }).then(
    () => true,
    () => false,
  );
  return isThere
    ? new OriginRefusedError(url, origin, cause)
    : new UnreachableError(url, new Error(failureWords.ECONNREFUSED));
}

/** Where tokens come from, and who is told that one is refused. */
export interface Credentials {
  /** The token to send; undefined when nobody has signed in. */
  token(): Promise<string | undefined>;
  /** The broker answered 401. Told once for each token, however many requests it was sent with. */
  refused(): void;
  /** The broker does not name this page's origin. Told once for each connection. */
  originRefused?(error: OriginRefusedError): void;
}

/** Longer than the longest `wait` of an operation. */
const requestTimeout = 90_000;

/** Nothing is sent before the first request. */
export class BrokerConnection {
  readonly context: Context;
  readonly client: LandfallClient;
  readonly #credentials: Credentials;
  readonly #closed = new AbortController();
  #refused: string | undefined;
  readonly #whenRefused = new Set<() => void>();
  #originRefused = false;

  constructor(context: Context, credentials: Credentials) {
    this.context = context;
    this.#credentials = credentials;
    this.client = createClient({
      url: context.url,
      userAgent: 'landfall-vscode',
      fetch: (request) => this.send(request as Request, AbortSignal.timeout(requestTimeout)),
    });
  }

  /** Aborted when the connection is closed: what is under way ends with it. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** The project that things are made in. */
  get project(): string {
    return this.context.project;
  }

  /** The token of now, for a process that talks to the same broker. */
  token(): Promise<string | undefined> {
    return this.#credentials.token();
  }

  /** Tells when a token is refused, once for each. Answers what ends it. */
  whenRefused(told: () => void): () => void {
    this.#whenRefused.add(told);
    return () => this.#whenRefused.delete(told);
  }

  /** One request with the token of now. Throws UnreachableError, or the reason that it was aborted for. */
  async send(request: Request, limit?: AbortSignal): Promise<Response> {
    const token = await this.#credentials.token();
    if (token !== undefined) request.headers.set('authorization', `Bearer ${token}`);
    const signals = [this.closed, request.signal, ...(limit ? [limit] : [])];
    let response: Response;
    try {
      response = await fetch(request, { signal: AbortSignal.any(signals) });
    } catch (cause) {
      if (this.closed.aborted || request.signal.aborted) throw cause;
      const error = await unanswered(this.context.url, cause);
      if (error instanceof OriginRefusedError && !this.#originRefused) {
        this.#originRefused = true;
        this.#credentials.originRefused?.(error);
      }
      throw error;
    }
    if (response.status === 401 && this.#refused !== (token ?? '')) {
      this.#refused = token ?? '';
      this.#credentials.refused();
      for (const told of this.#whenRefused) told();
    }
    return response;
  }

  close(): void {
    this.#closed.abort(new Error('The connection to the broker was closed.'));
  }
}
