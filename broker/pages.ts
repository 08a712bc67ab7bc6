import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { BrokerParts } from './broker.ts';
import { apiDocument } from './openapi.ts';
import { referencePage } from './reference.ts';
import { refuseOtherMethods } from './routes.ts';

const isLoopback = (address: string): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');

/**
 * Whether the request came from this machine, and asked for it by such a name: a web page whose own name was made to lead here
 * (DNS rebinding) asks by that name. No proxy's word is taken for it.
 */
function fromLoopback({ socket, hostname }: FastifyRequest): boolean {
  const name = hostname.replace(/^\[|\]$/g, '');
  return (
    isLoopback(socket.remoteAddress ?? '') && (name === 'localhost' || (isIP(name) !== 0 && isLoopback(name)))
  );
}

/** `/docs`, `/openapi.json` and `/metrics`: open on loopback by its own names, for any valid token elsewhere. */
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
