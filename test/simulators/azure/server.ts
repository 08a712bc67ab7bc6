import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { coreLimit, images, sizes, skuRow } from './catalogue.ts';
import { instanceView } from './compute.ts';
import type { Called, Fate, FaultPlan } from './faults.ts';
import type { Checker, Operation } from './schema.ts';
import { ArmError, type Body, type Thing, typeOf } from './thing.ts';
import type { World } from './world.ts';

/** Long-running operations are named as Azure names them, whatever address the simulator has. */
const arm = 'https://management.azure.com';
export interface Call {
  /** Name in the published schema. */
  operation: string;
  method: string;
  path: string;
  body?: unknown;
}

interface Parts {
  check: Checker;
  faults: FaultPlan;
  world: World;
  calls: Call[];
}

interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Partial<Body> | undefined;
  version: string;
  host: string;
  fate: Fate;
  /** Absent of polls. */
  operation?: Operation;
}

/** Listens on the loopback address; port 0 = a free one. */
export async function startServer(
  parts: Parts,
  port: number,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => void serve(parts, request, response));
  // Never: a client that uses a connection again at the moment it is closed would see a lost answer.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(parts: Parts, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(incoming.url ?? '/', arm);
  const send = ({ status, body, headers = {} }: Answer) => {
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const date = new Date(parts.faults.now()).toUTCString();
    response.writeHead(status, { 'content-type': 'application/json', date, ...headers }).end(text);
  };
  try {
    let text = '';
    for await (const chunk of incoming) text += chunk;
    const path = decodeURIComponent(url.pathname).replace(/\/$/, '');
    if (path.startsWith('/console/'))
      return send({ status: 200, body: 'simulated Azure: serial console\n'.repeat(8) });
    const body = text === '' ? undefined : (JSON.parse(text) as Partial<Body>);
    const request = admit(parts, {
      headers: incoming.headers,
      method: incoming.method ?? 'GET',
      path,
      url,
      body,
    });
    if (request.fate.delayMs > 0) await sleep(request.fate.delayMs);
    if (request.fate.requestLost) return void incoming.socket.destroy();
    parts.world.advance();
    const { refusal } = request.fate;
    if (refusal) {
      const headers: Record<string, string> = {};
      if (refusal.retryAfterMs) headers['retry-after'] = String(Math.ceil(refusal.retryAfterMs / 1000));
      const { code, message, details } = refusal;
      return send({ status: refusal.status, headers, body: { error: { code, message, details } } });
    }
    // The second delivery is the one that is answered: it finds what the first made.
    if (request.fate.duplicate) handle(parts, request);
    const answer = handle(parts, request);
    const wrong = request.operation?.problemsOf(answer)[0];
    if (wrong) throw new Error(`${request.operation?.id} would answer what Azure does not: ${wrong.message}`);
    if (request.fate.responseLost) return void incoming.socket.destroy();
    send(answer);
  } catch (error) {
    if (!(error instanceof ArmError)) {
      process.stderr.write(`simulated Azure: ${(error as Error).stack}\n`);
      return send({ status: 500, body: { error: { code: 'SimulatorDefect', message: String(error) } } });
    }
    const { status, code, message, target } = error;
    send({ status, body: { error: { code, message, target } } });
  }
}

/** Checks who calls and what is asked, and lets the faults decide. */
function admit(
  { check, faults, calls }: Parts,
  asked: Pick<IncomingMessage, 'headers'> & { method: string; path: string; url: URL; body?: Partial<Body> },
): Request {
  const { method, path, url, body, headers } = asked;
  if (!/^Bearer .+/.test(headers.authorization ?? ''))
    throw new ArmError(
      401,
      'AuthenticationFailed',
      "Authentication failed. The 'Authorization' header is missing.",
    );
  const query = url.searchParams;
  const called = calledOf(method, path);
  const polls = /\/locations\/[^/]+\/operations\/[^/]+$/i.test(path);
  const operation = polls ? undefined : check({ method, path, query, body });
  if (!operation && !polls)
    throw new ArmError(
      404,
      'InvalidResourceType',
      `The resource type could not be found for ${method} ${path}`,
    );
  if (operation) calls.push({ operation: operation.id, method, path, body });
  const problem = operation?.problems[0];
  if (problem) throw new ArmError(400, 'InvalidRequestContent', problem.message, problem.target);
  return {
    method,
    path,
    query,
    headers,
    body,
    version: query.get('api-version') ?? '',
    host: headers.host ?? '',
    fate: faults.fate(called),
    operation,
  };
}

