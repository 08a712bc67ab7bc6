import {
  DeleteNetworkInterfaceCommand,
  DeleteSecurityGroupCommand,
  DeleteVolumeCommand,
  type EC2Client,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { CallContext, Removal, Target } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Child, type ChildKind, findChildren } from './children.ts';
import { type Account, changing } from './clients.ts';
import { findMachines, isDead, stateOf } from './machine.ts';
import { carries, stampFilters } from './stamp.ts';

/** Looks in a row that have to see nothing before a removal is done (A4). */
const looksForAbsence = 2;

/**
 * Terminates the machines with the target's stamp, then deletes what is left of theirs, and says so only after
 * absence was seen twice (A4). What does not carry the stamp is never touched (A5). Every look starts from the
 * beginning: a machine may become visible while its security group is being deleted (R8).
 */
export async function removeMachine(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  const ec2 = account.ec2(target.location.region);
  let absences = 0;
  let groupDeleted = false;

  const look = async (): Promise<true | undefined> => {
    const machines = await findMachines(ec2, target);
    const alive = machines.filter((machine) => !isDead(machine)).map((machine) => machine.InstanceId);
    if (alive.length > 0) await changing(ec2.send(new TerminateInstancesCommand({ InstanceIds: alive })));
    // Children last: a security group cannot go before the machine that uses it.
    if (machines.some((machine) => stateOf(machine) !== 'terminated')) return undefined;
    const children = await findChildren(ec2, stampFilters(target.stamp));
    for (const child of children) {
      const deleted = await deleteChild(ec2, child, target);
      groupDeleted ||= deleted && child.providerKind === 'securityGroup';
    }
    absences = children.length === 0 ? absences + 1 : 0;
    return absences >= looksForAbsence || undefined;
  };
  const gone = await waitFor(look, { context, pollMs: account.pollMs, limitMs: account.removeWaitMs });
  if (!gone) return { done: false, retryAfterMs: account.pollMs };

  // Of a young create something may only be invisible: its machine, or the group of a machine that was seen (A6, R8, R9).
  // Not when the attempt's security group is deleted: EC2 deletes none that a machine uses, and starts no machine with one
  // that is gone.
  const fenced = groupDeleted && target.stamp.attempt !== undefined;
  const hiddenForMs = fenced ? 0 : graceLeftMs(account, target);
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

/** How much longer not seeing the target means nothing, in milliseconds. */
export function graceLeftMs(account: Account, target: Pick<Target, 'since'>): number {
  if (target.since === undefined) return 0;
  return Math.max(0, Date.parse(target.since) + account.visibilityGraceMs - Date.now());
}

const deletions: Record<ChildKind, (ref: string, ec2: EC2Client) => Promise<unknown>> = {
  volume: (VolumeId, ec2) => ec2.send(new DeleteVolumeCommand({ VolumeId })),
  networkInterface: (NetworkInterfaceId, ec2) =>
    ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId })),
  securityGroup: (GroupId, ec2) => ec2.send(new DeleteSecurityGroupCommand({ GroupId })),
};

/** @returns false while something still uses it. */
async function deleteChild(ec2: EC2Client, child: Child, target: Target): Promise<boolean> {
  if (!carries(child.tags, target.stamp)) return true;
  if (child.inUse) return false;
  try {
    await changing(deletions[child.providerKind](child.ref, ec2));
    return true;
  } catch (error) {
    if (isProviderError(error, 'NotFound')) return true;
    // DependencyViolation, VolumeInUse: its machine is going, but not gone.
    if (isProviderError(error, 'Conflict')) return false;
    throw error;
  }
}
