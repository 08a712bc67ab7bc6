import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind } from '../../../adapters/contract.ts';
import { machineTypes } from './catalog.ts';
import { type Discovery, readDiscovery } from './discovery.ts';
import { act, insert, wordOf } from './estate.ts';
import { createFaultPlan, type GcpFault, type Refusal } from './faults.ts';
import { actOnInstance, insertInstance, preempt } from './machines.ts';
import { carryOut } from './methods.ts';
import { Refused } from './refusals.ts';
import { type Collection, collections, createWorld, type Json, pathOf } from './world.ts';

export type { GcpFault };

/** A request that came in. */
export interface Call {
  /** When it came, milliseconds of the clock. */
  at: number;
  method: string;
  path: Record<string, string>;
  query: Record<string, string>;
  body?: Json;
  status: number;
}

export interface Existing {
  ref: string;
  /** Google's word for one of its collection, e.g. `instance`, `disk`, `network`. */
  providerKind: string;
  name: string;
  labels: Record<string, string>;
  description?: string;
}

export interface GcpSimulator {
  /** For the site's `endpoint`; any credentials and any project are accepted. */
  endpoint: string;
  faults: { set(fault: GcpFault, kind?: Kind): void; clear(): void };
  /** Every request so far, newest last. */
  calls: Call[];
  /** What exists: nothing hidden, nothing delayed; what is going still counts. */
  truth(): Existing[];
  /** Makes a machine past the rules and faults, as somebody else had done long ago: it runs. `more`: of the insert's body. Answers its reference. */
  plant(project: string, zone: string, name: string, labels: Record<string, string>, more?: Json): string;
  /** Makes anything else so, by the body of its insert, and answers when it is ready. */
  plantOther(project: string, scope: string, collection: Collection, body: Json): Promise<string>;
  /** Deletes something past the adapter, and answers when it is gone. */
  destroy(ref: string): Promise<void>;
  /** Gives a machine a network tag past the adapter; answers how to read all of them. */
  tag(ref: string, tag: string): Promise<() => string[]>;
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
      at: Date.now(),
      method: '',
      path: {},
      query: Object.fromEntries(url.searchParams),
      body: text ? (JSON.parse(text) as Json) : undefined,
      status: 0,
    };
    calls.push(call);
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      call.status = status;
      const date = new Date(faults.now()).toUTCString();
      response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8', date, ...headers });
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
    const carry = () => carryOut(world, matched, url.searchParams, call.body ?? {}, fate.failure);
    // The operation as it is now, not as it was at first.
    const body = known ? (world.operation(pathOf('', known.selfLink)) ?? known) : await carry();
    if (requestId && !known) answered.set(requestId, body);
    // With a request id the second delivery is answered with the first one's operation, without it the name is taken.
    if (fate.duplicate && !requestId) await carry();
    const wrong = matched.checkAnswer(body);
    if (wrong.length > 0) throw new Error(`the answer to ${matched.id} is not Google's: ${wrong.join('; ')}`);
    if (fate.responseLost) return void response.destroy();
    send(200, body);
  }

  /** Where the thing with this reference is, in whatever project. */
  function place(ref: string) {
    for (const collection of collections)
      for (const { path } of world.all(collection)) {
        if (!path.endsWith(`/${ref}`)) continue;
        const [, project = '', ...rest] = path.split('/');
        return { at: { project, scope: rest.slice(0, -2).join('/') }, path, collection };
      }
    throw new Error(`there is no ${ref}`);
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  // Never: a client that uses a connection again at the moment it is closed would see a lost answer.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: {
      ...faults,
      set(fault, kind) {
        if (fault.kind !== 'interrupt') return faults.set(fault, kind);
        const { at, path } = place(fault.ref);
        preempt(world, at, path);
      },
    },
    calls,
    truth: () =>
      collections.flatMap((collection) =>
        world.all(collection).map(({ path, body }) => ({
          ref: path.replace(/^projects\/[^/]+\//, ''),
          providerKind: wordOf[collection],
          name: body.name,
          labels: body.labels ?? {},
          description: body.description,
        })),
      ),
    plant(project, zone, name, labels, more = {}) {
      const ref = `zones/${zone}/instances/${name}`;
      insertInstance(
        world,
        { project, scope: `zones/${zone}` },
        {
          name,
          labels,
          machineType: `zones/${zone}/machineTypes/${machineTypes[0]?.name}`,
          disks: [{ boot: true, autoDelete: true, initializeParams: {} }],
          networkInterfaces: [{}],
          ...more,
        },
      );
      const machine = world.find(`projects/${project}/${ref}`);
      if (machine) machine.status = 'RUNNING';
      return ref;
    },
    async plantOther(project, scope, collection, body) {
      insert(world, { project, scope }, collection, body, new URLSearchParams());
      const ref = `${scope}/${collection}/${body.name}`;
      const beginning = ['CREATING', 'PENDING', 'UPLOADING', 'RESERVING'];
      while (beginning.includes(world.find(place(ref).path)?.status)) await sleep(20);
      return ref;
    },
    async destroy(ref) {
      const { at, path, collection } = place(ref);
      const none = new URLSearchParams();
      if (collection === 'instances') actOnInstance(world, at, path, 'delete', none, {});
      else act(world, at, collection, path, 'delete', {});
      while (world.find(path)) await sleep(20);
    },
    async tag(ref, tag) {
      const machine = world.find(place(ref).path) ?? {};
      machine.tags = { items: [...(machine.tags.items ?? []), tag], fingerprint: world.fingerprint() };
      return () => machine.tags.items;
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

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
