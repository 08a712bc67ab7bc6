import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Follows a server's connections, so that a stop need wait only for those that are being answered. */
export class Connections {
  readonly #open = new Set<Socket>();
  readonly #answering = new Map<Socket, number>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#answering.set(socket, (this.#answering.get(socket) ?? 0) + 1);
      response.once('close', () => {
        const left = (this.#answering.get(socket) ?? 1) - 1;
        if (left > 0) this.#answering.set(socket, left);
        else this.#answering.delete(socket);
      });
    });
  }

  /** Closes what is not being answered; Node's own way leaves out a connection that never carried a request. */
  closeIdle(): void {
    for (const socket of this.#open) if (!this.#answering.has(socket)) socket.destroy();
  }

  /** Closes everything. */
  closeAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
