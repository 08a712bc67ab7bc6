import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { Logger } from 'pino';
import { checkProject, checkRole, isPublic } from './authorization.ts';
import type { BrokerParts } from './broker.ts';
import type { Call, Handlers, StreamAnswer } from './handler.ts';
import { type ServedAnswer, serveOnce } from './idempotent.ts';
import { jsonFor } from './json-for.ts';
import { type ApiOperation, apiDocument, errorsOf } from './openapi.ts';
import { readHeaders, readIfMatch, readPath, readQuery } from './parameters.ts';
import type { Principal } from './principal.ts';
import { problemHeaders, problemOf } from './problem-of.ts';
import { Problem, type ProblemError } from './problems.ts';
import { explain } from './validation-messages.ts';

/** A handler with the types of its operation forgotten: what the glue calls. */
type AnyHandler = (call: Call<'updateInstance'>, broker: BrokerParts) => Promise<AnyAnswer | StreamAnswer>;

interface AnyAnswer {
  status: number;
  headers?: Record<string, string>;
  revision?: number;
  onRepeat?: Problem;
  body?: unknown;
}

const principals = new WeakMap<FastifyRequest, Principal>();

/** Who called, for the log; undefined before authentication. */
export function principalOf(request: FastifyRequest): Principal | undefined {
  return principals.get(request);
}

const routedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

/** Registers a route for every operation of the API document, and 405 for the other methods of its paths. */
export function registerRoutes(app: FastifyInstance, broker: BrokerParts, handlers: Handlers): void {
  const { operations } = apiDocument();
  const known = new Set<string>(operations.map((operation) => operation.id));
  const surplus = Object.keys(handlers).filter((id) => !known.has(id));
  if (surplus.length > 0)
    throw new Error(`handlers for no operation of model/openapi.yaml: ${surplus.join(', ')}`);
  const byPath = new Map<string, string[]>();
  for (const operation of operations) {
    const handler = (handlers as unknown as Record<string, AnyHandler | undefined>)[operation.id];
    if (!handler)
      throw new Error(`model/openapi.yaml has the operation ${operation.id}, and there is no handler for it`);
    const url = routeOf(operation.path);
    const streams = operation.id === 'watchEvents';
    byPath.set(url, [
      ...(byPath.get(url) ?? []),
      operation.method,
      ...(operation.method === 'GET' && !streams ? ['HEAD'] : []),
    ]);
    app.route({
      method: operation.method as HTTPMethods,
      url,
      exposeHeadRoute: !streams,
      // A price file is larger than any other body; a batch has up to 10,000 requests.
      ...(operation.id === 'importPriceList' ? { bodyLimit: 40_000_000 } : {}),
      ...(operation.id === 'planPlacementBatch' ? { bodyLimit: 20_000_000 } : {}),
      config: { operationId: operation.id },
      onRequest: async (request) => admit(operation, request, broker),
      handler: async (request, reply) => serve(operation, handler, request, reply, broker),
    });
  }
  for (const [url, methods] of byPath) refuseOtherMethods(app, url, methods);
}

/** The methods of each path of the API, to tell an unknown path from an unknown method. */
const methodsOfPaths: { matches: RegExp; methods: string[] }[] = [];

/** 405 with Allow for the methods that a path does not have; for those no router knows, see `problemOfUnrouted`. */
export function refuseOtherMethods(app: FastifyInstance, url: string, methods: string[]): void {
  methodsOfPaths.push({ matches: new RegExp(`^${url.replace(/:[A-Za-z]+/g, '[^/]+')}$`), methods });
  const refuse = async (request: FastifyRequest): Promise<never> => {
    throw methodProblem(request.method, methods);
  };
  const others = routedMethods.filter((method) => !methods.includes(method)) as HTTPMethods[];
  // Refused before the body is read, whatever it is.
  app.route({ method: others, url, exposeHeadRoute: false, onRequest: refuse, handler: refuse });
}

function methodProblem(method: string, methods: string[]): Problem {
  const allow = methods.join(', ');
  return new Problem('method-not-allowed', `${method} is not a method of this path; it has ${allow}.`, {
    headers: { allow },
  });
}

