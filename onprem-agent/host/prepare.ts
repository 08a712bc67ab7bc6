import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { withFileLock } from '../file-lock.ts';
import { claimIndex } from './claim.ts';
import { CommandFailed, run } from './command.ts';
import { defaultNetwork, networkName, networkXml } from './network.ts';
import { requirePackages } from './packages.ts';
import { findPrivateLibvirt, lowerPrivateLibvirt, raisePrivateLibvirt } from './private-libvirt.ts';
import { type Reach, reachInto } from './reach.ts';
import { subnetsOf } from './subnets.ts';

/** A host ready for guests. */
export interface Host {
  libvirt: 'system' | 'private';
  /** libvirt connection URI. */
  uri: string;
  libvirtVersion: string;
  /** Name of the libvirt network guests are on where they are in none of their own; the host reaches it. */
  network: string;
  reach: Reach;
  /** Folder for machines and images, as this process sees it and as libvirt and QEMU see it. */
  storage: { here: string; there: string };
}

export interface PrepareOptions {
  /** Folder of this agent on the host; made where missing. Two agents never share one. */
  dataFolder: string;
  /** `auto`: the system's libvirt where it answers, else a private one. */
  libvirt: 'auto' | 'system' | 'private';
}

const systemUri = 'qemu:///system';

async function systemAnswers(): Promise<boolean> {
  try {
    await run('virsh', ['-q', '-c', systemUri, 'version'], { timeoutMs: 10_000 });
    return true;
  } catch (error) {
    if (error instanceof CommandFailed) return false;
    throw error;
  }
}

/**
 * Makes this host ready: libvirt answering, the guests' network up and reachable by the host. Needs root. Idempotent, and
 * one process at a time per data folder. Throws one sentence when packages are missing or libvirt cannot be had.
 */
export async function prepareHost(options: PrepareOptions): Promise<Host> {
  const dataFolder = resolve(options.dataFolder);
  await requirePackages();
  await mkdir(dataFolder, { recursive: true });
  return withFileLock(join(dataFolder, 'prepare.lock'), async () => {
    // A data folder that has a private libvirt keeps it: its guests are there.
    const kept = options.libvirt === 'auto' && (await findPrivateLibvirt(dataFolder)) !== undefined;
    const useSystem =
      options.libvirt === 'system' || (options.libvirt === 'auto' && !kept && (await systemAnswers()));
    return useSystem ? prepareSystem() : preparePrivate(dataFolder);
  });
}

async function preparePrivate(dataFolder: string): Promise<Host> {
  const { uri, subnets, storage } = await raisePrivateLibvirt(dataFolder);
  const reach = reachInto(subnets);
  await raiseNetwork(uri, networkName, networkXml(defaultNetwork(subnets), reach.forward));
  const libvirtVersion = await versionOf(uri);
  return { libvirt: 'private', uri, libvirtVersion, network: networkName, reach, storage };
}

async function prepareSystem(): Promise<Host> {
  if (!(await systemAnswers())) {
    throw new Error(
      `the system's libvirt (${systemUri}) does not answer: start libvirtd, or use a private one`,
    );
  }
  // One network for all of this machine's agents, and a folder that QEMU's user can enter whatever the data folder's place.
  const there = '/var/lib/libvirt/landfall';
  await mkdir(there, { recursive: true, mode: 0o755 });
  const defined = await run('virsh', ['-q', '-c', systemUri, 'net-list', '--all', '--name']);
  if (!defined.split('\n').some((name) => name.trim() === networkName)) {
    const subnets = subnetsOf(await claimIndex(there));
    await raiseNetwork(systemUri, networkName, networkXml(defaultNetwork(subnets), 'nat'));
  } else {
    await startNetwork(systemUri, networkName);
  }
  return {
    libvirt: 'system',
    uri: systemUri,
    libvirtVersion: await versionOf(systemUri),
    network: networkName,
    // Its default network is among the host's routes.
    reach: { forward: 'nat', taken: [] },
    storage: { here: there, there },
  };
}

async function versionOf(uri: string): Promise<string> {
  const text = await run('virsh', ['-q', '-c', uri, 'version', '--daemon']);
  return (
    /Running against daemon: (\S+)/.exec(text)?.[1] ?? /library: libvirt (\S+)/.exec(text)?.[1] ?? 'unknown'
  );
}

/** Defines the network, anew when its addresses changed, and starts it. */
async function raiseNetwork(uri: string, name: string, xml: string): Promise<void> {
  const gateway = /address="([^"]+)"/.exec(xml)?.[1] ?? '';
  const current = await run('virsh', ['-q', '-c', uri, 'net-dumpxml', name]).catch((error: unknown) => {
    if (error instanceof CommandFailed && /not found/.test(error.stderr)) return undefined;
    throw error;
  });
  if (current !== undefined && !current.includes(`address='${gateway}'`)) {
    await tolerate(run('virsh', ['-q', '-c', uri, 'net-destroy', name]), /not active/);
    await run('virsh', ['-q', '-c', uri, 'net-undefine', name]);
  }
  if (current?.includes(`address='${gateway}'`) !== true) {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-network-'));
    try {
      const file = join(folder, 'network.xml');
      await writeFile(file, xml);
      await run('virsh', ['-q', '-c', uri, 'net-define', file]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  await startNetwork(uri, name);
}

async function startNetwork(uri: string, name: string): Promise<void> {
  await tolerate(run('virsh', ['-q', '-c', uri, 'net-start', name]), /already active/);
  await run('virsh', ['-q', '-c', uri, 'net-autostart', name]);
}

async function tolerate(running: Promise<unknown>, words: RegExp): Promise<void> {
  try {
    await running;
  } catch (error) {
    if (!(error instanceof CommandFailed) || !words.test(error.stderr)) throw error;
  }
}

/**
 * Undoes `prepareHost`. Without `guests` only the private libvirtd stops: guests run on and are found again by the next
 * `prepareHost`. With `guests` every guest of the private libvirt is destroyed and the network, the namespace and, with
 * `files`, all of libvirt's and the guests' files go. A system's libvirt is left alone.
 */
export async function lowerHost(
  folder: string,
  options: { guests: boolean; files?: boolean },
): Promise<void> {
  const dataFolder = resolve(folder);
  const found = await findPrivateLibvirt(dataFolder);
  if (!found) return;
  await withFileLock(join(dataFolder, 'prepare.lock'), async () => {
    if (!options.guests) return lowerPrivateLibvirt(dataFolder, { network: false });
    // libvirtd may be down while guests run: it is brought up to end them properly.
    const { uri } = await raisePrivateLibvirt(dataFolder);
    const running = await run('virsh', ['-q', '-c', uri, 'list', '--uuid']);
    for (const uuid of running.split('\n').filter(Boolean)) {
      await tolerate(
        run('virsh', ['-q', '-c', uri, 'destroy', uuid.trim()]),
        /not running|not found|failed to get domain/,
      );
    }
    const networks = await run('virsh', ['-q', '-c', uri, 'net-list', '--name']);
    for (const name of networks.split('\n').map((line) => line.trim())) {
      if (name) await tolerate(run('virsh', ['-q', '-c', uri, 'net-destroy', name]), /not active|not found/);
    }
    await lowerPrivateLibvirt(dataFolder, { network: true });
    if (options.files) await rm(join(dataFolder, 'libvirt'), { recursive: true, force: true });
  });
}
