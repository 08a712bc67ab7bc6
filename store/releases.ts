import type { Instance, Operation } from '@landfall/model';
import { sql } from 'kysely';
import { StoreError } from './errors.ts';
import { checkChangeable, findRow, type InstanceRow, requestChange, toInstance } from './instances.ts';
import { closeIntent } from './intents.ts';
import type { Db, Tx } from './open.ts';
import { type Requester, releaseAsked, underWay } from './operations.ts';
import { wordsOf } from './resource-kinds.ts';

/**
 * Asks for an instance to be let go of: its machine stays as it is and is Landfall's no more. Asking again answers the operation
 * that is under way, and by id also the one that has ended. Throws `conflict` with what to do where it cannot be released now.
 */
export async function releaseInstance(
  db: Db,
  request: Requester & {
    project: string;
    instance: string;
    ifMatch: number | null;
    validateOnly?: boolean;
  },
): Promise<{ instance: Instance; operation: Operation | null }> {
  return db.transaction().execute(async (tx) => {
    const row = await findRow(tx, request.project, request.instance, true);
    if (row.releasing) return { instance: toInstance(row), operation: await releaseAsked(tx, row.id) };
    checkChangeable(row, request.ifMatch);
    const reason = await whyNot(tx, row);
    if (reason) throw new StoreError('conflict', `instance ${row.name} cannot be released: ${reason}`);
    if (request.validateOnly) return { instance: toInstance(row), operation: null };
    const updated = await tx
      .updateTable('instances')
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
    const operation = await requestChange(tx, updated, request, 'release');
    return { instance: toInstance(updated), operation };
  });
}

/** Why an instance cannot be released now, and what to do about it; undefined where it can. */
async function whyNot(tx: Tx, row: InstanceRow): Promise<string | undefined> {
  const { state, readyAt, externalReference, provider } = row.status;
  const open = await underWay(tx, row.id);
  if (open) return open;
  if (readyAt === undefined || externalReference === undefined || state === 'Lost' || state === 'Failed')
    return `it is ${state} and has no machine that could go on without Landfall: delete it instead`;
  const attached = await tx
    .selectFrom('resources')
    .select(['kind', 'name'])
    .where('project', '=', row.project)
    .where('gone_at', 'is', null)
    .where((eb) =>
      eb.or([
        sql<boolean>`spec->>'attachedTo' is not null and refers_to @> array[${row.id}]::uuid[]`,
        sql<boolean>`status->>'attachedTo' = ${externalReference}`,
      ]),
    )
    .orderBy('kind')
    .orderBy('name')
    .limit(10)
    .execute();
  if (attached.length > 0) {
    const what = attached.map(({ kind, name }) => `${wordsOf[kind]} ${name}`);
    return `${what.join(', ')} ${what.length > 1 ? 'are' : 'is'} attached to it: detach first (landfall detach ${what[0]})`;
  }
  if (row.network !== null && provider === 'onprem')
    return `it is in the network ${row.spec.network} of its host, which lets nothing in to a machine that is not Landfall's`;
  return undefined;
}

/** Nothing carries the attempt's stamp any more. What is claimed for it is given back. */
export async function closeReleased(tx: Tx, resource: string, attempt: number): Promise<void> {
  await closeIntent(tx, resource, attempt);
  await tx
    .updateTable('intents')
    .set({ released: true })
    .where('resource', '=', resource)
    .where('attempt', '=', attempt)
    .execute();
}

/** It cannot be let go of: it stays Landfall's, as it was. */
export async function keepInstance(tx: Tx, id: string): Promise<void> {
  await tx
    .updateTable('instances')
    .set({ releasing: false, deleted_at: null })
    .where('id', '=', id)
    .execute();
}
