import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './process-identity.ts';
import { logTail, Supervised, type SupervisedOptions, until } from './supervise.ts';

let folder: string;
let running: Supervised[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-supervise-'));
});

afterEach(async () => {
  for (const each of running) await each.stop();
  running = [];
  rmSync(folder, { recursive: true });
});

function supervise(script: string, more: Partial<SupervisedOptions> = {}): Supervised {
  const supervised = new Supervised({
    name: 'part',
    launch: () => ({ command: process.execPath, args: ['-e', script] }),
    logFile: join(folder, 'part.log'),
    firstBackOffMs: 20,
    ...more,
  });
  running.push(supervised);
  return supervised;
}

const forever = 'console.log("here"); setInterval(() => {}, 1000)';

test('a killed process is started again, with its log kept', async () => {
  const part = supervise(forever);
  await part.start();
  const first = part.identity;
  await until('log', async () => logTail(part.logFile).includes('here'));
  expect(part.kill('SIGKILL')).toBe(true);
  await until('restart', async () => part.pid !== undefined && part.pid !== first?.pid);
  expect(part.unexpectedExits).toBe(1);
  expect(part.lastExit).toBe('signal SIGKILL');
  await until('log', async () => readFileSync(part.logFile, 'utf8').match(/here/g)?.length === 2);
});

test('manual: it stays dead until it is started', async () => {
  const part = supervise(forever, { restart: 'manual' });
  await part.start();
  part.kill('SIGKILL');
  await until('end', async () => part.unexpectedExits === 1);
  await new Promise((done) => setTimeout(done, 150));
  expect(part.pid).toBeUndefined();
  await part.start();
  expect(part.pid).toBeDefined();
});

test('it waits longer after each quick end', async () => {
  const waits: number[] = [];
  const part = supervise('process.exit(3)', {
    maxBackOffMs: 80,
    log: (line) => waits.push(Number(/in (\d+) ms/.exec(line)?.[1])),
  });
  await part.start();
  await until('four ends', async () => part.unexpectedExits >= 4);
  expect(waits.slice(0, 4)).toEqual([20, 40, 80, 80]);
  expect(part.lastExit).toBe('exit code 3');
});

test('stopped is stopped: nothing starts again, and a deaf process goes by force', async () => {
  const part = supervise(
    'process.on("SIGTERM", () => {}); console.log("deaf"); setInterval(() => {}, 1000)',
    { stopLimitMs: 150 },
  );
  await part.start();
  await until('log', async () => logTail(part.logFile).includes('deaf'));
  const { identity } = part;
  await part.stop();
  expect(isAlive(identity)).toBe(false);
  await new Promise((done) => setTimeout(done, 100));
  expect(part.pid).toBeUndefined();
});

test('a program that is not there is told, not thrown out of the blue', async () => {
  const lines: string[] = [];
  const part = supervise('', {
    launch: () => ({ command: join(folder, 'absent'), args: [] }),
    restart: 'manual',
    log: (line) => lines.push(line),
  });
  await part.start();
  await until('told', async () => lines.some((line) => line.includes('does not start')));
});

test('a long log is moved aside before a start', async () => {
  writeFileSync(join(folder, 'part.log'), Buffer.alloc(21 * 1024 * 1024, 0x2e));
  const part = supervise(forever);
  await part.start();
  await until('log', async () => logTail(part.logFile).includes('here'));
  expect(statSync(part.logFile).size).toBeLessThan(1000);
  expect(statSync(`${part.logFile}.1`).size).toBe(21 * 1024 * 1024);
});
