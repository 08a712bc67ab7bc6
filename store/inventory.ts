import type { AuditReport } from '@landfall/model';
import { sql } from 'kysely';
import type { InventoryItem } from './database.ts';
import type { Db, Queryable } from './open.ts';

/** One page of what an adapter saw at a site (or on one host of it). */
export interface InventoryWrite {
  site: string;
  /** '' for a cloud site. */
  host: string;
  run: string;
  items: InventoryItem[];
  complete: boolean;
  last: boolean;
}

/**
 * Keeps one page. When the last page of a complete run is in, what that run did not see is forgotten; an incomplete run
 * forgets nothing (A11: an empty or failed list is never "all deleted").
 */
export async function writeInventory(db: Db, page: InventoryWrite): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx
      .insertInto('inventory_runs')
      .values({
        run: page.run,
        site: page.site,
        host: page.host,
        items: page.items.length,
        complete: page.complete,
        finished: page.last,
        finished_at: page.last ? new Date() : null,
      })
      .onConflict((conflict) =>
        conflict.columns(['run', 'site', 'host']).doUpdateSet({
          items: sql`inventory_runs.items + ${page.items.length}`,
          complete: sql`inventory_runs.complete and ${page.complete}`,
          finished: page.last,
          finished_at: page.last ? new Date() : null,
        }),
      )
      .execute();
    for (const item of page.items) {
      const seen = {
        run: page.run,
        item: JSON.stringify(item),
        resource: item.stamp.resource,
        attempt: item.stamp.attempt,
        seen_at: new Date(),
      };
      await tx
        .insertInto('inventory')
        .values({ site: page.site, host: page.host, ref: item.ref, ...seen })
        .onConflict((conflict) => conflict.columns(['site', 'host', 'ref']).doUpdateSet(seen))
        .execute();
    }
    if (!page.last) return;
    const run = await tx
      .selectFrom('inventory_runs')
      .select('complete')
      .where('run', '=', page.run)
      .where('site', '=', page.site)
      .where('host', '=', page.host)
      .executeTakeFirstOrThrow();
    if (!run.complete) return;
    await tx
      .deleteFrom('inventory')
      .where('site', '=', page.site)
      .where('host', '=', page.host)
      .where('run', '<>', page.run)
      .execute();
    await tx
      .updateTable('sites')
      .set({ last_inventory_at: new Date() })
      .where('name', '=', page.site)
      .execute();
    // Runs are kept for a day: long enough to see what an audit saw.
    await tx
      .deleteFrom('inventory_runs')
      .where('site', '=', page.site)
      .where('host', '=', page.host)
      .where('started_at', '<', sql<Date>`now() - interval '1 day'`)
      .execute();
  });
}

/** Everywhere machines can be: a queue per cloud site, one per on-prem host. */
export interface SiteQueue {
  site: string;
  host: string;
  provider: string;
  regions: string[];
}

export async function siteQueues(db: Queryable): Promise<SiteQueue[]> {
  const { rows } = await sql<SiteQueue>`
    select s.name as site, coalesce(h.name, '') as host, s.provider, coalesce(array(select jsonb_array_elements_text(s.spec->'regions')), '{}') as regions
      from sites s left join hosts h on h.site = s.name
     where s.provider in ('aws', 'azure', 'gcp') or h.name is not null
     order by 1, 2`.execute(db);
  return rows;
}

type Finding = AuditReport['orphans'][number];

export interface Comparison {
  /**
   * With our stamp at a provider, and no live intent for it. What was released is none: the list is only behind. Nor is what was to be
   * adopted and was refused: it was there before us, and nobody's to remove, even where the stamp got onto it all the same.
   */
  orphans: (Finding & {
    site: string;
    host: string;
    ref: string;
    /** The adapters' word for it. */
    kind: string;
    resource: string;
    attempt: number;
    child: boolean;
    region: string;
    zone?: string;
    firstSeenAt: Date;
  })[];
  /** Should be there by its adopted intent, and a complete list has not shown it. */
  missing: Finding[];
  /** More than one machine of one instance. */
  doubled: Finding[];
  openIntents: number;
  instances: number;
  machines: number;
}

/** Intents and resources of every kind, as far as an audit compares them. */
const allIntents = sql<{ resource: string; attempt: number; state: string }>`(
  select resource, attempt, site, host, state, ref, settled_at, released from intents
  union all select resource, attempt, site, host, state, ref, settled_at, released from resource_intents)`;
