/**
 * One Landfall as a user has it: its processes in a data folder of its own, a home folder of its own, and the command line,
 * started as a shell would start it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type LandfallClient } from '@landfall/model';
import { livingSupervisor } from '@landfall/tools/data-directory.ts';
import { type Stack, type StackOptions, startStack } from '@landfall/tools/stack.ts';

/** The repository's root; manifests are named from here, as in the documents. */
export const repository = join(import.meta.dirname, '../..');

const command = join(repository, 'cli/bin/landfall.mjs');

/** What a command came to. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  /** Both, for messages. */
  text: string;
}

/** A command that goes on, such as `get instances --watch`. */
export interface Going {
  stdout(): string;
  stderr(): string;
  /** Ctrl-C, and what the command came to. */
  interrupt(): Promise<Ran>;
}

/** Splits a command line at blanks; quoted words stay whole. No shell is involved. */
export function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
}

/** As a terminal does it: to the whole group. */
function signalGroup({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended a moment ago.
  }
}

/** A running installation. `close` ends all that it started, guests included. */
export class Installation {
  /** Holds the data folder, the home folder and scratch files. */
  readonly folder: string;
  readonly dataDir: string;
  readonly home: string;
  readonly #options: Partial<StackOptions>;
  readonly #going = new Set<ChildProcess>();
  #stack: Stack | undefined;

  private constructor(options: Partial<StackOptions>) {
    this.folder = mkdtempSync(join(tmpdir(), `landfall-e2e-${process.pid}-`));
    // PostgreSQL's own account must pass through, or its files would be elsewhere and stay behind.
    chmodSync(this.folder, 0o711);
    this.dataDir = join(this.folder, 'data');
    this.home = join(this.folder, 'home');
    mkdirSync(this.home, { mode: 0o700 });
    this.#options = options;
  }

  /** Starts everything and waits until it is ready; what was started is ended again when that fails. */
  static async start(options: Partial<StackOptions> = {}): Promise<Installation> {
    const installation = new Installation(options);
    try {
      await installation.up();
      return installation;
    } catch (error) {
      await installation.close();
      throw error;
    }
  }

  /** The folders only; `npm('up', …)` then starts it as a user does. */
  static prepare(): Installation {
    return new Installation({});
  }

  get stack(): Stack {
    if (this.#stack === undefined) throw new Error('This installation is not up.');
    return this.#stack;
  }

  get client(): LandfallClient {
    return createClient({ url: this.stack.url, token: this.stack.adminToken });
  }

  /** Starts it (again) on the same data. */
  async up(): Promise<void> {
    this.#stack = await startStack({
      ports: { postgres: 0, temporal: 0, broker: 0 },
      ...this.#options,
      dataDir: this.dataDir,
    });
  }

  /** Stops it as `npm run down` does: guests keep running. */
  async down(): Promise<void> {
    await this.#stack?.stop();
    this.#stack = undefined;
  }

  /** The environment of a user's shell in which `npm run up` was done in another window. */
  environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      TERM: 'dumb',
      LANG: 'C.UTF-8',
      HOME: this.home,
      XDG_CONFIG_HOME: join(this.home, '.config'),
      // Compiled sources and images are the machine's, not this user's: making them anew each time would be all the time.
      XDG_CACHE_HOME: process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
      LANDFALL_CACHE_DIR: process.env.LANDFALL_CACHE_DIR || join(homedir(), '.cache', 'landfall'),
      LANDFALL_DATA_DIR: this.dataDir,
      ...more,
    };
  }

  /** Runs `landfall <line>` in the repository's folder. Over `limitMs` it is killed and the code is -1. */
  async landfall(
    line: string | string[],
    options: { input?: string; env?: NodeJS.ProcessEnv; limitMs?: number } = {},
  ): Promise<Ran> {
    const args = typeof line === 'string' ? words(line) : line;
    const child = spawn(command, args, {
      cwd: repository,
      env: this.environment(options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, as a shell gives it: the command is two processes.
      detached: true,
    });
    // A command that does not read its input closes it early.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    const ended = this.#collect(child);
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), options.limitMs ?? 180_000);
    try {
      return await ended.end;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs `npm run <script> -- <args>` on this installation's data folder. */
  npm(script: 'up' | 'down', ...args: string[]): Promise<Ran> {
    const child = spawn(
      'npm',
      ['run', '--silent', script, '--', '--data-dir', this.dataDir, ...args],
      // npm's own cache and settings, and the images' cache, are those of the machine's user.
      {
        cwd: repository,
        env: { ...process.env, LANDFALL_DATA_DIR: undefined },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    return this.#collect(child).end;
  }

  /** Runs it and expects success: answers standard output, or throws with all that was said. */
  async succeed(
    line: string | string[],
    options: { input?: string; limitMs?: number } = {},
  ): Promise<string> {
    const ran = await this.landfall(line, options);
    if (ran.code !== 0)
      throw new Error(
        `landfall ${typeof line === 'string' ? line : line.join(' ')} ended with ${ran.code}:\n${ran.text}`,
      );
    return ran.stdout;
  }

  /** Starts `landfall <line>` and leaves it going. */
  go(line: string): Going {
    const child = spawn(command, words(line), {
      cwd: repository,
      env: this.environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#going.add(child);
    const { text, end } = this.#collect(child);
    return {
      stdout: () => text.stdout,
      stderr: () => text.stderr,
      interrupt: () => {
        signalGroup(child, 'SIGINT');
        return end;
      },
    };
  }

  #collect(child: ChildProcess): { text: { stdout: string; stderr: string }; end: Promise<Ran> } {
    const text = { stdout: '', stderr: '', text: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]?.setEncoding('utf8').on('data', (part: string) => {
        text[stream] += part;
        text.text += part;
      });
    }
    const end = new Promise<Ran>((done, failed) => {
      child.once('error', failed);
      child.once('close', (code) => {
        this.#going.delete(child);
        done({ code: code ?? -1, ...text });
      });
    });
    return { text, end };
  }

  /** Writes a scratch file and answers its path. */
  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Ends everything: commands that go on, the stack, the guests, the private libvirt, the files. */
  async close(): Promise<void> {
    for (const child of this.#going) signalGroup(child, 'SIGKILL');
    try {
      await this.down();
      if (livingSupervisor(this.dataDir) !== undefined) await this.npm('down');
    } finally {
      await this.#removeGuests();
      if (process.env.LANDFALL_E2E_KEEP === undefined) rmSync(this.folder, { recursive: true, force: true });
    }
  }

  /** `npm run down -- --guests` for a stack that is down already. */
  async #removeGuests(): Promise<void> {
    const onprem = join(this.dataDir, 'onprem');
    if (!existsSync(onprem)) return;
    const program = join(repository, 'onprem-agent/down.ts');
    const child = spawn(process.execPath, [program, '--data-dir', onprem, '--guests', '--files'], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { code, text } = await this.#collect(child).end;
    if (code !== 0) throw new Error(`onprem-agent/down.ts ended with ${code}:\n${text}`);
  }
}

/** Asks until the answer is there; the error tells the last one. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  limitMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() >= deadline) throw new Error(`${what}: not so after ${limitMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
