import { setTimeout as sleep } from 'node:timers/promises';
import type { Adapter, CallContext, Kind, Listed, Observation, Present, Target, Want } from '../contract.ts';
import {
  isProviderError,
  type ProviderError,
  type ProviderErrorCode,
  providerErrorCodes,
} from '../errors.ts';
import { noteKnob, noteRefused } from './journal.ts';
import type { Fault, Subject, Truth } from './subject.ts';

/** How patient the suite is, and what it asks for where providers differ. */
export interface Conditions {
  /** One test may take this long, in milliseconds. */
  testMs: number;
  /** Setting the subject up, or taking it down, may take this long, in milliseconds. */
  setupMs: number;
  /** A cancelled call must have come back after this long, in milliseconds: one polling interval, generously. */
  cancelMs: number;
  /** What a resize changes, e.g. the instance type with its sizes. Absent: resizing is not tried. */
  resize?: Parameters<Subject['want']>[2];
}

/** The conditions with the name of the suite that the rules are of. */
export type Limits = Conditions & { suite: string };

export const defaultConditions: Conditions = { testMs: 180_000, setupMs: 300_000, cancelMs: 10_000 };

/** A call context that nobody cancels. */
export function context(
  signal: AbortSignal = new AbortController().signal,
  heartbeat: () => void = () => {},
): CallContext {
  return { signal, heartbeat };
}

/** Says aloud, and keeps, that a verb is left out. */
export function tellRefused(verb: string, reason: string): void {
  noteRefused(verb, reason);
  console.info(`${verb}: unsupported: ${reason}`);
}

/** Sets a fault; where the provider cannot have it, says so and answers false. */
export function setFault(subject: Subject, rule: string, fault: Fault, kind?: Kind): boolean {
  const answer = subject.faults.set(fault, kind);
  noteKnob(fault, answer === true ? undefined : answer.unsupported);
  if (answer === true) return true;
  console.info(`${rule}: unsupported: ${answer.unsupported}`);
  return false;
}

/** The ProviderError that a call ends with, checked to be one of the table and, where codes are given, one of those. */
export async function errorOf(call: Promise<unknown>, ...codes: ProviderErrorCode[]): Promise<ProviderError> {
  const ended = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in ended)) throw new Error(`an error was expected, not ${JSON.stringify(ended.value)}`);
  const { error } = ended;
  if (!isProviderError(error))
    throw new Error('only ProviderErrors may leave an adapter (A7)', { cause: error });
  expect(providerErrorCodes).toContain(error.code);
  if (codes.length > 0 && !codes.includes(error.code))
    throw new Error(`${codes.join(' or ')} was expected, not ${error.code}`, { cause: error });
  return error;
}

/** Repeats `ensure` as a workflow does: while it is creating, throttled, away or of unknown outcome. */
export async function ensureReady<K extends Kind>(adapter: Adapter, want: Want<K>): Promise<Present<K>> {
  for (let tries = 0; tries < 30; tries += 1) {
    try {
      const present = await adapter.ensure(want, context());
      if (present.state === 'ready') return present;
    } catch (error) {
      const again = (['Throttled', 'Unavailable', 'OutcomeUnknown'] as const).some((code) =>
        isProviderError(error, code),
      );
      if (!again) throw error;
    }
    await sleep(200);
  }
  throw new Error('the resource never became ready');
}

/** Observes until the answer is settled. */
export async function observeSettled<K extends Kind>(
  adapter: Adapter,
  target: Target<K>,
  want?: Want<K>,
): Promise<Exclude<Observation<K>, { presence: 'unsettled' }>> {
  for (let tries = 0; tries < 600; tries += 1) {
    const seen = await adapter.observe(target, want);
    if (seen.presence !== 'unsettled') return seen;
    expect(seen.retryAfterMs).toBeGreaterThan(0);
    await sleep(Math.min(seen.retryAfterMs, 2000));
  }
  throw new Error('the observation never settled');
}

/** Removes until it is done. */
export async function removeFully(adapter: Adapter, target: Target): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    try {
      const removal = await adapter.remove(target, context());
      if (removal.done) return;
      await sleep(Math.min(removal.retryAfterMs, 2000));
    } catch (error) {
      if (!isProviderError(error, 'OutcomeUnknown') && !isProviderError(error, 'Unavailable')) throw error;
      await sleep(200);
    }
  }
  throw new Error('the removal was never done');
}

/** All pages of a list. */
export async function listAll(
  adapter: Adapter,
  broker: string,
): Promise<{ items: Listed[]; complete: boolean }> {
  const items: Listed[] = [];
  let complete = true;
  let page: string | undefined;
  const seen = new Set<string>();
  do {
    const answer = await adapter.list(broker, page);
    items.push(...answer.items);
    complete &&= answer.complete;
    page = answer.nextPage;
    if (page !== undefined && seen.has(page)) throw new Error('the list gives the same page again');
    if (page !== undefined) seen.add(page);
  } while (page !== undefined);
  return { items, complete };
}

/** What truly exists of a resource. */
export async function truthOf(subject: Subject, resource: string): Promise<Truth[]> {
  return (await subject.truth()).filter((thing) => thing.resource === resource);
}

export async function machinesOf(subject: Subject, resource: string): Promise<Truth[]> {
  return (await truthOf(subject, resource)).filter((thing) => thing.machine);
}

export function now(): string {
  return new Date().toISOString();
}
