/**
 * A provider that answers at once: what a simulator answered to one conversation is kept and said again, as often as it is begun anew, by a
 * server in a thread of its own, so that only the caller's time is left to measure.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** The answers to each request, by its method, path and body, in the order in which they came; several alike in a row are one. */
export type Conversation = Map<string, Answer[]>;

const kept = ['content-type', 'location', 'azure-asyncoperation', 'etag'];

async function keyOf(request: IncomingMessage): Promise<{ key: string; body: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString('utf8');
  return { key: `${request.method} ${request.url} ${body}`, body };
}

/** Passes all on to `endpoint` while `talk` goes on, and answers what was said. */
export async function record(
  endpoint: string,
  talk: (endpoint: string) => Promise<unknown>,
): Promise<Conversation> {
  const said: Conversation = new Map();
  const server = createServer(async (request, response) => {
    const { key, body } = await keyOf(request);
    const { method, url } = request;
    const { host: _, connection: __, ...asked } = request.headers;
    const headers = new Headers(asked as Record<string, string>);
    for (const name of ['content-length', 'transfer-encoding', 'expect']) headers.delete(name);
    const answered = await fetch(`${endpoint}${url}`, { method, headers, body: body || undefined });
    const answer = {
      status: answered.status,
      headers: Object.fromEntries([...answered.headers].filter(([name]) => kept.includes(name))),
      body: await answered.text(),
    };
    const before = said.get(key) ?? [];
    if (JSON.stringify(before.at(-1)) !== JSON.stringify(answer)) before.push(answer);
    said.set(key, before);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await talk(own);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  // Addresses in answers are those of who said it: the simulator, or this server by the request's host.
  return new Map(
    JSON.parse(
      JSON.stringify([...said])
        .replaceAll(endpoint, here)
        .replaceAll(own, here),
    ),
  );
}

/** Stands for the replaying server's own address in what it says. */
const here = 'http://replayed.invalid';

/** A server that says it again. */
export interface Replayed {
  endpoint: string;
  /** The next request is the conversation's first. */
  again(): Promise<void>;
  /** Requests so far, of all conversations. */
  calls(): Promise<number>;
  close(): Promise<unknown>;
}

/** Starts a server for this conversation. What was not said in it is answered 501, with the request. */
export async function replay(said: Conversation): Promise<Replayed> {
  const worker = new Worker(new URL(import.meta.url), { workerData: said });
  const [port] = (await once(worker, 'message')) as [number];
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    endpoint,
    again: async () => void (await (await fetch(`${endpoint}/again`)).text()),
    calls: async () => Number(await (await fetch(`${endpoint}/calls`)).text()),
    close: () => worker.terminate(),
  };
}

function serve(said: Conversation): void {
  let at = new Map<string, number>();
  let calls = 0;
  const server = createServer(async (request, response) => {
    if (request.url === '/calls') return void response.end(String(calls));
    if (request.url === '/again') {
      at = new Map();
      return void response.end();
    }
    calls += 1;
    const { key } = await keyOf(request);
    const answers = said.get(key);
    if (!answers) return void response.writeHead(501).end(`never said: ${key}`);
    const next = at.get(key) ?? 0;
    at.set(key, next + 1);
    const { status, headers, body } = answers[Math.min(next, answers.length - 1)] as Answer;
    const own = `http://${request.headers.host}`;
    const located = Object.entries(headers).map(([name, value]) => [name, value.replaceAll(here, own)]);
    response.writeHead(status, Object.fromEntries(located)).end(body.replaceAll(here, own));
  });
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

if (!isMainThread && workerData instanceof Map) serve(workerData as Conversation);
