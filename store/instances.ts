import { createHash } from 'node:crypto';
import { durationMs, type Instance, type InstanceSpec, type Operation, type Schemas } from '@landfall/model';
import type { Selectable, Updateable } from 'kysely';
import { sql } from 'kysely';
import type { Instances } from './database.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import type { Db, Queryable, Tx } from './open.ts';
import { insertOperation, type OperationVerb, type Requester, toOperation } from './operations.ts';
import { enqueue } from './outbox.ts';
import { detachFrom } from './resources.ts';

export type InstanceRow = Selectable<Instances>;

/** As many as the API document lets a request carry. */
const mostLabels = 64;

/** A spec while it is being worked out: the API's read-only fields are the store's to write. */
type Draft = { -readonly [K in keyof InstanceSpec]: InstanceSpec[K] };

export function toInstance(row: InstanceRow): Instance {
  return {
    id: row.id,
    kind: 'Instance',
    name: row.name,
    project: row.project,
    labels: row.labels,
    spec: row.spec,
    status: { ...row.status, ...(row.expires_at ? { expiresAt: row.expires_at.toISOString() } : {}) },
    generation: row.generation,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    deletedAt: row.deleted_at?.toISOString() ?? null,
  };
}

/** What the API shows of user data: that it is this, never what it is. */
export function userDataDigest(userData: string): string {
  return `sha256:${createHash('sha256').update(userData).digest('hex')}`;
}

const isId = (text: string): boolean =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);

/**
 * By id or name; one that is gone is not found by name, and by id for as long as its row is kept. With the guest's counters
 * from the last inventory, where its provider has them.
 */
export async function getInstance(db: Queryable, project: string, idOrName: string): Promise<Instance> {
  const row = await findRow(db, project, idOrName);
  const instance = toInstance(row);
  const seen = await db
    .selectFrom('inventory')
    .select('item')
    .where('resource', '=', row.id)
    .where('attempt', '=', row.attempt)
    .where(sql<boolean>`not (item->>'child')::boolean`)
    .executeTakeFirst();
  const metrics = seen?.item.details?.metrics;
  return metrics ? { ...instance, status: { ...instance.status, metrics } } : instance;
}

