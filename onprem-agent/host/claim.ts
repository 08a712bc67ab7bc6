import { createHash } from 'node:crypto';
import { mkdir, readlink, symlink, unlink } from 'node:fs/promises';
import { highestIndex, overlap, routedDestinations, subnetsOf } from './subnets.ts';

/**
 * Which index (and so which subnet, namespace and device names) belongs to which data folder: a symbolic link
 * `/run/landfall/<index>.owner` → data folder. Making a symbolic link is atomic and carries the owner's name.
 */
const claims = '/run/landfall';

export function runFolder(index: number): string {
  return `${claims}/${index}`;
}

const claimPath = (index: number) => `${claims}/${index}.owner`;

async function ownerOf(index: number): Promise<string | undefined> {
  try {
    return await readlink(claimPath(index));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function claim(index: number, owner: string): Promise<boolean> {
  try {
    await symlink(owner, claimPath(index));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return (await ownerOf(index)) === owner;
  }
}

/**
 * Claims an index for `owner` (an absolute data folder): the one it has, else the `preferred` one where it is free, else the
 * first whose subnets no route of the host touches, beginning at a place derived from the owner's name.
 */
export async function claimIndex(owner: string, preferred?: number): Promise<number> {
  await mkdir(claims, { recursive: true });
  const held = await claimedIndex(owner);
  if (held !== undefined) return held;
  const routed = await routedDestinations();
  const start = createHash('sha256').update(owner).digest().readUInt16BE(0);
  const candidates = Array.from({ length: highestIndex }, (_, step) => ((start + step) % highestIndex) + 1);
  if (preferred !== undefined) candidates.unshift(preferred);
  for (const index of candidates) {
    const { guests, link } = subnetsOf(index);
    if (routed.some((used) => overlap(used, guests) || overlap(used, link))) continue;
    if (await claim(index, owner)) return index;
  }
  throw new Error(
    'no free subnet for guests: every 10.213.0.0/16 block is routed or claimed in /run/landfall',
  );
}

/** The index `owner` holds, if any. */
export async function claimedIndex(owner: string): Promise<number | undefined> {
  for (let index = 1; index <= highestIndex; index++) {
    if ((await ownerOf(index)) === owner) return index;
  }
  return undefined;
}

/** Gives an index back; only its owner's claim is touched. */
export async function releaseIndex(index: number, owner: string): Promise<void> {
  if ((await ownerOf(index)) === owner) await unlink(claimPath(index));
}
