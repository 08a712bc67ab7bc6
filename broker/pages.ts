import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { BrokerParts } from './broker.ts';
import { apiDocument } from './openapi.ts';
import { referencePage } from './reference.ts';
import { refuseOtherMethods } from './routes.ts';

/** Whether the request came from this machine. No proxy's word is taken for it. */
function fromLoopback(request: FastifyRequest): boolean {
  const address = request.socket.remoteAddress ?? '';
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
}

/** `/docs`, `/openapi.json` and `/metrics`: open on loopback, for any valid token elsewhere. */
export function registerPages(app: FastifyInstance, broker: BrokerParts): void {
  const page = (url: string, contentType: string, read: () => string | Promise<string>): void => {
    app.get(url, {
      onRequest: async (request) => {
        if (!fromLoopback(request)) await broker.authenticator.authenticate(request.headers.authorization);
      },
      handler: async (_request, reply) =>
        reply
          .type(contentType)
          .header('cache-control', 'no-cache')
          .header(
            'content-security-policy',
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
          )
          .send(await read()),
    });
    refuseOtherMethods(app, url, ['GET', 'HEAD']);
  };
  let document: string | undefined;
  let reference: string | undefined;
  page('/openapi.json', 'application/json; charset=utf-8', () => {
    document ??= JSON.stringify(apiDocument().document);
    return document;
  });
  page('/docs', 'text/html; charset=utf-8', () => {
    reference ??= referencePage(apiDocument().document);
    return reference;
  });
  page('/metrics', broker.metrics.registry.contentType, () => broker.metrics.scrape());
}
