import type { Operation } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { ResourceKind, ResourceSpec, Resources } from './database.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import type { Tied } from './instance-networks.ts';
import type { Db, Queryable, Tx } from './open.ts';
import { insertOperation, type OperationVerb, type Requester, toOperation } from './operations.ts';
import { enqueue } from './outbox.ts';
import { field, jsonField, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';
import { wordsOf } from './resource-kinds.ts';
import { refuseWhileUsed, resolveReferences } from './resource-references.ts';
import { checkedSpec } from './resource-specs.ts';

export type ResourceRow = Selectable<Resources>;

/** A resource of any of these kinds, as the API shows it. */
export interface Resource {
  id: string;
  kind: ResourceKind;
  name: string;
  project: string;
  labels: Record<string, string>;
  spec: ResourceSpec;
  status: ResourceRow['status'];
  generation: number;
  revision: number;
  createdAt: string;
  updatedAt: string;
  deletedAt: string | null;
}

export function toResource(row: ResourceRow): Resource {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    project: row.project,
    labels: row.labels,
    spec: row.spec,
    status: row.status,
    generation: row.generation,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    deletedAt: row.deleted_at?.toISOString() ?? null,
  };
}

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** @throws StoreError `notFound`. */
export async function findResourceRow(
  db: Queryable,
  kind: ResourceKind,
  project: string,
  idOrName: string,
  lock = false,
): Promise<ResourceRow> {
  let query = db.selectFrom('resources').selectAll().where('project', '=', project).where('kind', '=', kind);
  query = isId(idOrName)
    ? query.where('id', '=', idOrName)
    : query.where('name', '=', idOrName).where('gone_at', 'is', null);
  if (lock) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  if (!row)
    throw new StoreError('notFound', `there is no ${wordsOf[kind]} ${idOrName} in project ${project}`);
  return row;
}

/** The project's resource of this name that is not gone, or undefined. */
export async function findResource(
  db: Queryable,
  kind: ResourceKind,
  project: string,
  name: string,
): Promise<Resource | undefined> {
  const row = await db
    .selectFrom('resources')
    .selectAll()
    .where('kind', '=', kind)
    .where('project', '=', project)
    .where('name', '=', name)
    .where('gone_at', 'is', null)
    .executeTakeFirst();
  return row && toResource(row);
}

/** By id or name; one that is gone is not found by name, and by id for as long as its row is kept. */
export async function getResource(
  db: Queryable,
  kind: ResourceKind,
  project: string,
  idOrName: string,
): Promise<Resource> {
  return toResource(await findResourceRow(db, kind, project, idOrName));
}

const states = [
  'Pending',
  'Adopting',
  'Creating',
  'Ready',
  'Updating',
  'Deleting',
  'Deleted',
  'Releasing',
  'Released',
  'Failed',
  'Lost',
];

