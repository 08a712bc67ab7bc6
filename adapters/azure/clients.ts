import { ComputeManagementClient } from '@azure/arm-compute';
import { NetworkManagementClient } from '@azure/arm-network';
import { ResourceManagementClient } from '@azure/arm-resources';
import {
  createDefaultHttpClient,
  createHttpHeaders,
  createPipelineRequest,
  type HttpClient,
  type PipelineResponse,
  RestError,
} from '@azure/core-rest-pipeline';
import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { ProviderError } from '../errors.ts';
import { type CallOutcome, codeInBody, keepingCall, noAnswer } from '../provider-calls.ts';
import { callName } from './call-name.ts';
import { toProviderError } from './errors.ts';

export interface AzureAdapterOptions {
  /** Name of the site, for people. */
  site: string;
  /** Subscription id (UUID) that everything is made in. */
  subscription: string;
  /** Regions that may be used; offers and lists cover these and no others. */
  regions: string[];
  /** Another endpoint than Azure's public one: `https`, or `http` on the loopback address for a simulator. */
  endpoint?: string;
  /** Absent: what the Azure SDK finds by itself (environment, workload or managed identity, Azure CLI). */
  credentials?: TokenCredential | { token: string };
  /** How long after its creation something may be invisible (A6), in milliseconds. */
  visibilityGraceMs?: number;
  /** Between two looks while waiting, in milliseconds. */
  pollMs?: number;
  /** `ensure` answers `creating` after this long, in milliseconds. */
  ensureWaitMs?: number;
  /** `remove` answers "not done yet" after this long, in milliseconds. */
  removeWaitMs?: number;
  /** A single request may take this long, in milliseconds. */
  requestTimeoutMs?: number;
  /** Waited for before each request to the provider; rejects with a ProviderError where none may be sent. */
  beforeCall?: () => Promise<void>;
  /** Told what a list could not read; a process warning when absent. */
  warn?: (message: string, error: Error) => void;
}

/** The options with their defaults, and the clients. Nothing about resources is remembered (A12). */
export interface Account {
  subscription: string;
  regions: string[];
  endpoint?: string;
  visibilityGraceMs: number;
  pollMs: number;
  ensureWaitMs: number;
  removeWaitMs: number;
  warn: (message: string, error: Error) => void;
  compute: ComputeManagementClient;
  network: NetworkManagementClient;
  resources: ResourceManagementClient;
  /**
   * What Azure answers to a GET of an own address or of a path, as it wrote it: through the SDK's own pipeline, without its models,
   * which take longer than all else where an answer has a thousand objects.
   * @throws ProviderError, as of any read.
   */
  read(at: string): Promise<unknown>;
  /** Is this an address of the subscription at the API that the site's token is for? A page's way to the next one has to be. */
  isOwnAddress(address: unknown): boolean;
  /** @throws ProviderError `Invalid` when nothing new may be made in the region. */
  checkRegion(region: string): void;
}

/** The address that the SDK asks and Azure names its operations by. */
const publicEndpoint = 'https://management.azure.com';

/** @throws ProviderError `Invalid` for an endpoint that would send the token over the net in clear. */
export function openAccount(options: AzureAdapterOptions): Account {
  const { subscription, regions, site, endpoint } = options;
  const simulator = endpoint?.startsWith('http://') ? new URL(endpoint) : undefined;
  if (simulator && !['127.0.0.1', 'localhost', '[::1]'].includes(simulator.hostname))
    throw new ProviderError(
      'Invalid',
      `the endpoint ${endpoint} of site ${site} would be sent its token in clear: use https`,
      { field: '/endpoint' },
    );
  const settings = {
    httpClient: httpClient(options.requestTimeoutMs ?? 30_000, simulator, options.beforeCall),
    // One try, always: the workflows retry, from one bucket per account (R15). A retry in here would multiply with
    // theirs in a throttling storm, and would hide from them that an answer was lost (A8).
    retryOptions: { maxRetries: 0 },
    endpoint: simulator ? publicEndpoint : endpoint,
  };
  const credential = credentialOf(options.credentials);
  const origin = new URL(settings.endpoint ?? publicEndpoint).origin;
  const resources = new ResourceManagementClient(credential, subscription, settings);
  return {
    subscription,
    regions,
    endpoint,
    visibilityGraceMs: options.visibilityGraceMs ?? 60_000,
    pollMs: options.pollMs ?? 2_000,
    ensureWaitMs: options.ensureWaitMs ?? 600_000,
    removeWaitMs: options.removeWaitMs ?? 120_000,
    warn: options.warn ?? ((message) => process.emitWarning(message, 'AzureSite')),
    compute: new ComputeManagementClient(credential, subscription, settings),
    network: new NetworkManagementClient(credential, subscription, settings),
    resources,
    read: (at) => reading(readJson(resources, settings.httpClient, new URL(at, origin).href)),
    isOwnAddress(address) {
      const url = typeof address === 'string' && URL.canParse(address) ? new URL(address) : undefined;
      return (
        url?.origin === origin &&
        url.pathname.toLowerCase().startsWith(`/subscriptions/${subscription.toLowerCase()}/`)
      );
    },
    checkRegion(region) {
      if (!regions.includes(region))
        throw new ProviderError('Invalid', `site ${site} has no region ${region}`, {
          field: '/location/region',
        });
    },
  };
}

