import type { Operation, Schemas } from '@landfall/model';
import { sql } from 'kysely';
import { holderOf, managedAlready } from './adoptions.ts';
import type { ResourceKind, ResourceSpec } from './database.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { newId } from './id.ts';
import type { Db, Queryable, Tx } from './open.ts';
import type { Requester } from './operations.ts';
import { openResourceIntent } from './resource-intents.ts';
import { adapterKinds, wordsOf } from './resource-kinds.ts';
import { holdsData, referredTo } from './resource-references.ts';
import { type Resource, type ResourceRow, requestResourceChange, toResource } from './resources.ts';
import { holdSite } from './sites.ts';

export interface ResourceAdoptionRequest extends Requester {
  kind: ResourceKind;
  project: string;
  name: string;
  labels: Record<string, string>;
  /** The provider's reference of what exists. */
  externalReference: string;
  at: { site: string; provider: Schemas['Provider']; region: string; zone?: string; host?: string };
  /** What it is, as it was found, apart from where it is and from what it names. */
  spec: ResourceSpec;
  /** The provider's reference of the machine that it is attached to. */
  attachedTo?: string;
  /** The provider's reference of the volume that a snapshot is of. */
  volume?: string;
  validateOnly?: boolean;
  /** As of an instance's. */
  isOfOneProject?: boolean;
}

/**
 * Commits the resource, its intent, its operation and the outbox row, or nothing; null where it was only to be checked. Throws `conflict` where the name or the thing has
 * a resource already, and where it is attached to a machine that is not the project's.
 */
export async function adoptOther(
  db: Db,
  request: ResourceAdoptionRequest,
): Promise<{ resource: Resource; operation: Operation } | null> {
  const { kind, project, name, labels, externalReference, at, attachedTo, volume } = request;
  const { site, provider, region, zone, host } = at;
  const place = { site, region, ...(zone ? { zone } : {}), ...(host ? { host } : {}) };
  const id = newId();
  try {
    return await db.transaction().execute(async (tx) => {
      // It was read for a while: the site may be gone.
      await holdSite(tx, request.organization, site);
      await checkFree(tx, request);
      const machine = attachedTo === undefined ? undefined : await machineOf(tx, request, attachedTo);
      if (request.validateOnly) return null;
      const origin = volume === undefined ? undefined : await managedAs(tx, site, 'Volume', volume);
      const source = origin?.project === project ? origin : undefined;
      const from = [origin, machine].flatMap((one) => one?.id ?? []);
      // What it is made from comes before what it is attached to.
      const dataClass = (await referredTo(tx, from)).find((one) => one.dataClass)?.dataClass;
      const spec: ResourceSpec = {
        ...request.spec,
        ...place,
        ...(machine ? { attachedTo: machine.name } : {}),
        ...(source ? { volume: source.name } : {}),
        ...(dataClass && holdsData.has(kind) ? { dataClass } : {}),
      };
      const row = await tx
        .insertInto('resources')
        .values({
          id,
          kind,
          project,
          name,
          labels: JSON.stringify(labels),
          spec: JSON.stringify(spec),
          refers_to: [machine, source].flatMap((one) => one?.id ?? []),
          adopted: externalReference,
          site,
          attempt: 1,
          state: 'Adopting',
          status: JSON.stringify({
            state: 'Adopting',
            observedGeneration: 0,
            message: `adopting ${externalReference} at ${site}`,
            adopted: true,
            attempt: 1,
            provider,
            ...place,
          }),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      const operation = await requestResourceChange(tx, row, request, 'adopt');
      await openResourceIntent(tx, {
        resource: id,
        attempt: 1,
        kind: adapterKinds[kind],
        site,
        region,
        zone: zone ?? null,
        host: host ?? null,
      });
      return { resource: toResource(row), operation };
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw new StoreError('conflict', 'somebody was faster: look again');
    throw error;
  }
}

async function checkFree(tx: Tx, request: ResourceAdoptionRequest): Promise<void> {
  const { kind, project, name, externalReference, at } = request;
  const named = await tx
    .selectFrom('resources')
    .select('id')
    .where('kind', '=', kind)
    .where('project', '=', project)
    .where('name', '=', name)
    .where('gone_at', 'is', null)
    .executeTakeFirst();
  if (named)
    throw new StoreError(
      'conflict',
      `project ${project} already has a ${wordsOf[kind]} named ${name}`,
      '/name',
    );
  const holder = await managedAs(tx, at.site, kind, externalReference);
  if (holder)
    throw new StoreError(
      'conflict',
      managedAlready(externalReference, wordsOf[kind], holder, request),
      '/externalReference',
    );
}

/** The project's instance that it is attached to: it would otherwise be wanted detached, or under somebody else's machine. */
async function machineOf(
  tx: Tx,
  { kind, project, externalReference, at, isOfOneProject }: ResourceAdoptionRequest,
  attachedTo: string,
): Promise<{ id: string; name: string }> {
  const machine = await holderOf(tx, at.site, attachedTo);
  const refuse = (where: string, advice: string) =>
    new StoreError(
      'conflict',
      `${wordsOf[kind]} ${externalReference} is attached to ${where}: ${advice}, or detach the ${wordsOf[kind]} there`,
      '/externalReference',
    );
  if (!machine)
    throw refuse(
      `${attachedTo}, which is not Landfall's`,
      `adopt that first (landfall adopt instance ${attachedTo} --as NAME --site ${at.site})`,
    );
  if (machine.project !== project)
    throw refuse(
      isOfOneProject
        ? `${attachedTo}, which is another project's`
        : `instance ${machine.name} of project ${machine.project}`,
      'adopt it into that project',
    );
  if (machine.deleted_at) throw refuse(`instance ${machine.name}, which is going`, 'wait until that is gone');
  return machine;
}

/** The resource that something at a site is, or is becoming. */
export async function managedAs(
  db: Queryable,
  site: string,
  kind: ResourceKind,
  externalReference: string,
): Promise<{ id: string; name: string; project: string } | undefined> {
  return db
    .selectFrom('resources')
    .select(['id', 'name', 'project'])
    .where('site', '=', site)
    .where('kind', '=', kind)
    .where('gone_at', 'is', null)
    .where((eb) =>
      eb.or([
        eb('adopted', '=', externalReference),
        sql<boolean>`status ->> 'externalReference' = ${externalReference}`,
      ]),
    )
    .executeTakeFirst();
}

/** It carries our stamp: it is wanted as it was then. What it is attached to is wanted so unless it is attached to nothing any more. */
export async function settleResourceAdoption(
  tx: Tx,
  row: ResourceRow,
  seen: { sizeGiB?: number; attachedTo?: string },
): Promise<ResourceRow> {
  const { attachedTo, ...rest } = row.spec;
  const spec: ResourceSpec = {
    ...rest,
    ...(row.kind === 'Volume' && seen.sizeGiB !== undefined ? { sizeGiB: seen.sizeGiB } : {}),
    ...(attachedTo !== undefined && seen.attachedTo !== undefined ? { attachedTo } : {}),
  };
  await tx
    .updateTable('resources')
    .set({ spec: JSON.stringify(spec) })
    .where('id', '=', row.id)
    .execute();
  return { ...row, spec };
}
