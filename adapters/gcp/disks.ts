import type { protos } from '@google-cloud/compute';
import type { Listed, Target } from '../contract.ts';
import { type Account, reading } from './clients.ts';
import { lastOf, refOf } from './machine.ts';
import { type Labels, stampFilter } from './stamp.ts';

/** A disk that was made for a machine. */
export interface Disk {
  ref: string;
  zone: string;
  name: string;
  labels: Labels;
  state: Listed['state'];
  /** Attached to a machine: Compute Engine will not delete it. */
  inUse: boolean;
  createdAt?: string;
}

const states: Record<string, Listed['state']> = {
  CREATING: 'creating',
  RESTORING: 'creating',
  FAILED: 'failed',
  DELETING: 'removing',
};

export function diskOf(disk: protos.google.cloud.compute.v1.IDisk): Disk {
  const zone = lastOf(disk.zone);
  const name = disk.name ?? '';
  return {
    ref: refOf(zone, 'disks', name),
    zone,
    name,
    labels: disk.labels ?? {},
    state: states[String(disk.status)] ?? 'ready',
    inUse: (disk.users ?? []).length > 0,
    createdAt: disk.creationTimestamp ?? undefined,
  };
}

/** All disks with the stamp, in every zone. */
export async function findDisks(account: Account, stamp: Target['stamp']): Promise<Disk[]> {
  const request = { project: await account.project(), filter: stampFilter(stamp) };
  const found: Disk[] = [];
  const read = async () => {
    for await (const [, scope] of account.clients.disks.aggregatedListAsync(request, account.call))
      for (const disk of scope.disks ?? []) found.push(diskOf(disk));
  };
  await reading(read());
  return found;
}
