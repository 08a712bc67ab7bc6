import { sql } from 'kysely';
import type { Queryable, Tx } from './open.ts';

/**
 * Limits and rules about other machines are held by counting what stands. Two placements at once would both count before
 * either has written, so each group that was counted has a row with the transaction that last added to it. A placement that
 * adds to a group whose last change it has not seen loses, and counts again. Nothing is kept that could drift from the machines.
 */
export type LedgerSnapshot = string & { readonly brand: 'ledger snapshot' };

/** What is committed now. Taken before the machines are read: what they show may be newer, and never older. */
export async function ledgerSnapshot(db: Queryable): Promise<LedgerSnapshot> {
  const { rows } = await sql<{
    snapshot: LedgerSnapshot;
  }>`select pg_current_snapshot()::text as snapshot`.execute(db);
  return rows[0]!.snapshot;
}

/**
 * Marks the groups as added to by this transaction; false where one has changed since the snapshot: somebody was faster, look
 * again. Rows stay locked until the transaction ends, so call it last. Going gives room and is not marked: a placement that
 * did not see it refuses too much for a moment, never too little.
 */
export async function claimGroups(
  tx: Tx,
  organization: string,
  keys: readonly string[],
  snapshot: LedgerSnapshot,
): Promise<boolean> {
  if (keys.length === 0) return true;
  // In one order everywhere, so that two placements never wait for each other.
  const ordered = [...new Set(keys)].sort();
  const { rows } = await sql<{ key: string }>`
    insert into ledger_groups (organization, key, xid)
    select ${organization}, key, pg_current_xact_id() from unnest(${ordered}::text[]) with ordinality as k (key, n) order by n
    on conflict (organization, key) do update set xid = excluded.xid
      where pg_visible_in_snapshot(ledger_groups.xid, ${snapshot}::pg_snapshot)
         or ledger_groups.xid = excluded.xid
    returning key`.execute(tx);
  return rows.length === ordered.length;
}
