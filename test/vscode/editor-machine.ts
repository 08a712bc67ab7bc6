/** Where an editor's server runs, and the extension in it: this machine, or one that is reached by SSH. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeServer } from './code-server.ts';

/** A machine with code-server. */
export interface EditorMachine {
  /** The folder for all that is one editor's, as the machine itself names it. */
  readonly folder: string;
  /** The same folder as the tests see it. */
  readonly seen: string;
  /** Runs code-server to its end; throws what it said where that is a failure. */
  run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void>;
  /** Starts code-server at the machine's loopback; answers the address at which the window finds it. */
  serve(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string>;
  /** Ends what was started, and removes the folder. */
  close(): Promise<void>;
}

/** This one: server and window are processes of one machine, with different homes. */
export class ThisMachine implements EditorMachine {
  readonly folder = mkdtempSync(join(tmpdir(), 'landfall-vscode-'));
  readonly seen = this.folder;
  readonly #entry: string;
  #server: ChildProcess | undefined;

  private constructor(entry: string) {
    this.#entry = entry;
  }

  static async make(): Promise<ThisMachine> {
    return new ThisMachine(await codeServer((line) => process.stderr.write(`${line}\n`)));
  }

  async run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    await runToEnd(process.execPath, [this.#entry, ...args], this.folder, this.#own(env));
  }

  async serve(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const port = await freePort();
    const server = spawn(process.execPath, [this.#entry, '--bind-addr', `127.0.0.1:${port}`, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#own(env),
      detached: true,
    });
    this.#server = server;
    let log = '';
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (chunk) => {
        log = `${log}${chunk}`.slice(-10_000);
      });
    const url = `http://127.0.0.1:${port}`;
    await answers(url, () => log);
    return url;
  }

  async close(): Promise<void> {
    if (this.#server) {
      end(this.#server);
      if (this.#server.exitCode === null && this.#server.signalCode === null)
        await once(this.#server, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** Its own configuration and home: nothing of the person who runs the tests is read or written. */
  #own(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return { ...process.env, XDG_CONFIG_HOME: join(this.folder, 'config'), HOME: this.folder, ...env };
  }
}

/** The whole group: the extension host and its children are processes of their own. */
function end({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Answers what a program printed; throws all that it said where it fails. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  cwd: string,
  env = process.env,
): Promise<string> {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  let said = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
    said += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${said.slice(-4_000)}`);
  return printed;
}

export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/** Waits for a code-server; throws what it logged when it does not come. */
export async function answers(url: string, log: () => string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const answered = await fetch(`${url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (answered) return;
    await sleep(200);
  }
  throw new Error(`VS Code did not answer within half a minute:\n${log()}`);
}
