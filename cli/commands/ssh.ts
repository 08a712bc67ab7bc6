/** `landfall ssh`: the system's ssh, with the address, key and host identity that Landfall knows. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Instance } from '@landfall/model';
import { defaultKeyFile } from '../apply/default-key.ts';
import type { Connection } from '../connection/connection.ts';
import { CommandError, exitCodes } from '../errors.ts';
import { instanceKind, notFound } from '../kinds.ts';
import type { Session } from '../session.ts';
import { configDirectory, pause, type Terminal } from '../terminal.ts';

/** How long a machine that does not answer yet is waited for. */
const patience = 30_000;

/** Flags of `ssh`. */
export interface SshFlags {
  user?: string;
  identity?: string;
}

/** Logs in, or runs a command; its exit code is ours. */
export async function ssh(
  session: Session,
  name: string,
  command: string[],
  flags: SshFlags,
): Promise<number> {
  const { broker, terminal } = session;
  const instance = await instanceKind.get!(broker, name);
  if (!instance) throw notFound(instanceKind, name, broker);
  const target = instance.status.ssh;
  if (!target) throw notReachable(instance);
  await untilAnswering(session, name, target.host, target.port);
  if (terminal.interrupted.aborted) return exitCodes.interrupted;
  mkdirSync(configDirectory(terminal.env), { recursive: true, mode: 0o700 });
  const args = sshArguments(instance, broker.connection, terminal.env, flags);
  const words = command[0] === '--' ? command.slice(1) : command;
  return runSsh(terminal, [...args, ...(words.length > 0 ? ['--', ...words] : [])]);
}

function notReachable({ name, status }: Instance): CommandError {
  const message = status.message ? ` (${status.message})` : '';
  const hints: Record<string, string> = {
    Stopped: `Start it: \`landfall start instance ${name} --wait\`.`,
    Failed: `\`landfall describe instance ${name}\` says why.`,
    Running: `It has no address that is reachable from here: \`landfall describe instance ${name}\`.`,
  };
  return new CommandError(`${name} cannot be reached by SSH: it is ${status.state}${message}.`, {
    hint: hints[status.state] ?? `Wait for it: \`landfall get instance ${name} --watch\`.`,
  });
}

/** The file of host keys for the instances of one broker. */
export function knownHostsFile(env: NodeJS.ProcessEnv, source: Connection['source'], url = ''): string {
  const name =
    typeof source === 'object'
      ? source.context.replaceAll(/[^A-Za-z0-9.-]/g, '_')
      : source === 'local'
        ? 'npm-run-up'
        : createHash('sha256').update(url).digest('hex').slice(0, 16);
  return join(configDirectory(env), `known_hosts.${name}`);
}

/**
 * The arguments before a command. The host key is kept under the instance's id and attempt: addresses and ports are
 * used again by other machines, ids never, and another machine in the place of a lost one has another key.
 */
export function sshArguments(
  instance: Instance,
  connection: Connection,
  env: NodeJS.ProcessEnv,
  flags: SshFlags,
): string[] {
  const target = instance.status.ssh!;
  const key = flags.identity ?? (existsSync(defaultKeyFile(env)) ? defaultKeyFile(env) : undefined);
  // In an ssh option, % begins a token and a space ends a file's name.
  const knownHosts = `"${knownHostsFile(env, connection.source, connection.url).replaceAll('%', '%%')}"`;
  return [
    ...['-o', `UserKnownHostsFile=${knownHosts}`],
    ...['-o', `HostKeyAlias=${instance.id}.${instance.status.attempt ?? 1}`],
    ...['-o', 'StrictHostKeyChecking=accept-new'],
    ...['-o', 'LogLevel=ERROR'],
    ...(key ? ['-i', key] : []),
    ...['-p', String(target.port)],
    ...['-l', flags.user ?? target.user],
    target.host,
  ];
}

/** Waits until something that speaks SSH answers: a forwarded port is open before the machine's own is. */
async function untilAnswering(session: Session, name: string, host: string, port: number): Promise<void> {
  const { interrupted } = session.terminal;
  const deadline = Date.now() + patience;
  let told = false;
  while (!interrupted.aborted) {
    const failure = await sshFailure(host, port, Math.max(1000, Math.min(10_000, deadline - Date.now())));
    if (failure === undefined) return;
    if (Date.now() >= deadline) {
      throw new CommandError(`${name} does not answer by SSH at ${host} port ${port}: ${failure}.`, {
        exitCode: exitCodes.unreachable,
        hint: `\`landfall console ${name}\` shows what it says at its start.`,
      });
    }
    if (!told)
      session.notice(
        `${name} does not answer by SSH yet (${failure}); waiting up to ${patience / 1000} seconds.`,
      );
    told = true;
    await pause(500, interrupted);
  }
}

/** Why nothing speaks SSH there; undefined when something does. */
function sshFailure(host: string, port: number, timeout: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const done = (failure: string | undefined): void => {
      socket.destroy();
      resolve(failure);
    };
    socket.setTimeout(timeout, () => done('no answer in time'));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      done(error.code === 'ECONNREFUSED' ? 'connection refused' : error.message),
    );
    socket.once('data', (data) =>
      done(data.toString('latin1').startsWith('SSH-') ? undefined : 'something other than SSH answers'),
    );
    socket.once('close', () => done('the connection is closed at once'));
  });
}

function runSsh(terminal: Terminal, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('ssh', args, { stdio: 'inherit', env: terminal.env });
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const missing = cause.code === 'ENOENT';
      reject(
        new CommandError(
          missing ? 'There is no `ssh` on this machine.' : `ssh does not start: ${cause.message}`,
          {
            hint: missing ? 'Install an OpenSSH client.' : undefined,
            cause,
          },
        ),
      );
    });
    // Ctrl-C goes to the whole foreground group: ssh decides what it means.
    child.once('exit', (code, signal) =>
      resolve(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0)),
    );
  });
}
