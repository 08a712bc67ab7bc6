import { sql } from 'kysely';
import type { ResourceKind, ResourceSpec } from './database.ts';
import { StoreError } from './errors.ts';
import { outboxChannel } from './events.ts';
import type { Queryable, Tx } from './open.ts';
import { checkCapability, checkImport } from './resource-capabilities.ts';
import { type Reference, referencesOf, wordsOf } from './resource-kinds.ts';
import type { ResourceRow } from './resources.ts';

/** Something that a spec names, as it is now. */
export interface Referred {
  id: string;
  kind: ResourceKind | 'Instance';
  name: string;
  state: string;
  site: string | null;
  region: string | null;
  zone: string | null;
  host: string | null;
  ref: string | null;
  spec: ResourceSpec;
  /** What it says of its data; null: nothing. */
  dataClass: string | null;
  deleted_at: Date | null;
  gone_at: Date | null;
}

/** Resources and instances by their ids. */
export async function referredTo(db: Queryable, ids: readonly string[]): Promise<Referred[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<Referred>`
    select id, kind, name, state, status->>'site' as site, status->>'region' as region, status->>'zone' as zone,
           status->>'host' as host, status->>'externalReference' as ref, spec, spec->>'dataClass' as "dataClass", deleted_at, gone_at
      from resources where id = any(${ids}::uuid[])
    union all
    select id, 'Instance', name, state, status->>'site', status->>'region', status->>'zone',
           status->>'host', status->>'externalReference', '{}'::jsonb, spec->>'dataClass', deleted_at, gone_at
      from instances where id = any(${ids}::uuid[])`.execute(db);
  return rows;
}

/**
 * Finds what the spec names, and sees that it can be: each there and staying, all in one place, and a place that can be told.
 * @param row of a resource that exists: what it was made from may be gone by now.
 * @returns ids of what it names, and what follows from that where the spec does not say it: the size and the class of its data.
 * @throws StoreError `invalid` with the pointer.
 */
export async function resolveReferences(
  tx: Tx,
  organization: string,
  project: string,
  kind: ResourceKind,
  spec: ResourceSpec,
  row?: ResourceRow,
): Promise<{ referred: string[]; implied: Pick<ResourceSpec, 'sizeGiB' | 'dataClass'> }> {
  const found: { reference: Reference; at: Referred }[] = [];
  for (const reference of referencesOf(spec)) {
    if (row && reference.source && row.status.readyAt) continue;
    const at = await named(tx, project, reference);
    found.push({ reference, at });
  }
  if (!row) {
    const site = await siteFor(tx, organization, kind, spec, found);
    const host = spec.host ?? found[0]?.at.host ?? null;
    if (site) {
      await checkImport(tx, site, spec);
      await checkCapability(tx, { site, host }, kind, spec);
    }
  }
  for (const { reference, at } of found) checkReach(spec, reference, at, row);
  const implied: Pick<ResourceSpec, 'sizeGiB' | 'dataClass'> = dataClassOf(kind, spec, found);
  const snapshot = found.find(({ at }) => at.kind === 'Snapshot');
  if (!row && snapshot && kind === 'Volume') {
    const least = await snapshotSize(tx, snapshot.at.id);
    if (least !== undefined && spec.sizeGiB !== undefined && spec.sizeGiB < least)
      throw new StoreError(
        'invalid',
        `must be at least ${least}, the size of snapshot ${snapshot.at.name}, is ${spec.sizeGiB}`,
        '/spec/sizeGiB',
      );
    if (least !== undefined && spec.sizeGiB === undefined) implied.sizeGiB = least;
  }
  return { referred: found.map(({ at }) => at.id), implied };
}

/**
 * The class of the data of what names these: that of what it is made from, else of what it is attached to. It is kept with the
 * resource, since its data outlives both.
 */
function dataClassOf(
  kind: ResourceKind,
  spec: ResourceSpec,
  found: readonly { reference: Reference; at: Pick<Referred, 'dataClass'> }[],
): Pick<ResourceSpec, 'dataClass'> {
  if (!holdsData.has(kind) || spec.dataClass !== undefined) return {};
  const first = [...found]
    .sort((a, b) => Number(b.reference.source) - Number(a.reference.source))
    .find(({ at }) => at.dataClass);
  return first ? { dataClass: first.at.dataClass! } : {};
}

/** Kinds with data of users: these have a class of it. */
export const holdsData: ReadonlySet<ResourceKind> = new Set(['Volume', 'Snapshot', 'CustomImage']);

async function snapshotSize(tx: Tx, id: string): Promise<number | undefined> {
  const { rows } = await sql<{ size: number | null }>`
    select coalesce((s.status->>'sizeGiB')::float8, (v.spec->>'sizeGiB')::float8) as size
      from resources s left join resources v on v.id = any(s.refers_to) where s.id = ${id}`.execute(tx);
  return rows[0]?.size ?? undefined;
}

