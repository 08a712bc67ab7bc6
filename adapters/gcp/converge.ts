import type { CallContext, InstanceWant } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { operationFailed, providerCodeOf } from './errors.ts';
import {
  betterLabels,
  childrenOf,
  deathOf,
  findByName,
  lastOf,
  type Machine,
  machineRef,
  powerOf,
  rebootsOf,
} from './machine.ts';
import { nameOf, type OperationRef, readOperation } from './operation.ts';
import { stampLabels } from './stamp.ts';

/** Where the machine is, and what was started on it already. */
export interface Start {
  zone: string;
  name: string;
  operation?: string;
}

/**
 * Brings a machine to what is wanted, one operation at a time: each is waited for, and the heartbeat names it. Not seeing a
 * new machine is no news within the grace period (A6).
 * @returns the machine as it was last seen, not there yet when the time was over; nothing when it was not seen.
 * @throws ProviderError what the operation failed with; `Conflict` when the machine is gone.
 */
export async function converge(
  account: Account,
  start: Start,
  want: InstanceWant,
  context: CallContext,
): Promise<Machine | undefined> {
  const { zone, name } = start;
  const started = Date.now();
  let operation = start.operation;
  /** A look may be older than the labels we wrote: not the same reboot twice. */
  let reboots = 0;
  let last: Machine | undefined;

  const look = async (): Promise<Machine | ProviderError | undefined> => {
    if (operation) {
      const { done, error } = await readOperation(account, { zone, operation });
      if (!done) return undefined;
      operation = undefined;
      // An answer, not a failed look: waiting longer would not change it.
      if (error) return operationFailed(error);
    }
    const seen = await findByName(account, zone, name);
    if (!seen) {
      if (!last && Date.now() - started < account.visibilityGraceMs) return undefined;
      return deathOf(zone, name);
    }
    last = seen;
    reboots = Math.max(reboots, rebootsOf(seen));
    try {
      const next = await step(account, seen, want, reboots);
      if (next === 'converged') return seen;
      if (next !== 'waiting') {
        operation = next.operation;
        reboots = next.reboots ?? reboots;
      }
    } catch (error) {
      // What was seen was older than what is: look again.
      const stale = ['conditionNotMet', 'resourceNotReady'].includes(providerCodeOf(error) ?? '');
      if (!stale || !isProviderError(error, 'Conflict')) throw error;
    }
    return undefined;
  };
  const converged = await waitFor(look, {
    context,
    pollMs: account.pollMs,
    limitMs: account.ensureWaitMs,
    get details(): OperationRef | undefined {
      return operation ? { zone, operation } : undefined;
    },
  });
  if (converged instanceof ProviderError) throw converged;
  return converged ?? last ?? findByName(account, zone, name);
}

/** Starts the next operation towards what is wanted. */
async function step(
  account: Account,
  machine: Machine,
  want: InstanceWant,
  reboots: number,
): Promise<'converged' | 'waiting' | { operation: string; reboots?: number }> {
  const power = powerOf(machine);
  if (power !== 'running' && power !== 'stopped') return 'waiting';
  const { instances } = account.clients;
  const at = { project: await account.project(), zone: machine.zone, instance: machine.name };
  const run = async (answer: Promise<[{ latestResponse?: unknown }, ...unknown[]]>) => ({
    operation: nameOf((await changing(answer))[0]),
  });
  const writeLabels = (labels: Record<string, string>) =>
    run(
      instances.setLabels(
        { ...at, instancesSetLabelsRequestResource: { labels, labelFingerprint: machine.labelFingerprint } },
        account.call,
      ),
    );

  const otherType = lastOf(machine.machineType) !== want.instanceType;
  if (power === 'running' && (otherType || want.power === 'stopped'))
    return run(instances.stop(at, account.call));
  if (otherType) {
    const machineType = `zones/${machine.zone}/machineTypes/${want.instanceType}`;
    const instancesSetMachineTypeRequestResource = { machineType };
    return run(instances.setMachineType({ ...at, instancesSetMachineTypeRequestResource }, account.call));
  }
  if (reboots < want.reboots && power === 'running') {
    // First the reboot, then the record: a lost answer in between means one reboot too many, never one too few.
    return { ...(await run(instances.reset(at, account.call))), reboots: want.reboots };
  }
  const labels = betterLabels(machine, want) ?? machine.labels;
  const recorded = rebootsOf(machine) >= want.reboots;
  if (labels !== machine.labels || !recorded)
    return writeLabels(recorded ? labels : { ...labels, [stampLabels.reboots]: String(want.reboots) });
  if (power === 'stopped' && want.power === 'running') return run(instances.start(at, account.call));
  return 'converged';
}

/** A machine and what it brings with it, for an error's `made`. */
export function partsOf(machine: Machine): string[] {
  return [machineRef(machine), ...childrenOf(machine)];
}
