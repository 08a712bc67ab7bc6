/**
 * A second machine with an SSH server, on this one: network, mounts, processes and name are namespaces of its own, its disk has nothing of
 * this one but the system's programs, and a veth pair is its only way out. It shares the kernel and the clock.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onPath } from '@landfall/tools/temporal-binary.ts';
import { freePort, runToEnd } from './editor-machine.ts';

const repository = resolve(import.meta.dirname, '../..');

/** Where it has the checkout and Node. */
const checkout = '/opt/landfall';
const node = '/opt/node/bin/node';
/** Where `landfall` is. */
const programs = '/opt/bin';
const path = `${programs}:/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** A way through SSH to a port of the machine's loopback. */
export interface Tunnel {
  port: number;
  /** Resolves when the connection is lost, or the tunnel closed. */
  lost: Promise<void>;
  close(): Promise<void>;
}

/** Started with its SSH server; all of it ends with `close`, or with this process. */
export class RemoteMachine {
  /** Its root folder, as this machine sees it: what is written there is on its disk. */
  readonly disk: string;
  readonly #folder: string;
  readonly #first: ChildProcess;
  readonly #device: string;
  readonly #tunnels = new Set<Tunnel>();

  private constructor(folder: string, first: ChildProcess, device: string) {
    this.#folder = folder;
    this.disk = join(folder, 'disk');
    this.#first = first;
    this.#device = device;
  }

  /**
   * `shared` are paths of this machine that it has to read, with what they are called there; `profile` is for its login shells. Throws where
   * namespaces cannot be made.
   */
  static async start(shared: Readonly<Record<string, string>>, profile: string): Promise<RemoteMachine> {
    if (process.getuid?.() !== 0)
      throw new Error('A second machine wants root, for its network namespace: run this test as root.');
    if (onPath('dropbear') === undefined)
      throw new Error('A second machine wants an SSH server of its own: install the package dropbear-bin.');
    const folder = mkdtempSync(join(tmpdir(), `landfall-remote-${process.pid}-`));
    const disk = join(folder, 'disk');
    const home = join(disk, 'root');
    mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 });
    mkdirSync(join(disk, programs), { recursive: true });
    symlinkSync(`${checkout}/cli/bin/landfall.mjs`, join(disk, programs, 'landfall'));
    mkdirSync(join(disk, 'keys'));
    const keygen = (file: string) =>
      runToEnd('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file], folder);
    await keygen(join(folder, 'id'));
    // Its own key is let in too: from a terminal there it can log in to itself.
    await keygen(join(home, '.ssh/id_ed25519'));
    const publicKeys = [join(folder, 'id'), join(home, '.ssh/id_ed25519')].map((file) =>
      readFileSync(`${file}.pub`, 'utf8'),
    );
    writeFileSync(join(home, '.ssh/authorized_keys'), publicKeys.join(''), { mode: 0o600 });
    const made = await runToEnd('dropbearkey', ['-t', 'ed25519', '-f', join(disk, 'keys/ed25519')], folder);
    const hostKey = /^ssh-ed25519 \S+/m.exec(made)![0];
    writeFileSync(join(home, '.profile'), `export PATH='${path}'\n${profile}`);

    // The shared address space of carriers: 2^20 links of four addresses, one for this process.
    const link = (process.pid % 2 ** 20) << 2;
    const address = (last: number): string =>
      `100.${64 + (link >> 16)}.${(link >> 8) & 255}.${(link & 255) + last}`;
    const device = `lfr${process.pid}`;
    const peer = `${device}p`;
    const first = spawn(
      'unshare',
      ['--mount', '--net', '--uts', '--pid', '--fork', '--kill-child', 'bash'].concat(
        [join(import.meta.dirname, 'remote-machine.sh'), disk, '/keys/ed25519'],
        Object.entries({ [repository]: checkout, [process.execPath]: node, ...shared }).map((pair) =>
          pair.join('='),
        ),
      ),
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const machine = new RemoteMachine(folder, first, device);
    try {
      await isUp(first);
      const inside = ['-t', String(first.pid), '-n', 'ip'];
      for (const [command, args] of [
        ['ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', peer, 'netns', String(first.pid)]],
        ['ip', ['addr', 'add', `${address(1)}/30`, 'dev', device]],
        ['nsenter', [...inside, 'addr', 'add', `${address(2)}/30`, 'dev', peer]],
        ['nsenter', [...inside, 'link', 'set', peer, 'up']],
        ['ip', ['link', 'set', device, 'up']],
      ] as const)
        await runToEnd(command, args, folder);
      writeFileSync(join(folder, 'known_hosts'), `${address(2)} ${hostKey}\n`);
      writeFileSync(join(home, '.ssh/known_hosts'), `127.0.0.1 ${hostKey}\n`);
      writeFileSync(
        join(folder, 'config'),
        `Host remote
  HostName ${address(2)}
  User root
  IdentityFile ${join(folder, 'id')}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(folder, 'known_hosts')}
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 60
  ServerAliveInterval 3
  ServerAliveCountMax 4
  ExitOnForwardFailure yes
