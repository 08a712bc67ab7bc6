/** What a command sees of the world outside: streams, environment, folder. Tests give their own. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** The terminal, or what stands in for it. */
export interface Terminal {
  /** Writes to standard output. */
  out(text: string): void;
  /** Writes to standard error: progress, notices, errors. */
  err(text: string): void;
  readonly stdin: Readable & { isTTY?: boolean };
  readonly outIsTTY: boolean;
  readonly errIsTTY: boolean;
  readonly columns: number;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal;
}

/** The process's own terminal. */
export function processTerminal(interrupted: AbortSignal): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    stdin: process.stdin,
    outIsTTY: process.stdout.isTTY === true,
    errIsTTY: process.stderr.isTTY === true,
    columns: process.stdout.columns || process.stderr.columns || 100,
    env: process.env,
    cwd: process.cwd(),
    interrupted,
  };
}

/** Where contexts, the default key and known hosts are kept. */
export function configDirectory(env: NodeJS.ProcessEnv): string {
  if (env.LANDFALL_CONFIG_DIR) return env.LANDFALL_CONFIG_DIR;
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'landfall');
}

/** A pause that Ctrl-C ends at once. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
