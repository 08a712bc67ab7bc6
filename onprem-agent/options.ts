import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** What the agent is told on its command line, or by environment. */
export interface AgentOptions {
  site: string;
  host: string;
  /** Failure domain within the site. */
  zone: string;
  /** The site's one region. */
  region: string;
  brokerUrl: string;
  /** File with the bearer token for the broker; read anew for each call, so that it can be rotated. */
  tokenFile: string;
  temporalAddress: string;
  temporalNamespace: string;
  dataDir: string;
  /** Capacity given to guests; by default from the machine. */
  vcpus?: number;
  memoryGiB?: number;
  currency: string;
  libvirt: 'auto' | 'system' | 'private';
}

export const usage = `The Landfall agent of an on-prem KVM host. Runs as root.

  node onprem-agent/main.ts --site <site> --broker-url <url> --token-file <file> [options]
  node onprem-agent/down.ts --data-dir <folder> [--guests] [--files]

  --site                 site this host belongs to               LANDFALL_SITE
  --host                 name of this host (host name)           LANDFALL_HOST
  --zone                 failure domain (default)                LANDFALL_ZONE
  --region               region of the site (the site's name)    LANDFALL_REGION
  --broker-url           the broker (http://127.0.0.1:7420)      LANDFALL_URL
  --token-file           file with the agent's token             LANDFALL_TOKEN_FILE
  --temporal-address     (127.0.0.1:7233)                        TEMPORAL_ADDRESS
  --temporal-namespace   (default)                               TEMPORAL_NAMESPACE
  --data-dir             folder of this agent (/var/lib/landfall-agent)  LANDFALL_AGENT_DATA_DIR
  --vcpus                cores for guests (all)                  LANDFALL_VCPUS
  --memory-gib           memory for guests (all but 2 GiB)       LANDFALL_MEMORY_GIB
  --currency             of prices (USD)                         LANDFALL_CURRENCY
  --libvirt              auto, system or private (auto)          LANDFALL_LIBVIRT

Images are cached in ~/.cache/landfall; LANDFALL_CACHE_DIR says otherwise.
`;

/** A command line that cannot be used; the message is one sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const nameForm = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i;

/** Reads flags, then the environment, then defaults. Throws UsageError. */
export function readOptions(args: string[], env: NodeJS.ProcessEnv): AgentOptions {
  const flags = parseFlags(args);
  const text = (flag: keyof typeof flags, variable: string, otherwise?: string): string => {
    const value = flags[flag] ?? env[variable] ?? otherwise;
    if (value === undefined || value === '') throw new UsageError(`--${flag} (or ${variable}) is missing`);
    return value;
  };
  const name = (flag: keyof typeof flags, variable: string, otherwise?: string): string => {
    const value = text(flag, variable, otherwise);
    if (!nameForm.test(value))
      throw new UsageError(`--${flag} is letters, digits, dots and hyphens: ${value}`);
    return value;
  };
  const amount = (flag: keyof typeof flags, variable: string): number | undefined => {
    const value = flags[flag] ?? env[variable];
    if (value === undefined || value === '') return undefined;
    const number = Number(value);
    if (!(number > 0)) throw new UsageError(`--${flag} is a number above 0: ${value}`);
    return number;
  };
  const libvirt = text('libvirt', 'LANDFALL_LIBVIRT', 'auto');
  if (libvirt !== 'auto' && libvirt !== 'system' && libvirt !== 'private') {
    throw new UsageError(`--libvirt is auto, system or private: ${libvirt}`);
  }
  const site = name('site', 'LANDFALL_SITE');
  return {
    site,
    host: name('host', 'LANDFALL_HOST', hostname()),
    zone: name('zone', 'LANDFALL_ZONE', 'default'),
    region: name('region', 'LANDFALL_REGION', site),
    brokerUrl: text('broker-url', 'LANDFALL_URL', 'http://127.0.0.1:7420').replace(/\/+$/, ''),
    tokenFile: resolve(text('token-file', 'LANDFALL_TOKEN_FILE')),
    temporalAddress: text('temporal-address', 'TEMPORAL_ADDRESS', '127.0.0.1:7233'),
    temporalNamespace: text('temporal-namespace', 'TEMPORAL_NAMESPACE', 'default'),
    dataDir: resolve(text('data-dir', 'LANDFALL_AGENT_DATA_DIR', '/var/lib/landfall-agent')),
    vcpus: amount('vcpus', 'LANDFALL_VCPUS'),
    memoryGiB: amount('memory-gib', 'LANDFALL_MEMORY_GIB'),
    currency: text('currency', 'LANDFALL_CURRENCY', 'USD'),
    libvirt,
  };
}

const value = { type: 'string' } as const;

function parseFlags(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        site: value,
        host: value,
        zone: value,
        region: value,
        'broker-url': value,
        'token-file': value,
        'temporal-address': value,
        'temporal-namespace': value,
        'data-dir': value,
        vcpus: value,
        'memory-gib': value,
        currency: value,
        libvirt: value,
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