/** Throws `notFound`. */
export async function findRow(
  db: Queryable,
  project: string,
  idOrName: string,
  lock = false,
): Promise<InstanceRow> {
  let query = db.selectFrom('instances').selectAll().where('project', '=', project);
  query = isId(idOrName)
    ? query.where('id', '=', idOrName)
    : query.where('name', '=', idOrName).where('gone_at', 'is', null);
  if (lock) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no instance ${idOrName} in project ${project}`);
  return row;
}

/** Id of the project's live instance of this name, or null. */
export async function findInstanceId(db: Queryable, project: string, name: string): Promise<string | null> {
  const row = await db
    .selectFrom('instances')
    .select('id')
    .where('project', '=', project)
    .where('name', '=', name)
    .where('gone_at', 'is', null)
    .executeTakeFirst();
  return row?.id ?? null;
}

export interface InstanceRequest extends Requester {
  project: string;
  name: string;
  labels: Record<string, string>;
  /** With defaults applied; `userData` is taken out and kept apart. */
  spec: InstanceSpec;
}

/** Commits the instance (generation 1), its operation, the outbox row and the event, or nothing. */
export async function createInstance(
  db: Db,
  request: InstanceRequest,
): Promise<{ instance: Instance; operation: Operation }> {
  const { userData, ...rest } = request.spec;
  const spec: Draft = rest;
  if (userData !== undefined) spec.userDataDigest = userDataDigest(userData);
  spec.reboots = 0;
  const now = Date.now();
  try {
    return await db.transaction().execute(async (tx) => {
      await checkLimits(tx, request.project, spec, null);
      const network = await networkId(tx, request.project, spec);
      const row = await tx
        .insertInto('instances')
        .values({
          id: newId(now),
          project: request.project,
          name: request.name,
          labels: JSON.stringify(request.labels),
          spec: JSON.stringify(spec),
          user_data: userData ?? null,
          network,
          status: JSON.stringify({ state: 'Pending', observedGeneration: 0 }),
          expires_at: spec.ttl ? new Date(now + durationMs(spec.ttl)) : null,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      const operation = await requestChange(tx, row, request, 'create');
      return { instance: toInstance(row), operation };
    });
  } catch (error) {
    if (isUniqueViolation(error)) {
      throw new StoreError(
        'conflict',
        `project ${request.project} already has an instance named ${request.name}`,
        '/name',
      );
    }
    throw error;
  }
}

/** Id of the network that the spec names. Throws `invalid` where there is none, or it has no such subnet. */
async function networkId(tx: Tx, project: string, spec: Draft): Promise<string | null> {
  if (spec.network === undefined) {
    if (spec.subnet === undefined) return null;
    throw new StoreError('invalid', 'is of a network: name that too', '/spec/subnet');
  }
  const row = await tx
    .selectFrom('resources')
    .select(['id', 'spec', 'deleted_at'])
    .where('kind', '=', 'Network')
    .where('project', '=', project)
    .where('name', '=', spec.network)
    .where('gone_at', 'is', null)
    .forShare()
    .executeTakeFirst();
  if (!row)
    throw new StoreError(
      'invalid',
      `there is no network ${spec.network} in project ${project}`,
      '/spec/network',
    );
  if (row.deleted_at)
    throw new StoreError('invalid', `network ${spec.network} is being deleted`, '/spec/network');
  const names = (row.spec.subnets ?? []).map(({ name }) => name);
  if (spec.subnet !== undefined && !names.includes(spec.subnet))
    throw new StoreError(
      'invalid',
      `network ${spec.network} has no subnet ${spec.subnet}; it has ${names.join(', ')}`,
      '/spec/subnet',
    );
  return row.id;
}

/** The operation of a change, its outbox row and its event, beside the change itself. */
export async function requestChange(
  tx: Tx,
  row: InstanceRow,
  by: Requester,
  verb: OperationVerb,
  message = `${by.requestedBy} asked to ${verb} instance ${row.name}`,
): Promise<Operation> {
  const resource = { kind: 'Instance', id: row.id, name: row.name };
  const operation = await insertOperation(tx, by, {
    verb,
    project: row.project,
    resource,
    generation: row.generation,
  });
  await enqueue(tx, { workflow: 'instance', resource: row.id, project: row.project });
  await appendEvent(tx, {
    type: `instance.${verb}Requested`,
    organization: by.organization,
    project: row.project,
    resource,
    operation: operation.id,
    actor: by.requestedBy,
    message,
    data: { generation: row.generation },
  });
  return operation;
}

/** Throws `limitExceeded` when the project's instances, with this one, would exceed its limits. Serialised per project. */
export async function checkLimits(
  tx: Tx,
  project: string,
  spec: { vcpus: number; memoryGiB: number },
  except: string | null,
): Promise<void> {
  const row = await tx.selectFrom('projects').select('limits').where('name', '=', project).executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no project ${project}`);
  const limits = row.limits;
  if (limits.instances === undefined && limits.vcpus === undefined && limits.memoryGiB === undefined) return;
  await tx.selectFrom('projects').select('id').where('name', '=', project).forUpdate().execute();
  let query = tx
    .selectFrom('instances')
    .select([
      sql<number>`count(*)::int`.as('instances'),
      sql<number>`coalesce(sum((spec->>'vcpus')::float8), 0)`.as('vcpus'),
      sql<number>`coalesce(sum((spec->>'memoryGiB')::float8), 0)`.as('memoryGiB'),
    ])
    .where('project', '=', project)
    .where('gone_at', 'is', null);
  if (except) query = query.where('id', '<>', except);
  const used = await query.executeTakeFirstOrThrow();
  const more = { instances: 1, vcpus: spec.vcpus, memoryGiB: spec.memoryGiB };
  for (const key of ['instances', 'vcpus', 'memoryGiB'] as const) {
    const limit = limits[key];
    if (limit !== undefined && used[key] + more[key] > limit) {
      throw new StoreError(
        'limitExceeded',
        `project ${project} may have ${limit} ${key} in all; ${used[key]} are in use and this asks for ${more[key]} more`,
        key === 'instances' ? undefined : `/spec/${key}`,
      );
    }
  }
}

