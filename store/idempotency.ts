import { sql } from 'kysely';
import type { Db } from './open.ts';

/** What a repeat is answered. */
export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

export type Claim =
  | { outcome: 'claimed' }
  | { outcome: 'kept'; answer: KeptAnswer }
  /** The key was used for another method, path or body. */
  | { outcome: 'otherRequest' }
  | { outcome: 'inProgress' };

/** A claim without an answer is given up after this long: its broker ended before it could answer. */
export const abandonedAfterSeconds = 15;

/**
 * Claims a key for one request of a principal.
 *
 * The guarantee, exactly. Of any number of requests with one key, at most one is served at a time, and once one has been
 * answered with less than 500 every repeat within 24 hours gets that answer. Claim, effect and answer are three
 * transactions: where the broker dies between effect and answer, a repeat gets 409 (in progress) for fifteen seconds and is
 * then served anew. That cannot double a create, whose name is unique (the repeat gets 409, naming it), nor start, stop,
 * resize and cancel, which say what is wanted; it can reboot twice or run a second audit.
 */
export async function claimKey(db: Db, principal: string, key: string, digest: string): Promise<Claim> {
  for (;;) {
    const { rows } = await sql<{ claimed: boolean }>`
      insert into idempotency_keys as kept (principal, key, digest) values (${principal}::uuid, ${key}, ${digest})
      on conflict (principal, key) do update set digest = excluded.digest, status = null, headers = null, body = null, created_at = now()
        where kept.created_at < now() - interval '24 hours'
           or (kept.status is null and kept.created_at < now() - make_interval(secs => ${abandonedAfterSeconds}))
      returning true as claimed`.execute(db);
    if (rows.length > 0) return { outcome: 'claimed' };
    const row = await db
      .selectFrom('idempotency_keys')
      .selectAll()
      .where('principal', '=', principal)
      .where('key', '=', key)
      .executeTakeFirst();
    if (!row) continue; // released between the two statements: claim it
    if (row.digest !== digest) return { outcome: 'otherRequest' };
    if (row.status === null) return { outcome: 'inProgress' };
    return { outcome: 'kept', answer: { status: row.status, headers: row.headers ?? {}, body: row.body } };
  }
}

/** Keeps the answer for repeats. */
export async function keepAnswer(db: Db, principal: string, key: string, answer: KeptAnswer): Promise<void> {
  await db
    .updateTable('idempotency_keys')
    .set({
      status: answer.status,
      headers: JSON.stringify(answer.headers),
      body: JSON.stringify(answer.body ?? null),
    })
    .where('principal', '=', principal)
    .where('key', '=', key)
    .execute();
}

/** Gives the key back after an answer that is not to be repeated. */
export async function releaseKey(db: Db, principal: string, key: string): Promise<void> {
  await db
    .deleteFrom('idempotency_keys')
    .where('principal', '=', principal)
    .where('key', '=', key)
    .where('status', 'is', null)
    .execute();
}

/** Forgets keys older than 24 hours; answers how many. */
export async function pruneKeys(db: Db): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('idempotency_keys')
    .where('created_at', '<', sql<Date>`now() - interval '24 hours'`)
    .executeTakeFirst();
  return Number(numDeletedRows);
}
