import { type Selectable, sql } from 'kysely';
import type { ResourceIntents } from './database.ts';
import type { Queryable, Tx } from './open.ts';

/** The record of a resource about to be made at a provider; see `Intent`, which is the same for instances. */
export type ResourceIntent = Selectable<ResourceIntents>;

/** Under which something may exist, oldest attempt first. */
export async function liveResourceIntents(db: Queryable, resource: string): Promise<ResourceIntent[]> {
  return db
    .selectFrom('resource_intents')
    .selectAll()
    .where('resource', '=', resource)
    .where('state', '<>', 'removed')
    .orderBy('attempt')
    .execute();
}

export async function openResourceIntent(
  tx: Tx,
  intent: Pick<ResourceIntent, 'resource' | 'attempt' | 'kind' | 'site' | 'region' | 'zone' | 'host'>,
): Promise<ResourceIntent> {
  return tx.insertInto('resource_intents').values(intent).returningAll().executeTakeFirstOrThrow();
}

/** The intent's next state; `adopted` comes with what was seen, `removed` once absence is confirmed. */
export async function moveResourceIntent(
  tx: Tx,
  intent: ResourceIntent,
  to: { state: 'adopted'; ref: string } | { state: 'removing' | 'removed' },
): Promise<void> {
  const { removing_at } = await tx
    .updateTable('resource_intents')
    .set({
      ...to,
      ...(to.state === 'removing'
        ? { removing_at: sql`coalesce(removing_at, now())` }
        : { settled_at: sql`coalesce(settled_at, now())` }),
    })
    .where('resource', '=', intent.resource)
    .where('attempt', '=', intent.attempt)
    .returning('removing_at')
    .executeTakeFirstOrThrow();
  Object.assign(intent, to, { removing_at });
}

/** Nothing carries the attempt's stamp any more, and nothing of it was removed. */
export async function closeReleasedResource(tx: Tx, intent: ResourceIntent): Promise<void> {
  await moveResourceIntent(tx, intent, { state: 'removed' });
  await tx
    .updateTable('resource_intents')
    .set({ released: true })
    .where('resource', '=', intent.resource)
    .where('attempt', '=', intent.attempt)
    .execute();
}
