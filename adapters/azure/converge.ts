import type { VirtualMachine } from '@azure/arm-compute';
import type { CallContext, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { failureOf, findMachine, powerOf, stateOf, tagsToWrite } from './machine.ts';
import { type Poller, settle } from './objects.ts';
import { groupName, objectName, stampTags } from './stamp.ts';

/** How many refusals in a row are taken for something else being under way. */
const patience = 5;

/**
 * Brings an existing machine to what is wanted, one step per look. A new machine may be invisible at first (A6): not
 * seeing it is no news within the grace period.
 * @returns the machine as it was last seen, not there yet when the time was over; undefined when it never was seen.
 * @throws ProviderError what it failed with; `Conflict` when it is going or gone.
 */
export async function converge(
  account: Account,
  want: Want<'Instance'>,
  context: CallContext,
): Promise<VirtualMachine | undefined> {
  const { location, stamp } = want;
  const started = Date.now();
  let last: VirtualMachine | undefined;
  let refusals = 0;
  const look = async (): Promise<VirtualMachine | undefined> => {
    const seen = await findMachine(account, location.region, stamp);
    const state = seen ? stateOf(seen) : undefined;
    if (state === 'removing' || (!seen && Date.now() - started >= account.visibilityGraceMs))
      throw new ProviderError(
        'Conflict',
        `the machine ${objectName(stamp)} is ${seen ? 'being deleted' : 'gone'}`,
        {
          providerCode: 'ResourceNotFound',
        },
      );
    if (!seen) return undefined;
    last = seen;
    if (state === 'failed') throw failureOf(seen);
    if (state === 'creating') return undefined;
    try {
      const converged = await step(account, seen, want, context);
      refusals = 0;
      return converged ? seen : undefined;
    } catch (error) {
      // What was seen is older than what is, or another operation is under way: look again.
      refusals += 1;
      if (isProviderError(error, 'Conflict') && refusals < patience) return undefined;
      throw error;
    }
  };
  const wait = { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs };
  return (await waitFor(look, wait)) ?? last;
}

/** The next step towards what is wanted. @returns whether nothing was left to do. */
async function step(
  account: Account,
  machine: VirtualMachine,
  { spec, stamp, location }: Want<'Instance'>,
  context: CallContext,
): Promise<boolean> {
  const machines = account.compute.virtualMachines;
  const group = groupName(stamp.broker, location.region);
  const name = objectName(stamp);
  const power = powerOf(machine);
  const run = async (start: () => Poller): Promise<false> => {
    const poller = start();
    await changing(poller.submitted());
    await settle(account, poller, context);
    return false;
  };
  if (power !== 'running' && power !== 'stopped' && power !== 'deallocated') return false;
  const otherSize = machine.hardwareProfile?.vmSize !== spec.instanceType;
  // Deallocated, not only powered off: a machine that holds its host is paid for, and cannot take every size.
  if (power !== 'deallocated' && (otherSize || spec.power === 'stopped'))
    return run(() => machines.deallocate(group, name));
  if (otherSize)
    return run(() => machines.update(group, name, { hardwareProfile: { vmSize: spec.instanceType } }));
  if (Number(machine.tags?.[stampTags.reboots] ?? 0) < spec.reboots) {
    // First the reboot, then the record: a lost answer in between means one reboot too many, never one too few.
    // A stopped machine boots when it is started: only the record is missing.
    if (power === 'running') await run(() => machines.restart(group, name));
    const tags = { ...machine.tags, [stampTags.reboots]: String(spec.reboots) };
    return run(() => machines.update(group, name, { tags }));
  }
  const tags = tagsToWrite(machine, spec);
  if (tags) return run(() => machines.update(group, name, { tags }));
  if (power !== 'running' && spec.power === 'running') return run(() => machines.start(group, name));
  return true;
}
