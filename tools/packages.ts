/**
 * System packages by the system's package manager: QEMU, libvirt and their friends on Debian and Ubuntu.
 * Needs root or sudo; says why where it cannot.
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root } from './node24.mjs';
import { logTail } from './supervise.ts';
import { onPath } from './temporal-binary.ts';

const run = promisify(execFile);

/** What came of it: undefined when all is there, else the reason why not, for the user. */
export type Refusal = string | undefined;

/** The words before a command that make it run as root, or undefined when there is no way. */
export async function asRoot(interactive: boolean): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  if (onPath('sudo') === undefined) return undefined;
  const silent = await run('sudo', ['-n', 'true']).then(
    () => true,
    () => false,
  );
  if (silent) return ['sudo', '-n'];
  if (!interactive) return undefined;
  // Asked for once, here, before anything draws over the prompt.
  const code = await new Promise<number | null>((done) => {
    const prompt = spawn('sudo', ['-v', '-p', 'Password for sudo, to install system packages: '], {
      stdio: 'inherit',
    });
    prompt.once('error', () => done(1));
    prompt.once('exit', done);
  });
  return code === 0 ? ['sudo', '-n'] : undefined;
}

interface PackageList {
  requiredPackages: string[];
  missingPackages(packages?: readonly string[]): Promise<string[]>;
}

/** What the on-prem host needs, as its own source says; undefined when that is not in this checkout. */
async function packageList(): Promise<PackageList | undefined> {
  const file = join(root, 'onprem-agent/host/packages.ts');
  if (!existsSync(file)) return undefined;
  return (await import(pathToFileURL(file).href)) as PackageList;
}

async function apt(prefix: string[], args: string[], logFile: string): Promise<boolean> {
  const [command = 'apt-get', ...rest] = [
    ...prefix,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    ...args,
  ];
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  try {
    return await new Promise<boolean>((done, failed) => {
      // Its own session: a Ctrl-C must not stop dpkg half-way.
      const child = spawn(command, rest, { stdio: ['ignore', log, log], detached: true });
      child.once('error', failed);
      child.once('exit', (code) => done(code === 0));
    });
  } finally {
    closeSync(log);
  }
}

/**
 * Installs what the on-prem host needs and the system lacks. Answers the reason when that cannot be; throws
 * never for an ordinary "no", so that everything else still comes up.
 */
export async function ensureSystemPackages(options: {
  logFile: string;
  interactive: boolean;
  /** Wanted besides what the on-prem host needs. */
  also?: readonly string[];
  note?: (text: string) => void;
  say?: (line: string) => void;
}): Promise<Refusal> {
  const { logFile, interactive, also = [], note = () => {}, say = () => {} } = options;
  const list = await packageList();
  if (list === undefined)
    return 'onprem-agent/host/packages.ts, which lists the system packages, is not in this checkout';
  const wanted = [...list.requiredPackages, ...also];
  if (onPath('dpkg-query') === undefined || onPath('apt-get') === undefined) {
    const absent = ['qemu-system-x86_64', 'qemu-img', 'virsh', 'libvirtd', 'dnsmasq'].filter(
      (each) => onPath(each, `${process.env.PATH}:/usr/sbin:/sbin:/usr/libexec`) === undefined,
    );
    if (absent.length === 0) return undefined;
    return `${absent.join(', ')} missing, and this system has no apt-get: install QEMU, libvirt and dnsmasq with its package manager`;
  }
  const missing = await list.missingPackages(wanted);
  if (missing.length === 0) return undefined;
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  const prefix = await asRoot(interactive);
  if (prefix === undefined)
    return `system packages are missing and there is neither root nor sudo; as root: ${command}`;
  say(`Installing system packages: ${missing.join(' ')}`);
  const install = [
    'install',
    '-y',
    '-q',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=120',
    ...missing,
  ];
  note(`${missing.length} packages`);
  if (!(await apt(prefix, install, logFile))) {
    // Only now: the lists are usually good enough, and refreshing them takes longer than a warm start.
    note('refreshing the package lists');
    await apt(prefix, ['update', '-q', '-o', 'DPkg::Lock::Timeout=120'], logFile);
    note(`${missing.length} packages`);
    await apt(prefix, install, logFile);
  }
  const still = await list.missingPackages(wanted);
  if (still.length === 0) return undefined;
  const tail = logTail(logFile, 3).replace(/\n/g, ' / ');
  return `apt-get did not install ${still.join(', ')} (${tail}); whole log: ${logFile}`;
}
