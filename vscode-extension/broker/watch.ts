/** The broker's events as they happen, kept open over breaks. */
import type { Event } from '@landfall/model';
import { ServerSentEventParser } from '@landfall/model/server-sent-events.ts';
import { type BrokerConnection, ProblemError, problemOf, UnreachableError } from './connection.ts';

/** How the connection to the broker is. */
export type WatchState =
  | { kind: 'connecting' }
  | { kind: 'live' }
  /** It is tried again at `retryAt` (milliseconds since 1970). */
  | { kind: 'down'; reason: string; retryAt: number }
  /** The token is refused; nothing is tried before `retry`. */
  | { kind: 'signedOut' };

/** Who is told. */
export interface WatchListener {
  event(event: Event): void;
  /** What was read before may be stale: the stream begins now, not where it last was. */
  reload(): void;
  state(state: WatchState): void;
}

/** Bookmarks come every ten seconds: a stream that is silent for longer is dead, as after a laptop's sleep. */
const defaultSilence = 35_000;
const longestPause = 10_000;

const refusal = new ProblemError({ type: 'about:blank', title: 'The token is refused.', status: 401 });

/** Watches until the connection is closed. */
export class Watch {
  readonly #connection: BrokerConnection;
  readonly #listener: WatchListener;
  readonly #silence: number;
  #lastId: string | undefined;
  #state: WatchState = { kind: 'connecting' };
  #wake = (): void => undefined;

  constructor(connection: BrokerConnection, listener: WatchListener, silenceMs = defaultSilence) {
    this.#connection = connection;
    this.#listener = listener;
    this.#silence = silenceMs;
  }

  get state(): WatchState {
    return this.#state;
  }

  /** Resolves when the connection is closed. */
  async run(): Promise<void> {
    const { closed } = this.#connection;
    let failures = 0;
    while (!closed.aborted) {
      try {
        await this.#stream(() => {
          failures = 0;
        });
        // Ended in good order: the broker restarts.
        if (!closed.aborted) await this.#pause(250);
      } catch (error) {
        if (closed.aborted) return;
        const status = error instanceof ProblemError ? error.problem.status : 0;
        if (status === 410) {
          this.#lastId = undefined;
        } else if (status === 401) {
          this.#say({ kind: 'signedOut' });
          await this.#pause();
          failures = 0;
        } else {
          const pause = Math.min(longestPause, 250 * 2 ** failures++);
          this.#say({ kind: 'down', reason: (error as Error).message, retryAt: Date.now() + pause });
          await this.#pause(pause);
        }
      }
    }
  }

  /** Tries at once, where it waits. */
  retry(): void {
    this.#wake();
  }

  /** One stream from its opening to its end. */
  async #stream(opened: () => void): Promise<void> {
    const headers: Record<string, string> = { accept: 'text/event-stream', 'user-agent': 'landfall-vscode' };
    const resumes = this.#lastId !== undefined;
    if (this.#lastId !== undefined) headers['last-event-id'] = this.#lastId;
    const idle = new AbortController();
    const fell = (): void => idle.abort(new Error('The broker has gone silent.'));
    let timer = setTimeout(fell, this.#silence);
    // A stream that was opened before its token ended may go on; what it tells is no longer meant for who holds that.
    const endRefused = this.#connection.whenRefused(() => idle.abort(refusal));
    try {
      const request = new Request(`${this.#connection.context.url}/v1/watch`, {
        headers,
        signal: idle.signal,
      });
      const response = await this.#connection.send(request);
      if (!response.ok || !response.body)
        throw new ProblemError(problemOf(await response.json().catch(() => undefined), response));
      opened();
      this.#say({ kind: 'live' });
      if (!resumes) this.#listener.reload();
      const parser = new ServerSentEventParser();
      const decoder = new TextDecoder();
      for await (const piece of this.#pieces(response.body, idle.signal)) {
        clearTimeout(timer);
        timer = setTimeout(fell, this.#silence);
        for (const { id, event, data } of parser.push(decoder.decode(piece, { stream: true }))) {
          if (event === 'event') this.#listener.event(JSON.parse(data) as Event);
          if (id) this.#lastId = id;
        }
      }
    } finally {
      clearTimeout(timer);
      endRefused();
    }
  }

  /** The stream, with what breaks it in words. */
  async *#pieces(stream: ReadableStream<Uint8Array>, idle: AbortSignal): AsyncGenerator<Uint8Array> {
    // Not by `for await`: Safari's streams cannot be gone through so.
    const reader = stream.getReader();
    try {
      for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
    } catch (cause) {
      if (idle.aborted) throw idle.reason;
      throw new UnreachableError(this.#connection.context.url, cause);
    }
  }

  #say(state: WatchState): void {
    this.#state = state;
    this.#listener.state(state);
  }

  /** Until the time is over (never, without one), `retry`, or the end. */
  #pause(milliseconds?: number): Promise<void> {
    const { closed } = this.#connection;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        closed.removeEventListener('abort', done);
        this.#wake = () => undefined;
        resolve();
      };
      const timer = milliseconds === undefined ? undefined : setTimeout(done, milliseconds);
      this.#wake = done;
      closed.addEventListener('abort', done, { once: true });
    });
  }
}
