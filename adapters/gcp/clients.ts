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
import type { AuthClient } from 'google-auth-library';
import { ProviderError } from '../errors.ts';
import { openAuth } from './auth.ts';
import { toProviderError } from './errors.ts';

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
  const clients = openClients(options);
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
    // One try, always: the workflows retry, from one bucket per account (R15), and have to hear of a lost answer (A8).
    call: { timeout: options.requestTimeoutMs ?? 30_000, retry: null, autoPaginate: false },
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

function openClients({ endpoint, credentials }: GcpAdapterOptions): Clients {
  const at = endpoint ? new URL(endpoint) : undefined;
  const secure = at?.protocol !== 'http:';
  const settings = {
    fallback: true as const,
    ...(at ? { apiEndpoint: at.hostname, port: Number(at.port) || (secure ? 443 : 80) } : {}),
    ...(secure ? {} : { protocol: 'http' }),
    auth: openAuth(credentials),
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
