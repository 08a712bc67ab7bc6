import type { Operation } from '@landfall/model';
import { siteCapability } from './capabilities.ts';
import type { ResourceKind } from './database.ts';
import { StoreError } from './errors.ts';
import type { Db, Tx } from './open.ts';
import { type Requester, releaseAsked, underWay } from './operations.ts';
import { adapterKinds, wordsOf } from './resource-kinds.ts';
import { refuseWhileUsed } from './resource-references.ts';
import {
  checkResourceChangeable,
  findResourceRow,
  type Resource,
  type ResourceRow,
  refuseWhileAdopting,
  requestResourceChange,
  toResource,
} from './resources.ts';

/**
 * Asks for a resource to be let go of: what it is at its provider stays as it is and is Landfall's no more. Asking again answers the
 * operation that is under way, and by id also the one that has ended. Throws `conflict` with what to do where it cannot be now.
 */
export async function releaseResource(
  db: Db,
  kind: ResourceKind,
  request: Requester & { project: string; resource: string; ifMatch: number | null; validateOnly?: boolean },
): Promise<{ resource: Resource; operation: Operation | null }> {
  return db.transaction().execute(async (tx) => {
    const row = await findResourceRow(tx, kind, request.project, request.resource, true);
    if (row.releasing) return { resource: toResource(row), operation: await releaseAsked(tx, row.id) };
    checkResourceChangeable(row, request.ifMatch);
    refuseWhileAdopting(row);
    const reason = await whyNot(tx, row);
    if (reason)
      throw new StoreError('conflict', `${wordsOf[kind]} ${row.name} cannot be released: ${reason}`);
    await refuseWhileUsed(tx, row);
    if (request.validateOnly) return { resource: toResource(row), operation: null };
    const updated = await tx
      .updateTable('resources')
      .set({
        releasing: true,
        deleted_at: new Date(),
        generation: row.generation + 1,
        revision: row.revision + 1,
        updated_at: new Date(),
      })
      .where('id', '=', row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    return {
      resource: toResource(updated),
      operation: await requestResourceChange(tx, updated, request, 'release'),
    };
  });
}

/** Why it cannot be released now, and what to do about it; undefined where it can. */
async function whyNot(tx: Tx, row: ResourceRow): Promise<string | undefined> {
  const { state, readyAt, externalReference, site, host = null } = row.status;
  const open = await underWay(tx, row.id);
  if (open) return open;
  if (
    readyAt === undefined ||
    externalReference === undefined ||
    site === undefined ||
    state === 'Lost' ||
    state === 'Failed'
  )
    return `it is ${state}, and nothing of it could go on without Landfall: delete it instead`;
  const can = await siteCapability(tx, site, host, adapterKinds[row.kind], 'release');
  return can === undefined || can === true ? undefined : can.reason;
}

/** It cannot be let go of: it stays Landfall's, as it was. */
export async function keepResource(tx: Tx, id: string): Promise<void> {
  await tx
    .updateTable('resources')
    .set({ releasing: false, deleted_at: null })
    .where('id', '=', id)
    .execute();
}