const allResources = sql<{ id: string; kind: string; name: string; project: string }>`(
  select id, 'Instance' as kind, name, project, adopted, status ? 'readyAt' as was_ready from instances
  union all select id, kind, name, project, adopted, status ? 'readyAt' as was_ready from resources)`;

/**
 * Intents against inventory. Lists must have been taken before this reads the intents, or a machine made in between looks
 * like an orphan. `places` are the (site, host) whose lists were complete: elsewhere absence means nothing.
 * `settledBefore`: intents adopted after it may be younger than the list and are not called missing.
 */
export async function compareInventory(
  db: Queryable,
  places: { site: string; host: string }[],
  settledBefore: Date,
): Promise<Comparison> {
  const keys = places.map((place) => `${place.site}/${place.host}`);
  const inPlaces = (site: string, host: string) =>
    sql<boolean>`${sql.ref(site)} || '/' || coalesce(${sql.ref(host)}, '') = any(${keys})`;
  const orphans = await db
    .selectFrom('inventory as v')
    .select(['v.site', 'v.host', 'v.ref', 'v.item', 'v.resource', 'v.attempt', 'v.first_seen_at'])
    .where(
      sql<boolean>`not exists (select from ${allIntents} n where n.resource = v.resource and n.attempt = v.attempt and (n.state <> 'removed' or n.released))`,
    )
    .where(
      sql<boolean>`not exists (select from ${allResources} r where r.id = v.resource and r.adopted is not null and not r.was_ready)`,
    )
    .where(inPlaces('v.site', 'v.host'))
    .orderBy('v.site')
    .orderBy('v.ref')
    .execute();
  const { rows: missing } = await sql<{
    site: string;
    host: string | null;
    resource: string;
    attempt: number;
    ref: string | null;
    kind: string;
    name: string;
    project: string;
  }>`
    select n.site, n.host, n.resource, n.attempt, n.ref, i.kind, i.name, i.project
      from ${allIntents} n join ${allResources} i on i.id = n.resource
     where n.state = 'adopted' and n.settled_at < ${settledBefore} and ${inPlaces('n.site', 'n.host')}
       and not exists (select from inventory v where v.resource = n.resource and v.attempt = n.attempt
                          and not (v.item->>'child')::boolean)`.execute(db);
  const doubled = await db
    .selectFrom('inventory as v')
    .leftJoin(allResources.as('i'), 'i.id', 'v.resource')
    .select([
      'v.resource',
      'i.kind',
      'i.name',
      sql<number>`count(*)::int`.as('machines'),
      sql<string[]>`array_agg(v.site || ' ' || v.ref order by v.ref)`.as('refs'),
    ])
    .where(sql<boolean>`not (v.item->>'child')::boolean`)
    .where(sql<boolean>`v.item->>'state' <> 'removing'`)
    .groupBy(['v.resource', 'i.kind', 'i.name'])
    .having(sql<boolean>`count(*) > 1`)
    .execute();
  const counts = await sql<{ instances: number; machines: number; open: number }>`
    select (select count(*)::int from instances where gone_at is null) as instances,
           (select count(*)::int from inventory
             where not (item->>'child')::boolean and coalesce(item->>'kind', 'Instance') = 'Instance') as machines,
           (select count(*)::int from ${allIntents} n where state in ('open', 'removing')) as open`.execute(
    db,
  );
  return {
    orphans: orphans.map((row) => ({
      site: row.site,
      host: row.host,
      ref: row.ref,
      kind: row.item.kind,
      resource: row.resource!,
      attempt: row.attempt!,
      child: row.item.child,
      region: row.item.location.region,
      zone: row.item.location.zone,
      providerKind: row.item.providerKind,
      firstSeenAt: row.first_seen_at,
      message: `${row.item.providerKind} ${row.ref} at ${row.site} carries our stamp (resource ${row.resource}, attempt ${row.attempt}) and no intent stands for it`,
    })),
    missing: missing.map((row) => ({
      site: row.site,
      host: row.host,
      ref: row.ref ?? undefined,
      resource: row.resource,
      attempt: row.attempt,
      message: `${row.kind.toLowerCase()} ${row.project}/${row.name} should be ${row.ref} at ${row.site}${row.host ? ` on ${row.host}` : ''}, and a complete list does not show it`,
    })),
    doubled: doubled.map((row) => ({
      resource: row.resource ?? undefined,
      message: `${(row.kind ?? 'resource').toLowerCase()} ${row.name ?? row.resource} is there ${row.machines} times: ${row.refs.join(', ')}`,
    })),
    openIntents: counts.rows[0]!.open,
    instances: counts.rows[0]!.instances,
    machines: counts.rows[0]!.machines,
  };
}
