import type { Interruption } from '../contract.ts';
import { type Account, reading } from './clients.ts';

/** The operation by which Google notes that it took a spot machine away. Nobody else can start one. */
const preempted = 'compute.instances.preempted';

/**
 * Whether Compute Engine took the machine of this name away. It keeps its operations for some days, the machine need not be there.
 * @param startedAt when it last started (RFC 3339), where that is known: what was before is over, and somebody else has stopped it since.
 */
export async function interruptionOf(
  account: Account,
  zone: string,
  name: string,
  startedAt?: string | null,
): Promise<Interruption | undefined> {
  const project = await account.project();
  let pageToken: string | undefined;
  do {
    const request = { project, zone, filter: `operationType = "${preempted}"`, pageToken };
    const [operations, , answer] = await reading(account.clients.zoneOperations.list(request, account.call));
    const isOfThis = operations.some(
      ({ targetLink, insertTime }) =>
        targetLink?.endsWith(`/zones/${zone}/instances/${name}`) &&
        !(startedAt && insertTime && Date.parse(insertTime) < Date.parse(startedAt)),
    );
    if (isOfThis) return { reason: preempted };
    pageToken = answer?.nextPageToken || undefined;
  } while (pageToken);
  return undefined;
}
