import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Kind } from '../../../adapters/contract.ts';
import { type AzureFault, createFaultPlan } from './faults.ts';
import { installSchemas } from './install.ts';
import { createChecker } from './schema.ts';
import { type Call, startServer } from './server.ts';
import type { Body, Thing } from './thing.ts';
import { createWorld } from './world.ts';

export type { AzureFault, Call };

export interface AzureSimulator {
  /** For the adapter's `endpoint`; any bearer token and any subscription is accepted. */
  endpoint: string;
  faults: { set(fault: AzureFault, kind?: Kind): void; clear(): void };
  /** Every request so far but polls of operations, newest last. */
  calls: Call[];
  /** What exists, seen past the faults: nothing hidden. What is being deleted counts. */
  truth(): Body[];
  /** Makes a thing past the rules and faults, as somebody else would, with its group; a machine runs. */
  plant(id: string, body: Pick<Body, 'location' | 'tags' | 'properties' | 'zones'>): void;
  close(): Promise<void>;
}

export interface AzureSimulatorOptions {
  /** Port on the loopback address; a free one when absent. */
  port?: number;
  cacheDir?: string;
  progress?: (line: string) => void;
}

/**
 * Starts a simulated Azure Resource Manager: resource groups, networks, disks, addresses and machines with states and
 * operations that take time, and faults. Requests and answers are held to Microsoft's published schemas of Compute, Network, Resources and
 * Monitor, which the first start on a machine reads from the package index (about a minute).
 */
export async function startAzureSimulator(options: AzureSimulatorOptions = {}): Promise<AzureSimulator> {
  const cache = options.cacheDir ?? process.env.LANDFALL_CACHE_DIR ?? join(homedir(), '.cache', 'landfall');
  const check = createChecker(await installSchemas(cache, options.progress));
  const faults = createFaultPlan();
  const world = createWorld(faults);
  const calls: Call[] = [];
  const server = await startServer({ check, faults, world, calls }, options.port ?? 0);
  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    faults: {
      ...faults,
      set(fault, kind) {
        if (fault.kind === 'interrupt') world.evict(fault.ref);
        else faults.set(fault, kind);
      },
    },
    calls,
    truth() {
      world.advance();
      return [...world.things.values()].map(({ body }) => body);
    },
    plant(id, body) {
      const parts = id.split('/');
      const at = parts.indexOf('providers') + 1;
      const type = parts
        .slice(at)
        .filter((_, index) => index === 0 || index % 2 === 1)
        .join('/');
      const planted = { ...body, id, name: parts.at(-1) ?? '', type };
      planted.properties.provisioningState = 'Succeeded';
      const group = parts.slice(0, 5).join('/');
      const createdAt = new Date(faults.now()).toISOString();
      if (!world.find(group)) {
        const { location } = body;
        const type = 'Microsoft.Resources/resourceGroups';
        const properties = { provisioningState: 'Succeeded' };
        const made = { id: group, name: parts[4] ?? '', type, location, properties };
        world.things.set(group.toLowerCase(), { body: made, createdAt, hidden: 0 });
      }
      const thing: Thing = { body: planted, createdAt, hidden: 0, power: 'running' };
      world.version(thing);
      world.things.set(id.toLowerCase(), thing);
    },
    close: () => server.close(),
  };
}