/** What to say of a request that no route takes. */
export function problemOfUnrouted(request: FastifyRequest): Problem {
  const path = pathOf(request.url);
  const known = methodsOfPaths.find(({ matches }) => matches.test(path));
  return known
    ? methodProblem(request.method, known.methods)
    : new Problem('not-found', `There is nothing at ${path}. /docs lists what there is.`);
}

function routeOf(path: string): string {
  return path.replace(/\{([A-Za-z]+)\}/g, ':$1');
}

/** Authentication and authorization, before the body is read. */
async function admit(operation: ApiOperation, request: FastifyRequest, broker: BrokerParts): Promise<void> {
  if (isPublic(operation.id)) return;
  const principal = await broker.authenticator.authenticate(request.headers.authorization);
  principals.set(request, principal);
  checkRole(principal, operation.id, request.params as Record<string, unknown>);
}

async function serve(
  operation: ApiOperation,
  handler: AnyHandler,
  request: FastifyRequest,
  reply: FastifyReply,
  broker: BrokerParts,
): Promise<FastifyReply> {
  const principal = principals.get(request) ?? null;
  const errors: ProblemError[] = [];
  const params = readPath(operation, request.params as Record<string, string>, errors);
  refuseInvalid(errors);
  if (principal && typeof params.project === 'string')
    await checkProject(broker.db, principal, operation.id, params.project);
  const body = request.body;
  const asSent = request.headers['idempotency-key'] === undefined ? '' : JSON.stringify(body ?? null);
  const query = readQuery(operation, request.query as Record<string, unknown>, errors);
  const headers = readHeaders(operation, request.headers, errors);
  const ifMatch = readIfMatch(headers['If-Match'], errors);
  checkBody(operation, request, body, errors);
  refuseInvalid(errors);
  if (operation.needsIfMatch && ifMatch === undefined) {
    throw new Problem(
      'precondition-required',
      'Send If-Match with the ETag last read, or `*` for whatever is there now.',
    );
  }
  const call = {
    params,
    query,
    body,
    ifMatch,
    lastEventId: headers['Last-Event-ID'],
    principal,
    requester: {
      organization: principal?.organization ?? '',
      requestedBy: principal?.name ?? '',
      requestId: request.id,
    },
    requestId: request.id,
    async authenticateAgain() {
      await broker.authenticator.authenticate(request.headers.authorization);
    },
    get signal() {
      return goneSignal(request, reply, broker.closing);
    },
    log: request.log as Logger,
  } as unknown as Call<'updateInstance'>;

  const key = headers['Idempotency-Key'];
  if (typeof key === 'string' && principal) {
    const once = {
      principal: principal.tokenId,
      key,
      method: request.method,
      url: request.url,
      body: asSent,
    };
    return send(
      reply,
      await serveOnce(broker.db, once, () => answerOrProblem(operation, handler, call, broker, request)),
      principal,
    );
  }
  const answer = await handler(call, broker);
  if ('stream' in answer) return sendStream(reply, answer);
  return send(reply, served(operation, answer, broker, request), principal);
}

/** As the answer of the request, a problem included: repeats of a refused request are refused alike. */
async function answerOrProblem(
  operation: ApiOperation,
  handler: AnyHandler,
  call: Call<'updateInstance'>,
  broker: BrokerParts,
  request: FastifyRequest,
): Promise<ServedAnswer> {
  try {
    return served(operation, (await handler(call, broker)) as AnyAnswer, broker, request);
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status >= 500) throw error;
    return problemAnswer(problem, request);
  }
}

function problemAnswer(problem: Problem, request: FastifyRequest): ServedAnswer {
  return {
    status: problem.status,
    headers: { ...problemHeaders(problem), 'content-type': 'application/problem+json' },
    body: problem.document(request.id, pathOf(request.url)),
  };
}

/** A URL without its query. */
export function pathOf(url: string): string {
  return url.split('?', 1)[0]!;
}

