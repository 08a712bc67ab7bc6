import type { VirtualMachine } from '@azure/arm-compute';
import type { Want } from '../contract.ts';
import type { Account } from './clients.ts';
import type { Run } from './converge.ts';
import { changeInterface, checkNetwork, firewallsOf, readInterface, refsOfFirewalls } from './interface.ts';
import { hasOwnFirewalls, powerOf } from './machine.ts';
import type { Place } from './objects.ts';
import { groupName, stampTags, tagsToWrite } from './stamp.ts';

/** The next step of a machine towards what is wanted. @returns whether nothing was left to do. */
export async function stepMachine(
  account: Account,
  machine: VirtualMachine,
  { group, name }: Place,
  want: Want<'Instance'>,
  run: Run,
): Promise<boolean> {
  const { spec, stamp, location } = want;
  const machines = account.compute.virtualMachines;
  const ours = groupName(stamp.broker, location.region);
  const power = powerOf(machine);
  if (power !== 'running' && power !== 'stopped' && power !== 'deallocated') return false;
  // Before anything else: what may come in is to hold while the rest is waited for.
  const nic = hasOwnFirewalls(spec) ? await readInterface(account, group, name) : undefined;
  const wanted = refsOfFirewalls(account, ours, spec);
  if (hasOwnFirewalls(spec) && firewallsOf(account, ours, nic).join() !== wanted.join()) {
    await checkNetwork(account, want);
    // Not to be seen yet (A6).
    if (!nic) return false;
    return run(() =>
      changeInterface(account, nic, (config) => ({
        ...config,
        applicationSecurityGroups: wanted.map((id) => ({ id })),
      })),
    );
  }
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
  const tags = tagsToWrite(machine.tags, spec);
  // All tags at once, and so on the condition that nobody wrote any since.
  if (tags) return run(() => machines.update(group, name, { tags }, { ifMatch: machine.etag }));
  if (power !== 'running' && spec.power === 'running') return run(() => machines.start(group, name));
  return true;
}
