import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { ProviderError } from '@landfall/adapters/errors.ts';
import type { Domain } from './domain-xml.ts';
import { bytesHeld, heldDisk, heldFolder, heldUuids } from './held.ts';
import { foldersWithMachines, freeDiskGiB, machineFolder, rootDisk, type Storage } from './machine-files.ts';

/** What a host gives to guests altogether. `vcpus` are its cores: how far they are overcommitted is the site's to say. */
export interface Capacity {
  vcpus: number;
  memoryGiB: number;
}

/**
 * The most that a site's file may overcommit a core by (openapi.yaml). The broker's ledger holds to what the file says; the
 * agent refuses only what could never be right.
 */
const mostVcpusPerCore = 64;
/** Left to the host itself. */
const reservedMemoryGiB = 2;

/** All cores, and all memory but 2 GiB; `asked` overrides either. */
export function hostCapacity(asked: Partial<Capacity> = {}): Capacity {
  const memory = Math.max(0.5, Math.floor(totalmem() / 2 ** 30) - reservedMemoryGiB);
  return { vcpus: asked.vcpus ?? cpus().length, memoryGiB: asked.memoryGiB ?? memory };
}

/** What all defined domains take, ours or not, running or not: a stopped one must be able to start again. */
export function usedCapacity(domains: readonly Domain[], except?: string): Capacity {
  const others = domains.filter((domain) => domain.uuid !== except);
  return {
    vcpus: others.reduce((sum, domain) => sum + domain.vcpus, 0),
    memoryGiB: others.reduce((sum, domain) => sum + domain.memoryMiB, 0) / 1024,
  };
}

/** Throws CapacityExhausted unless `wanted` fits beside `used`. */
export function requireRoom(capacity: Capacity, used: Capacity, wanted: Capacity): void {
  for (const [what, unit, limit] of [
    ['vcpus', 'vcpus', capacity.vcpus * mostVcpusPerCore],
    ['memoryGiB', 'GiB of memory', capacity.memoryGiB],
  ] as const) {
    const free = limit - used[what];
    if (wanted[what] > free + 1e-9) {
      const rounded = Math.round(free * 100) / 100;
      throw new ProviderError(
        'CapacityExhausted',
        `this host has ${rounded} of ${limit} ${unit} free, and ${wanted[what]} are wanted`,
      );
    }
  }
}

/**
 * Space for the disks of machines, volumes and snapshots altogether, in GiB: what is free and what they hold already. The ledger
 * takes each one's full size from it, so that its blocks on the disk must not count a second time. (Images are not in the ledger:
 * what they hold is gone from what is free.)
 */
export async function diskForGuestsGiB(storage: Pick<Storage, 'here'>): Promise<number> {
  const disks = (await foldersWithMachines(storage)).map((uuid) =>
    join(machineFolder(storage.here, uuid), rootDisk),
  );
  for (const kind of ['Volume', 'Snapshot'] as const)
    for (const uuid of await heldUuids(storage, kind))
      disks.push(join(heldFolder(storage.here, kind, uuid), heldDisk));
  let held = 0;
  for (const disk of disks) held += await bytesHeld(disk);
  return (await freeDiskGiB(storage)) + held / 2 ** 30;
}
