import type { Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, reading } from './clients.ts';
import { groupName, objectName } from './stamp.ts';
import { attemptsOf } from './tagged.ts';

/**
 * The end of the serial console, from the machine's boot diagnostics.
 * @throws ProviderError `NotFound` when no machine carries the stamp.
 */
export async function readConsole(account: Account, target: Target, maxBytes: number): Promise<string> {
  const [stamp] = await attemptsOf(account, target);
  if (!stamp)
    throw new ProviderError('NotFound', `no machine of ${target.stamp.resource}`, {
      providerCode: 'ResourceNotFound',
    });
  const group = groupName(stamp.broker, target.location.region);
  const { serialConsoleLogBlobUri } = await reading(
    account.compute.virtualMachines.retrieveBootDiagnosticsData(group, objectName(stamp)),
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