export interface InstanceChange extends Requester {
  project: string;
  instance: string;
  verb: 'update' | 'start' | 'stop' | 'reboot' | 'resize';
  /** For update and resize; labels with null are removed. */
  patch?: Schemas['InstancePatch'];
  /** Revision the caller read, or null for any. */
  ifMatch: number | null;
  validateOnly?: boolean;
}

/**
 * Changes what is wanted. Answers the operation that brings it about; null when an update changes nothing.
 * start and stop of what is already so get an operation too: it succeeds at once.
 */
export async function changeInstance(
  db: Db,
  change: InstanceChange,
): Promise<{ instance: Instance; operation: Operation | null }> {
  return db.transaction().execute(async (tx) => {
    const row = await findRow(tx, change.project, change.instance, true);
    checkChangeable(row, change.ifMatch);
    // What it is when it gets our stamp becomes what is wanted of it: a change before that would be lost.
    if (row.state === 'Adopting')
      throw new StoreError('conflict', `instance ${row.name} is being adopted: wait until that is done`);
    const wanted = wantedAfter(row, change);
    const specChanged = JSON.stringify(wanted.spec) !== JSON.stringify(row.spec);
    const labelsChanged = JSON.stringify(wanted.labels) !== JSON.stringify(row.labels);
    if (specChanged) await checkLimits(tx, row.project, wanted.spec, row.id);
    if (change.validateOnly) return { instance: toInstance({ ...row, ...wanted }), operation: null };
    if (!specChanged && !labelsChanged && change.verb === 'update')
      return { instance: toInstance(row), operation: null };
    const set: Updateable<Instances> = {
      spec: JSON.stringify(wanted.spec),
      labels: JSON.stringify(wanted.labels),
      expires_at: wanted.expires_at,
      revision: row.revision + 1,
      updated_at: new Date(),
    };
    if (specChanged || labelsChanged) set.generation = row.generation + 1;
    const updated = await tx
      .updateTable('instances')
      .set(set)
      .where('id', '=', row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const operation = await requestChange(tx, updated, change, change.verb);
    return { instance: toInstance(updated), operation };
  });
}

/** Throws `notFound`, `preconditionFailed`, or `conflict` for one that is to go. */
export function checkChangeable(row: InstanceRow, ifMatch: number | null): void {
  if (row.gone_at)
    throw new StoreError('notFound', `instance ${row.name} was ${row.releasing ? 'released' : 'deleted'}`);
  if (ifMatch !== null && ifMatch !== row.revision) {
    throw new StoreError(
      'preconditionFailed',
      `instance ${row.name} is at revision ${row.revision}, not ${ifMatch}: read it again`,
    );
  }
  if (row.deleted_at)
    throw new StoreError(
      'conflict',
      `instance ${row.name} is being ${row.releasing ? 'released' : 'deleted'}`,
    );
}

function wantedAfter(
  row: InstanceRow,
  change: InstanceChange,
): { spec: InstanceSpec; labels: Record<string, string>; expires_at: Date | null } {
  const spec: Draft = { ...row.spec };
  let labels = row.labels;
  let expiresAt = row.expires_at;
  if (change.verb === 'start') spec.power = 'running';
  if (change.verb === 'stop') spec.power = 'stopped';
  if (change.verb === 'reboot') {
    if (spec.power === 'stopped')
      throw new StoreError('conflict', `instance ${row.name} is stopped: start it instead`);
    spec.reboots = (spec.reboots ?? 0) + 1;
  }
  const patch = change.patch;
  if (patch?.spec) {
    const { ttl, ...sizes } = patch.spec;
    for (const [key, value] of Object.entries(sizes))
      if (value !== undefined) Object.assign(spec, { [key]: value });
    if ((spec.diskGiB ?? 0) < (row.spec.diskGiB ?? 0)) {
      throw new StoreError('invalid', `a disk only grows: it has ${row.spec.diskGiB} GiB`, '/spec/diskGiB');
    }
    if (ttl === null) {
      delete spec.ttl;
      expiresAt = null;
    } else if (ttl !== undefined) {
      spec.ttl = ttl;
      expiresAt = new Date(row.created_at.getTime() + durationMs(ttl));
    }
  }
  if (patch?.labels) {
    const kept = { ...labels, ...patch.labels };
    labels = Object.fromEntries(
      Object.entries(kept).filter((entry): entry is [string, string] => entry[1] !== null),
    );
  }
  if (Object.keys(labels).length > mostLabels) {
    throw new StoreError(
      'invalid',
      `an instance has at most ${mostLabels} labels; this would make ${Object.keys(labels).length}`,
      '/labels',
    );
  }
  return { spec, labels, expires_at: expiresAt };
}

/** Asks for deletion. Asking again answers the operation that is already under way. */
export async function deleteInstance(
  db: Db,
  request: Requester & {
    project: string;
    instance: string;
    ifMatch: number | null;
    validateOnly?: boolean;
    verb?: 'delete' | 'expire';
  },
): Promise<{ instance: Instance; operation: Operation | null }> {
  return db.transaction().execute(async (tx) => {
    const row = await findRow(tx, request.project, request.instance, true);
    if (row.deleted_at && !row.gone_at) {
      const open = await tx
        .selectFrom('operations')
        .selectAll()
        .where('resource_id', '=', row.id)
        .where('verb', 'in', ['delete', 'expire'])
        .orderBy('created_at', 'desc')
        .executeTakeFirst();
      if (open) return { instance: toInstance(row), operation: toOperation(open) };
    }
    checkChangeable(row, request.ifMatch);
    if (request.validateOnly) return { instance: toInstance(row), operation: null };
    const updated = await tx
      .updateTable('instances')
      .set({
        deleted_at: new Date(),
        generation: row.generation + 1,
        revision: row.revision + 1,
        updated_at: new Date(),
      })
      .where('id', '=', row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await detachFrom(tx, row, request);
    const operation = await requestChange(tx, updated, request, request.verb ?? 'delete');
    return { instance: toInstance(updated), operation };
  });
}

/** Live instances whose time to live is over, oldest first. */
export async function expiredInstances(
  db: Db,
  limit: number,
): Promise<{ id: string; project: string; organization: string }[]> {
  return db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.name', 'instances.project')
    .select(['instances.id', 'instances.project', 'projects.organization'])
    .where('gone_at', 'is', null)
    .where('deleted_at', 'is', null)
    .where('expires_at', '<', sql<Date>`now()`)
    .orderBy('expires_at')
    .limit(limit)
    .execute();
}

/** The firewalls of a network changed: its instances are to be brought in line, each by an operation of its own. */
export async function alignInstances(
  tx: Tx,
  network: string,
  by: Requester & { concerns: (labels: Record<string, string>) => boolean },
): Promise<void> {
  const rows = await tx
    .selectFrom('instances')
    .selectAll()
    .where('network', '=', network)
    .where('gone_at', 'is', null)
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .forUpdate()
    .execute();
  for (const row of rows.filter(({ labels, attempt }) => attempt > 0 && by.concerns(labels))) {
    const updated = await tx
      .updateTable('instances')
      .set({ generation: row.generation + 1, revision: row.revision + 1, updated_at: new Date() })
      .where('id', '=', row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await requestChange(tx, updated, by, 'update');
  }
}
