import type { Schemas } from '@landfall/model';
import { activityInfo, cancellationSignal, heartbeat, log } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type {
  Adapter,
  CallContext,
  Description,
  Kind,
  Listed,
  Location,
  Observation,
  Present,
  Removal,
  SiteOffer,
  Target,
  Want,
} from './contract.ts';
import type { DiscoveryPage, DiscoveryQuery } from './discovery.ts';
import { ProviderError, type ProviderErrorCode } from './errors.ts';
import { CallRecord } from './provider-calls.ts';
import { Throttle } from './throttle.ts';

/**
 * The adapter as Temporal activities: what a site's worker and a host's agent register on their task queue, and what
 * workflows call through `proxyActivities<AdapterActivities>({ taskQueue })` without knowing the provider.
 *
 * Inputs name things (resource, attempt, generation) and never carry specs: a spec can hold user data, and secrets stay
 * out of workflow histories. The activity fetches the full `Want` from its `SiteBackend`.
 */
export interface AdapterActivities {
  describeSite(): Promise<Description>;
  /** Creates, converges, or adopts what is to be adopted; waits until ready, heartbeating. */
  ensureResource(input: WantRef): Promise<Present<Kind>>;
  observeResource(input: { target: Target; want?: WantRef }): Promise<Observation<Kind>>;
  removeResource(input: { target: Target }): Promise<Removal>;
  releaseResource(input: { target: Target }): Promise<Removal>;
  /** Lists everything with the broker's stamp into the backend, page by page; answers counts only. */
  takeInventory(input: {
    site: string;
    broker: string;
    run: string;
  }): Promise<{ items: number; complete: boolean }>;
  /** One page of what exists at the site and is not ours. */
  discoverUnmanaged(query: DiscoveryQuery): Promise<DiscoveryPage>;
  refreshOffers(input: { site: string; run: string }): Promise<{ offers: number }>;
  readConsole(input: { target: Target<'Instance'>; maxBytes: number }): Promise<{ text: string }>;
}

/** Names one wanted state: the backend answers its `Want`. */
export interface WantRef {
  resource: string;
  attempt: number;
  generation: number;
  location: Location;
}

export interface InventoryPage {
  site: string;
  run: string;
  items: Listed[];
  /** False when anything failed on the way: absence then means nothing (A11). */
  complete: boolean;
  last: boolean;
}

/**
 * The broker's store as an adapter's process reaches it: directly in the worker of a cloud site, over the broker's API
 * in an agent (`GET /v1/sites/{site}/wants/{resource}/{attempt}`, `POST …/inventory`, `POST …/offers`, `POST …/steps`).
 */
export interface SiteBackend {
  want(ref: WantRef): Promise<Want<Kind>>;
  writeInventory(page: InventoryPage): Promise<void>;
  writeOffers(page: { site: string; run: string; offers: SiteOffer[]; last: boolean }): Promise<void>;
  /** Keeps what a step called, with the operations that it was taken for. */
  writeStep(step: Schemas['StepRecord']): Promise<void>;
}

/** Retried by Temporal with back-off; every other code is a decision for the workflow. */
const retryable: ReadonlySet<ProviderErrorCode> = new Set(['Throttled', 'Unavailable']);

/** A ProviderError as the failure that workflows read: `type` is the A7 code, `details[0]` its details. */
export function toApplicationFailure(error: unknown): unknown {
  if (!(error instanceof ProviderError)) return error;
  return ApplicationFailure.create({
    type: error.code,
    message: error.message,
    nonRetryable: !retryable.has(error.code),
    nextRetryDelay: error.details.retryAfterMs,
    details: [error.details],
  });
}

/** A process that is gone is noticed after a few of these; see the workflows' heartbeat timeouts. */
const pulseMs = 3_000;

/**
 * Runs an adapter's call with a pulse of heartbeats for as long as it takes: one provider request may last longer than the
 * heartbeat timeout, and what the timeout is for is a process that died. The adapter's own details are sent again with each.
 */
