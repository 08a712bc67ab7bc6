import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer of the server: JSON, or what a broken one does instead. */
export type Scripted =
  /** With `thenAwayMs`, nothing listens for so long as soon as the answer is out. */
  | { json: unknown; status?: number; headers?: Record<string, string>; thenAwayMs?: number }
  | { text: string; status?: number; headers?: Record<string, string> }
  /** Promises more bytes than it sends, then hangs up. */
  | { cutOff: string };

/** A request as the server saw it. */
export interface Seen {
  method: string;
  url: URL;
  headers: IncomingMessage['headers'];
  body: string;
}

/** A local HTTP server that answers as a test says. Its answers are made by hand in the vendors' documented shapes. */
export class PriceServer {
  readonly seen: Seen[] = [];
  /** Settles when the server listens again after `thenAwayMs`. */
  back: Promise<void> = Promise.resolve();
  readonly #server: Server;
  #port = 0;
  #answer: (request: Seen, number: number) => Scripted = () => ({ status: 404, text: 'nothing here' });

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<PriceServer> {
    const started = new PriceServer();
    await new Promise<void>((ready) => started.#server.listen(0, '127.0.0.1', ready));
    started.#port = (started.#server.address() as AddressInfo).port;
    return started;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** From now on; `number` counts the requests from 0. */
  answers(answer: (request: Seen, number: number) => Scripted): void {
    this.seen.length = 0;
    this.#answer = answer;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const part of request) body += String(part);
    const seen: Seen = {
      method: request.method!,
      url: new URL(request.url!, this.endpoint),
      headers: request.headers,
      body,
    };
    this.seen.push(seen);
    const answer = this.#answer(seen, this.seen.length - 1);
    if ('cutOff' in answer) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100000' });
      response.write(answer.cutOff, () => response.destroy());
      return;
    }
    const text = 'json' in answer ? JSON.stringify(answer.json) : answer.text;
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
    response.end(text, () => {
      if ('json' in answer && answer.thenAwayMs !== undefined) this.back = this.#goAway(answer.thenAwayMs);
    });
  }

  async #goAway(ms: number): Promise<void> {
    await this.close();
    await new Promise((waited) => setTimeout(waited, ms));
    await new Promise<void>((ready) => this.#server.listen(this.#port, '127.0.0.1', ready));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}
