/**
 * As whom PostgreSQL runs. It refuses to run as root, so a root supervisor gives it an account of its own,
 * and a place that account can reach when the repository lies in a folder it cannot (such as /root).
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
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
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The ids a process is started with; empty for "as this process". */
export interface Account {
  uid?: number;
  gid?: number;
}

const ownName = 'landfall-db';
const shared = '/var/lib/landfall';

function lookUp(name: string): Account | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  if (line === undefined) return undefined;
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/**
 * The account for PostgreSQL: this user unless that is root; then `postgres` where the system has it, else
 * a system user `landfall-db`, made here.
 */
export async function databaseAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  const known = lookUp('postgres') ?? lookUp(ownName);
  if (known !== undefined) return known;
  const recipes: [string, string[]][] = [
    [
      'useradd',
      [
        '--system',
        '--user-group',
        '--no-create-home',
        '--home-dir',
        '/nonexistent',
        '--shell',
        '/usr/sbin/nologin',
        ownName,
      ],
    ],
    ['adduser', ['-S', '-D', '-H', '-s', '/sbin/nologin', ownName]], // BusyBox
  ];
  const refusals: string[] = [];
  for (const [command, args] of recipes) {
    try {
      await run(command, args);
      const made = lookUp(ownName);
      if (made !== undefined) return made;
      refusals.push(`${command} ended well but /etc/passwd has no ${ownName}`);
    } catch (error) {
      refusals.push((error as Error).message.trim());
    }
  }
  throw new Error(
    `PostgreSQL does not run as root, and the system user ${ownName} could not be made (${refusals.join('; ')}). ` +
      'Make a user named postgres, or run this as an ordinary user, or set DATABASE_URL to a PostgreSQL you have.',
  );
}

/** Whether an account can pass through every folder above `path`. */
export function reaches(account: Account, path: string): boolean {
  if (account.uid === undefined) return true;
  for (let folder = dirname(realpathSync(path)); ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** Where the binaries are that the account can run: where npm put them, else a copy under /var/lib. */
export function reachableBinaries(account: Account, native: string, version: string): string {
  if (reaches(account, join(native, 'bin'))) return native;
  const copy = join(shared, `postgresql-${version}`);
  if (!existsSync(copy)) {
    mkdirSync(shared, { recursive: true, mode: 0o755 });
    const next = `${copy}.${process.pid}`;
    rmSync(next, { recursive: true, force: true });
    cpSync(native, next, { recursive: true, verbatimSymlinks: true });
    renameSync(next, copy);
  }
  return copy;
}

/**
 * The folder for the cluster: in the data folder, or under /var/lib with a link from the data folder when
 * the account cannot reach that.
 */
export function reachableCluster(account: Account, dataDir: string): { folder: string; relocated: boolean } {
  const wanted = join(dataDir, 'postgres');
  const present = lstatSync(wanted, { throwIfNoEntry: false });
  if (present?.isSymbolicLink()) {
    const folder = readlinkSync(wanted); // made below, always absolute
    mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
    return { folder, relocated: true };
  }
  if (reaches(account, join(dataDir, 'logs'))) return { folder: wanted, relocated: false };
  if (present !== undefined) {
    throw new Error(
      `The account PostgreSQL runs as cannot reach ${wanted}: a folder above it is closed to others. ` +
        'Run `chmod o+x` on that folder, or move the data folder to another place (--data-dir).',
    );
  }
  const name = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 12);
  const folder = join(shared, name, 'postgres');
  mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
  symlinkSync(folder, wanted);
  return { folder, relocated: true };
}
