/**
 * A fake broker for tests: the API's answers from memory, in the forms of openapi.yaml, with operations
 * that end after a few reads. It checks nothing that a test does not ask about.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AuditReport, Decision, Event, Instance, Operation, Problem, Schemas } from '@landfall/model';
import { sampleBatchDecision, sampleDecision } from './samples.ts';

/** One request as it came. */
export interface SeenRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: unknown;
}

interface Reply {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

const now = '2026-11-20T16:00:00.000Z';

function meta(kind: string) {
  return { id: randomUUID(), kind, labels: {}, revision: 1, createdAt: now, updatedAt: now };
}

/** The fake. `start` it, point a command at `url`, look at `requests` and the stores. */
export class FakeBroker {
  readonly requests: SeenRequest[] = [];
  readonly instances = new Map<string, Instance>();
  readonly sshKeys = new Map<string, Schemas['SshKey']>();
  readonly sites = new Map<string, Schemas['Site']>();
  readonly policies = new Map<string, Schemas['Policy']>();
  readonly violations = new Map<string, Schemas['Violation']>();
  /** Of every operation. */
  steps: Schemas['OperationStep'][] = [];
  readonly operations = new Map<string, Operation & { reads: number; effect: () => void }>();
  readonly events: Event[] = [];
  readonly token = 'lf_test';
  decision: Decision = sampleDecision;
  auditReport: AuditReport = { orphans: [], missing: [], doubled: [], instances: 0, machines: 0, sites: [] };
  /** How many reads an operation takes to end. */
  readsToEnd = 2;
  /** Asked first about every request; a reply of its own goes instead of the fake's. */
  intercept: (request: SeenRequest) => Reply | undefined = () => undefined;
  /** Places a batch. */
  batchDecision = sampleBatchDecision;
  readonly watchers = new Set<ServerResponse>();
  url = '';
  #server: Server | undefined;

  /** Listens on a port of the loopback. */
  async start(): Promise<this> {
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
    await new Promise<void>((resolve) => this.#server!.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  /** Stops at once, watchers included. */
  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()));
  }

  /** Breaks every open connection, whatever is being answered on it. */
  dropConnections(): void {
    this.#server?.closeAllConnections();
  }

