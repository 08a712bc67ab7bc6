/**
 * The data folder of one Landfall: what the supervisor remembers there from one start to the next, and
 * what it records about its processes for those who come after it.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root } from './node24.mjs';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';

/** The processes a stack is made of, in the order they are started. */
export const parts = ['postgres', 'temporal', 'broker', 'worker', 'agent'] as const;
export type Part = (typeof parts)[number];

/** Signals that end a part gracefully: PostgreSQL's SIGTERM would wait for its clients to leave. */
export const stopSignals: Record<Part, NodeJS.Signals> = {
  postgres: 'SIGINT',
  temporal: 'SIGTERM',
  broker: 'SIGTERM',
  worker: 'SIGTERM',
  agent: 'SIGTERM',
};

/** How long a part may take to end by itself. */
export const stopLimits: Record<Part, number> = {
  postgres: 15_000,
  temporal: 10_000,
  broker: 10_000,
  worker: 10_000,
  agent: 10_000,
};

/** Kept from start to start (`state.json`). */
export interface State {
  ports: { postgres?: number; temporal?: number; broker?: number };
}

/** What an ended supervisor leaves to the next one, and a living one tells (`supervisor.json`). */
export interface SupervisorRecord {
  supervisor: ProcessIdentity;
  parts: Partial<Record<Part, ProcessIdentity>>;
  phase: 'starting' | 'ready' | 'stopping' | 'failed';
  since: string;
  url?: string;
  databaseUrl?: string;
  temporalAddress?: string;
  /** What is off or otherwise than wished, and why. */
  notes: string[];
  failure?: string;
}

/** The data folder: `--data-dir`, else LANDFALL_DATA_DIR, else `.landfall` in the repository. */
export function dataDirectory(given?: string): string {
  return resolve(given ?? process.env.LANDFALL_DATA_DIR ?? join(root, '.landfall'));
}

/** The folder of what is costly to make and the same for every data folder (Temporal, guest images). */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.LANDFALL_CACHE_DIR) return resolve(env.LANDFALL_CACHE_DIR);
  if (env.XDG_CACHE_HOME) return resolve(env.XDG_CACHE_HOME, 'landfall');
  return resolve(env.HOME ?? '.', '.cache', 'landfall');
}

/** Makes the data folder; its content is this user's, but the database's own user must pass through. */
export function makeDataDirectory(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true });
  chmodSync(dataDir, 0o711);
  mkdirSync(join(dataDir, 'logs'), { recursive: true, mode: 0o700 });
}

function readJson(file: string): unknown {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // written by rename, so a broken file is someone else's doing: start over
  }
}

function writeJson(file: string, value: unknown): void {
  const next = `${file}.next`;
  writeFileSync(next, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(next, file);
}

export function readState(dataDir: string): State {
  const state = readJson(join(dataDir, 'state.json')) as Partial<State> | undefined;
  return { ports: { ...state?.ports } };
}

export function writeState(dataDir: string, state: State): void {
  writeJson(join(dataDir, 'state.json'), state);
}

export function readRecord(dataDir: string): SupervisorRecord | undefined {
  const record = readJson(join(dataDir, 'supervisor.json')) as SupervisorRecord | undefined;
  return record?.supervisor === undefined
    ? undefined
    : { ...record, parts: record.parts ?? {}, notes: record.notes ?? [] };
}

export function writeRecord(dataDir: string, record: SupervisorRecord): void {
  writeJson(join(dataDir, 'supervisor.json'), record);
}

export function removeRecord(dataDir: string): void {
  rmSync(join(dataDir, 'supervisor.json'), { force: true });
}

/** The record of a supervisor that lives, or undefined. */
export function livingSupervisor(dataDir: string): SupervisorRecord | undefined {
  const record = readRecord(dataDir);
  return record !== undefined && isAlive(record.supervisor) ? record : undefined;
}

/**
 * Takes the data folder for this process; undefined when another living process has it. The lock names
 * its holder with the start time, so one left by a power cut holds nobody up.
 */
export function takeLock(dataDir: string): (() => void) | undefined {
  const file = join(dataDir, 'supervisor.lock');
  const me = identify(process.pid);
  if (me === undefined)
    throw new Error('This process does not find itself in the process table: is /proc mounted?');
  for (let round = 0; round < 5; round++) {
    try {
      writeFileSync(file, JSON.stringify(me), { flag: 'wx', mode: 0o600 });
      return () => {
        const holder = readJson(file) as ProcessIdentity | undefined;
        if (holder?.pid === me.pid && holder.started === me.started) rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = readJson(file) as ProcessIdentity | undefined;
    if (holder !== undefined && isAlive(holder)) return undefined;
    rmSync(file, { force: true });
  }
  return undefined;
}

/** A secret kept in a file only this user reads; made at the first call. */
export function keptSecret(file: string): string {
  if (existsSync(file)) {
    const kept = readFileSync(file, 'utf8').trim();
    if (kept !== '') return kept;
  }
  const secret = randomBytes(24).toString('base64url');
  const next = `${file}.next`;
  writeFileSync(next, `${secret}\n`, { mode: 0o600 });
  renameSync(next, file);
  return secret;
}
