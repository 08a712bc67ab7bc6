/**
 * A VS Code server as Remote-SSH has it: started by SSH on the other machine, bound to that machine's loopback, and reached by the window
 * through SSH alone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeServer } from './code-server.ts';
import { answers, type EditorMachine } from './editor-machine.ts';
import { RemoteMachine, type Tunnel } from './remote-machine.ts';

const installation = '/opt/code-server';
const entry = '/node_modules/code-server/out/node/entry.js';
const port = 8443;

export class EditorOverSsh implements EditorMachine {
  readonly folder = '/srv/editor';
  readonly seen: string;
  readonly remote: RemoteMachine;
  /** As it was started, for a machine that restarts. */
  #command = '';
  #tunnel: Tunnel | undefined;

  private constructor(remote: RemoteMachine) {
    this.remote = remote;
    this.seen = join(remote.disk, this.folder);
  }

  /** On a new machine, whose login shells have this profile. */
  static async make(profile = ''): Promise<EditorOverSsh> {
    const found = await codeServer((line) => process.stderr.write(`${line}\n`));
    const folder = found.slice(0, -entry.length);
    return new EditorOverSsh(await RemoteMachine.start({ [folder]: installation }, profile));
  }

  async run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    await this.remote.run(commandLine(args, env));
  }

  /** By a command that ends at once: the server outlives the connection that it was started by. */
  async serve(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const line = commandLine(['--bind-addr', `127.0.0.1:${port}`, ...args], env);
    this.#command = `cd ${this.folder} && { setsid ${line} >server.log 2>&1 </dev/null & echo $! >server.pid; }`;
    await this.remote.run(this.#command);
    this.#tunnel = await this.remote.forward(port);
    return this.#answers();
  }

  /** Waits until SSH has noticed that nothing comes through any more. */
  async lost(): Promise<void> {
    await this.#tunnel!.lost;
  }

  /** As Remote-SSH does after a loss: another connection, at the same address for the window. */
  async reconnect(): Promise<void> {
    this.#tunnel = await this.remote.forward(port, this.#tunnel!.port);
  }

  /** Kills the server with its extension host, does this on the machine, and starts it again. */
  async restart(between = 'true'): Promise<void> {
    await this.remote.run(`pkill -KILL -s "$(cat ${this.folder}/server.pid)"; ${between}; ${this.#command}`);
    await this.#answers();
  }

  close(): Promise<void> {
    return this.remote.close();
  }

  async #answers(): Promise<string> {
    const url = `http://127.0.0.1:${this.#tunnel!.port}`;
    await answers(url, () => readFileSync(join(this.seen, 'server.log'), 'utf8'));
    return url;
  }
}

function commandLine(args: readonly string[], env: NodeJS.ProcessEnv): string {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return ['env', ...variables, 'node', installation + entry, ...args].map(quoted).join(' ');
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
