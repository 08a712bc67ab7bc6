import { appendEvents, type InstanceRow, type NewEvent, type Tx } from '@landfall/store';
import { sql } from 'kysely';

/** What the turns of a transaction write at its end, each kind in one statement however many turns there were. */
export class TurnWrites {
  readonly events: NewEvent[] = [];
  /** Instances whose status was written, as they are then. */
  readonly rows = new Map<string, InstanceRow>();
  /** What operations are doing now, by id; those that have ended meanwhile keep their end. */
  readonly progress = new Map<string, string>();

  async flush(tx: Tx): Promise<void> {
    if (this.rows.size > 0) {
      const rows = [...this.rows.values()].map(
        ({ id, status, state, observed_generation, revision, attempt, site, expires_at }) => ({
          id,
          status,
          state,
          observed_generation,
          revision,
          attempt,
          site,
          expires_at,
        }),
      );
      await sql`
        update instances i
           set status = v.status, state = v.state, observed_generation = v.observed_generation, revision = v.revision,
               attempt = v.attempt, site = v.site, expires_at = v.expires_at, updated_at = now()
          from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as v (
               id uuid, status jsonb, state text, observed_generation bigint, revision bigint, attempt integer, site text,
               expires_at timestamptz)
         where i.id = v.id`.execute(tx);
    }
    if (this.progress.size > 0) {
      const [ids, messages] = [[...this.progress.keys()], [...this.progress.values()]];
      await sql`
        update operations o
           set state = 'Running', message = v.message, started_at = coalesce(started_at, now())
          from unnest(${ids}::uuid[], ${messages}::text[]) as v (id, message)
         where o.id = v.id and o.state in ('Pending', 'Running')`.execute(tx);
    }
    await appendEvents(tx, this.events);
  }
}
