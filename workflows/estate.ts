/**
 * Workflows over everything that exists: the audit, the sweep, expiry. They read lists before intents: a machine made in
 * between is then never mistaken for an orphan (R19).
 *
 *   step            | done by             | undone by
 *   ----------------|---------------------|------------------------------------
 *   inventory       | each site's adapter | not needed: it changes nothing
 *   compare         | the store           | not needed
 *   remove orphan   | the site's adapter  | not undone; capped, and only past the grace period (R18, R20)
 *   notice drift    | the store           | not needed: it only wakes the workflows of the machines
 */

import type { AdapterActivities } from '@landfall/adapters';
import {
  ActivityFailure,
  ApplicationFailure,
  patched,
  proxyActivities,
  sleep,
  TimeoutFailure,
  uuid4,
} from '@temporalio/workflow';
import type { EstateActivities, InventoryPlace, Orphan } from './estate-activities.ts';
import { mainQueue, siteQueue } from './steps.ts';

const store = proxyActivities<EstateActivities>({
  taskQueue: mainQueue,
  startToCloseTimeout: '60s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 20 },
});

/** A site that does not answer must not hold up the others: its list is then incomplete, and says why. */
const lister = (queue: string) =>
  proxyActivities<AdapterActivities>({
    taskQueue: queue,
    startToCloseTimeout: '2m',
    scheduleToCloseTimeout: '2m',
    scheduleToStartTimeout: '15s',
    heartbeatTimeout: '60s',
    retry: { maximumAttempts: 3, initialInterval: '500ms' },
  });

const offersReader = (queue: string) =>
  proxyActivities<AdapterActivities>({
    taskQueue: queue,
    startToCloseTimeout: '5m',
    scheduleToCloseTimeout: '10m',
    heartbeatTimeout: '12s',
    retry: { maximumAttempts: 5, initialInterval: '2s' },
  });

const remover = (queue: string) =>
  proxyActivities<AdapterActivities>({
    taskQueue: queue,
    startToCloseTimeout: '5m',
    scheduleToStartTimeout: '30s',
    heartbeatTimeout: '12s',
    retry: { maximumAttempts: 3 },
  });

async function takeInventories(): Promise<{ startedAt: string; places: InventoryPlace[] }> {
  const { queues, broker, now } = await store.listQueues();
  const run = uuid4();
  const places = await Promise.all(
    queues.map(async ({ site, host }): Promise<InventoryPlace> => {
      try {
        const { items, complete } = await lister(siteQueue(site, host)).takeInventory({ site, broker, run });
        return {
          site,
          host,
          items,
          complete,
          ...(complete ? {} : { message: 'the provider did not list everything' }),
        };
      } catch (error) {
        return { site, host, items: 0, complete: false, message: why(error) };
      }
    }),
  );
  return { startedAt: now, places };
}

function why(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure) return 'its worker or agent does not answer';
  if (cause instanceof ApplicationFailure || cause instanceof Error) return cause.message;
  return String(cause);
}

/** One audit operation: takes every inventory, compares, and ends the operation with the report. Removes nothing. */
export async function audit(input: { operation: string }): Promise<void> {
  await store.beginAudit({ operation: input.operation });
  const { startedAt, places } = await takeInventories();
  await store.finishAudit({ operation: input.operation, startedAt, places });
}

/**
 * On a schedule: inventory everywhere, then wake what is not as wanted, and remove what carries our stamp and stands for
 * nothing.
 */
export async function sweep(): Promise<void> {
  const { startedAt, places } = await takeInventories();
  if (patched('drift')) await store.noticeDrift({ startedAt, places });
  const { orphans } = await store.chooseOrphans({ startedAt, places });
  await Promise.all(orphans.map(removeOrphan));
}

async function removeOrphan(orphan: Orphan): Promise<void> {
  for (let look = 0; look < 30; look++) {
    try {
      const removal = await remover(orphan.queue).removeResource({ target: orphan.target });
      if (removal.done) return await store.orphanRemoved({ orphan });
      await sleep(removal.retryAfterMs);
    } catch (error) {
      return await store.orphanKept({ orphan, reason: why(error) });
    }
  }
}

/**
 * Reads what cloud sites offer now: of one site when it is added, of all on a schedule. A site that does not answer keeps
 * the offers it had.
 */
export async function refreshOffers(input: { site?: string }): Promise<void> {
  const { queues } = await store.listQueues();
  const sites = queues.filter(
    ({ site, host }) => host === '' && (input.site === undefined || site === input.site),
  );
  await Promise.allSettled(
    sites.map(({ site }) => offersReader(siteQueue(site, null)).refreshOffers({ site, run: uuid4() })),
  );
}

/** On a schedule: asks for the deletion of instances whose time to live is over. */
export async function expire(): Promise<void> {
  await store.expireInstances();
}