async function asFailure<T>(
  throttle: Throttle,
  call: (context: CallContext) => Promise<T>,
  keep: <R>(work: () => Promise<R>) => Promise<R> = (work) => work(),
): Promise<T> {
  let details: unknown = activityInfo().heartbeatDetails;
  const beat = (latest?: unknown) => {
    if (latest !== undefined) details = latest;
    heartbeat(details);
  };
  const pulse = setInterval(() => beat(), pulseMs);
  try {
    const signal = cancellationSignal();
    return await keep(() => throttle.run(signal, () => call({ signal, heartbeat: beat, resumed: details })));
  } catch (error) {
    throw toApplicationFailure(error);
  } finally {
    clearInterval(pulse);
  }
}

/** One step of an operation: this resource's attempt is worked on. */
type StepName = Pick<Schemas['StepRecord'], 'step' | 'resource' | 'attempt'>;

/** Keeps what a step calls, once it has ended, however it did. */
async function keepingStep<T>(backend: SiteBackend, step: StepName, work: () => Promise<T>): Promise<T> {
  const calls = new CallRecord();
  let failed: string | undefined;
  try {
    return await calls.during(work);
  } catch (error) {
    const otherwise = cancellationSignal().aborted ? 'Cancelled' : 'Failed';
    failed = error instanceof ProviderError ? error.code : otherwise;
    throw error;
  } finally {
    const record = { ...step, try: activityInfo().attempt, failed, ...calls.end() };
    // The step is done, and its outcome counts: a timeline with a gap is no reason to take it again.
    await backend.writeStep(record).catch((error: unknown) => {
      log.warn('what a step called could not be kept', { ...step, error: String(error) });
    });
  }
}

const offersPerPage = 1000;

export function adapterActivities(adapter: Adapter, backend: SiteBackend): AdapterActivities {
  const throttle = new Throttle();
  const called = <T>(call: (context: CallContext) => Promise<T>) => asFailure(throttle, call);
  const stepped = <T>(
    step: StepName['step'],
    { resource, attempt }: { resource: string; attempt?: number },
    call: (context: CallContext) => Promise<T>,
  ) =>
    attempt === undefined
      ? called(call)
      : asFailure(throttle, call, (work) => keepingStep(backend, { step, resource, attempt }, work));
  return {
    describeSite: () => called(() => adapter.describe()),
    ensureResource: (ref) =>
      stepped('ensure', ref, async (context) => {
        const want = await backend.want(ref);
        const isToAdopt = want.adopted !== undefined && !want.adopted.settled;
        return isToAdopt ? adapter.adopt(want, context) : adapter.ensure(want, context);
      }),
    observeResource: ({ target, want }) =>
      stepped('observe', target.stamp, async () =>
        adapter.observe(target, want && (await backend.want(want))),
      ),
    removeResource: ({ target }) =>
      stepped('remove', target.stamp, (context) => adapter.remove(target, context)),
    releaseResource: ({ target }) =>
      stepped('release', target.stamp, (context) => adapter.release(target, context)),
    takeInventory: ({ site, broker, run }) =>
      called(async () => {
        let items = 0;
        let complete = true;
        let page: string | undefined;
        do {
          const listed = await adapter.list(broker, page);
          items += listed.items.length;
          complete &&= listed.complete;
          page = listed.nextPage;
          await backend.writeInventory({
            site,
            run,
            items: listed.items,
            complete,
            last: page === undefined,
          });
        } while (page !== undefined);
        return { items, complete };
      }),
    discoverUnmanaged: (query) => called((context) => adapter.discover(query, context)),
    refreshOffers: ({ site, run }) =>
      called(async (context) => {
        let batch: SiteOffer[] = [];
        let offers = 0;
        for await (const offer of adapter.offers(context)) {
          batch.push(offer);
          offers++;
          if (batch.length === offersPerPage) {
            await backend.writeOffers({ site, run, offers: batch, last: false });
            batch = [];
          }
        }
        await backend.writeOffers({ site, run, offers: batch, last: true });
        return { offers };
      }),
    readConsole: ({ target, maxBytes }) =>
      called(async () => ({ text: await adapter.console(target, maxBytes) })),
  };
}
