import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '@landfall/store';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { BrokerParts } from './broker.ts';
import { allowOrigins, type NamedOrigin } from './cross-origin.ts';
import { handlers } from './handlers/all.ts';
import { everyList, type ListLimits, parseJsonBody } from './json-body.ts';
import { jsonFor } from './json-for.ts';
import { registerPages } from './pages.ts';
import { problemHeaders, problemOf } from './problem-of.ts';
import { problemTypes, problemUri } from './problems.ts';
import { pathOf, principalOf, problemOfUnrouted, registerRoutes } from './routes.ts';

const largestBody = 1024 * 1024;

/** A batch is the longest list the API takes; no list within it is long. */
function listLimits({ routeOptions }: FastifyRequest): ListLimits {
  const { operationId } = routeOptions.config as { operationId?: string };
  return operationId === 'planPlacementBatch' ? { outer: 10_000, inner: 100 } : everyList;
}

/** The HTTP server over all parts; it listens when told to. `allowedOrigins`: of web pages that may read what it answers. */
export function brokerServer(
  broker: BrokerParts,
  allowedOrigins: readonly NamedOrigin[] = [],
): FastifyInstance {
  const app = Fastify({
    loggerInstance: broker.log as FastifyBaseLogger,
    // One line per request of our own, below.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    bodyLimit: largestBody,
    requestTimeout: 30_000,
    // Longest name in a path is a host's; longer ones are told so by validation.
    routerOptions: { maxParamLength: 500 },
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : newId();
    },
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
    clientErrorHandler: refuseBrokenRequest,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
  });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) =>
      body.length === 0 ? undefined : parseJsonBody(body, listLimits(request)),
  );

  allowOrigins(app, allowedOrigins);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
    // Before the body is read, or looked at in any way.
    if (request.is404) throw problemOfUnrouted(request);
  });
  app.addHook('onResponse', async (request, reply) => {
    const operation = (request.routeOptions.config as { operationId?: string }).operationId ?? 'none';
    const seconds = reply.elapsedTime / 1_000;
    if (operation !== 'watchEvents')
      broker.metrics.http.observe({ operation, status: String(reply.statusCode) }, seconds);
    request.log.info(
      {
        method: request.method,
        path: pathOf(request.url),
        operation,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        principal: principalOf(request)?.name,
      },
      'request',
    );
  });

  app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) => sendProblem(problemOfUnrouted(request), request, reply));

  registerRoutes(app, broker, handlers);
  registerPages(app, broker);
  return app;
}

/** The one way in which an error leaves the broker. */
function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  if (problem.status >= 500)
    request.log.error({ err: problem.cause ?? problem, path: pathOf(request.url) }, problem.message);
  // A body that nobody will read must not hold the connection.
  const unread =
    !request.raw.complete &&
    (request.headers['transfer-encoding'] !== undefined ||
      Number(request.headers['content-length'] ?? 0) > 65_536);
  return (
    reply
      .code(problem.status)
      .headers({
        ...problemHeaders(problem),
        ...(unread ? { connection: 'close' } : {}),
        'content-type': 'application/problem+json',
      })
      // As bytes: to a text Fastify would add a charset, which this media type does not have.
      .send(
        Buffer.from(jsonFor(principalOf(request) ?? null, problem.document(request.id, pathOf(request.url)))),
      )
  );
}

/** What is no HTTP request at all is answered on the bare socket. */
function refuseBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed || !socket.writable) return;
  const code =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'headers-too-large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'request-timeout'
        : 'invalid';
  const { status, title } = problemTypes[code];
  const body = JSON.stringify({
    type: problemUri(code),
    title,
    status,
    detail: 'This is not a request that HTTP/1.1 allows.',
  });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
