import type { Interruption } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import type { Account } from './clients.ts';
import { readPages } from './tagged.ts';

/**
 * The operation by which Azure's Activity Log notes that it took a spot machine away; `simulateEviction`, a user's, is another. Microsoft's
 * documentation does not name it. Others' logs do, of machines and, with `virtualMachineScaleSets` for the type, of those of a scale set.
 */
const evicted = /^microsoft\.compute\/[^/]+\/evictspotvm\/action$/i;

/** How far back the log is read, in milliseconds. Azure keeps it for 90 days. */
const lookBackMs = 7 * 24 * 3_600_000;

/** How far ahead it is read, for where Azure's clock is ahead of ours. */
const lookAheadMs = 3_600_000;

/** An entry of the Activity Log, as far as it is read here. */
interface LogEntry {
  operationName?: { value?: string };
}

/**
 * What the Activity Log says of the end of a machine that is gone; undefined where it says nothing of an eviction, or nothing yet: Azure
 * writes it some minutes late. Who may not read it (`Microsoft.Insights/eventtypes/values/read`) knows nothing of why; that the machine is
 * gone is known all the same.
 */
export async function evictionOf(account: Account, ref: string): Promise<Interruption | undefined> {
  const now = Date.now();
  const [from, to] = [now - lookBackMs, now + lookAheadMs].map((at) => new Date(at).toISOString());
  const query = new URLSearchParams({
    'api-version': '2015-04-01',
    // One of the few forms that Azure says it takes.
    $filter: `eventTimestamp ge '${from}' and eventTimestamp le '${to}' and resourceUri eq '${ref}'`,
    $select: 'operationName',
  });
  const log = `/subscriptions/${account.subscription}/providers/Microsoft.Insights/eventtypes/management/values?${query}`;
  try {
    for await (const entries of readPages<LogEntry>(account, log)) {
      const found = entries.find(({ operationName }) => evicted.test(operationName?.value ?? ''));
      if (found?.operationName?.value) return { reason: found.operationName.value };
    }
  } catch (error) {
    if (!isProviderError(error, 'Denied')) throw error;
    account.warn(`the Activity Log of ${ref} could not be read: ${error.message}`, error);
  }
  return undefined;
}
