/** Requests at the API's own level, for what the command line never sends. */
import type { Installation } from './installation.ts';

/** What a request answered, its JSON read. */
export interface Answer {
  status: number;
  headers: Headers;
  // Answers of every kind are looked into; model/openapi.yaml says what they are.
  body: ReturnType<typeof JSON.parse>;
}

/** One request; `body` is sent as JSON unless it is text. */
export async function request(
  { stack }: Installation,
  method: string,
  path: string,
  given: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${given.token ?? stack.adminToken}`,
    ...(given.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...given.headers,
  };
  const body = typeof given.body === 'string' ? given.body : JSON.stringify(given.body);
  const response = await fetch(`${stack.url}${path}`, { method, headers, body });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

const lists = [
  ...['organizations', 'projects', 'tokens', 'sites', 'hosts', 'images', 'operations', 'policies', 'events'],
  ...['instances', 'sshKeys', 'decisions'].map((kind) => `projects/default/${kind}`),
];

/** Everything that the broker lists, for before and after. */
export async function everything(installation: Installation): Promise<Record<string, unknown[]>> {
  const all: Record<string, unknown[]> = {};
  for (const list of lists) {
    const { status, body } = await request(installation, 'GET', `/v1/${list}?pageSize=500`);
    if (status !== 200) throw new Error(`${list}: ${JSON.stringify(body)}`);
    // When a token was used last is not a change of anything.
    all[list] = body.items.map(({ lastUsedAt: _, ...item }: { lastUsedAt?: string }) => item);
  }
  return all;
}
