import { restorePoller as restoreCompute } from '@azure/arm-compute';
import { restorePoller as restoreNetwork } from '@azure/arm-network';
import type { CallContext } from '../contract.ts';
import type { Account } from './clients.ts';
import { settle } from './objects.ts';

/**
 * Waits for the create that an earlier try of this call had begun, when its heartbeat tells of one.
 * @returns whether there was one: then nothing is to be created again, seen or not (A6).
 * @throws ProviderError what it failed with.
 */
export async function resumeCreate(account: Account, context: CallContext): Promise<boolean> {
  const details = context.resumed;
  const operation =
    typeof details === 'object' && details && 'operation' in details ? details.operation : undefined;
  if (typeof operation !== 'string') return false;
  const { compute, network } = account;
  // Which operation it was stands in the serialized state; the last argument only names it in errors.
  const poller = /\/providers\/Microsoft\.Network\//i.test(operation)
    ? restoreNetwork(network, operation, network.virtualNetworks.createOrUpdate)
    : restoreCompute(compute, operation, compute.virtualMachines.createOrUpdate);
  await settle(account, poller, context, true);
  return true;
}
