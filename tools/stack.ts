/**
 * The whole of Landfall as processes of one data folder: PostgreSQL, Temporal, the broker, the worker and
 * the on-prem agent. `npm run up`, the end-to-end tests and the kill -9 tests run this same code.
 */
import { makeDataDirectory, type Part, takeLock } from './data-directory.ts';
import { endLeftovers } from './leftovers.ts';
import type { Progress } from './progress.ts';
import { Starting } from './starting.ts';

export type { Part } from './data-directory.ts';

export { existingParts } from './programs.ts';

/** What to start, and where. */
export interface StackOptions {
  dataDir: string;
  /** Default: PostgreSQL, Temporal and every part whose program exists. */
  parts?: readonly Part[];
  /** Wished ports; 0 for any free one. Default: the ports of the last start, else the preferred ones. */
  ports?: { postgres?: number; temporal?: number; broker?: number };
  /** A PostgreSQL of the user's; none is started then. */
  databaseUrl?: string;
  /** A Temporal of the user's; none is started then. */
  temporalAddress?: string;
  /** Added to the environment of broker, worker and agent. */
  env?: Record<string, string | undefined>;
  /** Manual: a part that dies stays dead until `restart`. Default: automatic. */
  restart?: 'automatic' | 'manual';
  /** Put before the stack's own notes. */
  notes?: string[];
  site?: string;
  host?: string;
  log?: (line: string) => void;
  progress?: Progress;
  /** Gives up starting; what was started is stopped again. */
  signal?: AbortSignal;
  /** Whether a host that does not register fails the start, as tests want it. Default: true. */
  hostRequired?: boolean;
}

/** A running stack. */
export interface Stack {
  /** The broker's URL. */
  readonly url: string;
  /** The administrator's token; empty while no broker has written one. */
  readonly adminToken: string;
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  readonly dataDir: string;
  /** What is off or otherwise than wished, and why. */
  readonly notes: string[];
  /** The living processes. */
  pids(): Partial<Record<Part, number>>;
  /** Sends a signal, as a fault test does; false when the part does not run. */
  kill(part: Part, signal: NodeJS.Signals): boolean;
  /** From now on, whether a dead part is started again by itself. */
  setRestart(mode: 'automatic' | 'manual', part?: Part): void;
  /** Stops a part (if it runs), starts it, and waits until it is ready. */
  restart(part: Part): Promise<void>;
  /** Waits until a part is ready. */
  ready(part: Part, limitMs?: number): Promise<void>;
  /** How often a part ended without being told to. */
  unexpectedExits(part: Part): number;
  logFile(part: Part): string;
  /** Stops everything: agent, worker, broker, Temporal, PostgreSQL. Guests keep running. */
  stop(): Promise<void>;
}

/** Thrown when the data folder is in use by a living supervisor. */
export class AlreadyRunning extends Error {}

/** Starts a stack and waits until it is ready. On failure everything started is stopped again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDir } = options;
  makeDataDirectory(dataDir);
  const release = takeLock(dataDir);
  if (release === undefined) {
    throw new AlreadyRunning(
      `A Landfall already runs in ${dataDir}. \`npm run down\` stops it; --data-dir starts another.`,
    );
  }
  try {
    await endLeftovers(dataDir, options.log);
    return await new Starting(options, release).start();
  } catch (error) {
    release();
    throw error;
  }
}
