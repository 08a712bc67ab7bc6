import type { protos } from '@google-cloud/compute';
import { type Account, finding } from './clients.ts';
import type { OperationError } from './errors.ts';

/** What an operation is called, for the heartbeat: a restarted worker goes on with it (A1). */
export interface OperationRef {
  zone: string;
  operation: string;
}

/** The name of the operation that a call answered with. The library's own `name` is a number that nobody can ask for. */
export function nameOf(answer: { latestResponse?: unknown }): string {
  return (answer.latestResponse as protos.google.cloud.compute.v1.IOperation | undefined)?.name ?? '';
}

/** How an operation stands. One that Google has forgotten is over, and what it did has to be looked at. */
export async function readOperation(
  account: Account,
  { zone, operation }: OperationRef,
): Promise<{ done: boolean; error?: OperationError }> {
  const request = { project: await account.project(), zone, operation };
  const found = await finding(account.clients.operations.get(request, account.call));
  if (!found) return { done: true };
  return { done: found.status === 'DONE', error: found.error ?? undefined };
}

/** The operation that an earlier try of this call had started. */
export function resumedOperation(details: unknown): OperationRef | undefined {
  if (typeof details !== 'object' || details === null) return undefined;
  const { zone, operation } = details as Partial<OperationRef>;
  return typeof zone === 'string' && typeof operation === 'string' ? { zone, operation } : undefined;
}
