import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stamp } from '@landfall/adapters/contract.ts';
import type { run } from '../host/command.ts';
import { isUuid } from './identity.ts';
import { type Seed, writeSeed } from './seed.ts';

/** The storage folder, as this process sees it and as libvirt and QEMU see it. */
export interface Storage {
  here: string;
  there: string;
  /** Runs qemu-img and genisoimage; tests put faults in. */
  run: ProgramRunner;
}

export type ProgramRunner = typeof run;

/** What stands in `machine.json` beside a machine's disk: whose files these are, even when no domain is left. */
export interface Sidecar {
  stamp: Stamp;
  createdAt: string;
}

export const rootDisk = 'root.qcow2';
export const seedImage = 'seed.iso';
const consoleLog = 'console.log';
const sidecarFile = 'machine.json';

/** Files of a machine, by the names that `list` and references use. */
export const childFiles: ReadonlyArray<{ file: string; providerKind: string }> = [
  { file: rootDisk, providerKind: 'disk' },
  { file: seedImage, providerKind: 'seed' },
];

/** The folder of a machine. Throws for what is not a UUID: nothing else may become a path. */
export function machineFolder(storage: string, uuid: string): string {
  if (!isUuid(uuid)) throw new TypeError(`not a machine's UUID: ${uuid}`);
  return join(storage, 'machines', uuid);
}

/** Paths for the domain's definition, as libvirt sees them. */
export function pathsInside(storage: Pick<Storage, 'there'>, uuid: string) {
  const folder = machineFolder(storage.there, uuid);
  return {
    rootDisk: join(folder, rootDisk),
    seed: join(folder, seedImage),
    consoleLog: join(folder, consoleLog),
  };
}

export function missing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (missing(error)) return false;
    throw error;
  }
}

/** The stamp beside a machine's files; undefined where there is no folder (or one without a readable sidecar). */
export async function readSidecar(storage: Storage, uuid: string): Promise<Sidecar | undefined> {
  if (!isUuid(uuid)) return undefined;
  try {
    return JSON.parse(
      await readFile(join(machineFolder(storage.here, uuid), sidecarFile), 'utf8'),
    ) as Sidecar;
  } catch (error) {
    if (missing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** UUIDs of the machines that have a folder. */
export async function foldersWithMachines(storage: Pick<Storage, 'here'>): Promise<string[]> {
  try {
    return (await readdir(join(storage.here, 'machines'))).filter(isUuid);
  } catch (error) {
    if (missing(error)) return [];
    throw error;
  }
}

/** Which child files a machine has now. */
export async function existingChildren(storage: Storage, uuid: string) {
  const folder = machineFolder(storage.here, uuid);
  const found: Array<(typeof childFiles)[number]> = [];
  for (const one of childFiles) if (await exists(join(folder, one.file))) found.push(one);
  return found;
}

/** Makes the folder with its sidecar before anything else is in it. Idempotent. */
export async function makeFolder(storage: Storage, uuid: string, sidecar: Sidecar): Promise<Sidecar> {
  const present = await readSidecar(storage, uuid);
  if (present) return present;
  const folder = machineFolder(storage.here, uuid);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const staged = join(folder, `${sidecarFile}.new`);
  await writeFile(staged, `${JSON.stringify(sidecar)}\n`);
  await rename(staged, join(folder, sidecarFile));
  return sidecar;
}

/** Makes the root disk over a golden image, unless it is there. `golden` is the image's path as libvirt sees it. */
export async function makeRootDisk(
  storage: Storage,
  uuid: string,
  golden: string,
  diskGiB: number,
): Promise<void> {
  const path = join(machineFolder(storage.here, uuid), rootDisk);
  if (await exists(path)) return;
  const staged = `${path}.new`;
  // -u: the golden image's path is libvirt's, and may not exist in this process's view.
  const backing = ['-u', '-F', 'qcow2', '-b', golden];
  await storage.run('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, staged, `${diskGiB}G`]);
  await rename(staged, path);
}

/** Grows the root disk of a machine that is off. */
export async function growRootDisk(storage: Storage, uuid: string, diskGiB: number): Promise<void> {
  const path = join(machineFolder(storage.here, uuid), rootDisk);
  await storage.run('qemu-img', ['resize', '-q', '-f', 'qcow2', path, `${diskGiB}G`]);
}

/** Makes the seed, unless it is there. */
export async function makeSeed(storage: Storage, uuid: string, seed: Seed): Promise<void> {
  const path = join(machineFolder(storage.here, uuid), seedImage);
  if (!(await exists(path))) await writeSeed(seed, path, storage.run);
}

/** Removes every file of a machine; the sidecar goes last, so that what is left after a crash still says whose it is. */
export async function removeFiles(storage: Storage, uuid: string): Promise<void> {
  const folder = machineFolder(storage.here, uuid);
  let files: string[];
  try {
    files = await readdir(folder);
  } catch (error) {
    if (missing(error)) return;
    throw error;
  }
  for (const file of files)
    if (file !== sidecarFile) await rm(join(folder, file), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}

/** Takes away the note of whose a machine's files are. They stay. */
export async function removeSidecar(storage: Storage, uuid: string): Promise<void> {
  await rm(join(machineFolder(storage.here, uuid), sidecarFile), { force: true });
}

/** The last bytes of a machine's console log, the rotated part included; empty where there is none. */
export async function consoleTail(storage: Storage, uuid: string, maxBytes: number): Promise<string> {
  const folder = machineFolder(storage.here, uuid);
  const newest = await fileTail(join(folder, consoleLog), maxBytes);
  const rest = maxBytes - newest.length;
  const older = rest > 0 ? await fileTail(join(folder, `${consoleLog}.0`), rest) : Buffer.alloc(0);
  let text = Buffer.concat([older, newest]).toString('utf8');
  // A character cut in two became a replacement character, which is longer than what it replaces.
  while (Buffer.byteLength(text) > maxBytes) text = text.slice(1);
  return text;
}

async function fileTail(path: string, maxBytes: number): Promise<Buffer> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path);
  } catch (error) {
    if (missing(error)) return Buffer.alloc(0);
    throw error;
  }
  try {
    const { size } = await file.stat();
    const length = Math.min(size, Math.max(0, maxBytes));
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Kept free on the file system of the guests' disks, for the host and for overlays that grow. */
export const spareDiskGiB = 1;

/** Free space on the file system of guests' disks, in GiB. */
export async function freeDiskGiB(storage: Pick<Storage, 'here'>): Promise<number> {
  const { bavail, bsize } = await statfs(storage.here);
  return (bavail * bsize) / 2 ** 30;
}
