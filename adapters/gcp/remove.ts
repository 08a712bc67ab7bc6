import type { CallContext, Removal, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { type Disk, findDisks } from './disks.ts';
import { findMachines, type Machine, machineRef } from './machine.ts';
import { carries } from './stamp.ts';

/** Looks in a row that have to see nothing before a removal is done (A4). */
const looksForAbsence = 2;

/**
 * Deletes the machines with the target's stamp, then the disks that did not go with theirs, and says so only after absence
 * was seen twice (A4). What does not carry the stamp is never touched (A5). Every look starts from the beginning: a machine
 * may become visible late (R8).
 */
export async function removeMachine(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  let absences = 0;
  const asked = new Set<string>();
  const look = async (): Promise<true | undefined> => {
    const machines = await findMachines(account, target);
    for (const machine of machines)
      if (!asked.has(machineRef(machine)) && (await deleteMachine(account, machine)))
        asked.add(machineRef(machine));
    if (machines.length > 0) {
      absences = 0;
      return undefined;
    }
    const disks = (await findDisks(account, target.stamp)).filter((disk) =>
      carries(disk.labels, target.stamp),
    );
    for (const disk of disks)
      if (!disk.inUse && !asked.has(disk.ref) && (await deleteDisk(account, disk))) asked.add(disk.ref);
    absences = disks.length === 0 ? absences + 1 : 0;
    return absences >= looksForAbsence || undefined;
  };
  const gone = await waitFor(look, { context, pollMs: account.pollMs, limitMs: account.removeWaitMs });
  if (!gone) return { done: false, retryAfterMs: account.pollMs };
  // Of a young create the machine may only be invisible (A6, R8).
  const hiddenForMs = graceLeftMs(account, target);
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

/** How much longer not seeing the target means nothing, in milliseconds. */
export function graceLeftMs(account: Account, target: Pick<Target, 'since'>): number {
  if (target.since === undefined) return 0;
  return Math.max(0, Date.parse(target.since) + account.visibilityGraceMs - Date.now());
}

async function deleteMachine(account: Account, { zone, name }: Machine): Promise<boolean> {
  const project = await account.project();
  return accepted(account.clients.instances.delete({ project, zone, instance: name }, account.call));
}

async function deleteDisk(account: Account, { zone, name }: Disk): Promise<boolean> {
  const project = await account.project();
  return accepted(account.clients.disks.delete({ project, zone, disk: name }, account.call));
}

/** @returns false while Compute Engine refuses because something else is still going on with it. */
async function accepted(answer: Promise<unknown>): Promise<boolean> {
  try {
    await changing(answer);
    return true;
  } catch (error) {
    if (isProviderError(error, 'NotFound')) return true;
    if (isProviderError(error, 'Conflict')) return false;
    throw error;
  }
}
