import type { Kind } from '../../../adapters/contract.ts';
import { type AwsFault, createFaultPlan } from './faults.ts';
import { createImages } from './images.ts';
import { createImports } from './imports.ts';
import { cacheFolder, installMoto, tokenServiceModel } from './install.ts';
import { startMoto } from './moto.ts';
import { createMotoCaller, type Existing, type MotoCaller } from './moto-calls.ts';
import { createNetworks } from './networks.ts';
import { createPassing } from './passing.ts';
import { plant } from './plant.ts';
import { type Call, startProxy } from './proxy.ts';
import { readSchema } from './schema.ts';
import { createSpotRequests } from './spot-requests.ts';
import { createStorage } from './storage.ts';
import { createWorld } from './world.ts';

export type { AwsFault, Call, Existing };

export interface AwsSimulator {
  /** For the SDK's `endpoint`; any credentials are accepted, the region is the request's own. */
  endpoint: string;
  faults: { set(fault: AwsFault, kind?: Kind): void; clear(): void };
  /** Every EC2 request so far, newest last. */
  calls: Call[];
  /** What exists, seen past the proxy: nothing hidden, nothing delayed. Terminated machines do not count, those still going do. */
  truth(): Promise<Existing[]>;
  /** Makes something of the kind, by default a machine, past the rules and faults, as somebody else would; answers its id. */
  plant(region: string, tags: Record<string, string>, kind?: Kind): Promise<string>;
  /** An EC2 call past the rules and faults, by its query parameters. */
  direct: MotoCaller['call'];
  /** An empty account again: objects, tokens, calls and faults are forgotten. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export interface AwsSimulatorOptions {
  /** Port on the loopback address; a free one when absent. */
  port?: number;
  cacheDir?: string;
  /** Regions that `truth` looks at, besides those that were called. */
  regions?: string[];
  progress?: (line: string) => void;
}

/**
 * Starts a simulated EC2: AWS's published request schema, client tokens, states that take time and faults, before a
 * moto server. The first start on a machine installs moto (half a minute); later ones take about a second.
 */
export async function startAwsSimulator(options: AwsSimulatorOptions = {}): Promise<AwsSimulator> {
  const installation = await installMoto(options.cacheDir ?? cacheFolder(), options.progress);
  const [schema, tokenSchema, server] = await Promise.all([
    readSchema(installation.model),
    readSchema(tokenServiceModel(installation)),
    startMoto(installation),
  ]);
  const faults = createFaultPlan();
  const calls: Call[] = [];
  const moto = createMotoCaller(server.url, schema.apiVersion);
  const passing = createPassing();
  const sizes = new Map<string, string>();
  const spotRequests = createSpotRequests();
  const machines = createWorld(faults, moto, passing, spotRequests);
  const stateOf = async (region: string, id: string) =>
    machines.state(id, await moto.instanceState(region, id));
  const storage = createStorage(faults, moto, stateOf, passing, sizes);
  const imports = createImports(faults, moto, sizes);
  // Visibility comes last: it takes objects out of an answer.
  const world = [
    spotRequests,
    imports,
    storage,
    createImages(faults, moto, passing, sizes),
    createNetworks(faults, moto, stateOf, passing),
    machines,
  ];
  const proxy = await startProxy(
    { schema, tokenSchema, faults, world, moto, calls },
    options.port ?? 0,
  ).catch(async (error) => {
    await server.close();
    throw error;
  });
  const regions = new Set(options.regions ?? ['us-east-1']);
  return {
    endpoint: `http://127.0.0.1:${proxy.port}`,
    faults,
    calls,
    direct: moto.call,
    async truth() {
      for (const { region } of calls) regions.add(region);
      await storage.settle?.();
      await machines.settle?.();
      await imports.settle?.();
      const existing = (await Promise.all([...regions].map((region) => moto.existing(region)))).flat();
      return [...existing, ...imports.existing()]
        .map((thing) =>
          thing.state === undefined ? thing : { ...thing, state: machines.state(thing.ref, thing.state) },
        )
        .filter((thing) => thing.state !== 'terminated' && !machines.isAway(thing.ref));
    },
    plant: (region, tags, kind) => plant(moto, region, tags, kind),
    async reset() {
      faults.clear();
      passing.clear();
      sizes.clear();
      proxy.clear();
      await moto.reset();
    },
    async close() {
      await proxy.close();
      await server.close();
    },
  };
}
