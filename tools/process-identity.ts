/**
 * Which process is it? A pid alone does not say: after a crash or a reboot it may belong to anyone. A pid
 * with the process's start time (and, on Linux, the boot it happened in) does.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process, named so that it cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** Opaque; equal for the same process only. */
  started: string;
}

let bootId: string | undefined;

function currentBoot(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return bootId;
}

/** The start mark of a living process, or undefined when there is none with that pid (a zombie is none). */
export function startMark(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform === 'linux') {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
      return undefined; // no such process
    }
    // The command's name is in parentheses and may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${currentBoot()}:${fields[19]}`;
  }
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C' },
    }).trim();
    const [state, ...start] = line.split(/\s+/);
    return state === undefined || state.startsWith('Z') || start.length === 0 ? undefined : start.join(' ');
  } catch {
    return undefined; // ps answers 1 for no such process
  }
}

/** The identity of a living process, or undefined. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = startMark(pid);
  return started === undefined ? undefined : { pid, started };
}

/** Whether that very process still lives. */
export function isAlive(identity: ProcessIdentity | undefined): boolean {
  return identity !== undefined && startMark(identity.pid) === identity.started;
}

/** Sends a signal to that very process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until that very process is gone; false when it still lives at the limit. */
export async function waitGone(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  const end = Date.now() + limitMs;
  while (isAlive(identity)) {
    if (Date.now() >= end) return false;
    await delay(50);
  }
  return true;
}

/** Ends that very process: the signal first, SIGKILL when it has not ended by the limit. */
export async function endProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals = 'SIGTERM',
  limitMs = 10_000,
): Promise<void> {
  if (!signalProcess(identity, signal)) return;
  if (await waitGone(identity, limitMs)) return;
  signalProcess(identity, 'SIGKILL');
  if (!(await waitGone(identity, 5_000))) {
    throw new Error(
      `Process ${identity.pid} does not end even by SIGKILL: look at it with \`ps -p ${identity.pid}\`.`,
    );
  }
}
