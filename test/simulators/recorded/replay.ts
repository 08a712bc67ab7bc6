import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A loopback server that gives the answer it was last told to give, whatever is asked. */
export interface Replay {
  endpoint: string;
  /** The text of the next answers; `json` or `xml`. */
  answer(text: string, type: 'json' | 'xml'): void;
  close(): Promise<void>;
}

export async function startReplay(): Promise<Replay> {
  let next = { text: '', type: 'json' };
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const headers = { 'content-type': next.type === 'json' ? 'application/json' : 'text/xml' };
      response.writeHead(200, headers).end(next.text);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer(text, type) {
      next = { text, type };
    },
    close: () =>
      new Promise((done, failed) => {
        server.close((error) => (error ? failed(error) : done()));
        server.closeAllConnections();
      }),
  };
}