/** The tags of an object, as an object of Microsoft.Resources. */
const tagsOf = /^(.+)\/providers\/microsoft\.resources\/tags\/default$/i;

function calledOf(method: string, path: string): Called {
  const after =
    path.toLowerCase().split('/providers/')[1]?.split('/').slice(1) ?? path.toLowerCase().split('/').slice(3);
  const named = after.length % 2 === 0;
  return method === 'POST'
    ? { method, type: after.at(-3) ?? '', action: after.at(-1), list: false }
    : { method, type: (named ? after.at(-2) : after.at(-1)) ?? '', list: method === 'GET' && !named };
}

function handle(parts: Parts, request: Request): Answer {
  const { world } = parts;
  const { method, path } = request;
  const operation = /\/operations\/([^/]+)$/i.exec(path)?.[1];
  if (operation && world.operations.has(operation)) return poll(world, operation, request);
  const place = /\/locations\/([^/]+)\/(.*)$/i.exec(path);
  if (place) return regional(world, place[1] ?? '', place[2] ?? '', request);
  if (/\/microsoft\.compute\/skus$/i.test(path)) {
    const region = /location eq '([^']+)'/.exec(request.query.get('$filter') ?? '')?.[1] ?? 'eastus';
    return { status: 200, body: { value: sizes.map((sold) => skuRow(region, sold)) } };
  }
  const tagged = tagsOf.exec(path)?.[1];
  if (tagged) return patchTags(world, tagged, request);
  const group = /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+/i.exec(path)?.[0];
  if (group && group !== path && !world.find(group))
    throw new ArmError(
      404,
      'ResourceGroupNotFound',
      `Resource group '${group.split('/').at(-1)}' could not be found.`,
    );
  if (isLog(path)) return activities(world, request);
  if (method === 'PUT') return put(world, request);
  if (method === 'POST') return post(world, request);
  if (method === 'GET' && calledOf(method, path).list) return list(parts, request);
  const thing = method === 'GET' ? world.look(path) : world.find(path);
  if (method === 'DELETE') {
    if (thing) world.note(thing.body.id, `${thing.body.type}/delete`);
    const deletion = world.remove(path);
    return deletion ? accepted(202, undefined, deletion, request) : { status: 204 };
  }
  if (!thing)
    throw new ArmError(
      404,
      'ResourceNotFound',
      `The Resource '${path.split('/providers/')[1] ?? path}' was not found.`,
    );
  const { properties, ...body } = world.shown(thing);
  if (method === 'PATCH') {
    checkMatch(request, thing);
    const change = world.patch(thing, structuredClone(request.body) ?? {});
    const answer = world.shown(thing);
    // Of the network only tags are changed this way, at once.
    const network = /\/microsoft\.network\//i.test(path);
    return network ? { status: 200, body: answer } : accepted(200, answer, change, request);
  }
  const view = request.query.get('$expand') === 'instanceView' ? { instanceView: instanceView(thing) } : {};
  return { status: 200, body: { ...body, properties: { ...properties, ...view } } };
}

/** @throws ArmError unless the thing is as the request's conditions say. */
function checkMatch({ headers }: Request, existing: Thing | undefined): void {
  const match = headers['if-match'];
  if ((headers['if-none-match'] === '*' && existing) || (match && match !== existing?.body.etag))
    throw new ArmError(
      412,
      'PreconditionFailed',
      'The condition specified using HTTP conditional header is not met.',
    );
}

/** Adds tags, takes away those of these names and values, or writes all. */
function patchTags(world: World, id: string, { method, path, body }: Request): Answer {
  const { operation, properties } = (body ?? {}) as { operation?: string; properties?: Body['properties'] };
  const given: Record<string, string> = properties?.tags ?? {};
  if (method !== 'PATCH' || !operation)
    throw new ArmError(
      400,
      'InvalidTagsPatchRequest',
      'The simulator changes tags by PATCH with an operation.',
    );
  const thing = world.find(id);
  if (!thing) throw new ArmError(404, 'ResourceNotFound', `The Resource '${id}' was not found.`);
  const { tags = {} } = thing.body;
  const left = Object.entries(tags).filter(([key, value]) => given[key] !== value);
  const after =
    operation === 'Merge' ? { ...tags, ...given } : operation === 'Delete' ? Object.fromEntries(left) : given;
  if (Object.keys(after).length > 50)
    throw new ArmError(400, 'TagCountExceedsLimit', 'An object has at most 50 tags.');
  thing.body.tags = after;
  world.version(thing);
  const type = 'Microsoft.Resources/tags';
  return { status: 200, body: { id: path, name: 'default', type, properties: { tags: after } } };
}

