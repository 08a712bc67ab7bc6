import { readFile } from 'node:fs/promises';
import type { InventoryPage, SiteBackend, WantRef } from '@landfall/adapters/activities.ts';
import type { Description, SiteOffer, Want } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';

/** What the agent tells the broker about its host, every ten seconds. */
export interface HostRegistration {
  zone: string;
  capacity: { vcpus: number; memoryGiB: number; diskGiB: number; gpus: number };
  /** Their model; present where there are any. */
  gpuName?: string;
  accel: 'kvm' | 'tcg';
  architecture: 'x86_64' | 'arm64';
  agentVersion: string;
  facts: Record<string, string>;
  /** Names of the images this host makes itself. */
  images: string[];
  /** What it can do with each kind of resource. */
  capabilities: Description['capabilities'];
}

/** The broker's API as an agent uses it. Every failure is a ProviderError; `Unavailable` is worth a retry. */
export interface BrokerClient extends SiteBackend {
  register(host: string, registration: HostRegistration): Promise<void>;
}

const callLimitMs = 30_000;

export function brokerClient(options: {
  url: string;
  site: string;
  host: string;
  tokenFile: string;
}): BrokerClient {
  const base = `${options.url}/v1/sites/${encodeURIComponent(options.site)}`;

  async function call(method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const token = (await readToken(options.tokenFile)).trim();
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(callLimitMs),
      });
    } catch (error) {
      const cause = (error as { cause?: Error }).cause;
      throw new ProviderError(
        'Unavailable',
        `the broker at ${options.url} does not answer: ${cause?.message ?? error}`,
        {},
        error,
      );
    }
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, `${method} ${path}`, text);
    return text === '' ? undefined : JSON.parse(text);
  }

  return {
    register: async (host, registration) => {
      await call('PUT', `/hosts/${encodeURIComponent(host)}`, registration);
    },
    want: async ({ resource, attempt }: WantRef) =>
      (await call('GET', `/wants/${encodeURIComponent(resource)}/${attempt}`)) as Want,
    writeInventory: async ({ run, items, complete, last }: InventoryPage) => {
      await call('POST', '/inventory', { host: options.host, run, items, complete, last });
    },
    writeOffers: async ({ run, offers, last }: { run: string; offers: SiteOffer[]; last: boolean }) => {
      await call('POST', '/offers', { run, offers, last });
    },
    writeStep: async (step) => {
      await call('POST', '/steps', step);
    },
  };
}

async function readToken(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ProviderError('Unavailable', `the agent's token cannot be read from ${path}`, {}, error);
  }
}

function refusal(status: number, call: string, body: string): ProviderError {
  const words = `the broker answered ${status} to ${call}: ${problemTitle(body)}`;
  if (status === 401 || status === 403) return new ProviderError('Denied', words);
  if (status === 404) return new ProviderError('NotFound', words);
  if (status === 429 || status >= 500) return new ProviderError('Unavailable', words);
  return new ProviderError('Invalid', words);
}

/** Title and detail of an RFC 9457 problem, else the beginning of the body. */
function problemTitle(body: string): string {
  try {
    const { title, detail } = JSON.parse(body) as { title?: string; detail?: string };
    return [title, detail].filter(Boolean).join(': ') || body.slice(0, 200);
  } catch {
    return body.slice(0, 200);
  }
}
