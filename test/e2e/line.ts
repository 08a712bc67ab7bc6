/** The line to an endpoint, which may fail. */
import { connect, createServer, type Socket } from 'node:net';

/** A port that leads to another, until it is cut. */
export interface Line {
  endpoint: string;
  /**
   * Cut, it still takes connections and never answers: what a failing network does, and worse than refusing. Mended, what
   * hangs is dropped, and what comes then goes through.
   */
  cut(isCut: boolean): void;
  /** Connections that hang in the cut line. */
  hanging(): number;
  close(): Promise<void>;
}

export async function openLine(endpoint: string): Promise<Line> {
  const target = new URL(endpoint);
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  };
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((socket) => {
    keep(socket);
    if (isCut) return;
    const onward = connect(Number(target.port), target.hostname);
    keep(onward);
    socket.pipe(onward).pipe(socket);
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    cut(wanted) {
      isCut = wanted;
      // Connections of before, too: they are kept alive and would go on.
      drop();
    },
    hanging: () => sockets.size,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      drop();
      await closed;
    },
  };
}
