import type { Host, Schemas } from '@landfall/model';
import { sql } from 'kysely';
import { StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { lockSites, tellHostReady, tellSiteHealth, unreachableAfterSeconds } from './health.ts';
import { newId } from './id.ts';
import { checkRevision, type IfMatch } from './identity.ts';
import type { Db, Queryable } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';
import { resourcesHeld } from './resources-held.ts';

/** Zone of a host whose agent names none: one failure domain for the whole site. */
export const defaultZone = 'default';

function hostRows(db: Queryable) {
  return db
    .selectFrom('hosts')
    .innerJoin('sites', 'sites.name', 'hosts.site')
    .selectAll('hosts')
    .select([
      'sites.organization',
      sql<boolean>`hosts.last_seen_at > now() - make_interval(secs => ${unreachableAfterSeconds})`.as(
        'ready',
      ),
      sql<number>`(select coalesce(sum(claims.vcpus), 0) from claims where claims.site = hosts.site and claims.host = hosts.name)`.as(
        'claimed_vcpus',
      ),
      sql<number>`(select coalesce(sum(claims.memory_gib), 0) from claims where claims.site = hosts.site and claims.host = hosts.name)`.as(
        'claimed_memory',
      ),
      sql<number>`(select coalesce(sum(claims.disk_gib), 0) from claims where claims.site = hosts.site and claims.host = hosts.name)`.as(
        'claimed_disk',
      ),
      sql<number>`(select coalesce(sum(claims.gpus), 0)::int from claims where claims.site = hosts.site and claims.host = hosts.name)`.as(
        'claimed_gpus',
      ),
    ]);
}

type HostRow = Awaited<ReturnType<ReturnType<typeof hostRows>['executeTakeFirstOrThrow']>>;

function toHost(row: HostRow): Host {
  return {
    id: row.id,
    kind: 'Host',
    name: row.name,
    site: row.site,
    zone: row.zone,
    capacity: { vcpus: row.vcpus, memoryGiB: row.memory_gib, diskGiB: row.disk_gib, gpus: row.gpus },
    claimed: {
      vcpus: row.claimed_vcpus,
      memoryGiB: row.claimed_memory,
      diskGiB: row.claimed_disk,
      gpus: row.claimed_gpus,
    },
    gpuName: row.gpu_name,
    accel: row.accel,
    architecture: row.architecture,
    agentVersion: row.agent_version,
    facts: row.facts,
    images: row.images,
    capabilities: row.capabilities,
    state: row.ready ? 'Ready' : 'Unreachable',
    lastSeenAt: row.last_seen_at.toISOString(),
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export async function listHosts(db: Db, organization: string, page: PageRequest): Promise<Paged<Host>> {
  const rules: ListRules = {
    list: 'hosts',
    fields: {
      name: field('hosts.name'),
      site: field('hosts.site'),
      zone: field('hosts.zone'),
      architecture: field('hosts.architecture', 'text', ['x86_64', 'arm64']),
      accel: field('hosts.accel', 'text', ['kvm', 'tcg']),
    },
    order: { name: sql.ref('hosts.name'), createdAt: sql.ref('hosts.created_at'), id: sql.ref('hosts.id') },
    defaultOrder: 'name',
  };
  return readPage(hostRows(db).where('sites.organization', '=', organization), rules, page, toHost);
}

export async function getHost(
  db: Queryable,
  organization: string,
  site: string,
  name: string,
): Promise<Host> {
  const row = await hostRows(db)
    .where('sites.organization', '=', organization)
    .where('hosts.site', '=', site)
    .where('hosts.name', '=', name)
    .executeTakeFirst();
  if (!row) throw new StoreError('notFound', `site ${site} has no host ${name}`);
  return toHost(row);
}

/** Which of these host names the organization has. */
export async function hostNames(db: Queryable, organization: string): Promise<string[]> {
  const rows = await db
    .selectFrom('hosts')
    .innerJoin('sites', 'sites.name', 'hosts.site')
    .select('hosts.name')
    .where('sites.organization', '=', organization)
    .execute();
  return rows.map((row) => row.name);
}

/** Names of a site's hosts. */
export async function hostsOfSite(db: Queryable, site: string): Promise<string[]> {
  const rows = await db.selectFrom('hosts').select('name').where('site', '=', site).orderBy('name').execute();
  return rows.map((row) => row.name);
}

/**
 * Makes or renews a host, seen now. The revision grows only when what is said of it changes, not with each sign of life.
 * Throws `conflict` where the site is not on-prem, `invalid` for GPUs without a model or a model without GPUs.
 */
export async function registerHost(
  db: Db,
  organization: string,
  site: string,
  name: string,
  host: Schemas['HostRegistration'],
  by: Requester,
): Promise<Host> {
  return db.transaction().execute(async (tx) => {
    const home = await tx
      .selectFrom('sites')
      .select('provider')
      .where('name', '=', site)
      .where('organization', '=', organization)
      .executeTakeFirst();
    if (!home) throw new StoreError('notFound', `there is no site ${site}`);
    if (home.provider !== 'onprem')
      throw new StoreError('conflict', `site ${site} is ${home.provider}: only an on-prem site has hosts`);
    const { gpus = 0 } = host.capacity;
    const gpuName = host.gpuName ?? null;
    if (gpus > 0 !== (gpuName !== null))
      throw new StoreError(
        'invalid',
        gpuName === null
          ? `must name the model of the ${gpus} GPUs`
          : `must be absent where there are no GPUs, is ${gpuName}`,
        '/gpuName',
      );
    const said = {
      zone: host.zone ?? defaultZone,
      vcpus: host.capacity.vcpus,
      memory_gib: host.capacity.memoryGiB,
      disk_gib: host.capacity.diskGiB,
      gpus,
      gpu_name: gpuName,
      accel: host.accel,
      architecture: host.architecture,
      agent_version: host.agentVersion ?? '',
      facts: JSON.stringify(host.facts ?? {}),
      images: JSON.stringify(host.images ?? []),
      capabilities: JSON.stringify(host.capabilities ?? []),
    };
    const known = await tx
      .selectFrom('hosts')
      .select('state')
      .where('site', '=', site)
      .where('name', '=', name)
      .executeTakeFirst();
    if (known?.state !== 'Ready') await lockSites(tx, [site]);
    const id = newId();
    const columns = [
      'zone',
      'vcpus',
      'memory_gib',
      'disk_gib',
      'gpus',
      'gpu_name',
      'accel',
      'architecture',
      'agent_version',
      'facts',
      'images',
      'capabilities',
    ] as const;
    const own = sql.join(columns.map((column) => sql.ref(`hosts.${column}`)));
    const next = sql.join(columns.map((column) => sql.ref(`excluded.${column}`)));
    const kept = await tx
      .insertInto('hosts')
      .values({ id, site, name, ...said })
      .onConflict((conflict) =>
        conflict.columns(['site', 'name']).doUpdateSet({
          ...said,
          last_seen_at: sql<Date>`now()`,
          revision: sql<number>`hosts.revision + (case when (${own}) is distinct from (${next}) then 1 else 0 end)`,
          updated_at: sql<Date>`case when (${own}) is distinct from (${next}) then now() else hosts.updated_at end`,
        }),
      )
      .returning(['id', 'state'])
      .executeTakeFirstOrThrow();
    if (kept.id === id) {
      await appendEvent(tx, {
        type: 'host.registered',
        organization,
        resource: { kind: 'Host', id, name },
        actor: by.requestedBy,
        message: `host ${name} of site ${site} registered with ${host.capacity.vcpus} vCPUs, ${host.capacity.memoryGiB} GiB memory, ${host.capacity.diskGiB} GiB disk${gpus > 0 ? `, ${gpus} ${gpuName}` : ''} (${host.accel})`,
        data: { site },
      });
    }
    if (kept.state === 'Unreachable') await tellHostReady(tx, organization, site, { id: kept.id, name });
    if (kept.id === id || kept.state === 'Unreachable') await tellSiteHealth(tx, site);
    return getHost(tx, organization, site, name);
  });
}

/** Forgets a host that holds nothing. */
export async function deleteHost(
  db: Db,
  organization: string,
  site: string,
  name: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const host = await getHost(tx, organization, site, name);
    await lockSites(tx, [site]);
    await tx.selectFrom('hosts').select('id').where('id', '=', host.id).forUpdate().execute();
    checkRevision(`host ${name}`, host.revision, ifMatch);
    const claims = await tx
      .selectFrom('claims')
      .select('resource')
      .where('site', '=', site)
      .where('host', '=', name)
      .limit(10)
      .execute();
    const intents = await tx
      .selectFrom('intents')
      .select('resource')
      .where('site', '=', site)
      .where('host', '=', name)
      .where('state', '<>', 'removed')
      .limit(10)
      .execute();
    const held = [
      ...[...new Set([...claims, ...intents].map((each) => each.resource))].map(
        (id) => `what was made for ${id}`,
      ),
      ...(await resourcesHeld(tx, { site, host: name })),
    ];
    if (held.length > 0) throw new StoreError('conflict', `host ${name} still holds ${held.join(', ')}`);
    if (validateOnly) return;
    await tx.deleteFrom('hosts').where('id', '=', host.id).execute();
    await tx.deleteFrom('inventory').where('site', '=', site).where('host', '=', name).execute();
    await tx.deleteFrom('inventory_runs').where('site', '=', site).where('host', '=', name).execute();
    await appendEvent(tx, {
      type: 'host.deleted',
      organization,
      resource: { kind: 'Host', id: host.id, name },
      actor: by.requestedBy,
      message: `${by.requestedBy} removed host ${name} of site ${site}`,
      data: { site },
    });
    await tellSiteHealth(tx, site);
  });
}
