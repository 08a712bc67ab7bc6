import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { identify, isAlive } from './process-identity.ts';
import { AlreadyRunning, type Stack, type StackOptions, startStack } from './stack.ts';
import { until } from './supervise.ts';

let dataDir: string;
let stack: Stack | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'landfall-stack-'));
});

afterEach(async () => {
  await stack?.stop();
  stack = undefined;
  rmSync(dataDir, { recursive: true });
});

async function start(more: Partial<StackOptions> = {}): Promise<Stack> {
  stack = await startStack({
    dataDir,
    parts: ['postgres', 'temporal'],
    ports: { postgres: 0, temporal: 0 },
    ...more,
  });
  return stack;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test('a committed row survives kill -9 of PostgreSQL, a stop, and a start on the same ports', async () => {
  const first = await start();
  await query(first.databaseUrl, 'create table kept (n int); insert into kept values (7)');
  const before = first.pids().postgres;
  expect(first.kill('postgres', 'SIGKILL')).toBe(true);
  await until(
    'PostgreSQL again',
    async () => first.pids().postgres !== undefined && first.pids().postgres !== before,
  );
  await first.ready('postgres');
  expect(await query(first.databaseUrl, 'select n from kept')).toEqual([{ n: 7 }]);
  const { temporal } = first.pids();
  first.kill('temporal', 'SIGKILL');
  await until(
    'Temporal again',
    async () => first.pids().temporal !== undefined && first.pids().temporal !== temporal,
  );
  await first.ready('temporal');
  await expect(startStack({ dataDir, parts: [] })).rejects.toThrow(AlreadyRunning);
  const { databaseUrl, temporalAddress } = first;
  const processes = Object.values(first.pids()).map((pid) => identify(pid));
  await first.stop();
  expect(processes.map(isAlive)).toEqual([false, false]);
  const second = await start({ restart: 'manual' });
  expect(second).toMatchObject({ databaseUrl, temporalAddress });
  expect(await query(second.databaseUrl, 'select n from kept')).toEqual([{ n: 7 }]);
  second.kill('postgres', 'SIGKILL');
  await until('end', async () => second.unexpectedExits('postgres') === 1);
  expect(second.pids().postgres).toBeUndefined();
  await second.restart('postgres');
  expect(await query(second.databaseUrl, 'select n from kept')).toEqual([{ n: 7 }]);
}, 120_000);

test('an aborted start leaves nothing running', async () => {
  const abort = new AbortController();
  const starting = start({ signal: abort.signal });
  setTimeout(() => abort.abort(new Error('enough')), 50);
  await expect(starting).rejects.toThrow();
  await start(); // the data folder is free and sound
}, 120_000);
