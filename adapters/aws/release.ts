import { DeleteTagsCommand, type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import type { CallContext, Removal, Target } from '../contract.ts';
import { isNotOurs } from '../errors.ts';
import { type Account, changing } from './clients.ts';
import { findMachines, isDead, type Machine } from './machine.ts';
import { describeAll } from './objects.ts';
import { machineChildren, untilGone } from './remove.ts';
import { adopterTag, stampFilters, stampTags } from './stamp.ts';

/**
 * Takes our tags off the machines with the target's stamp and off what was made for them, the machine last, so that who sees it
 * without our stamp sees all of it so. The name and the user's labels stay. EC2 deletes a tag only where its value is still the one
 * that was read.
 */
export async function releaseMachine(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  account.checkRegion(target.location.region);
  const ec2 = account.ec2(target.location.region);
  const look = async (): Promise<boolean> => {
    const machines = (await stamped(ec2, target)).filter((machine) => !isDead(machine));
    const children = await Promise.all(
      machineChildren.map((kind) => describeAll(ec2, kind, stampFilters(target.stamp))),
    );
    for (const { ref, tags } of children.flat()) await takeOff(ec2, [ref], tags, target.stamp);
    for (const { InstanceId, SpotInstanceRequestId, Tags = [] } of machines) {
      context.signal.throwIfAborted();
      const refs = [...(SpotInstanceRequestId ? [SpotInstanceRequestId] : []), InstanceId];
      await takeOff(ec2, refs, Tags, target.stamp);
    }
    return machines.length + children.flat().length === 0;
  };
  return untilGone(account, target, context, look);
}

/** By reference too, for as long as that carries the stamp: what was tagged just now is not found by its tags at once. */
async function stamped(ec2: EC2Client, target: Target): Promise<Machine[]> {
  try {
    return await findMachines(ec2, target);
  } catch (error) {
    if (!isNotOurs(error)) throw error;
    return findMachines(ec2, { stamp: target.stamp });
  }
}

export async function takeOff(ec2: EC2Client, Resources: string[], tags: Tag[], stamp: Target['stamp']) {
  const ours = new Set<string | undefined>([...Object.values(stampTags), adopterTag(stamp)]);
  const Tags = tags.filter(({ Key }) => ours.has(Key));
  await changing(ec2.send(new DeleteTagsCommand({ Resources, Tags })));
}
