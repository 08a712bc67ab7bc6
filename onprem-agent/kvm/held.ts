import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kind, Specs, Stamp } from '@landfall/adapters/contract.ts';
import { isUuid, uuidOf } from './identity.ts';
import { missing, type Storage } from './machine-files.ts';

/** What this host holds besides machines: each in a folder of its own, with a record that says whose it is. */
export type HeldKind = Exclude<Kind, 'Instance' | 'Address'>;

/** Folders under the storage. Images of users' own stand among the golden ones, so that a machine names either by its key. */
export const heldFolders: Record<HeldKind, string> = {
  Volume: 'volumes',
  Snapshot: 'snapshots',
  Image: 'images/own',
  Network: 'networks',
  Firewall: 'firewalls',
};
export const heldKinds = Object.keys(heldFolders) as HeldKind[];

export interface HeldRecord<K extends HeldKind> {
  stamp: Stamp;
  /** ISO time. */
  createdAt: string;
  /** As last converged. */
  spec: Specs[K];
  /** Everything of it was made; false while it is being made. */
  made: boolean;
  /** Of its disk, once that is there. */
  sizeGiB?: number;
}

export interface Held<K extends HeldKind> {
  kind: K;
  /** Also its external reference. */
  uuid: string;
  record: HeldRecord<K>;
}

const recordFile = 'record.json';

/** UUID of one attempt: the idempotency key (A1, A2). */
export function heldUuid(kind: HeldKind, { broker, resource, attempt }: Omit<Stamp, 'project'>): string {
  return uuidOf([kind, broker, resource, String(attempt)].join('\n'));
}

/** Its folder, under the storage as this process or as libvirt sees it. Throws for what is not a UUID: nothing else may become a path. */
export function heldFolder(storage: string, kind: HeldKind, uuid: string): string {
  if (!isUuid(uuid)) throw new TypeError(`not a UUID: ${uuid}`);
  return join(storage, heldFolders[kind], uuid);
}

/** Undefined where there is nothing, or nothing whose record can be read. */
export async function readHeld<K extends HeldKind>(
  storage: Pick<Storage, 'here'>,
  kind: K,
  uuid: string,
): Promise<Held<K> | undefined> {
  if (!isUuid(uuid)) return undefined;
  try {
    const text = await readFile(join(heldFolder(storage.here, kind, uuid), recordFile), 'utf8');
    return { kind, uuid, record: JSON.parse(text) as HeldRecord<K> };
  } catch (error) {
    if (missing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** UUIDs of the folders of one kind, records or not. */
export async function heldUuids(storage: Pick<Storage, 'here'>, kind: HeldKind): Promise<string[]> {
  try {
    return (await readdir(join(storage.here, heldFolders[kind]))).filter(isUuid);
  } catch (error) {
    if (missing(error)) return [];
    throw error;
  }
}

/** Everything of one kind, whoever's. */
export async function allHeld<K extends HeldKind>(
  storage: Pick<Storage, 'here'>,
  kind: K,
): Promise<Held<K>[]> {
  const found: Held<K>[] = [];
  for (const uuid of await heldUuids(storage, kind)) {
    const held = await readHeld(storage, kind, uuid);
    if (held) found.push(held);
  }
  return found;
}

/** Writes the record, whole or not at all; makes the folder before anything else is in it. */
export async function writeHeld<K extends HeldKind>(
  storage: Pick<Storage, 'here'>,
  held: Held<K>,
): Promise<Held<K>> {
  const folder = heldFolder(storage.here, held.kind, held.uuid);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const staged = join(folder, `${recordFile}.new`);
  await writeFile(staged, `${JSON.stringify(held.record)}\n`, { mode: 0o600 });
  await rename(staged, join(folder, recordFile));
  return held;
}

/** Removes the folder; the record goes last, so that what is left after a crash still says whose it is. */
export async function removeHeld(
  storage: Pick<Storage, 'here'>,
  { kind, uuid }: Held<HeldKind>,
): Promise<void> {
  const folder = heldFolder(storage.here, kind, uuid);
  try {
    for (const file of await readdir(folder))
      if (file !== recordFile) await rm(join(folder, file), { recursive: true, force: true });
  } catch (error) {
    if (!missing(error)) throw error;
  }
  await rm(folder, { recursive: true, force: true });
}

/** Name of the disk in the folder of a Volume, a Snapshot or an Image. */
export const heldDisk = 'root.qcow2';

/** Bytes that a file takes on its file system; 0 where there is none. */
export async function bytesHeld(path: string): Promise<number> {
  try {
    // stat counts in blocks of 512 bytes, whatever the file system's own are.
    return (await stat(path)).blocks * 512;
  } catch (error) {
    if (missing(error)) return 0;
    throw error;
  }
}