async function named(tx: Tx, project: string, { kind, name, pointer }: Reference): Promise<Referred> {
  const row =
    kind === 'Instance'
      ? await tx
          .selectFrom('instances')
          .select('id')
          .where('project', '=', project)
          .where('name', '=', name)
          .where('gone_at', 'is', null)
          .forShare()
          .executeTakeFirst()
      : await tx
          .selectFrom('resources')
          .select('id')
          .where('kind', '=', kind)
          .where('project', '=', project)
          .where('name', '=', name)
          .where('gone_at', 'is', null)
          .forShare()
          .executeTakeFirst();
  const word = kind === 'Instance' ? 'instance' : wordsOf[kind];
  if (!row) throw new StoreError('invalid', `there is no ${word} ${name} in project ${project}`, pointer);
  const [at] = await referredTo(tx, [row.id]);
  if (at!.deleted_at) throw new StoreError('invalid', `${word} ${name} is being deleted`, pointer);
  return at!;
}

/**
 * The site that the spec says, that what is named is at, or that is the only one; undefined where what is named has no place
 * yet. Throws `invalid` where none follows.
 */
async function siteFor(
  tx: Tx,
  organization: string,
  kind: ResourceKind,
  spec: ResourceSpec,
  found: readonly { at: Referred }[],
): Promise<string | undefined> {
  const sites = await tx
    .selectFrom('sites')
    .select(['name', 'spec'])
    .where('organization', '=', organization)
    .orderBy('name')
    .execute();
  const names = sites.map(({ name }) => name).join(', ');
  if (spec.site !== undefined) {
    const site = sites.find(({ name }) => name === spec.site);
    if (!site)
      throw new StoreError(
        'invalid',
        `there is no site ${spec.site}; there are: ${names || 'none'}`,
        '/spec/site',
      );
    const regions = site.spec.regions ?? [];
    if (spec.region !== undefined && regions.length > 0 && !regions.includes(spec.region))
      throw new StoreError(
        'invalid',
        `is no region of site ${site.name}, which has ${regions.join(', ')}: ${spec.region}`,
        '/spec/region',
      );
    return site.name;
  }
  if (found.length > 0) return found[0]!.at.site ?? undefined;
  if (sites.length === 1) return sites[0]!.name;
  const advice = sites.length === 0 ? 'there is no site yet: add one' : `say which of the sites: ${names}`;
  throw new StoreError(
    'invalid',
    `is needed for a ${wordsOf[kind]} that nothing else places; ${advice}`,
    '/spec/site',
  );
}

/** What is named has to be where the resource is to be, or already is. */
function checkReach(spec: ResourceSpec, { pointer }: Reference, at: Referred, row?: ResourceRow): void {
  const own = { ...spec, ...(row?.status.site ? row.status : {}) };
  for (const field of ['site', 'region', 'zone', 'host'] as const) {
    if (field === 'zone' && (row ?? { kind: '' }).kind !== 'Volume') continue;
    const [here, there] = [own[field], at[field]];
    if (here && there && here !== there)
      throw new StoreError(
        'invalid',
        `${at.name} is in ${field} ${there}, and this in ${field} ${here}: they have to be in one place`,
        pointer,
      );
  }
}

/** What still uses a resource. `source` users need it only until they are ready, and not at all where they are adopted. */
export async function usersOf(
  db: Queryable,
  id: string,
): Promise<{ kind: string; name: string; deleting: boolean }[]> {
  const { rows } = await sql<{ kind: string; name: string; deleting: boolean }>`
    select kind, name, deleted_at is not null as deleting
      from resources
     where refers_to @> array[${id}]::uuid[] and gone_at is null
       and (kind = 'Firewall' or (status->>'readyAt' is null and adopted is null))
    union all
    select 'Instance', name, deleted_at is not null from instances where network = ${id} and gone_at is null
     order by 1, 2`.execute(db);
  return rows;
}

/** Throws `conflict` while something that is not itself being deleted uses the resource. */
export async function refuseWhileUsed(tx: Tx, row: ResourceRow): Promise<void> {
  const users = (await usersOf(tx, row.id)).filter(({ deleting }) => !deleting);
  if (users.length === 0) return;
  const names = users.slice(0, 5).map(({ kind, name }) => `${kind.toLowerCase()}/${name}`);
  const more = users.length > 5 ? ` and ${users.length - 5} more` : '';
  throw new StoreError(
    'conflict',
    `${wordsOf[row.kind]} ${row.name} is used by ${names.join(', ')}${more}: delete them first`,
  );
}

/**
 * Wakes the workflows of what waits for a resource or an instance to change: those that name it, and those that it names,
 * as far as an operation of theirs is open.
 */
export async function wakeNeighbours(tx: Tx, id: string): Promise<void> {
  const { numAffectedRows } = await sql`
    insert into outbox (workflow, resource, project)
    select near.workflow, near.id, near.project from (
      select 'resource' as workflow, id, project from resources
       where gone_at is null and (refers_to @> array[${id}]::uuid[]
          or id = any(select unnest(refers_to) from resources where id = ${id})
          or id = (select network from instances where id = ${id}))
      union all
      select 'instance', id, project from instances where network = ${id} and gone_at is null) near
     where exists (select from operations o where o.resource_id = near.id and o.state in ('Pending', 'Running'))`.execute(
    tx,
  );
  if (numAffectedRows) await sql`select pg_notify(${outboxChannel}, '')`.execute(tx);
}
