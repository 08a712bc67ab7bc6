import type { Offer } from '@landfall/model';
import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { Intents, SetAsides, Size } from './database.ts';
import { release } from './ledger.ts';
import type { Queryable, Tx } from './open.ts';

/**
 * An intent is the record of a machine about to be made: written before the provider is called, closed when absence is
 * confirmed. While one is live, something may exist at its place with its stamp.
 *
 * open → adopted (the machine was seen) → removing → removed; of a machine that is released: adopted → removed
 */
export type Intent = Omit<Selectable<Intents>, 'changed' | 'released'>;

/** Intents of a resource, or of several, under which something may exist, oldest attempt first. */
export async function liveIntents(db: Queryable, resource: string | readonly string[]): Promise<Intent[]> {
  const resources = typeof resource === 'string' ? [resource] : resource;
  if (resources.length === 0) return [];
  return db
    .selectFrom('intents')
    .selectAll()
    .where('resource', 'in', resources)
    .where('state', '<>', 'removed')
    .orderBy('attempt')
    .execute();
}

/** An intent that is not written yet; see {@link writeIntents}. `now` is the time of its transaction. */
export function newIntent(intent: {
  resource: string;
  attempt: number;
  operation: string | null;
  offer: Offer & { site: string };
  sizedFor: Size;
  now: Date;
}): Intent {
  const { resource, attempt, operation, offer, sizedFor, now } = intent;
  const { site, region, zone, host } = offer;
  return {
    resource,
    attempt,
    operation,
    site,
    region,
    zone,
    host,
    offer,
    sized_for: sizedFor,
    state: 'open',
    ref: null,
    created_at: now,
    settled_at: null,
    removing_at: null,
  };
}

/** Writes new intents in one statement. */
export async function writeIntents(tx: Tx, intents: readonly Intent[]): Promise<void> {
  if (intents.length === 0) return;
  await sql`
    insert into intents (resource, attempt, operation, site, region, zone, host, offer, sized_for, created_at)
    select * from jsonb_to_recordset(${JSON.stringify(intents)}::jsonb) as i (
           resource uuid, attempt integer, operation uuid, site text, region text, zone text, host text, offer jsonb,
           sized_for jsonb, created_at timestamptz)`.execute(tx);
}

export async function adoptIntent(tx: Tx, resource: string, attempt: number, ref: string): Promise<void> {
  await tx
    .updateTable('intents')
    .set({ state: 'adopted', ref, settled_at: sql`coalesce(settled_at, now())` })
    .where('resource', '=', resource)
    .where('attempt', '=', attempt)
    .where('state', 'in', ['open', 'adopted'])
    .execute();
}

/** What the reference leads to does not carry our stamp any more: what is ours is known by its stamp alone. */
export async function forgetReference(tx: Tx, resource: string, attempt: number): Promise<void> {
  await tx
    .updateTable('intents')
    .set({ ref: null })
    .where('resource', '=', resource)
    .where('attempt', '=', attempt)
    .execute();
}

/** From now on whatever exists under these attempts is to be removed. */
export async function condemnIntents(tx: Tx, resource: string, attempts: number[]): Promise<void> {
  if (attempts.length === 0) return;
  await tx
    .updateTable('intents')
    .set({ state: 'removing', removing_at: sql`coalesce(removing_at, now())` })
    .where('resource', '=', resource)
    .where('attempt', 'in', attempts)
    .where('state', '<>', 'removed')
    .execute();
}

/** Absence is confirmed: the intent is closed and its capacity given back. */
export async function closeIntent(tx: Tx, resource: string, attempt: number): Promise<void> {
  await tx
    .updateTable('intents')
    .set({ state: 'removed', settled_at: sql`now()` })
    .where('resource', '=', resource)
    .where('attempt', '=', attempt)
    .execute();
  await release(tx, resource, attempt);
}

/** The offer an intent stands for now (a resize changes it in place). */
export async function replaceOffer(
  tx: Tx,
  resource: string,
  attempt: number,
  offer: Offer,
  sizedFor: Size,
): Promise<void> {
  await tx
    .updateTable('intents')
    .set({ offer: JSON.stringify(offer), sized_for: JSON.stringify(sizedFor) })
    .where('resource', '=', resource)
    .where('attempt', '=', attempt)
    .execute();
}

export type SetAsideInput = Omit<Selectable<SetAsides>, 'id' | 'until'> & { forMs: number };

/** Leaves an offer, or a whole region's or host's, out of placement for a while. */
export async function setAside(tx: Tx, input: SetAsideInput): Promise<void> {
  const { forMs, ...row } = input;
  await tx
    .insertInto('set_asides')
    .values({ ...row, until: new Date(Date.now() + forMs) })
    .execute();
}

export async function activeSetAsides(db: Queryable): Promise<Selectable<SetAsides>[]> {
  return db.selectFrom('set_asides').selectAll().where('until', '>', sql<Date>`now()`).execute();
}
