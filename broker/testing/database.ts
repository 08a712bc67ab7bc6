import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { databaseAnswers, databaseUrl, postgresLaunch, prepareCluster } from '@landfall/tools/postgres.ts';
import pg from 'pg';

/** A PostgreSQL of a test's own. */
export interface TestDatabase {
  url: string;
  /** Ends the server, as a crash would with `SIGKILL`. */
  halt(signal?: 'SIGINT' | 'SIGKILL'): Promise<void>;
  /** Starts it again on the same data and port. */
  restart(): Promise<void>;
  end(): Promise<void>;
}

/**
 * A database for one test file: a new one on the server of `TEST_DATABASE_URL` where that is set (it cannot be halted),
 * else a server of its own from the embedded binaries.
 */
export async function testDatabase(): Promise<TestDatabase> {
  const shared = process.env.TEST_DATABASE_URL;
  if (shared) return databaseOn(shared);
  const dataDir = mkdtempSync(join(tmpdir(), 'landfall-broker-'));
  mkdirSync(join(dataDir, 'logs'));
  chmodSync(dataDir, 0o711); // PostgreSQL's own account must pass through it
  const cluster = await prepareCluster(dataDir);
  const port = await freePort();
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const { command, args, ...options } = postgresLaunch(cluster, port);
    let output = '';
    const child = spawn(command, [...args, '-c', 'fsync=off', '-c', 'full_page_writes=off'], {
      ...options,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    server = child;
    child.stderr?.on('data', (chunk) => {
      output = `${output}${chunk}`.slice(-4_000);
    });
    const deadline = Date.now() + 30_000;
    while (!(await databaseAnswers(cluster, port))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`PostgreSQL did not start: ${output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const halt = async (signal: 'SIGINT' | 'SIGKILL' = 'SIGINT'): Promise<void> => {
    const child = server;
    if (!child || child.exitCode !== null) return;
    // Until stderr is closed, which its sessions hold too: they outlive a killed server for a moment, and answer.
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await gone;
    server = undefined;
  };
  await start();
  return {
    url: databaseUrl(cluster, port),
    halt,
    restart: start,
    async end() {
      await halt();
      rmSync(dataDir, { recursive: true, force: true });
      rmSync(cluster.folder, { recursive: true, force: true });
    },
  };
}

async function databaseOn(shared: string): Promise<TestDatabase> {
  const name = `landfall_${Date.now()}_${Math.random().toString(36).slice(2, 8)}`;
  const admin = async (text: string): Promise<void> => {
    const client = new pg.Client({ connectionString: shared });
    await client.connect();
    await client.query(text);
    await client.end();
  };
  await admin(`create database ${name}`);
  const url = new URL(shared);
  url.pathname = `/${name}`;
  const never = async (): Promise<never> => {
    throw new Error('the shared database server of TEST_DATABASE_URL cannot be halted');
  };
  return {
    url: url.href,
    halt: never,
    restart: never,
    end: () => admin(`drop database ${name} with (force)`),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
