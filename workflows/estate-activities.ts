import type { Kind, Target } from '@landfall/adapters';
import type { AuditReport } from '@landfall/model';
import {
  appendEvent,
  compareInventory,
  type Db,
  deleteInstance,
  driftedInstances,
  expiredInstances,
  finishOperations,
  isStoreError,
  progressOperations,
  pruneEvents,
  requestRepair,
  siteQueues,
} from '@landfall/store';
import { log } from '@temporalio/activity';
import { pruneSetAsides } from './place.ts';
import { siteQueue } from './steps.ts';

export interface InventoryPlace {
  site: string;
  /** '' for a cloud site. */
  host: string;
  items: number;
  complete: boolean;
  message?: string;
}

export interface Orphan {
  queue: string;
  target: Target;
  site: string;
  message: string;
}

export interface EstateActivities {
  listQueues(): Promise<{ queues: { site: string; host: string }[]; broker: string; now: string }>;
  beginAudit(input: { operation: string }): Promise<void>;
  finishAudit(input: { operation: string; startedAt: string; places: InventoryPlace[] }): Promise<void>;
  /** Wakes the workflows of machines that are otherwise than wanted, each by an operation of its own. */
  noticeDrift(input: { startedAt: string; places: InventoryPlace[] }): Promise<{ woken: number }>;
  chooseOrphans(input: { startedAt: string; places: InventoryPlace[] }): Promise<{ orphans: Orphan[] }>;
  orphanRemoved(input: { orphan: Orphan }): Promise<void>;
  orphanKept(input: { orphan: Orphan; reason: string }): Promise<void>;
  expireInstances(): Promise<{ expired: number }>;
}

/** The audit trail goes back this far; an older place in a watch is answered 410. */
const eventsKeptMs = 90 * 24 * 3_600_000;

/** What could not be repaired is tried again after so long: by then the offers that were set aside are open again. */
const repairPauseMs = 10 * 60_000;

/** An orphan is left alone until it has been seen for this long: its intent may be in a backup being restored (R20). */
export const defaultOrphanGraceMs = 5 * 60_000;

/**
 * One sweep removes at most this many, or a tenth of the machines known, whichever is more; beyond that it removes none and
 * says so: that many orphans mean that the database, not the provider, is wrong (R18, R20).
 */
const capFloor = 5;
const capShare = 0.1;

export function estateActivities(
  db: Db,
  broker: string,
  organization: string,
  options: { orphanGraceMs?: number } = {},
): EstateActivities {
  const graceMs = options.orphanGraceMs ?? defaultOrphanGraceMs;

  const compare = (startedAt: string, places: InventoryPlace[]) =>
    compareInventory(
      db,
      places.filter((place) => place.complete),
      new Date(startedAt),
    );

  const event = (type: string, message: string, data: Record<string, unknown>) =>
    db
      .transaction()
      .execute((tx) => appendEvent(tx, { type, organization, actor: 'landfall', message, data }));

  return {
    async listQueues() {
      const queues = await siteQueues(db);
      return {
        queues: queues.map(({ site, host }) => ({ site, host })),
        broker,
        now: new Date().toISOString(),
      };
    },

    async beginAudit({ operation }) {
      await db
        .transaction()
        .execute((tx) => progressOperations(tx, [operation], 'taking inventory of every site'));
    },

    async finishAudit({ operation, startedAt, places }) {
      const found = await compare(startedAt, places);
      const report: AuditReport = {
        orphans: found.orphans.map(({ site, host, ref, providerKind, resource, attempt, message }) => ({
          site,
          host: host || null,
          ref,
          providerKind,
          resource,
          attempt,
          message,
        })),
        missing: found.missing,
        doubled: found.doubled,
        openIntents: found.openIntents,
        instances: found.instances,
        machines: found.machines,
        sites: places.map((place) => ({
          site: place.site,
          host: place.host || null,
          complete: place.complete,
          items: place.items,
          ...(place.message ? { message: place.message } : {}),
        })),
      };
      const message = `${report.orphans.length} orphans, ${report.missing.length} missing, ${report.doubled.length} doubled`;
      await db.transaction().execute(async (tx) => {
        await finishOperations(tx, [operation], { state: 'Succeeded', message, result: report });
        await appendEvent(tx, {
          type: 'audit.finished',
          organization,
          operation,
          actor: 'landfall',
          message,
        });
      });
    },

    async noticeDrift({ startedAt, places }) {
      const told = places.filter((place) => place.complete);
      let woken = 0;
      for (const drifted of await driftedInstances(db, told, new Date(startedAt), repairPauseMs))
        if (await requestRepair(db, drifted)) woken++;
      return { woken };
    },

    async chooseOrphans({ startedAt, places }) {
      const { orphans, machines } = await compare(startedAt, places);
      const ripe = orphans.filter((orphan) => Date.now() - orphan.firstSeenAt.getTime() >= graceMs);
      // One removal per attempt takes its children too.
      const byAttempt = new Map(
        ripe.map((orphan) => [`${orphan.site}/${orphan.host}/${orphan.resource}/${orphan.attempt}`, orphan]),
      );
      const cap = Math.max(capFloor, Math.ceil(machines * capShare));
      if (byAttempt.size > cap) {
        const message = `${byAttempt.size} orphans are more than the ${cap} that one sweep may remove: nothing was removed; check the database, then delete them by hand`;
        log.warn(message);
        await event('sweep.refused', message, { orphans: byAttempt.size, cap });
        return { orphans: [] };
      }
      return {
        orphans: [...byAttempt.values()].map((orphan) => ({
          queue: siteQueue(orphan.site, orphan.host),
          site: orphan.site,
          message: orphan.message,
          target: {
            kind: orphan.kind as Kind,
            stamp: { broker, project: '', resource: orphan.resource, attempt: orphan.attempt },
            location: {
              region: orphan.region,
              ...(orphan.zone ? { zone: orphan.zone } : {}),
              ...(orphan.host ? { host: orphan.host } : {}),
            },
            since: orphan.firstSeenAt.toISOString(),
          },
        })),
      };
    },

    async orphanRemoved({ orphan }) {
      await event('sweep.orphanRemoved', `removed: ${orphan.message}`, { site: orphan.site });
    },

    async orphanKept({ orphan, reason }) {
      await event('sweep.orphanKept', `could not remove (${reason}): ${orphan.message}`, {
        site: orphan.site,
      });
    },

    async expireInstances() {
      await pruneSetAsides(db);
      await pruneEvents(db, new Date(Date.now() - eventsKeptMs));
      let expired = 0;
      for (const { id, project, organization: owner } of await expiredInstances(db, 500)) {
        try {
          await deleteInstance(db, {
            project,
            instance: id,
            ifMatch: null,
            verb: 'expire',
            organization: owner,
            requestedBy: 'landfall (ttl)',
          });
          expired++;
        } catch (error) {
          // Someone else deleted it between the look and now.
          if (!isStoreError(error, 'notFound')) throw error;
        }
      }
      return { expired };
    },
  };
}