/** The project's resources of a kind that are not gone. */
export async function listResources(
  db: Db,
  kind: ResourceKind,
  project: string,
  page: PageRequest,
): Promise<Paged<Resource>> {
  const rules: ListRules = {
    list: `${kind} of ${project}`,
    fields: {
      name: field('name'),
      state: field('state', 'text', states),
      site: field('site'),
      provider: jsonField('status', 'provider'),
      region: jsonField('status', 'region'),
      zone: jsonField('status', 'zone'),
      host: jsonField('status', 'host'),
    },
    labels: sql.ref('labels'),
    order: { name: sql.ref('name'), createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt',
  };
  const query = db
    .selectFrom('resources')
    .selectAll()
    .where('project', '=', project)
    .where('kind', '=', kind)
    .where('gone_at', 'is', null);
  return readPage(query, rules, page, toResource);
}

export interface ResourceRequest extends Requester {
  project: string;
  name: string;
  labels?: Record<string, string>;
  spec: ResourceSpec;
  validateOnly?: boolean;
  /** Throws where it may not be made: `spec` with what follows from what it names, whose ids are given. */
  admit?: (tx: Tx, spec: ResourceSpec, referred: readonly string[]) => Promise<void>;
}

/** Commits the resource (generation 1), its operation, the outbox row and the event, or nothing. */
export async function createResource(
  db: Db,
  kind: ResourceKind,
  request: ResourceRequest,
): Promise<{ resource: Resource; operation: Operation } | null> {
  const type = kind === 'Volume' ? ({ type: 'standard' } as const) : {};
  const spec = { ...type, ...checkedSpec(kind, request.spec) };
  const { project, name, labels = {} } = request;
  const taken = new StoreError(
    'conflict',
    `project ${project} already has a ${wordsOf[kind]} named ${name}`,
    '/name',
  );
  try {
    return await db.transaction().execute(async (tx) => {
      const { referred, implied } = await resolveReferences(tx, request.organization, project, kind, spec);
      await request.admit?.(tx, { ...spec, ...implied }, referred);
      if (request.validateOnly) {
        const other = await tx
          .selectFrom('resources')
          .select('id')
          .where('kind', '=', kind)
          .where('project', '=', project)
          .where('name', '=', name)
          .where('gone_at', 'is', null)
          .executeTakeFirst();
        if (other) throw taken;
        return null;
      }
      const row = await tx
        .insertInto('resources')
        .values({
          id: newId(),
          kind,
          project,
          name,
          labels: JSON.stringify(labels),
          spec: JSON.stringify({ ...spec, ...implied }),
          status: JSON.stringify({ state: 'Pending', observedGeneration: 0 }),
          refers_to: referred,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      return {
        resource: toResource(row),
        operation: await requestResourceChange(tx, row, request, 'create'),
      };
    });
  } catch (error) {
    throw isUniqueViolation(error) ? taken : error;
  }
}

/** The operation of a change, its outbox row and its event, beside the change itself. */
export async function requestResourceChange(
  tx: Tx,
  row: ResourceRow,
  by: Requester,
  verb: OperationVerb,
): Promise<Operation> {
  const resource = { kind: row.kind, id: row.id, name: row.name };
  const { project, generation } = row;
  const operation = await insertOperation(tx, by, { verb, project, resource, generation });
  await enqueue(tx, { workflow: 'resource', resource: row.id, project });
  await appendEvent(tx, {
    type: `${eventPrefix(row.kind)}.${verb}Requested`,
    organization: by.organization,
    project,
    resource,
    operation: operation.id,
    actor: by.requestedBy,
    message: `${by.requestedBy} asked to ${verb} ${wordsOf[row.kind]} ${row.name}`,
    data: { generation },
  });
  return operation;
}

/** `volume`, `customImage`: what the types of its events begin with. */
export function eventPrefix(kind: ResourceKind): string {
  return kind[0]!.toLowerCase() + kind.slice(1);
}

export interface ResourcePatch {
  labels?: Record<string, string | null>;
  /** A null takes the field away. */
  spec?: { [K in keyof ResourceSpec]?: ResourceSpec[K] | null };
}

/** Changes what is wanted. Answers the operation that brings it about; null when nothing changes. */
export async function changeResource(
  db: Db,
  kind: ResourceKind,
  change: Requester & {
    project: string;
    resource: string;
    patch: ResourcePatch;
    ifMatch: number | null;
    validateOnly?: boolean;
    /** Throws where it may not be so. */
    admit?: (tx: Tx, wanted: Pick<ResourceRow, 'name' | 'labels' | 'spec'>) => Promise<void>;
  },
): Promise<{ resource: Resource; operation: Operation | null }> {
  return db.transaction().execute(async (tx) => {
    const row = await findResourceRow(tx, kind, change.project, change.resource, true);
    checkResourceChangeable(row, change.ifMatch);
    refuseWhileAdopting(row);
    const labels = merged(row.labels, change.patch.labels ?? {});
    const asked = checkedSpec(kind, merged(row.spec, change.patch.spec ?? {}));
    if ((asked.sizeGiB ?? 0) < (row.spec.sizeGiB ?? 0))
      throw new StoreError('invalid', `a volume only grows: it has ${row.spec.sizeGiB} GiB`, '/spec/sizeGiB');
    const { referred, implied } = await resolveReferences(
      tx,
      change.organization,
      row.project,
      kind,
      asked,
      row,
    );
    const spec = { ...asked, ...implied };
    await change.admit?.(tx, { name: row.name, labels, spec });
    const same =
      JSON.stringify(sorted(spec)) === JSON.stringify(sorted(row.spec)) &&
      JSON.stringify(sorted(labels)) === JSON.stringify(sorted(row.labels));
    if (same || change.validateOnly)
      return { resource: toResource({ ...row, spec, labels }), operation: null };
    return amend(tx, row, change, { spec, labels, refers_to: referred });
  });
}

/** Writes what is wanted now, one generation on. */
async function amend(
  tx: Tx,
  row: ResourceRow,
  by: Requester,
  to: { spec: ResourceSpec; labels?: Record<string, string>; refers_to: string[] },
): Promise<{ resource: Resource; operation: Operation }> {
  const updated = await tx
    .updateTable('resources')
    .set({
      spec: JSON.stringify(to.spec),
      labels: JSON.stringify(to.labels ?? row.labels),
      refers_to: to.refers_to,
      generation: row.generation + 1,
      revision: row.revision + 1,
      updated_at: new Date(),
    })
    .where('id', '=', row.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  return { resource: toResource(updated), operation: await requestResourceChange(tx, updated, by, 'update') };
}

/** Throws where nothing can be asked of it now. */
export function checkResourceChangeable(row: ResourceRow, ifMatch: number | null): void {
  const what = `${wordsOf[row.kind]} ${row.name}`;
  if (row.gone_at) throw new StoreError('notFound', `${what} was ${row.releasing ? 'released' : 'deleted'}`);
  if (ifMatch !== null && ifMatch !== row.revision) {
    const message = `${what} is at revision ${row.revision}, not ${ifMatch}: read it again`;
    throw new StoreError('preconditionFailed', message);
  }
  if (row.deleted_at)
    throw new StoreError('conflict', `${what} is being ${row.releasing ? 'released' : 'deleted'}`);
}

/** What it is when it gets our stamp becomes what is wanted of it: a change before that would be lost. */
export function refuseWhileAdopting(row: ResourceRow): void {
  if (row.state === 'Adopting')
    throw new StoreError(
      'conflict',
      `${wordsOf[row.kind]} ${row.name} is being adopted: wait until that is done`,
    );
}

function merged<T extends object>(from: T, patch: { [K in keyof T]?: T[K] | null }): T {
  const entries = Object.entries({ ...from, ...patch }).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  return Object.fromEntries(entries) as T;
}

function sorted(value: object): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Asks for deletion. Asking again answers the operation that is already under way. */
export async function deleteResource(
  db: Db,
  kind: ResourceKind,
  request: Requester & { project: string; resource: string; ifMatch: number | null; validateOnly?: boolean },
): Promise<{ resource: Resource; operation: Operation | null }> {
  return db.transaction().execute(async (tx) => {
    const row = await findResourceRow(tx, kind, request.project, request.resource, true);
    if (row.deleted_at && !row.gone_at && !row.releasing) {
      const open = await tx
        .selectFrom('operations')
        .selectAll()
        .where('resource_id', '=', row.id)
        .where('verb', '=', 'delete')
        .orderBy('created_at', 'desc')
        .executeTakeFirst();
      if (open) return { resource: toResource(row), operation: toOperation(open) };
    }
    checkResourceChangeable(row, request.ifMatch);
    await refuseWhileUsed(tx, row);
    if (request.validateOnly) return { resource: toResource(row), operation: null };
    const updated = await tx
      .updateTable('resources')
      .set({
        deleted_at: new Date(),
        generation: row.generation + 1,
        revision: row.revision + 1,
        updated_at: new Date(),
      })
      .where('id', '=', row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    return {
      resource: toResource(updated),
      operation: await requestResourceChange(tx, updated, request, 'delete'),
    };
  });
}

const attachedTo = (db: Queryable, instance: string) =>
  db
    .selectFrom('resources')
    .selectAll()
    .where(sql<boolean>`refers_to @> array[${instance}]::uuid[]`)
    .where(sql<boolean>`spec->>'attachedTo' is not null`)
    .where('gone_at', 'is', null)
    .where('deleted_at', 'is', null)
    .orderBy('id');

/** Where an instance has to be for what is attached to it: that is somewhere already, and stays there. */
export async function placeOfAttached(db: Queryable, instance: string): Promise<Tied | undefined> {
  const places = (await attachedTo(db, instance).execute()).flatMap(({ kind, status }) => {
    const { readyAt, site, region, zone, host } = status;
    return readyAt && site && region
      ? [{ site, region, ...(zone && kind === 'Volume' ? { zones: [zone] } : {}), ...(host ? { host } : {}) }]
      : [];
  });
  return places.length > 0 ? Object.assign({}, ...places) : undefined;
}

/** The instance is another machine now: what is attached to it follows, each by an operation of its own. */
export async function reattachTo(
  tx: Tx,
  instance: { id: string; name: string },
  organization: string,
): Promise<void> {
  const requestedBy = `landfall (instance ${instance.name} is another machine)`;
  for (const row of await attachedTo(tx, instance.id).forUpdate().execute())
    if (row.status.readyAt) await requestResourceChange(tx, row, { organization, requestedBy }, 'repair');
}

/** What was attached to an instance that is to go is wanted attached to nothing from now on. */
export async function detachFrom(
  tx: Tx,
  instance: { id: string; name: string },
  by: Requester,
): Promise<void> {
  for (const row of await attachedTo(tx, instance.id).forUpdate().execute()) {
    const { attachedTo: _, ...spec } = row.spec;
    const refers_to = row.refers_to.filter((id) => id !== instance.id);
    await amend(
      tx,
      row,
      { ...by, requestedBy: `landfall (instance ${instance.name} is deleted)` },
      { spec, refers_to },
    );
  }
}
