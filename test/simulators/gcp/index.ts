import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { machineTypes } from './catalog.ts';
import { type Discovery, readDiscovery } from './discovery.ts';
import { createFaultPlan, type GcpFault, type Refusal } from './faults.ts';
import { carryOut, Refused } from './methods.ts';
import { createWorld, type Json } from './world.ts';

export type { GcpFault };

/** A request that came in. */
export interface Call {
  method: string;
  path: Record<string, string>;
  query: Record<string, string>;
  body?: Json;
  status: number;
}

export interface Existing {
  ref: string;
  providerKind: 'instance' | 'disk';
  labels: Record<string, string>;
}

export interface GcpSimulator {
  /** For the site's `endpoint`; any credentials and any project are accepted. */
  endpoint: string;
  faults: { set(fault: GcpFault): void; clear(): void };
  /** Every request so far, newest last. */
  calls: Call[];
  /** What exists: nothing hidden, nothing delayed; what is going still counts. */
  truth(): Existing[];
  /** Makes a machine past the rules and faults, as somebody else would; answers its reference. */
  plant(project: string, zone: string, name: string, labels: Record<string, string>): string;
  /** Deletes a machine past the adapter, and answers when it is gone. */
  destroy(ref: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a simulated Compute Engine: Google's discovery document for every request and answer, request ids, operations and
 * states that take time, and faults. The first start on a machine downloads the document (a few seconds).
 */
export async function startGcpSimulator(
  options: { port?: number; cacheDir?: string } = {},
): Promise<GcpSimulator> {
  const discovery = await readDiscovery(options.cacheDir);
  const faults = createFaultPlan();
  const world = createWorld(faults);
  const calls: Call[] = [];
  /** Answers by request id: Compute Engine ignores a second request with the same id. */
  const answered = new Map<string, Json>();

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://simulator');
    const text = await textOf(request);
    const call: Call = {
      method: '',
      path: {},
      query: Object.fromEntries(url.searchParams),
      body: text ? (JSON.parse(text) as Json) : undefined,
      status: 0,
    };
    calls.push(call);
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      call.status = status;
      response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8', ...headers });
      response.end(JSON.stringify(body));
    };
    try {
      await answer(discovery, request, url, call, send, response);
    } catch (error) {
      if (error instanceof Refused) refuse(send, error.refusal);
      else refuse(send, { status: 500, reason: 'backendError', message: `simulator: ${String(error)}` });
    }
  }

  async function answer(
    document: Discovery,
    request: IncomingMessage,
    url: URL,
    call: Call,
    send: (status: number, body: unknown) => void,
    response: ServerResponse,
  ): Promise<void> {
    const matched = document.match(request.method ?? 'GET', url, call.body);
    if (!matched) throw new Refused(404, 'notFound', `no method has ${request.method} ${url.pathname}`);
    call.method = matched.id;
    call.path = matched.path;
    const [problem] = matched.problems;
    if (problem) throw new Refused(400, 'invalid', problem);
    const { zone } = matched.path;
    const requestId = url.searchParams.get('requestId');
    const known = requestId ? answered.get(requestId) : undefined;
    const machineType = String(call.body?.machineType ?? '')
      .split('/')
      .at(-1);
    const fate = faults.fate({
      method: matched.id,
      zone,
      machineType,
      filtered: url.searchParams.has('filter'),
    });
    if (fate.delayMs > 0) await sleep(fate.delayMs);
    if (fate.requestLost) return void response.destroy();
    if (fate.refusal) return refuse(send, fate.refusal);
    const carry = () => carryOut(world, faults, matched, url.searchParams, call.body ?? {}, fate.failure);
    // The operation as it is now, not as it was at first.
    const body = known ? (world.operation(pathOf(known.selfLink)) ?? known) : await carry();
    if (requestId && !known) answered.set(requestId, body);
    // With a request id the second delivery is answered with the first one's operation, without it the name is taken.
    if (fate.duplicate && !requestId) await carry();
    const wrong = matched.checkAnswer(body);
    if (wrong.length > 0) throw new Error(`the answer to ${matched.id} is not Google's: ${wrong.join('; ')}`);
    if (fate.responseLost) return void response.destroy();
    send(200, body);
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    calls,
    truth: () =>
      (['instances', 'disks'] as const).flatMap((collection) =>
        world.all(collection).map(({ path, body }) => ({
          ref: path.replace(/^projects\/[^/]+\//, ''),
          providerKind: collection === 'disks' ? ('disk' as const) : ('instance' as const),
          labels: body.labels ?? {},
        })),
      ),
    plant(project, zone, name, labels) {
      world.insertInstance(
        { project, zone },
        {
          name,
          labels,
          machineType: `zones/${zone}/machineTypes/${machineTypes[0]?.name}`,
          disks: [{ boot: true, autoDelete: true, initializeParams: {} }],
          networkInterfaces: [{}],
        },
      );
      return `zones/${zone}/instances/${name}`;
    },
    async destroy(ref) {
      const thing = world.all('instances').find(({ path }) => path.endsWith(`/${ref}`));
      if (!thing) throw new Error(`there is no ${ref}`);
      const [, project = '', , zone = ''] = thing.path.split('/');
      world.act({ project, zone }, thing.path, 'delete', {});
      while (world.find(thing.path)) await sleep(20);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(
  send: (status: number, body: unknown, headers?: Record<string, string>) => void,
  { status, reason, message, retryAfterMs }: Refusal,
): void {
  const error = { code: status, message, errors: [{ message, domain: 'global', reason }] };
  send(
    status,
    { error },
    retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) },
  );
}

const pathOf = (link: string): string => link.replace(/^https:\/\/[^/]+\/compute\/v1\//, '');

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