function credentialOf(credentials: AzureAdapterOptions['credentials']): TokenCredential {
  if (!credentials) return new DefaultAzureCredential();
  if (!('token' in credentials)) return credentials;
  const { token } = credentials;
  return { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
}

/**
 * The SDK's own client with a time limit, and, for a simulator, another address on the wire: the SDK refuses to send
 * tokens to an `http` endpoint, and a redirect below it keeps its whole pipeline as it is in production.
 */
function httpClient(
  timeout: number,
  simulator: URL | undefined,
  beforeCall: AzureAdapterOptions['beforeCall'],
): HttpClient {
  const client = createDefaultHttpClient();
  const inner: HttpClient = {
    sendRequest: (request) =>
      keepingCall(
        () => callName(request.method, request.url),
        () => client.sendRequest(request),
        {
          answer: outcomeOf,
          error: noAnswer,
        },
      ),
  };
  return {
    async sendRequest(request) {
      await beforeCall?.();
      // The SDK's own limit ends with the headers, and its timer outlives a request that fails.
      const limit = AbortSignal.timeout(timeout);
      const caller = request.abortSignal as AbortSignal | undefined;
      request.abortSignal = caller ? AbortSignal.any([caller, limit]) : limit;
      if (!simulator || !request.url.startsWith(publicEndpoint)) return inner.sendRequest(request);
      const asked = request.url;
      const url = new URL(asked);
      url.protocol = simulator.protocol;
      url.host = simulator.host;
      request.url = url.toString();
      request.allowInsecureConnection = true;
      try {
        return await inner.sendRequest(request);
      } finally {
        // The poller's last look goes by the address in the request.
        request.url = asked;
      }
    },
  };
}

const outcomeOf = ({ status, bodyAsText }: PipelineResponse): CallOutcome =>
  status < 400 ? { status } : { status, code: codeInBody(bodyAsText) };

/** @throws RestError for a refusal, as the SDK's own calls throw it, and for what is no JSON. */
async function readJson(client: ResourceManagementClient, http: HttpClient, url: string): Promise<unknown> {
  const request = createPipelineRequest({ url, headers: createHttpHeaders({ accept: 'application/json' }) });
  const response = await client.pipeline.sendRequest(http, request);
  const { status, bodyAsText } = response;
  let body: unknown;
  try {
    body = JSON.parse(bodyAsText ?? '');
  } catch (error) {
    if (status === 200) {
      const told = { code: RestError.PARSE_ERROR, statusCode: status, request, response };
      throw new RestError(`the answer is no JSON: ${error}`, told);
    }
  }
  if (status === 200) return body;
  const refused = new RestError(`HTTP status ${status}`, { statusCode: status, request, response });
  throw Object.assign(refused, { details: body });
}

/** A call that changes nothing: no answer means `Unavailable`. */
export async function reading<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toProviderError(error, false);
  }
}

/** A call that changes something: no answer means `OutcomeUnknown`. Never aborted midway, for the same reason. */
export async function changing<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toProviderError(error, true);
  }
}

/** What a read answers, or undefined where there is no such thing. */
export async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await reading(answer);
  } catch (error) {
    if (error instanceof ProviderError && error.code === 'NotFound') return undefined;
    throw error;
  }
}

/** Everything that a paged read gives. */
export async function readingAll<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  try {
    for await (const item of items) all.push(item);
  } catch (error) {
    throw toProviderError(error, false);
  }
  return all;
}