`,
      );
      return machine;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  /** Runs a line in a shell of the machine, through SSH, and answers what it printed. */
  run(line: string): Promise<string> {
    return runToEnd(
      'ssh',
      ['-F', join(this.#folder, 'config'), '-n', 'remote', `. ~/.profile; ${line}`],
      '/',
    );
  }

  /** `ssh -L` to a port of its loopback, from a port of this machine's: the one that is named, or any. */
  async forward(to: number, from?: number): Promise<Tunnel> {
    const port = from ?? (await freePort());
    const forwarding = `127.0.0.1:${port}:127.0.0.1:${to}`;
    const child = spawn('ssh', ['-v', '-N', '-F', join(this.#folder, 'config'), '-L', forwarding, 'remote'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    const lost = once(child, 'exit').then(() => {
      this.#tunnels.delete(tunnel);
    });
    const tunnel: Tunnel = {
      port,
      lost,
      close: async () => {
        child.kill('SIGTERM');
        await lost;
      },
    };
    this.#tunnels.add(tunnel);
    await new Promise<void>((open, failed) => {
      child.stderr.on('data', (chunk) => {
        said = `${said}${chunk}`.slice(-4_000);
        if (/Entering interactive session/.test(said)) open();
      });
      void lost.then(() => failed(new Error(`ssh -L ${forwarding} ended:\n${said}`)));
    });
    return tunnel;
  }

  /** A socket that listens at its loopback, served by this process: a broker of the test answers there. */
  async listen(port: number): Promise<Server> {
    const script = `const server = require('node:net').createServer();
      server.listen(${port}, '127.0.0.1', () => process.send('listens', server, () => process.exit()));`;
    const child = spawn(
      'nsenter',
      ['-t', String(this.#first.pid), '-n', process.execPath, '--eval', script],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    const [, server] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(
          `Nothing listens at port ${port} of the remote machine: its process ended with ${code}.`,
        );
      }),
    ]);
    return server as Server;
  }

  /** Takes the link away, as a lost Wi-Fi or a laptop's sleep does: nothing is told to either side. */
  async cut(): Promise<void> {
    await runToEnd('ip', ['link', 'set', this.#device, 'down'], '/');
  }

  async mend(): Promise<void> {
    await runToEnd('ip', ['link', 'set', this.#device, 'up'], '/');
  }

  async close(): Promise<void> {
    for (const tunnel of this.#tunnels) await tunnel.close();
    if (this.#first.exitCode === null && this.#first.signalCode === null) {
      const ended = once(this.#first, 'exit');
      this.#first.stdin?.end();
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** Waits until its SSH server is started. */
async function isUp(first: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((up, failed) => {
    first.once('error', failed);
    first.stderr?.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4_000);
    });
    first.stdout?.on('data', (chunk) => {
      if (String(chunk).includes('up\n')) up();
    });
    first.once('exit', (code) =>
      failed(new Error(`A second machine cannot be made here: unshare ended with ${code}:\n${said}`)),
    );
  });
}
