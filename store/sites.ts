import { isDeepStrictEqual } from 'node:util';
import type { Schemas, Site } from '@landfall/model';
import { sql } from 'kysely';
import { hostCapabilities } from './capabilities.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { onpremState, unreachableAfterSeconds } from './health.ts';
import { newId } from './id.ts';
import { checkRevision, type IfMatch } from './identity.ts';
import type { Db, Queryable, Tx } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';
import { resourcesHeld } from './resources-held.ts';
import { callsPerSecond } from './site-calls.ts';

function siteRows(db: Queryable) {
  return db
    .selectFrom('sites')
    .selectAll('sites')
    .select([
      sql<number>`(select count(*)::int from hosts where hosts.site = sites.name)`.as('hosts'),
      sql<number>`(select count(*)::int from hosts where hosts.site = sites.name and hosts.last_seen_at > now() - make_interval(secs => ${unreachableAfterSeconds}))`.as(
        'hosts_ready',
      ),
      sql<number>`(select count(*)::int from instances where instances.site = sites.name and instances.gone_at is null)`.as(
        'instances',
      ),
    ]);
}

type SiteRow = Awaited<ReturnType<ReturnType<typeof siteRows>['executeTakeFirstOrThrow']>>;

/** An on-prem site is as ready as its hosts; of a cloud site its worker says. */
function siteState(row: SiteRow): Pick<Site['status'], 'state' | 'message'> {
  return row.provider === 'onprem'
    ? onpremState(row.hosts, row.hosts_ready)
    : { state: row.state as Site['status']['state'], message: row.message };
}

function toSite(row: SiteRow): Site {
  return {
    id: row.id,
    kind: 'Site',
    name: row.name,
    organization: row.organization,
    labels: row.labels,
    spec: row.spec,
    status: {
      ...siteState(row),
      hosts: row.hosts,
      instances: row.instances,
      lastInventoryAt: row.last_inventory_at?.toISOString() ?? null,
      callsPerSecond: callsPerSecond(row.spec),
    },
    generation: row.generation,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export async function listSites(db: Db, organization: string, page: PageRequest): Promise<Paged<Site>> {
  const rules: ListRules = {
    list: 'sites',
    fields: {
      name: field('sites.name'),
      provider: field('sites.provider', 'text', ['aws', 'azure', 'gcp', 'onprem']),
    },
    labels: sql.ref('sites.labels'),
    order: { name: sql.ref('sites.name'), createdAt: sql.ref('sites.created_at'), id: sql.ref('sites.id') },
    defaultOrder: 'name',
  };
  return readPage(siteRows(db).where('sites.organization', '=', organization), rules, page, toSite);
}

/** Null where the organization has none of this name. */
export async function findSite(db: Queryable, organization: string, name: string): Promise<Site | null> {
  const row = await siteRows(db)
    .where('sites.organization', '=', organization)
    .where('sites.name', '=', name)
    .executeTakeFirst();
  if (!row) return null;
  const { status, ...site } = toSite(row);
  const capabilities = row.provider === 'onprem' ? await hostCapabilities(db, name) : row.capabilities;
  return { ...site, status: { ...status, capabilities, facts: row.facts } };
}

export async function getSite(db: Queryable, organization: string, name: string): Promise<Site> {
  const site = await findSite(db, organization, name);
  if (!site) throw new StoreError('notFound', `there is no site ${name}`);
  return site;
}

/** Keeps a site from being deleted until the transaction ends. Throws `notFound` where the organization has none of this name. */
export async function holdSite(tx: Tx, organization: string, name: string): Promise<void> {
  const site = await tx
    .selectFrom('sites')
    .select('id')
    .where('organization', '=', organization)
    .where('name', '=', name)
    .forKeyShare()
    .executeTakeFirst();
  if (!site) throw new StoreError('notFound', `there is no site ${name}`);
}

/** Names of the organization's sites, for messages and did-you-mean. */
export async function siteNames(db: Queryable, organization: string): Promise<string[]> {
  const rows = await db
    .selectFrom('sites')
    .select('name')
    .where('organization', '=', organization)
    .orderBy('name')
    .execute();
  return rows.map((row) => row.name);
}

type NewSite = Schemas['SiteInput'] & { organization: string };

export async function createSite(db: Db, input: NewSite, by: Requester, validateOnly = false): Promise<Site> {
  const taken = new StoreError('conflict', `there is already a site named ${input.name}`, '/name');
  try {
    return await db.transaction().execute(async (tx) => {
      const id = newId();
      if (validateOnly) {
        if (await tx.selectFrom('sites').select('id').where('name', '=', input.name).executeTakeFirst())
          throw taken;
        const now = new Date().toISOString();
        const kept = {
          id,
          kind: 'Site' as const,
          name: input.name,
          organization: input.organization,
          labels: input.labels ?? {},
          spec: input.spec,
        };
        return {
          ...kept,
          status: { state: 'Pending' as const },
          generation: 1,
          revision: 1,
          createdAt: now,
          updatedAt: now,
        };
      }
      await tx
        .insertInto('sites')
        .values({
          id,
          organization: input.organization,
          name: input.name,
          provider: input.spec.provider,
          labels: JSON.stringify(input.labels ?? {}),
          spec: JSON.stringify(input.spec),
        })
        .execute();
      await appendEvent(tx, siteEvent('created', input.organization, { id, name: input.name }, by));
      return getSite(tx, input.organization, input.name);
    });
  } catch (error) {
    throw isUniqueViolation(error) ? taken : error;
  }
}

function siteEvent(
  what: 'created' | 'updated' | 'deleted',
  organization: string,
  site: { id: string; name: string },
  by: Requester,
) {
  return {
    type: `site.${what}`,
    organization,
    resource: { kind: 'Site', ...site },
    actor: by.requestedBy,
    message: `${by.requestedBy} ${what} site ${site.name}`,
  };
}

/** Replaces labels and spec; the provider stays what it was. */
export async function updateSite(
  db: Db,
  input: NewSite,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<Site> {
  return db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('sites')
      .selectAll()
      .where('name', '=', input.name)
      .where('organization', '=', input.organization)
      .forUpdate()
      .executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no site ${input.name}`);
    checkRevision(`site ${input.name}`, row.revision, ifMatch);
    if (input.spec.provider !== row.provider) {
      throw new StoreError(
        'invalid',
        `a site's provider cannot change: ${input.name} is ${row.provider}`,
        '/spec/provider',
      );
    }
    for (const account of ['subscription', 'project'] as const)
      if (row.spec[account] !== undefined && input.spec[account] !== row.spec[account])
        throw new StoreError(
          'invalid',
          `a site's ${account} cannot change, for its machines are in it: ${input.name} has ${row.spec[account]}; add another site`,
          `/spec/${account}`,
        );
    const specChanged = !isDeepStrictEqual(input.spec, row.spec);
    const next = {
      labels: input.labels ?? {},
      spec: input.spec,
      generation: row.generation + (specChanged ? 1 : 0),
      revision: row.revision + 1,
    };
    if (validateOnly)
      return { ...(await getSite(tx, row.organization, row.name)), ...next, revision: row.revision };
    await tx
      .updateTable('sites')
      .set({
        ...next,
        labels: JSON.stringify(next.labels),
        spec: JSON.stringify(next.spec),
        updated_at: sql<Date>`now()`,
      })
      .where('id', '=', row.id)
      .execute();
    await appendEvent(tx, siteEvent('updated', row.organization, { id: row.id, name: row.name }, by));
    return getSite(tx, row.organization, row.name);
  });
}

