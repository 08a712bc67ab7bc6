import { randomUUID } from 'node:crypto';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimedIndex, claimIndex, releaseIndex, runFolder } from './claim.ts';
import { run } from './command.ts';
import { dropNamespace, raiseNamespace } from './network-namespace.ts';
import { type Subnets, subnetsOf } from './subnets.ts';

/**
 * A libvirt of our own for hosts where none runs: virtlogd and libvirtd as daemons with their own configuration, state
 * and sockets, in a mount and a network namespace of their own. Several live on one machine, one per data folder.
 * The guests' QEMU processes belong to nobody's process tree: they outlive libvirtd and the agent.
 */
export interface PrivateLibvirt {
  uri: string;
  subnets: Subnets;
  /** Folder for machines and images as we see it, and as libvirt and QEMU see it. */
  storage: { here: string; there: string };
}

const script = join(import.meta.dirname, 'private-libvirt.sh');

interface Layout {
  root: string;
  record: string;
  folders: Record<'etc' | 'lib' | 'log' | 'cache', string>;
}

function layoutOf(dataFolder: string): Layout {
  const root = join(dataFolder, 'libvirt');
  const folder = (name: string) => join(root, name);
  return {
    root,
    record: join(root, 'host.json'),
    folders: { etc: folder('etc'), lib: folder('lib'), log: folder('log'), cache: folder('cache') },
  };
}

interface HostRecord {
  index: number;
  hostUuid: string;
}

async function readRecord(path: string): Promise<HostRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as HostRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path} is not readable as the host's record: remove it to have a new one made`, {
      cause: error,
    });
  }
}

async function writeConfiguration(layout: Layout, hostUuid: string): Promise<void> {
  const { etc, lib, log, cache } = layout.folders;
  for (const folder of [etc, lib, log, cache]) await mkdir(folder, { recursive: true, mode: 0o755 });
  // nwfilter definitions and the packages' defaults; ours are written over them, and the package's network left out.
  await cp('/etc/libvirt', etc, {
    recursive: true,
    force: false,
    filter: (path) => !path.includes('/qemu/networks'),
  });
  await mkdir(join(etc, 'qemu', 'networks'), { recursive: true });
  await writeFile(
    join(etc, 'libvirtd.conf'),
    [
      'unix_sock_rw_perms = "0700"',
      'unix_sock_ro_perms = "0700"',
      'auth_unix_ro = "none"',
      'auth_unix_rw = "none"',
      `host_uuid = "${hostUuid}"`,
      'log_outputs = "3:file:/var/log/libvirt/libvirtd.log"',
      '',
    ].join('\n'),
  );
  await writeFile(
    join(etc, 'qemu.conf'),
    ['seccomp_sandbox = 1', 'stdio_handler = "logd"', 'max_core = 0', ''].join('\n'),
  );
  await run('install', ['-d', '-m', '750', '-o', 'libvirt-qemu', '-g', 'libvirt-qemu', join(lib, 'qemu')]);
  await mkdir(join(log, 'qemu'), { recursive: true });
}

const socketUri = (index: number) => `qemu+unix:///system?socket=${runFolder(index)}/libvirt-sock`;

async function answers(uri: string): Promise<boolean> {
  return run('virsh', ['-q', '-c', uri, 'version'], { timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
}

const startLimitMs = 30_000;

/** Starts what is not running; answers when libvirt does. Needs root. Safe to repeat and after a crash at any point. */
export async function raisePrivateLibvirt(dataFolder: string): Promise<PrivateLibvirt> {
  const layout = layoutOf(dataFolder);
  await mkdir(layout.root, { recursive: true });
  const record = await readRecord(layout.record);
  const index = await claimIndex(dataFolder, record?.index);
  const hostUuid = record?.hostUuid ?? randomUUID();
  await writeFile(layout.record, `${JSON.stringify({ index, hostUuid } satisfies HostRecord)}\n`);

  const subnets = subnetsOf(index);
  const uri = socketUri(index);
  await raiseNamespace(subnets);
  if (!(await answers(uri))) {
    await writeConfiguration(layout, hostUuid);
    await mkdir(runFolder(index), { recursive: true, mode: 0o755 });
    const inNamespace = ['--net', `/run/netns/${subnets.namespace}`].join('=');
    await run('nsenter', [
      inNamespace,
      'unshare',
      '-m',
      '--propagation',
      'private',
      script,
      layout.root,
      runFolder(index),
    ]);
    const deadline = Date.now() + startLimitMs;
    while (!(await answers(uri))) {
      if (Date.now() > deadline) {
        throw new Error(
          `libvirtd was started and does not answer: see ${join(layout.folders.log, 'libvirtd.log')}`,
        );
      }
      await sleep(100);
    }
  }
  const storage = { here: join(layout.folders.lib, 'landfall'), there: '/var/lib/libvirt/landfall' };
  await mkdir(storage.here, { recursive: true, mode: 0o755 });
  return { uri, subnets, storage };
}

/** The private libvirt of a data folder as it stands now, started or not; undefined where none was ever made. */
export async function findPrivateLibvirt(
  dataFolder: string,
): Promise<{ uri: string; index: number } | undefined> {
  const index = (await claimedIndex(dataFolder)) ?? (await readRecord(layoutOf(dataFolder).record))?.index;
  return index === undefined ? undefined : { uri: socketUri(index), index };
}

async function readPid(path: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(path, 'utf8'), 10) || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Is `pid` still a process that runs `program`? A pid file may outlive its process and the number be used again. */
async function runs(pid: number, program: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === program;
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function endDaemon(pidFile: string, program: string): Promise<void> {
  const pid = await readPid(pidFile);
  if (pid === undefined || !(await runs(pid, program))) return;
  process.kill(pid, 'SIGTERM');
  for (let tries = 0; await runs(pid, program); tries++) {
    if (tries === 100) process.kill(pid, 'SIGKILL');
    await sleep(50);
  }
}

/**
 * Stops libvirtd. Guests run on, reachable, and the next `raisePrivateLibvirt` finds them. With `network` also dnsmasq,
 * virtlogd, the link, the namespace and the claim go: only when no guest runs any more.
 */
export async function lowerPrivateLibvirt(dataFolder: string, options: { network: boolean }): Promise<void> {
  const found = await findPrivateLibvirt(dataFolder);
  if (!found) return;
  const sockets = runFolder(found.index);
  await endDaemon(join(sockets, 'libvirtd.pid'), 'libvirtd');
  if (!options.network) return;
  await endDaemon(join(sockets, 'virtlogd.pid'), 'virtlogd');
  await endDaemon(join(sockets, 'network', 'landfall.pid'), 'dnsmasq');
  await dropNamespace(subnetsOf(found.index));
  await rm(sockets, { recursive: true, force: true });
  await releaseIndex(found.index, dataFolder);
}
