/** Which web pages of other origins a browser lets read the API: none, unless they are named (CORS). */
import type { FastifyInstance } from 'fastify';

/** An origin as it is named: an exact one, or the part that its subdomains end with. */
export type NamedOrigin = { exact: string } | { scheme: string; suffix: string };

const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const requestHeaders =
  'Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, User-Agent, X-Request-Id';
const answerHeaders = 'Allow, ETag, Operation-Location, Retry-After, X-Request-Id';
/** How long a browser keeps the answer about one path, in seconds; longer than two hours none does. */
const keepFor = '7200';

/**
 * Origins of `LANDFALL_ALLOWED_ORIGINS`, separated by commas: `https://editor.example`, or `https://*.vscode-cdn.net` for every
 * subdomain. Throws what is wrong with one, in words.
 */
export function parseOrigins(text: string): NamedOrigin[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .map((given) => {
      if (given === '*')
        throw new Error('"*" would let every web page in: name each origin, such as https://editor.example');
      const wildcard = /^(https?:)\/\/\*\.([^*]+)$/.exec(given);
      const plain = wildcard ? `${wildcard[1]}//${wildcard[2]}` : given;
      const url = URL.canParse(plain) && !plain.includes('*') ? new URL(plain) : undefined;
      if (url === undefined || !/^https?:$/.test(url.protocol) || url.origin !== plain.toLowerCase())
        throw new Error(
          `"${given}" is no origin: scheme, host and port and nothing else, such as https://editor.example or https://*.vscode-cdn.net`,
        );
      if (!wildcard) return { exact: url.origin };
      if (!/\.[a-z]/i.test(url.hostname))
        throw new Error(`"${given}" would let every domain under .${url.hostname} in: name a domain`);
      return { scheme: `${url.protocol}//`, suffix: `.${url.host}` };
    });
}

const isNamed = (origins: readonly NamedOrigin[], origin: string): boolean =>
  origins.some((named) =>
    'exact' in named
      ? named.exact === origin
      : origin.startsWith(named.scheme) &&
        origin.endsWith(named.suffix) &&
        /^[\w-]+(\.[\w-]+)*$/.test(origin.slice(named.scheme.length, -named.suffix.length)),
  );

/**
 * Answers browsers for pages of these origins. There is nothing that a browser would send by itself: no cookies, only the
 * token of the header Authorization. Registered before other hooks, so that a refusal can be read too.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly NamedOrigin[]): void {
  if (origins.length === 0) return;
  app.addHook('onRequest', async ({ method, headers }, reply) => {
    // Caches keep an answer for one origin from another.
    reply.header('vary', 'Origin');
    const { origin } = headers;
    if (origin === undefined || !isNamed(origins, origin)) return;
    reply.header('access-control-allow-origin', origin);
    reply.header('access-control-expose-headers', answerHeaders);
    if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return;
    return reply
      .code(204)
      .header('access-control-allow-methods', methods)
      .header('access-control-allow-headers', requestHeaders)
      .header('access-control-max-age', keepFor)
      .send();
  });
}
