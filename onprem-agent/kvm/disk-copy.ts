import { chmod, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { changing } from './converge.ts';
import type { Domain } from './domain-xml.ts';
import { exclusively } from './exclusive.ts';
import { bytesHeld } from './held.ts';
import { freeDiskGiB, spareDiskGiB } from './machine-files.ts';
import { pause } from './pause.ts';
import type { Setting } from './setting.ts';

/** A disk to be copied. Paths are relative to the storage folder. */
export interface SourceDisk {
  file: string;
  /** What it is an overlay of. */
  backing?: string;
  /** The domain that has it, and as which disk. */
  user?: { uuid: string; target: string };
}

/** A copy is as big as its disk: it may take this long. */
export const copyLimitMs = 3_600_000;

/**
 * Copies a disk, as it is at one moment, to a new qcow2 file that depends on nothing. Of a running machine by QEMU itself,
 * its file systems flushed where the guest agent answers; else by qemu-img while the machine cannot start. `to` is relative to
 * the storage folder, and whole or not there.
 */
export async function copyDisk(
  setting: Setting,
  source: SourceDisk,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  const { storage } = setting;
  const staged = `${to}.new`;
  await requireSpace(setting, (await bytesHeld(join(storage.here, source.file))) / 2 ** 30);
  await rm(join(storage.here, staged), { force: true });
  const { user } = source;
  const copied = user !== undefined && (await copyRunning(setting, user, staged, signal));
  if (!copied) {
    const copy = () => convert(setting, source, staged, signal);
    await (user ? exclusively(changing(user.uuid), copy) : copy());
  }
  await chmod(join(storage.here, staged), 0o600);
  await rename(join(storage.here, staged), join(storage.here, to));
}

/** False when the machine does not run. */
async function copyRunning(
  setting: Setting,
  { uuid, target }: { uuid: string; target: string },
  to: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { libvirt, storage, timing } = setting;
  return exclusively(`job:${uuid}`, async () => {
    if ((await libvirt.find(uuid))?.id === undefined) return false;
    // What an agent that died left running: nobody waits for it any more.
    if (await libvirt.hasJob(uuid)) await libvirt.abortJob(uuid);
    const frozen = await libvirt.freeze(uuid);
    try {
      await libvirt.beginBackup(uuid, target, join(storage.there, to));
    } finally {
      if (frozen) await libvirt.thaw(uuid);
    }
    try {
      while (await libvirt.hasJob(uuid)) await pause(timing.poll, signal);
    } catch (error) {
      await libvirt.abortJob(uuid);
      throw error;
    }
    if (await libvirt.completedJob(uuid)) return true;
    throw new ProviderError('Unavailable', `the copy of ${target} of the machine ${uuid} was broken off`);
  });
}

/** Formats are given, never probed: a guest may write what looks like another. */
async function convert(
  { storage }: Setting,
  { file, backing }: SourceDisk,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  const from = [`driver=qcow2,file.filename=${optionText(join(storage.here, file))}`];
  // The overlay names its backing file as libvirt sees it; this process may see it elsewhere.
  if (backing !== undefined)
    from.push(`backing.driver=qcow2,backing.file.filename=${optionText(join(storage.here, backing))}`);
  const args = ['convert', '--image-opts', from.join(','), '-O', 'qcow2', join(storage.here, to)];
  await storage.run('qemu-img', args, { signal, timeoutMs: copyLimitMs });
}

/** A comma ends an option of QEMU's unless it is doubled. */
function optionText(path: string): string {
  return path.replaceAll(',', ',,');
}

/** Size of a qcow2 as its guest sees it. */
export async function diskBytes({ storage }: Setting, path: string): Promise<number> {
  const text = await storage.run('qemu-img', ['info', '-U', '-f', 'qcow2', '--output=json', path]);
  return (JSON.parse(text) as { 'virtual-size': number })['virtual-size'];
}

/** Throws CapacityExhausted unless so much is free on the file system of guests' disks. */
export async function requireSpace({ storage }: Setting, gib: number): Promise<void> {
  const free = await freeDiskGiB(storage);
  if (gib <= free - spareDiskGiB) return;
  const message = `this host has ${Math.floor(free)} GiB of disk free, and ${Math.ceil(gib)} are wanted`;
  throw new ProviderError('CapacityExhausted', message);
}

/** The domain that has a disk (a path as libvirt sees it), and as what. */
export function userOf(domains: readonly Domain[], file: string): SourceDisk['user'] {
  for (const { uuid, disks } of domains) {
    const disk = disks.find((one) => one.file === file);
    if (disk) return { uuid, target: disk.target };
  }
  return undefined;
}
