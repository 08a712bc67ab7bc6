/** Loopback ports: the preferred one where it is free, else the next free one. */
import { connect, createServer } from 'node:net';

/** The ports a stack likes best; none is in the ranges from which systems give out ephemeral ports. */
export const preferredPorts = { postgres: 15432, temporal: 7233, broker: 7420 } as const;

/** Whether a server can listen on that port now. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => done(true)));
  });
}

/** Whether something accepts connections on that port. */
export function accepts(port: number, host = '127.0.0.1', limitMs = 1000): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host });
    const end = (answer: boolean) => {
      socket.destroy();
      done(answer);
    };
    socket.setTimeout(limitMs, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

function anyFreePort(host: string): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen({ port: 0, host, exclusive: true }, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => done(port));
    });
  });
}

/**
 * A free port: `wanted` itself, else the first free one after it. 0 means any. Ports in `taken` are
 * passed over: they are promised to a part that does not listen yet.
 */
export async function choosePort(
  wanted: number,
  { host = '127.0.0.1', taken = new Set<number>(), tries = 200 } = {},
): Promise<number> {
  for (let round = 0; round < tries; round++) {
    const port = wanted === 0 ? await anyFreePort(host) : wanted + round;
    if (port > 65_535) break;
    if (!taken.has(port) && (await isPortFree(port, host))) return port;
  }
  throw new Error(
    `No free port on ${host} from ${wanted} on. Stop what listens there, or choose another with --port.`,
  );
}