function put(world: World, request: Request): Answer {
  const { path, body = {}, fate } = request;
  const existing = world.find(path);
  checkMatch(request, existing);
  const { thing, isNew, operation } = world.put(
    path,
    structuredClone({ ...body, properties: body.properties ?? {} }),
    fate.operationError,
  );
  if (/\/resourcegroups\/[^/]+$/i.test(path)) {
    thing.body.properties.provisioningState = 'Succeeded';
    thing.hidden = 0;
    return { status: isNew ? 201 : 200, body: thing.body };
  }
  // Disks and snapshots are accepted, where others are created.
  const created = request.operation?.expect?.includes(201) === false ? 202 : 201;
  return accepted(isNew ? created : 200, world.shown(thing), operation, request);
}

function post(world: World, request: Request): Answer {
  const parts = request.path.split('/');
  const action = parts.pop()?.toLowerCase() ?? '';
  const thing = world.find(parts.join('/'));
  if (!thing) throw new ArmError(404, 'ResourceNotFound', `The Resource '${parts.join('/')}' was not found.`);
  if (action === 'retrievebootdiagnosticsdata')
    return {
      status: 200,
      body: { serialConsoleLogBlobUri: `http://${request.host}/console/${thing.body.name}` },
    };
  return accepted(
    202,
    undefined,
    world.act(thing, action, request.body ?? {}, request.fate.operationError),
    request,
  );
}

/** Answers an operation that takes time, both ways Azure names where to look. */
function accepted(
  status: number,
  body: unknown,
  operation: { id: string },
  { path, version, method }: Request,
): Answer {
  const [, , subscription] = path.split('/');
  const namespace = path.split('/providers/')[1]?.split('/')[0];
  const url = `${arm}/subscriptions/${subscription}/providers/${namespace}/locations/global/operations/${operation.id}?api-version=${version}`;
  const headers: Record<string, string> = { 'azure-asyncoperation': url, 'retry-after': '1' };
  if (method !== 'PUT' && method !== 'PATCH') headers.location = `${url}&monitor=true`;
  return { status, body, headers };
}

function poll(world: World, id: string, { query, path, version }: Request): Answer {
  const operation = world.operations.get(id);
  if (!operation) throw new ArmError(404, 'NotFound', `There is no operation ${id}.`);
  const { error, finished, startTime } = operation;
  if (query.get('monitor') === 'true') {
    const location = `${arm}${path}?api-version=${version}&monitor=true`;
    if (!finished) return { status: 202, headers: { location, 'retry-after': '1' } };
    return error ? { status: 409, body: { error } } : { status: 200 };
  }
  const status = finished ? (error ? 'Failed' : 'Succeeded') : 'InProgress';
  return {
    status: 200,
    body: { name: id, startTime, status, ...(finished && error ? { error } : {}) },
    headers: finished ? {} : { 'retry-after': '1' },
  };
}

