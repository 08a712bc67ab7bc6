import type { Site } from '@landfall/model';
import { sql } from 'kysely';
import { appendEvent, appendEvents } from './events.ts';
import type { Db, Tx } from './open.ts';

/**
 * Health of hosts and sites, told by events when it changes: `host.unreachable` and `host.ready`, `site.ready`,
 * `site.unavailable` and `site.pending`. What the last event said is in the `state` of each row, changed in the event's own
 * transaction. Rows are locked sites first, then hosts.
 */

/** An agent says every ten seconds that its host lives; after this long without it the host is `Unreachable`. */
export const unreachableAfterSeconds = 30;

type SiteState = Site['status']['state'];

/** An on-prem site is as ready as its hosts. */
export function onpremState(hosts: number, ready: number): { state: SiteState; message: string } {
  if (hosts === 0)
    return {
      state: 'Pending',
      message: 'no host has registered yet: start an agent with a token of this site',
    };
  if (ready === 0)
    return {
      state: 'Unavailable',
      message: `no host has been heard of for ${unreachableAfterSeconds} seconds`,
    };
  return { state: 'Ready', message: '' };
}

/** So that its hosts' changes in other transactions come before or after. */
export async function lockSites(tx: Tx, sites: readonly string[]): Promise<void> {
  await tx
    .selectFrom('sites')
    .select('id')
    .where('name', 'in', sites)
    .orderBy('name')
    .forNoKeyUpdate()
    .execute();
}

/** Tells of an on-prem site that is otherwise than was last told, after a change of its hosts. */
export async function tellSiteHealth(tx: Tx, site: string): Promise<void> {
  await lockSites(tx, [site]);
  const { hosts, ready } = await tx
    .selectFrom('hosts')
    .select([
      sql<number>`count(*)::int`.as('hosts'),
      sql<number>`count(*) filter (where state = 'Ready')::int`.as('ready'),
    ])
    .where('site', '=', site)
    .executeTakeFirstOrThrow();
  const { state, message } = onpremState(hosts, ready);
  const changed = await tx
    .updateTable('sites')
    .set({ state })
    .where('name', '=', site)
    .where('provider', '=', 'onprem')
    .where('state', '<>', state)
    .returning(['id', 'organization'])
    .executeTakeFirst();
  if (changed) await appendEvent(tx, siteHealthEvent({ ...changed, name: site }, state, message));
}

function siteHealthEvent(
  { id, name, organization }: { id: string; name: string; organization: string },
  state: SiteState,
  message: string,
) {
  return {
    type: `site.${state.toLowerCase()}`,
    organization,
    resource: { kind: 'Site', id, name },
    actor: 'landfall',
    message: `site ${name} is ${state}${message ? `: ${message}` : ''}`,
    data: { state },
  };
}

/** What a cloud site's worker says of it. Nothing is written where that was said before. */
export async function reportSite(
  db: Db,
  site: string,
  state: 'Ready' | 'Unavailable',
  message: string,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const changed = await tx
      .updateTable('sites')
      .set((eb) => ({ state, message, revision: eb('revision', '+', 1), updated_at: new Date() }))
      .where('name', '=', site)
      .where((eb) => eb.or([eb('state', '<>', state), eb('message', '<>', message)]))
      .returning(['id', 'organization'])
      .executeTakeFirst();
    if (changed) await appendEvent(tx, siteHealthEvent({ ...changed, name: site }, state, message));
  });
}

/** A host that was told to be unreachable is heard of again. In its registration's transaction. */
export async function tellHostReady(
  tx: Tx,
  organization: string,
  site: string,
  host: { id: string; name: string },
) {
  await tx.updateTable('hosts').set({ state: 'Ready' }).where('id', '=', host.id).execute();
  await appendEvent(tx, {
    type: 'host.ready',
    organization,
    resource: { kind: 'Host', ...host },
    actor: 'landfall',
    message: `host ${host.name} of site ${site} is heard of again`,
    data: { site },
  });
}

const silent = sql<boolean>`hosts.state = 'Ready' and hosts.last_seen_at <= now() - make_interval(secs => ${unreachableAfterSeconds})`;

/** Tells of the hosts that have fallen silent; answers how many. Several processes may do it together. */
export async function tellSilentHosts(db: Db): Promise<number> {
  const sites = await db.selectFrom('hosts').select('site').distinct().where(silent).execute();
  if (sites.length === 0) return 0;
  const names = sites.map(({ site }) => site).sort();
  return db.transaction().execute(async (tx) => {
    await lockSites(tx, names);
    const rows = await tx
      .updateTable('hosts')
      .from('sites')
      .set({ state: 'Unreachable' })
      .whereRef('sites.name', '=', 'hosts.site')
      .where('hosts.site', 'in', names)
      .where(silent)
      .returning(['hosts.id', 'hosts.name', 'hosts.site', 'sites.organization'])
      .execute();
    await appendEvents(
      tx,
      rows.map(({ id, name, site, organization }) => ({
        type: 'host.unreachable',
        organization,
        resource: { kind: 'Host', id, name },
        actor: 'landfall',
        message: `host ${name} of site ${site} has not been heard of for ${unreachableAfterSeconds} seconds`,
        data: { site },
      })),
    );
    for (const site of names) await tellSiteHealth(tx, site);
    return rows.length;
  });
}
