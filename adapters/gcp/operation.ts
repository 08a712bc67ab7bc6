import type { protos } from '@google-cloud/compute';
import type { Stamp } from '../contract.ts';
import { type Account, changing, finding } from './clients.ts';
import { type OperationError, operationFailed } from './errors.ts';
import { requestId } from './stamp.ts';

type IOperation = protos.google.cloud.compute.v1.IOperation;

/** What an operation is called, for the heartbeat: a restarted worker goes on with it (A1). */
export interface OperationRef {
  /** `zones/…`, `regions/…` or `global`. */
  scope: string;
  operation: string;
}

/** What Google's library answers to a change. */
export type Answer = Promise<[{ latestResponse?: unknown }, ...unknown[]]>;

/**
 * Carries out a change and answers its operation. The library's own `name` is a number that nobody can ask for.
 * @throws ProviderError `OutcomeUnknown` when no answer came.
 */
export async function operationOf(answer: Answer): Promise<OperationRef> {
  const [{ latestResponse }] = await changing(answer);
  const { name, zone, region } = (latestResponse ?? {}) as IOperation;
  const last = (link: string) => link.split('/').at(-1) ?? '';
  const scope = zone ? `zones/${last(zone)}` : region ? `regions/${last(region)}` : 'global';
  return { scope, operation: name ?? '' };
}

/** How an operation stands. One that Google has forgotten is over, and what it did has to be looked at. */
export async function readOperation(
  account: Account,
  { scope, operation }: OperationRef,
): Promise<{ done: boolean; error?: OperationError }> {
  const [level, place = ''] = scope.split('/');
  const { zoneOperations, regionOperations, globalOperations } = account.clients;
  const project = await account.project();
  const found =
    level === 'zones'
      ? await finding(zoneOperations.get({ project, zone: place, operation }, account.call))
      : level === 'regions'
        ? await finding(regionOperations.get({ project, region: place, operation }, account.call))
        : await finding(globalOperations.get({ project, operation }, account.call));
  if (!found) return { done: true };
  return { done: found.status === 'DONE', error: found.error ?? undefined };
}

/** The operation that an earlier try of this call had started. */
export function resumedOperation(details: unknown): OperationRef | undefined {
  if (typeof details !== 'object' || details === null) return undefined;
  const { scope, operation } = details as Partial<OperationRef>;
  return typeof scope === 'string' && typeof operation === 'string' ? { scope, operation } : undefined;
}

/** How many failed operations of one attempt are stepped over before the last one's failure is told as it is. */
const mostTries = 10;

/**
 * Asks for the attempt's object. Compute Engine answers a repeated request id with the first operation, for about an hour and
 * even when that failed: one that failed for no reason of ours would fail every repetition. The next id is made from that
 * operation, and the name still lets only one object be.
 */
export async function insertOnce(
  account: Account,
  stamp: Stamp,
  insert: (requestId: string) => Answer,
): Promise<OperationRef> {
  let last: OperationRef | undefined;
  for (let tries = 0; ; tries += 1) {
    last = await operationOf(insert(requestId(stamp, last?.operation)));
    const { error } = await readOperation(account, last);
    if (!error || operationFailed(error).code !== 'Unavailable' || tries + 1 >= mostTries) return last;
  }
}
