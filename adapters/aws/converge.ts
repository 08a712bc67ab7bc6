import {
  CreateTagsCommand,
  type EC2Client,
  ModifyInstanceAttributeCommand,
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { CallContext, InstanceWant } from '../contract.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { deathOf, findById, isDead, type Machine, otherGroups, stateOf } from './machine.ts';
import { missingTags, stampTags, tagValue } from './stamp.ts';

/**
 * Brings an existing machine to what is wanted, one step per look: EC2 says when it is ready for the next. A new machine
 * may be invisible at first (A6): not seeing it is no news within the grace period.
 * @returns the machine as it was last seen, not there yet when the time was over.
 * @throws ProviderError `Conflict` (or what its death means) when the machine is terminated.
 */
export async function converge(
  account: Account,
  ec2: EC2Client,
  machine: Machine,
  want: InstanceWant,
  context: CallContext,
): Promise<Machine> {
  const started = Date.now();
  const done: Done = { reboots: 0, tags: false, groups: false };
  let last = machine;
  const look = async (): Promise<Machine | undefined> => {
    const seen = await findById(ec2, machine.InstanceId);
    if (!seen) {
      if (Date.now() - started < account.visibilityGraceMs) return undefined;
      throw deathOf({
        ...last,
        State: { Name: 'terminated' },
        StateTransitionReason: 'EC2 no longer knows it',
      });
    }
    last = seen;
    if (isDead(seen)) throw deathOf(seen);
    try {
      return (await step(ec2, seen, want, done)) === 'converged' ? seen : undefined;
    } catch (error) {
      // What was seen was older than what is: look again.
      if (providerCodeOf(error) === 'IncorrectInstanceState') return undefined;
      throw error;
    }
  };
  const converged = await waitFor(look, {
    context,
    pollMs: account.pollMs,
    limitMs: account.ensureWaitMs,
    details: { ref: machine.InstanceId },
  });
  return converged ?? last;
}

/** What this call did already: a look may be older than it. */
interface Done {
  reboots: number;
  tags: boolean;
  groups: boolean;
}

/** The next step towards what is wanted, or `converged`. */
async function step(
  ec2: EC2Client,
  machine: Machine,
  want: InstanceWant,
  done: Done,
): Promise<'converged' | 'working'> {
  const id = machine.InstanceId;
  const state = stateOf(machine);
  if (state !== 'running' && state !== 'stopped') return 'working';
  const groups = otherGroups(machine, want);
  if (groups && !done.groups) {
    await changing(ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, Groups: groups })));
    done.groups = true;
    return 'working';
  }
  const otherType = machine.InstanceType !== want.instanceType;
  const reboots = Math.max(done.reboots, Number(tagValue(machine.Tags, stampTags.reboots) ?? 0));

  if (state === 'running' && (otherType || want.power === 'stopped')) {
    await changing(ec2.send(new StopInstancesCommand({ InstanceIds: [id] })));
    return 'working';
  }
  if (state === 'stopped' && otherType) {
    await changing(
      ec2.send(
        new ModifyInstanceAttributeCommand({ InstanceId: id, InstanceType: { Value: want.instanceType } }),
      ),
    );
    return 'working';
  }
  if (reboots < want.reboots) {
    // First the reboot, then the record: a lost answer in between means one reboot too many, never one too few.
    // A stopped machine boots when it is started: only the record is missing.
    if (state === 'running') await changing(ec2.send(new RebootInstancesCommand({ InstanceIds: [id] })));
    await writeTags(ec2, id, [{ Key: stampTags.reboots, Value: String(want.reboots) }]);
    done.reboots = want.reboots;
    return 'working';
  }
  const tags = missingTags(machine.Tags, want);
  if (tags.length > 0 && !done.tags) {
    await writeTags(ec2, id, tags);
    done.tags = true;
    return 'working';
  }
  if (state === 'stopped' && want.power === 'running') {
    await changing(ec2.send(new StartInstancesCommand({ InstanceIds: [id] })));
    return 'working';
  }
  return 'converged';
}

async function writeTags(ec2: EC2Client, id: string, tags: { Key: string; Value: string }[]): Promise<void> {
  await changing(ec2.send(new CreateTagsCommand({ Resources: [id], Tags: tags })));
}