function served(
  operation: ApiOperation,
  answer: AnyAnswer,
  broker: BrokerParts,
  request: FastifyRequest,
): ServedAnswer {
  const headers: Record<string, string> = { 'cache-control': 'no-store', ...answer.headers };
  const declared =
    operation.responses.get(String(answer.status)) ??
    operation.responses.get(`${String(answer.status).charAt(0)}XX`);
  const revision = answer.revision ?? (answer.body as { revision?: number } | undefined)?.revision;
  if (declared?.etag && revision !== undefined) headers.etag = `"${revision}"`;
  if (answer.body !== undefined) headers['content-type'] = 'application/json';
  if (broker.validateResponses) checkAnswer(operation, answer);
  return {
    status: answer.status,
    headers,
    body: answer.body,
    ...(answer.onRepeat ? { onRepeat: problemAnswer(answer.onRepeat, request) } : {}),
  };
}

/** Throws when an answer is not what the document says; only in tests, where it shows as a 500. */
function checkAnswer(operation: ApiOperation, answer: AnyAnswer): void {
  const declared = operation.responses.get(String(answer.status));
  if (!declared)
    throw new Error(`${operation.id} answers ${answer.status}, which model/openapi.yaml does not declare`);
  if (declared.byMediaType === null) {
    if (answer.body !== undefined)
      throw new Error(
        `${operation.id} answers ${answer.status} with a body, which model/openapi.yaml does not declare`,
      );
    return;
  }
  const validate = declared.byMediaType.get('application/json');
  // As it will be read: without what JSON leaves out.
  const body: unknown = answer.body === undefined ? undefined : JSON.parse(JSON.stringify(answer.body));
  if (validate && !validate(body)) {
    const told = explain(errorsOf(validate)).map((error) => `${error.pointer || '(root)'} ${error.message}`);
    throw new Error(
      `${operation.id} answers ${answer.status} with a body that model/openapi.yaml does not describe: ${told.join('; ')}`,
    );
  }
}

function send(reply: FastifyReply, answer: ServedAnswer, principal: Principal | null): FastifyReply {
  reply.code(answer.status).headers(answer.headers);
  return answer.body === undefined || answer.body === null
    ? reply.send()
    : reply.send(Buffer.from(jsonFor(principal, answer.body)));
}

async function sendStream(reply: FastifyReply, answer: StreamAnswer): Promise<FastifyReply> {
  reply.hijack();
  reply.raw.writeHead(answer.status, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': answer.contentType,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    connection: 'close',
  });
  try {
    await answer.stream(reply.raw);
  } catch (error) {
    // The headers are out: the log has the cause, the caller sees the stream end and resumes.
    reply.log.error({ err: error as Error }, 'a stream failed');
  }
  reply.raw.end();
  return reply;
}

function checkBody(
  operation: ApiOperation,
  request: FastifyRequest,
  body: unknown,
  errors: ProblemError[],
): void {
  if (!operation.body) {
    const empty =
      body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0);
    if (!empty) errors.push({ pointer: '', message: 'must be absent: this operation takes no body' });
    return;
  }
  if (body === undefined) {
    if (operation.body.required) errors.push({ pointer: '', message: 'is missing: a JSON body is needed' });
    return;
  }
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const validate = operation.body.byMediaType.get(type);
  if (!validate) {
    throw new Problem(
      'unsupported-media-type',
      `The body must be ${[...operation.body.byMediaType.keys()].join(' or ')}, not ${type || 'without Content-Type'}.`,
    );
  }
  if (!validate(body)) errors.push(...explain(errorsOf(validate)));
}

function refuseInvalid(errors: ProblemError[]): void {
  if (errors.length === 0) return;
  const first = errors[0]!;
  const where =
    first.parameter !== undefined
      ? `Parameter \`${first.parameter}\``
      : first.pointer
        ? first.pointer
        : 'The body';
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new Problem('invalid', `${where} ${first.message}${more}.`, { errors });
}

/** Aborted when the caller has hung up or the broker stops. */
function goneSignal(request: FastifyRequest, reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  const abort = (): void => gone.abort();
  if (closing.aborted || (request.raw.destroyed && !request.raw.complete)) abort();
  closing.addEventListener('abort', abort, { once: true });
  reply.raw.once('close', () => {
    closing.removeEventListener('abort', abort);
    abort();
  });
  return gone.signal;
}