  /** What was asked, as `GET /v1/sites`. */
  get asked(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path}`);
  }

  /** Tells watchers of an event. */
  emit(type: string, message: string, resource?: Event['resource'], data: object = {}): void {
    const event: Event = {
      revision: `0-${this.events.length + 1}`,
      time: now,
      type,
      message,
      resource: resource ?? null,
      data: data as Event['data'],
    };
    this.events.push(event);
    for (const watcher of this.watchers)
      watcher.write(`id: ${event.revision}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`);
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const url = new URL(incoming.url!, this.url);
    const request: SeenRequest = {
      method: incoming.method!,
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers: incoming.headers,
      body: text === '' ? undefined : JSON.parse(text),
    };
    this.requests.push(request);
    const reply = this.intercept(request) ?? this.#answer(request, response);
    if (!reply) return;
    const isProblem = reply.status >= 400;
    response.writeHead(reply.status, {
      ...(reply.body === undefined
        ? {}
        : { 'content-type': isProblem ? 'application/problem+json' : 'application/json' }),
      ...reply.headers,
    });
    response.end(reply.body === undefined ? undefined : JSON.stringify(reply.body));
  }

  #answer(request: SeenRequest, response: ServerResponse): Reply | undefined {
    const { method, path } = request;
    if (request.headers.authorization !== `Bearer ${this.token}`) return problem(401, 'Who are you?');
    const [, , ...parts] = path.split('/');
    const [top, first, third, name, action] = parts;
    if (path === '/v1/whoami')
      return { status: 200, body: { name: 'admin', role: 'admin', organization: 'default' } };
    if (path === '/v1/watch') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': open\n\n');
      this.watchers.add(response);
      return undefined;
    }
    if (path === '/v1/events') return list([...this.events].reverse());
    if (path === '/v1/complianceRuns') return this.begin('comply', null, () => {});
    if (top === 'violations') return this.#violation(request, first, third);
    if (path === '/v1/audits') return this.begin('audit', null, () => {}, { result: this.auditReport });
    if (top === 'operations') return this.#operation(request, first, third);
    if (top === 'sites')
      return this.#store(
        request,
        this.sites,
        first,
        (body) =>
          ({
            ...meta('Site'),
            organization: 'default',
            generation: 1,
            status: { state: 'Ready' },
            ...body,
          }) as never,
      );
    if (top === 'policies') return this.#policy(request, first);
    if (top === 'projects' && third === 'sshKeys') {
      return this.#store(
        request,
        this.sshKeys,
        name,
        (body) => ({ ...meta('SshKey'), project: first, fingerprint: 'SHA256:x', ...body }) as never,
      );
    }
    if (top === 'projects' && third === 'placements') return { status: 200, body: this.decision };
    if (top === 'projects' && third === 'placementBatches')
      return { status: 200, body: this.batchDecision(request.body as Schemas['PlacementBatchInput']) };
    if (top === 'projects' && third === 'decisions')
      return name ? { status: 200, body: this.decision } : list([this.decision]);
    if (top === 'projects' && third === 'instances') return this.#instance(request, first!, name, action);
    return problem(404, 'No such path', `${method} ${path}`);
  }

  #store<T extends { labels?: unknown; revision: number }>(
    request: SeenRequest,
    store: Map<string, T>,
    name: string | undefined,
    make: (body: object) => T,
  ): Reply {
    if (name === undefined) {
      if (request.method === 'GET') return list([...store.values()]);
      const body = request.body as { name: string };
      const made = make(body);
      if (request.query.get('validateOnly') === 'true') return { status: 200, body: made };
      store.set(body.name, made);
      return { status: 201, body: made, headers: { etag: '"1"' } };
    }
    const found = store.get(name);
    if (!found) return problem(404, 'Not found');
    if (request.method === 'PUT')
      store.set(name, { ...found, ...(request.body as object), revision: found.revision + 1 });
    if (request.method === 'DELETE') {
      store.delete(name);
      return { status: 204 };
    }
    return { status: 200, body: store.get(name), headers: { etag: `"${found.revision}"` } };
  }

  #policy(request: SeenRequest, name: string | undefined): Reply {
    if (name === 'validate') return { status: 200, body: { problems: [] } };
    if (name !== undefined && request.method === 'PUT' && !this.policies.has(name)) {
      const { source } = request.body as { source: string };
      const version = `sha256:${createHash('sha256').update(source).digest('hex')}`;
      this.policies.set(name, {
        ...meta('PlacementPolicy'),
        name,
        scope: 'organizations/default',
        mode: 'enforce',
        version,
        source,
      } as never);
      return { status: 201, body: this.policies.get(name), headers: { etag: '"1"' } };
    }
    return this.#store(request, this.policies as never, name, () => ({}) as never);
  }

  #violation(request: SeenRequest, id: string | undefined, action: string | undefined): Reply {
    if (id === undefined) {
      const standing = request.query.get('filter') === 'state!=Resolved';
      return list([...this.violations.values()].filter(({ state }) => !standing || state !== 'Resolved'));
    }
    const found = this.violations.get(id);
    if (!found) return problem(404, 'No such violation');
    if (action !== 'acknowledge') return { status: 200, body: found };
    const { reason } = request.body as { reason: string };
    const acknowledged = { by: 'admin', at: now, reason };
    this.violations.set(id, { ...found, state: 'Acknowledged', acknowledged });
    return { status: 200, body: this.violations.get(id) };
  }

  #operation({ method }: SeenRequest, id: string | undefined, action: string | undefined): Reply {
    if (id === undefined) return list([...this.operations.values()]);
    const operation = this.operations.get(id);
    if (!operation) return problem(404, 'No such operation');
    if (action === 'steps') return { status: 200, body: { items: this.steps, leftOut: 0 } };
    if (method === 'POST' && action === 'cancel') {
      operation.state = 'Cancelled';
      return { status: 202, body: operation };
    }
    if (operation.state === 'Pending') operation.state = 'Running';
    if (operation.state === 'Running' && ++operation.reads >= this.readsToEnd) {
      if (operation.error) operation.state = 'Failed';
      else {
        operation.state = 'Succeeded';
        operation.effect();
      }
    }
    return { status: 200, body: operation };
  }

  /** An error that the next operation ends with. */
  nextError: Problem | undefined;

  /** Answers an operation that ends after some reads. */
  begin(
    verb: Operation['verb'],
    resource: Operation['resource'],
    effect: () => void,
    more: Partial<Operation> = {},
  ): Reply {
    const operation = {
      id: randomUUID(),
      kind: 'Operation' as const,
      verb,
      resource,
      state: 'Pending' as const,
      createdAt: now,
      reads: 0,
      effect,
      error: this.nextError ?? null,
      ...more,
    };
    this.nextError = undefined;
    this.operations.set(operation.id, operation);
    return {
      status: 202,
      body: operation,
      headers: { 'operation-location': `${this.url}/v1/operations/${operation.id}` },
    };
  }

  #instance(
    request: SeenRequest,
    project: string,
    name: string | undefined,
    action: string | undefined,
  ): Reply {
    const body = request.body as { name: string; spec: Instance['spec']; labels?: Record<string, string> };
    if (name === undefined) {
      if (request.method === 'GET') return list([...this.instances.values()]);
      if (request.query.get('validateOnly') === 'true') return { status: 200, body: this.decision };
      const { userData, ...spec } = body.spec;
      const digest =
        userData === undefined
          ? {}
          : { userDataDigest: `sha256:${createHash('sha256').update(userData).digest('hex')}` };
      const made: Instance = {
        ...(meta('Instance') as unknown as Instance),
        name: body.name,
        project,
        labels: body.labels ?? {},
        spec: {
          ...spec,
          diskGiB: spec.diskGiB ?? 10,
          architecture: spec.architecture ?? 'x86_64',
          market: 'onDemand',
          publicAddress: false,
          power: 'running',
          ...digest,
        },
        status: { state: 'Pending', observedGeneration: 0 },
        generation: 1,
      };
      this.instances.set(made.name, made);
      return this.begin('create', reference(made), () => {
        made.status = { ...made.status, ...running };
        made.revision++;
        this.emit('instance.running', `${made.name} runs`, reference(made));
      });
    }
    const instance = [...this.instances.values()].find((item) => item.name === name || item.id === name);
    if (!instance) return problem(404, 'Not found');
    if (request.method === 'PATCH') {
      if (request.headers['if-match'] !== `"${instance.revision}"`) return problem(412, 'Stale');
      if (request.query.get('validateOnly') === 'true') return { status: 200, body: instance };
      instance.revision++;
      Object.assign(instance.spec, body.spec);
      Object.assign(instance.labels, body.labels);
      return this.begin('update', reference(instance), () => {});
    }
    if (request.method === 'DELETE') {
      instance.status.state = 'Deleting';
      return this.begin('delete', reference(instance), () => this.instances.delete(instance.name));
    }
    if (action === 'release') {
      if (request.query.get('validateOnly') === 'true') return { status: 204 };
      return this.begin('release', reference(instance), () => this.instances.delete(instance.name));
    }
    if (action === 'console') return { status: 200, body: { text: 'booting\nlogin: ' } };
    if (action) {
      return this.begin(action as Operation['verb'], reference(instance), () => {
        instance.status.state = action === 'stop' ? 'Stopped' : 'Running';
      });
    }
    return { status: 200, body: instance, headers: { etag: `"${instance.revision}"` } };
  }
}

const running: Partial<Instance['status']> = {
  state: 'Running',
  observedGeneration: 1,
  site: 'local',
  provider: 'onprem',
  region: 'dc1',
  zone: 'dc1',
  host: 'kvm1',
  instanceType: 'flex',
  market: 'onDemand',
  vcpus: 1,
  memoryGiB: 0.25,
  pricePerHour: 0.0104,
  pricePerMonth: 7.592,
  currency: 'USD',
  decision: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f10',
  addresses: [{ type: 'internal', address: '10.77.0.5' }],
  ssh: { host: '127.0.0.1', port: 22022, user: 'landfall' },
  readyAt: now,
};

function reference({ kind, id, name, project }: Instance): Operation['resource'] {
  return { kind, id, name, project };
}

function list(items: unknown[]): Reply {
  return { status: 200, body: { items } };
}

/** A problem's reply. */
export function problem(status: number, title: string, detail?: string, errors?: Problem['errors']): Reply {
  return { status, body: { type: 'https://landfall.dev/problems/test', title, status, detail, errors } };
}
