import type { Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, reading } from './clients.ts';
import { findTarget } from './machine.ts';

/**
 * The end of the serial console, from the machine's boot diagnostics.
 * @throws ProviderError `NotFound` when no machine carries the stamp.
 */
export async function readConsole(account: Account, target: Target, maxBytes: number): Promise<string> {
  const found = await findTarget(account, target);
  if (!found)
    throw new ProviderError('NotFound', `no machine of ${target.stamp.resource}`, {
      providerCode: 'ResourceNotFound',
    });
  const { group, name } = found.place;
  const { serialConsoleLogBlobUri } = await reading(
    account.compute.virtualMachines.retrieveBootDiagnosticsData(group, name),
  );
  // A machine that has not booted yet has no log.
  if (!serialConsoleLogBlobUri) return '';
  const answer = await reading(fetch(serialConsoleLogBlobUri, { signal: AbortSignal.timeout(30_000) }));
  if (answer.status === 404) return '';
  if (!answer.ok)
    throw new ProviderError('Unavailable', `the console log answered ${answer.status}`, {
      providerCode: String(answer.status),
    });
  const log = Buffer.from(await reading(answer.arrayBuffer()));
  return log.subarray(Math.max(0, log.length - maxBytes)).toString('utf8');
}
