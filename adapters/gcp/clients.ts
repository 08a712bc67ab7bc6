import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import {
  AddressesClient,
  DisksClient,
  FirewallsClient,
  GlobalOperationsClient,
  ImagesClient,
  InstancesClient,
  MachineTypesClient,
  NetworksClient,
  RegionOperationsClient,
  RegionsClient,
  SnapshotsClient,
  SubnetworksClient,
  ZoneOperationsClient,
} from '@google-cloud/compute';
import type { AuthClient, GoogleAuth } from 'google-auth-library';
import { ProviderError } from '../errors.ts';
import { openAuth } from './auth.ts';
import { refusalOf, toProviderError } from './errors.ts';

export interface GcpAdapterOptions {
  /** Name of the site, for people. */
  site: string;
  /** Regions that may be used; offers and lists cover these and no others. */
  regions: string[];
  /** Google Cloud project. Absent: the one of the credentials, or `GOOGLE_CLOUD_PROJECT`. */
  project?: string;
  /** Another endpoint than Google's own, for a simulator or a private one. */
  endpoint?: string;
  /** Absent: what Google's library finds by itself (environment, gcloud, metadata server). */
  credentials?: AuthClient | { accessToken: string };
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

/** The classes of Google's clients, by what they are for. */
const classes = {
  instances: InstancesClient,
  disks: DisksClient,
  snapshots: SnapshotsClient,
  images: ImagesClient,
  networks: NetworksClient,
  subnetworks: SubnetworksClient,
  firewalls: FirewallsClient,
  addresses: AddressesClient,
  machineTypes: MachineTypesClient,
  regions: RegionsClient,
  zoneOperations: ZoneOperationsClient,
  regionOperations: RegionOperationsClient,
  globalOperations: GlobalOperationsClient,
};

/** Google's clients: each is made when it is first used, because each loads the whole API's description. */
export type Clients = { readonly [K in keyof typeof classes]: InstanceType<(typeof classes)[K]> };

/** The options with their defaults, and the clients. Nothing about resources is remembered (A12). */
export interface Account {
  regions: string[];
  endpoint?: string;
  visibilityGraceMs: number;
  pollMs: number;
  ensureWaitMs: number;
  removeWaitMs: number;
  warn: (message: string, error: Error) => void;
  clients: Clients;
  /**
   * What Compute Engine answers to a GET of a path of the project, as it wrote it: signed and sent as the library's own calls are, without
   * its messages, which take longer than all else where an answer has hundreds of objects.
   * @throws ProviderError, as of any read.
   */
  read(path: string, query: Record<string, string | number | undefined>): Promise<unknown>;
  /** How every call is made. */
  call: { timeout: number; retry: null; autoPaginate: false };
  /** @throws ProviderError `Denied` when neither the site nor the credentials name one. */
  project(): Promise<string>;
  /** A call that needs the project's name. */
  inProject<T>(call: (project: string) => Promise<T>): Promise<T>;
  /** @throws ProviderError `Invalid` when nothing new may be made in the region. */
  checkRegion(region: string): void;
}

export function openAccount(options: GcpAdapterOptions): Account {
  const auth = openAuth(options.credentials, options.beforeCall);
  const clients = openClients(options, auth);
  const timeout = options.requestTimeoutMs ?? 30_000;
  const project = async () => options.project ?? reading(clients.instances.getProjectId());
  return {
    regions: options.regions,
    endpoint: options.endpoint,
    visibilityGraceMs: options.visibilityGraceMs ?? 60_000,
    pollMs: options.pollMs ?? 2_000,
    ensureWaitMs: options.ensureWaitMs ?? 600_000,
    removeWaitMs: options.removeWaitMs ?? 120_000,
    warn: options.warn ?? ((message) => process.emitWarning(message, 'GcpSite')),
    clients,
    async read(path, query) {
      const url = new URL(
        `/compute/v1/projects/${await project()}/${path}`,
        options.endpoint ?? 'https://compute.googleapis.com',
      );
      for (const [name, value] of Object.entries(query))
        if (value !== undefined) url.searchParams.set(name, String(value));
      return reading(readJson(auth, url, timeout));
    },
    // One try, always: the workflows retry, from one bucket per account (R15), and have to hear of a lost answer (A8).
    call: { timeout, retry: null, autoPaginate: false },
    project,
    inProject: async (call) => call(await project()),
    checkRegion(region) {
      if (!options.regions.includes(region))
        throw new ProviderError('Invalid', `site ${options.site} has no region ${region}`, {
          field: '/location/region',
        });
    },
  };
}

/** Connections are kept for the next page, as the library keeps its own. */
const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };

/** @throws an error like the library's for a refusal, a connection that fails and what is no JSON. */
async function readJson(auth: GoogleAuth, url: URL, timeout: number): Promise<unknown> {
  try {
    const response = await auth.fetch({
      url,
      timeout,
      responseType: 'stream',
      agent: ({ protocol }) => (protocol === 'http:' ? agents.http : agents.https),
    });
    return JSON.parse(await response.text());
  } catch (error) {
    throw refusalOf(error);
  }
}

function openClients({ endpoint }: GcpAdapterOptions, auth: GoogleAuth): Clients {
  const at = endpoint ? new URL(endpoint) : undefined;
  const secure = at?.protocol !== 'http:';
  const settings = {
    fallback: true as const,
    ...(at ? { apiEndpoint: at.hostname, port: Number(at.port) || (secure ? 443 : 80) } : {}),
    ...(secure ? {} : { protocol: 'http' }),
    auth,
  };
  const clients = {};
  for (const [name, Client] of Object.entries(classes)) {
    let made: unknown;
    Object.defineProperty(clients, name, {
      get() {
        made ??= new Client(settings);
        return made;
      },
    });
  }
  return clients as Clients;
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

/** A read that answers nothing when what is asked for is not there. */
export async function finding<T>(answer: Promise<[T, ...unknown[]]>): Promise<T | undefined> {
  try {
    return (await reading(answer))[0];
  } catch (error) {
    if (error instanceof ProviderError && error.code === 'NotFound') return undefined;
    throw error;
  }
}