/** A page of what exists in a group, or of what carries a tag. */
function list({ world, faults }: Parts, { path, query }: Request): Answer {
  const scope =
    path
      .toLowerCase()
      .split('/providers/')[0]
      ?.replace(/\/resources$/, '') ?? '';
  const type = path.toLowerCase().split('/').at(-1) ?? '';
  const tag = /tagName eq '([^']*)' and tagValue eq '([^']*)'/.exec(query.get('$filter') ?? '');
  const found = [...world.things.values()]
    .filter(({ body }) => body.id.toLowerCase().startsWith(`${scope}/`) && body.id.includes('/providers/'))
    .filter(({ body }) =>
      type === 'resources' ? body.type.split('/').length === 2 : typeOf(body.id) === type,
    )
    .filter(({ body }) => !tag || body.tags?.[tag[1] ?? ''] === tag[2])
    .filter(({ body }) => world.look(body.id));
  const from = Number(query.get('$skiptoken') ?? 0);
  const end = from + faults.pageSize();
  const value = found.slice(from, end).map((thing) => {
    const { body } = thing;
    if (type !== 'resources' && query.get('statusOnly') !== 'true') return world.shown(thing);
    if (type !== 'resources')
      return {
        id: body.id,
        name: body.name,
        type: body.type,
        location: body.location,
        properties: { vmId: body.properties.vmId, instanceView: instanceView(thing) },
      };
    const { id, name, location, tags, properties } = body;
    const { provisioningState } = properties;
    const shown = { id, name, type: body.type, location };
    // "When you filter by a tag name and value, the tags for each resource are not returned", nor what else is asked for.
    return tag ? shown : { ...shown, tags, provisioningState, createdTime: thing.createdAt };
  });
  const next = new URLSearchParams(query);
  next.set('$skiptoken', String(end));
  return {
    status: 200,
    body: { value, ...(end < found.length ? { nextLink: `${arm}${path}?${next}` } : {}) },
  };
}

const isLog = (path: string): boolean => /\/eventtypes\/management\/values$/i.test(path);

/**
 * The Activity Log of one resource. Of its filters the published schema says that no other than five are allowed; this is the one for a
 * resource.
 */
function activities({ log }: World, { query }: Request): Answer {
  const [, from = '', to = '', resource = ''] =
    /^eventTimestamp ge '([^']+)' and eventTimestamp le '([^']+)' and resourceUri eq '([^']+)'$/.exec(
      query.get('$filter') ?? '',
    ) ?? [];
  const [first, last] = [Date.parse(from), Date.parse(to)];
  if (Number.isNaN(first) || Number.isNaN(last))
    throw new ArmError(400, 'BadRequest', `${query.get('$filter')} is not a filter of the Activity Log.`);
  const selected = query.get('$select')?.split(',');
  const value = log
    .filter(({ resourceId, eventTimestamp }) => {
      const at = Date.parse(eventTimestamp);
      return resourceId.toLowerCase() === resource.toLowerCase() && first <= at && at <= last;
    })
    .map((entry) =>
      Object.fromEntries(Object.entries(entry).filter(([key]) => selected?.includes(key) ?? true)),
    );
  return { status: 200, body: { value } };
}

/** What belongs to a region and not to a group: sizes, usage, images. */
function regional(world: World, region: string, rest: string, { query }: Request): Answer {
  if (/^vmsizes$/i.test(rest))
    return {
      status: 200,
      body: {
        value: sizes.map(({ name, vcpus, memoryGiB }) => ({
          name,
          numberOfCores: vcpus,
          memoryInMB: memoryGiB * 1024,
        })),
      },
    };
  if (/^usages$/i.test(rest)) {
    const running = [...world.things.values()].flatMap(({ body }) =>
      body.location === region
        ? sizes.filter(({ name }) => name === body.properties.hardwareProfile?.vmSize)
        : [],
    );
    const row = (value: string, family?: string) => ({
      unit: 'Count',
      name: { value, localizedValue: value },
      limit: coreLimit,
      currentValue: running
        .filter((sold) => family === undefined || sold.family === family)
        .reduce((sum, { vcpus }) => sum + vcpus, 0),
    });
    const families = [...new Set(sizes.map(({ family }) => family))];
    return { status: 200, body: { value: [row('cores'), ...families.map((family) => row(family, family))] } };
  }
  const [, publisher, offer, sku, version] =
    /^publishers\/([^/]+)\/artifacttypes\/vmimage\/offers\/([^/]+)\/skus\/([^/]+)\/versions(?:\/([^/]+))?$/i.exec(
      rest,
    ) ?? [];
  const image = images.find((one) => one.publisher === publisher && one.offer === offer && one.sku === sku);
  if (!image || (version && !image.versions.includes(version)))
    throw new ArmError(404, 'NotFound', `Artifact: VMImage was not found: ${publisher} ${offer} ${sku}.`);
  if (version)
    return {
      status: 200,
      body: { name: version, location: region, properties: { architecture: image.architecture } },
    };
  const newest = [...image.versions].reverse().slice(0, Number(query.get('$top') ?? image.versions.length));
  return { status: 200, body: newest.map((name) => ({ name, location: region })) };
}
