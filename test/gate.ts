/** Stands between a client and its broker, and can be shut: the broker itself goes on. */
import { createServer, type Server } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** Headers of one connection, not of what is sent over it. */
const ofConnection = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive']);

export class Gate {
  #server: Server | undefined;
  readonly #to: string;
  #port = 0;
  /** The paths that were asked for. */
  readonly asked: string[] = [];
  /** A status to answer with instead of the broker. */
  answers: (path: string, lastEventId: string | undefined) => number | undefined = () => undefined;
  /** So long, in milliseconds, each request is kept before it goes on. */
  delayMs = 0;

  private constructor(to: string) {
    this.#to = to;
  }

  /** One that is open. */
  static async before(to: string): Promise<Gate> {
    const gate = new Gate(to);
    await gate.open();
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Opens it (again), at the port it had. */
  open(): Promise<void> {
    const server = createServer(async (request, response) => {
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      try {
        const lastEventId = request.headers['last-event-id'] as string | undefined;
        const { pathname } = new URL(request.url!, this.url);
        this.asked.push(pathname);
        const instead = this.answers(pathname, lastEventId);
        if (instead !== undefined)
          return void response
            .writeHead(instead, { 'content-type': 'application/problem+json' })
            .end(JSON.stringify({ type: 'about:blank', title: 'Gone', status: instead }));
        if (this.delayMs > 0) await sleep(this.delayMs);
        const { method = 'GET', headers } = request;
        const answer = await fetch(`${this.#to}${request.url}`, {
          method,
          headers: Object.entries(headers).flatMap(([name, value]): [string, string][] =>
            value === undefined || ofConnection.has(name) ? [] : [[name, String(value)]],
          ),
          ...(method === 'GET' || method === 'HEAD'
            ? {}
            : { body: Readable.toWeb(request) as ReadableStream<Uint8Array>, duplex: 'half' as const }),
          signal: gone.signal,
        });
        const kept = [...answer.headers].filter(
          ([name]) => !ofConnection.has(name) && name !== 'content-encoding',
        );
        response.writeHead(answer.status, Object.fromEntries(kept));
        if (answer.body) for await (const piece of answer.body) response.write(piece);
        response.end();
      } catch {
        // Whoever asked has gone, or the broker has: what it would see of either is a broken connection.
        response.destroy();
      }
    });
    this.#server = server;
    return new Promise((resolve) =>
      server.listen(this.#port, '127.0.0.1', () => {
        this.#port = (server.address() as { port: number }).port;
        resolve();
      }),
    );
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }
}