/** Removes a site without machines, with its hosts, its agents' tokens and what was kept of its offers and inventory. */
export async function deleteSite(
  db: Db,
  organization: string,
  name: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('sites')
      .selectAll()
      .where('name', '=', name)
      .where('organization', '=', organization)
      .forUpdate()
      .executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no site ${name}`);
    checkRevision(`site ${name}`, row.revision, ifMatch);
    const instances = await tx
      .selectFrom('instances')
      .select(['name', 'project'])
      .where('site', '=', name)
      .where('gone_at', 'is', null)
      .orderBy('name')
      .limit(10)
      .execute();
    const intents = await tx
      .selectFrom('intents')
      .select('resource')
      .where('site', '=', name)
      .where('state', '<>', 'removed')
      .limit(10)
      .execute();
    const claims = await tx
      .selectFrom('claims')
      .select('resource')
      .where('site', '=', name)
      .limit(10)
      .execute();
    const left = new Set([
      ...instances.map((each) => `instance ${each.name} of project ${each.project}`),
      ...(await resourcesHeld(tx, { site: name })),
      ...(instances.length > 0
        ? []
        : [...intents, ...claims].map((each) => `what was made for ${each.resource}`)),
    ]);
    if (left.size > 0) throw new StoreError('conflict', `site ${name} still holds ${[...left].join(', ')}`);
    if (validateOnly) return;
    for (const table of [
      'hosts',
      'site_offers',
      'inventory',
      'inventory_runs',
      'set_asides',
      'tokens',
    ] as const) {
      await tx.deleteFrom(table).where('site', '=', name).execute();
    }
    await tx.deleteFrom('sites').where('id', '=', row.id).execute();
    await appendEvent(tx, siteEvent('deleted', organization, { id: row.id, name }, by));
  });
}

/** Makes a site, unless there is one of the name or it was deleted on purpose. Answers whether there is one. */
export async function ensureSite(tx: Tx, site: NewSite): Promise<boolean> {
  const there = await tx.selectFrom('sites').select('id').where('name', '=', site.name).executeTakeFirst();
  if (there) return true;
  const deleted = await tx
    .selectFrom('events')
    .select('id')
    .where('type', '=', 'site.deleted')
    .where('resource_name', '=', site.name)
    .executeTakeFirst();
  if (deleted) return false;
  const { name, organization, labels, spec } = site;
  await tx
    .insertInto('sites')
    .values({
      id: newId(),
      name,
      organization,
      provider: spec.provider,
      labels: JSON.stringify(labels ?? {}),
      spec: JSON.stringify(spec),
    })
    .execute();
  return true;
}
