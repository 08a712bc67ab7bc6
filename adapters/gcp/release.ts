import type { CallContext, Removal, Target } from '../contract.ts';
import { isNotOurs } from '../errors.ts';
import type { Account } from './clients.ts';
import { find, type Thing, writeLabels } from './collections.ts';
import { findDisks } from './disks.ts';
import { drive } from './drive.ts';
import { findMachines, type Machine } from './machine.ts';
import { type OperationRef, operationOf } from './operation.ts';
import { graceLeftMs, looksForAbsence } from './remove.ts';
import { partOfName, withoutStamp } from './stamp.ts';

/** What carries the stamp, in the order in which it is taken off. */
interface Stamped {
  disks: Thing<'disks'>[];
  rules: Thing<'firewalls'>[];
  machines: Machine[];
}

/**
 * Takes our labels off the machines with the target's stamp and off what was made for them, the machine last, so that who sees it
 * without our stamp sees all of it so. The user's labels stay, and the rule that lets SSH in. Labels are written on the condition
 * that nobody wrote any since they were read.
 */
export async function releaseMachine(
  account: Account,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  account.checkRegion(target.location.region);
  let absences = 0;
  const { converged } = await drive<Stamped>(account, context, undefined, {
    look: () => look(account, target),
    async step({ disks: [disk], rules: [rule], machines: [machine] }) {
      const stamped = disk ?? rule ?? machine;
      absences = stamped ? 0 : absences + 1;
      if (disk) return writeLabels(account, disk, withoutStamp(disk.labels));
      if (rule) return disown(account, rule);
      if (machine) return unlabel(account, machine);
      return absences >= looksForAbsence ? 'converged' : 'waiting';
    },
    gone: () => {
      throw new TypeError('a look at what is stamped always answers');
    },
  });
  const hiddenForMs = converged ? graceLeftMs(account, target) : account.pollMs;
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

async function look(account: Account, target: Target): Promise<Stamped> {
  const [machines, disks, rules] = await Promise.all([
    // By reference too, for as long as that carries the stamp.
    findMachines(account, target).catch((error: unknown) => {
      if (!isNotOurs(error)) throw error;
      return findMachines(account, { ...target, ref: undefined });
    }),
    findDisks(account, target),
    find(account, 'firewalls', { ...target, ref: undefined }),
  ]);
  return { machines, disks, rules: rules.filter(({ name }) => partOfName(name) === 'ssh') };
}

async function unlabel(account: Account, { name, zone, labels, labelFingerprint }: Machine) {
  const request = {
    project: await account.project(),
    zone,
    instance: name,
    instancesSetLabelsRequestResource: { labels: withoutStamp(labels), labelFingerprint },
  };
  return operationOf(account.clients.instances.setLabels(request, account.call));
}

/** A rule has no labels: its description is what says whose it is. */
async function disown(account: Account, { name }: Thing<'firewalls'>): Promise<OperationRef> {
  const firewallResource = { name, description: 'Lets SSH in to a machine that Landfall made and released.' };
  const request = { project: await account.project(), firewall: name, firewallResource };
  return operationOf(account.clients.firewalls.patch(request, account.call));
}
