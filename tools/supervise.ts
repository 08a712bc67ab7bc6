/**
 * One supervised child process: started with its log file, restarted with back-off when it dies, stopped
 * gracefully and, if it does not listen, by force.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcess, identify, isAlive, type ProcessIdentity, signalProcess } from './process-identity.ts';

/** How to start one process. */
export interface Launch {
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
}

/** What is supervised, and how. */
export interface SupervisedOptions {
  name: string;
  /** Asked before every start, so that a restart sees what changed. */
  launch: () => Launch | Promise<Launch>;
  logFile: string;
  stopSignal?: NodeJS.Signals;
  stopLimitMs?: number;
  /** Manual: a dead process stays dead until `start` is called. */
  restart?: 'automatic' | 'manual';
  firstBackOffMs?: number;
  maxBackOffMs?: number;
  /** A process that lived this long starts again at the first back-off. */
  settledMs?: number;
  /** Called right after a start and after an end; for the record that outlives this process. */
  onChange?: (identity: ProcessIdentity | undefined) => void;
  log?: (line: string) => void;
}

const logLimit = 20 * 1024 * 1024;

/** The last lines of a log file, for messages about a failure. */
export function logTail(file: string, lines = 20): string {
  if (!existsSync(file)) return '(no log)';
  const text = readFileSync(file, 'utf8').trimEnd();
  return text.split('\n').slice(-lines).join('\n');
}

/** One process under supervision. */
export class Supervised {
  readonly name: string;
  readonly #options: SupervisedOptions;
  #child: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #startedAt = 0;
  #backOff: number;
  #wanted = false;
  #timer: NodeJS.Timeout | undefined;
  #starting: Promise<void> | undefined;
  #exits = 0;
  #lastExit = '';
  #trimming: NodeJS.Timeout | undefined;

  constructor(options: SupervisedOptions) {
    this.name = options.name;
    this.#options = options;
    this.#backOff = options.firstBackOffMs ?? 200;
  }

  /** The living process, or undefined. */
  get identity(): ProcessIdentity | undefined {
    return isAlive(this.#identity) ? this.#identity : undefined;
  }

  get pid(): number | undefined {
    return this.identity?.pid;
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  /** How often it ended without being told to. */
  get unexpectedExits(): number {
    return this.#exits;
  }

  /** How it ended last, in words; empty when it never did. */
  get lastExit(): string {
    return this.#lastExit;
  }

  get restartMode(): 'automatic' | 'manual' {
    return this.#options.restart ?? 'automatic';
  }

  set restartMode(mode: 'automatic' | 'manual') {
    this.#options.restart = mode;
    if (mode === 'manual') clearTimeout(this.#timer);
    else if (this.#wanted && this.pid === undefined && this.#starting === undefined) void this.#startAgain();
  }

  /** Starts it unless it runs. */
  start(): Promise<void> {
    this.#wanted = true;
    clearTimeout(this.#timer);
    if (this.pid !== undefined) return Promise.resolve();
    this.#starting ??= this.#spawn().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #spawn(): Promise<void> {
    const { logFile, name } = this.#options;
    const launch = await this.#options.launch();
    if (!this.#wanted) return;
    mkdirSync(dirname(logFile), { recursive: true });
    this.#trimLog();
    this.#trimming ??= setInterval(() => this.#trimLog(), 60_000).unref();
    const log = openSync(logFile, 'a', 0o600);
    try {
      writeSync(log, `--- ${new Date().toISOString()} ${name} starts\n`);
      // Detached: a Ctrl-C in the terminal reaches the supervisor only, which stops its parts in order. The
      // log is the child's own descriptor, so it keeps writing when the supervisor is gone.
      const child = spawn(launch.command, launch.args, {
        cwd: launch.cwd,
        env: launch.env ?? process.env,
        detached: true,
        stdio: ['ignore', log, log],
        ...(launch.uid !== undefined && { uid: launch.uid }),
        ...(launch.gid !== undefined && { gid: launch.gid }),
      });
      this.#child = child;
      this.#startedAt = Date.now();
      child.once('error', (error) => {
        this.#options.log?.(`${name} does not start: ${error.message}`);
        this.#ended(child, `does not start: ${error.message}`);
      });
      child.once('exit', (code, signal) => {
        this.#ended(child, signal === null ? `exit code ${code}` : `signal ${signal}`);
      });
      if (child.pid !== undefined) {
        this.#identity = identify(child.pid);
        this.#options.onChange?.(this.#identity);
      }
    } finally {
      closeSync(log);
    }
  }

  /** Moves a long log aside. The process keeps its descriptor, so the file is copied and emptied, not renamed. */
  #trimLog(): void {
    const { logFile } = this.#options;
    if ((statSync(logFile, { throwIfNoEntry: false })?.size ?? 0) <= logLimit) return;
    copyFileSync(logFile, `${logFile}.1`);
    truncateSync(logFile);
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#identity = undefined;
    this.#options.onChange?.(undefined);
    if (!this.#wanted) return;
    this.#lastExit = how;
    this.#exits++;
    if (this.restartMode === 'manual') {
      this.#options.log?.(`${this.name} ended (${how})`);
      return;
    }
    const first = this.#options.firstBackOffMs ?? 200;
    if (Date.now() - this.#startedAt >= (this.#options.settledMs ?? 30_000)) this.#backOff = first;
    const wait = this.#backOff;
    this.#backOff = Math.min(wait * 2, this.#options.maxBackOffMs ?? 15_000);
    this.#options.log?.(`${this.name} ended (${how}); starting it again in ${wait} ms; log: ${this.logFile}`);
    this.#timer = setTimeout(() => void this.#startAgain(), wait);
  }

  async #startAgain(): Promise<void> {
    try {
      if (this.#wanted) await this.start();
    } catch (error) {
      // The launch could not even be prepared; that is one more failed start.
      this.#options.log?.(`${this.name}: ${(error as Error).message}`);
      if (!this.#wanted) return;
      const wait = this.#backOff;
      this.#backOff = Math.min(wait * 2, this.#options.maxBackOffMs ?? 15_000);
      this.#timer = setTimeout(() => void this.#startAgain(), wait);
    }
  }

  /** Sends a signal to the process, as a fault test does; false when it does not run. */
  kill(signal: NodeJS.Signals): boolean {
    const identity = this.identity;
    return identity !== undefined && signalProcess(identity, signal);
  }

  /** Stops it and keeps it stopped. */
  async stop(): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    clearInterval(this.#trimming);
    this.#trimming = undefined;
    await this.#starting;
    const identity = this.identity;
    if (identity === undefined) return;
    await endProcess(identity, this.#options.stopSignal ?? 'SIGTERM', this.#options.stopLimitMs ?? 10_000);
    // The exit event comes a moment after the process is gone.
    for (let round = 0; round < 40 && this.#child !== undefined; round++) await delay(25);
  }
}

/** Asks `probe` until it answers true, the limit passes, or `failed` names a reason to give up. */
export async function until(
  what: string,
  probe: () => Promise<boolean>,
  {
    limitMs = 30_000,
    everyMs = 50,
    failed,
  }: { limitMs?: number; everyMs?: number; failed?: () => string | undefined } = {},
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await probe())) {
    const reason = failed?.();
    if (reason !== undefined) throw new Error(`${what}: ${reason}`);
    if (Date.now() >= end) throw new Error(`${what}: not ready after ${Math.round(limitMs / 1000)} s`);
    await delay(everyMs);
  }
}
