import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { livingSupervisor, makeDataDirectory, takeLock, writeRecord } from './data-directory.ts';
import { endLeftovers } from './leftovers.ts';
import { endProcess, identify, isAlive, type ProcessIdentity, signalProcess } from './process-identity.ts';

const children: ChildProcess[] = [];

function sleeper(script = 'setInterval(() => {}, 1000)'): ProcessIdentity {
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  children.push(child);
  const identity = identify(child.pid as number);
  if (identity === undefined) throw new Error('the child did not start');
  return identity;
}

/** The same pid, as it would look after the pid was given to a later process. */
const earlier = (identity: ProcessIdentity): ProcessIdentity => ({
  ...identity,
  started: `${identity.started}0`,
});

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-identity-'));
  makeDataDirectory(folder);
  return folder;
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

test('a pid given to a later process is not the recorded one, and is never signalled', async () => {
  const living = sleeper();
  expect(isAlive(living)).toBe(true);
  expect(isAlive(earlier(living))).toBe(false);
  expect(signalProcess(earlier(living), 'SIGKILL')).toBe(false);
  await endProcess(earlier(living), 'SIGKILL');
  expect(isAlive(living)).toBe(true);
});

test('a process that ignores the signal is ended by force', async () => {
  const stubborn = sleeper('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)');
  await new Promise((done) => setTimeout(done, 300));
  await endProcess(stubborn, 'SIGTERM', 200);
  expect(isAlive(stubborn)).toBe(false);
});

test('leftovers are ended by pid and start time; a stranger with the pid stays', async () => {
  const dataDir = dataFolder();
  try {
    const left = sleeper();
    const stranger = sleeper();
    const dead = earlier(sleeper());
    writeRecord(dataDir, {
      supervisor: dead,
      parts: { worker: left, broker: earlier(stranger) },
      phase: 'ready',
      since: '',
      notes: [],
    });
    expect(livingSupervisor(dataDir)).toBeUndefined();
    expect(await endLeftovers(dataDir)).toEqual(['worker']);
    expect(isAlive(left)).toBe(false);
    expect(isAlive(stranger)).toBe(true);
    expect(await endLeftovers(dataDir)).toEqual([]);
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});

test('one living process holds a data folder; a dead one holds nobody up', async () => {
  const dataDir = dataFolder();
  try {
    const release = takeLock(dataDir);
    expect(release).toBeDefined();
    expect(takeLock(dataDir)).toBeUndefined();
    release?.();
    const again = takeLock(dataDir);
    expect(again).toBeDefined();
    again?.();
    const { writeFileSync } = await import('node:fs');
    writeFileSync(join(dataDir, 'supervisor.lock'), JSON.stringify(earlier(sleeper())));
    expect(takeLock(dataDir)).toBeDefined();
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});
