import type { CallContext, InstanceWant } from '../contract.ts';
import { addAccessConfig } from './address.ts';
import type { Account } from './clients.ts';
import { drive, type Next } from './drive.ts';
import { tagsOf } from './firewall.ts';
import {
  betterLabels,
  deathOfMachine,
  findByName,
  hasTags,
  isPublic,
  isTagOfOurs,
  type Machine,
  powerOf,
  rebootsOf,
  wantedTags,
} from './machine.ts';
import { type OperationRef, operationOf } from './operation.ts';
import { lastOf, regionOf } from './places.ts';
import { insertSshRule, readSshRule, wantsSsh } from './ssh.ts';
import { stampLabels, stampOf } from './stamp.ts';

/**
 * Brings a machine to what is wanted: see `drive`.
 * @returns the machine as it was last seen, not there yet when the time was over; nothing when it was not seen.
 * @throws ProviderError what an operation failed with; `Conflict` when the machine is gone.
 */
export async function converge(
  account: Account,
  start: { zone: string; name: string; operation?: OperationRef },
  want: InstanceWant,
  context: CallContext,
): Promise<Machine | undefined> {
  const { zone, name } = start;
  /** A look may be older than the labels we wrote: not the same reboot twice. */
  let reboots = 0;
  const { seen } = await drive<Machine>(account, context, start.operation, {
    look: () => findByName(account, zone, name),
    async step(machine) {
      reboots = Math.max(reboots, rebootsOf(machine));
      const next = await step(account, machine, want, reboots);
      if (next !== 'reboot') return next;
      // First the reboot, then the record: a lost answer in between means one reboot too many, never one too few.
      const at = { project: await account.project(), zone, instance: name };
      const operation = await operationOf(account.clients.instances.reset(at, account.call));
      reboots = want.reboots;
      return operation;
    },
    gone: () => deathOfMachine(zone, name),
  });
  return seen;
}

/** Starts the next operation towards what is wanted. */
async function step(
  account: Account,
  machine: Machine,
  want: InstanceWant,
  reboots: number,
): Promise<Next | 'reboot'> {
  const power = powerOf(machine);
  if (power !== 'running' && power !== 'stopped') return 'waiting';
  const { instances } = account.clients;
  const at = { project: await account.project(), zone: machine.zone, instance: machine.name };
  const writeLabels = (labels: Record<string, string>) =>
    operationOf(
      instances.setLabels(
        { ...at, instancesSetLabelsRequestResource: { labels, labelFingerprint: machine.labelFingerprint } },
        account.call,
      ),
    );

  const otherType = lastOf(machine.machineType) !== want.instanceType;
  if (power === 'running' && (otherType || want.power === 'stopped'))
    return operationOf(instances.stop(at, account.call));
  if (otherType) {
    const machineType = `zones/${machine.zone}/machineTypes/${want.instanceType}`;
    const instancesSetMachineTypeRequestResource = { machineType };
    return operationOf(
      instances.setMachineType({ ...at, instancesSetMachineTypeRequestResource }, account.call),
    );
  }
  if (reboots < want.reboots && power === 'running') return 'reboot';
  const labels = betterLabels(machine, want) ?? machine.labels;
  const recorded = rebootsOf(machine) >= want.reboots;
  if (labels !== machine.labels || !recorded)
    return writeLabels(recorded ? labels : { ...labels, [stampLabels.reboots]: String(want.reboots) });
  const reach = await stepReach(account, machine, want);
  if (reach) return reach;
  if (power === 'stopped' && want.power === 'running') return operationOf(instances.start(at, account.call));
  return 'converged';
}

/** Who can reach the machine: its firewalls by their tags, its way out, the rule that lets SSH in. */
async function stepReach(account: Account, machine: Machine, want: InstanceWant): Promise<Next | undefined> {
  const wanted = wantedTags(machine, want);
  if (!hasTags(machine, wanted)) {
    await tagsOf(account, want.firewalls ?? [], machine.networkInterfaces?.[0]?.network ?? '');
    const others = (machine.tags?.items ?? []).filter((tag) => !isTagOfOurs(tag));
    const tagsResource = { items: [...others, ...wanted], fingerprint: machine.tags?.fingerprint };
    const at = { project: await account.project(), zone: machine.zone, instance: machine.name };
    return operationOf(account.clients.instances.setTags({ ...at, tagsResource }, account.call));
  }
  const { zone, name } = machine;
  if (want.publicAddress && !isPublic(machine))
    return addAccessConfig(account, { scope: `zones/${zone}`, name, body: machine });
  const stamp = stampOf(machine.labels);
  if (stamp && wantsSsh(want) && !(await readSshRule(account, stamp)))
    return insertSshRule(account, stamp, regionOf(zone));
  return undefined;
}
