import { type EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import type { CallContext, Removal, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { findMachines, isDead, stateOf } from './machine.ts';
import { deleteObject, describeAll, type Found, type ObjectKind } from './objects.ts';
import { stampFilters } from './stamp.ts';

/** Looks in a row that have to see nothing before a removal is done (A4). */
const looksForAbsence = 2;

/** What may have been made for a machine. */
export const machineChildren: ObjectKind[] = ['volume', 'networkInterface', 'securityGroup'];

/**
 * Terminates the machines with the target's stamp, then deletes what is left of theirs. What does not carry the stamp is
 * never touched (A5). Every look starts from the beginning: a machine may become visible while its security group is
 * being deleted (R8).
 */
export async function removeMachine(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  const ec2 = account.ec2(target.location.region);
  let groupDeleted = false;
  const look = async (): Promise<boolean> => {
    const machines = await findMachines(ec2, target);
    const alive = machines.filter((machine) => !isDead(machine)).map((machine) => machine.InstanceId);
    if (alive.length > 0) await changing(ec2.send(new TerminateInstancesCommand({ InstanceIds: alive })));
    // Children last: a security group cannot go before the machine that uses it.
    if (machines.some((machine) => stateOf(machine) !== 'terminated')) return false;
    let left = 0;
    for (const kind of machineChildren)
      for (const child of await describeAll(ec2, kind, stampFilters(target.stamp))) {
        left += 1;
        const deleted = await deleteIfFree(ec2, child);
        groupDeleted ||= deleted && kind === 'securityGroup';
      }
    return left === 0;
  };
  // Of a young create something may only be invisible: its machine, or the group of a machine that was seen (A6, R8, R9).
  // Not when the attempt's security group is deleted: EC2 deletes none that a machine uses, and starts no machine with one
  // that is gone.
  return untilGone(account, target, context, look, () => groupDeleted && target.stamp.attempt !== undefined);
}

/**
 * Looks and deletes until absence was seen twice in a row (A4), and a young create has had the time to show itself.
 * @param look deletes what it can, and answers whether it saw nothing at all.
 * @param fenced whether nothing can appear any more, even of a young create.
 */
export async function untilGone(
  account: Account,
  target: Pick<Target, 'since'>,
  context: CallContext,
  look: () => Promise<boolean>,
  fenced: () => boolean = () => false,
): Promise<Removal> {
  let absences = 0;
  const twice = async (): Promise<true | undefined> => {
    absences = (await look()) ? absences + 1 : 0;
    return absences >= looksForAbsence || undefined;
  };
  const gone = await waitFor(twice, { context, pollMs: account.pollMs, limitMs: account.removeWaitMs });
  if (!gone) return { done: false, retryAfterMs: account.pollMs };
  const hiddenForMs = fenced() ? 0 : graceLeftMs(account, target);
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

/** How much longer not seeing the target means nothing, in milliseconds. */
export function graceLeftMs(account: Account, target: Pick<Target, 'since'>): number {
  if (target.since === undefined) return 0;
  return Math.max(0, Date.parse(target.since) + account.visibilityGraceMs - Date.now());
}

/** @returns false while something still uses it, or it is going already. */
export async function deleteIfFree(ec2: EC2Client, object: Found): Promise<boolean> {
  if (object.state === 'removing') return false;
  try {
    await deleteObject(ec2, object);
    return true;
  } catch (error) {
    if (isProviderError(error, 'NotFound')) return true;
    // DependencyViolation, VolumeInUse: what uses it is going, but not gone.
    if (isProviderError(error, 'Conflict')) return false;
    throw error;
  }
}
