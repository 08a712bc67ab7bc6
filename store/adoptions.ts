import type { Instance, InstanceSpec, Offer, Operation } from '@landfall/model';
import { sql } from 'kysely';
import type { Size } from './database.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { newId } from './id.ts';
import { checkLimits, requestChange, toInstance } from './instances.ts';
import { newIntent, replaceOffer, writeIntents } from './intents.ts';
import { claim } from './ledger.ts';
import type { Db, Queryable, Tx } from './open.ts';
import type { Requester } from './operations.ts';
import { holdSite } from './sites.ts';

export interface AdoptionRequest extends Requester {
  project: string;
  name: string;
  labels: Record<string, string>;
  /** The provider's reference of the machine that exists. */
  externalReference: string;
  /** What it is, as it was found: without an image, keys or user data, which are not known. */
  spec: InstanceSpec;
  /** Where it is and what it costs. */
  offer: Offer & { site: string };
  /** Whoever asks sees this project alone, and is not told what is in others. */
  isOfOneProject?: boolean;
}

/**
 * Commits the instance, its intent, its operation and the outbox row, or nothing. The intent is written now and not by a
 * placement: where it is, is not to be decided. Throws `conflict` where the name or the machine has an instance already.
 */
export async function adoptInstance(
  db: Db,
  request: AdoptionRequest,
): Promise<{ instance: Instance; operation: Operation }> {
  const { project, name, offer, externalReference, spec } = request;
  const id = newId();
  const { site, provider, region, zone, host, instanceType, market } = offer;
  try {
    return await db.transaction().execute(async (tx) => {
      await check(tx, request);
      const row = await tx
        .insertInto('instances')
        .values({
          id,
          project,
          name,
          labels: JSON.stringify(request.labels),
          spec: JSON.stringify({ ...spec, reboots: 0 }),
          user_data: null,
          network: null,
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
            site,
            provider,
            region,
            zone: zone ?? undefined,
            host: host ?? undefined,
            instanceType,
            market,
          }),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      const operation = await requestChange(tx, row, request, 'adopt');
      const sizedFor = {
        vcpus: spec.vcpus,
        memoryGiB: spec.memoryGiB,
        diskGiB: spec.diskGiB ?? 10,
        gpus: spec.gpu?.count ?? 0,
      };
      const at = { resource: id, attempt: 1, operation: operation.id, offer, sizedFor, now: new Date() };
      await writeIntents(tx, [newIntent(at)]);
      if (host) await takeRoom(tx, { resource: id, attempt: 1, site, host, ...sizedFor });
      return { instance: toInstance(row), operation };
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw new StoreError('conflict', 'somebody was faster: look again');
    throw error;
  }
}

/** What `adoptInstance` would refuse is refused, and nothing is changed. */
export async function checkAdoption(db: Db, request: AdoptionRequest): Promise<void> {
  await db.transaction().execute((tx) => check(tx, request));
}

async function check(tx: Tx, request: AdoptionRequest): Promise<void> {
  const { organization, project, name, externalReference, spec, offer } = request;
  // It was read for a while: the site may be gone.
  await holdSite(tx, organization, offer.site);
  await checkLimits(tx, project, spec, null);
  const named = await tx
    .selectFrom('instances')
    .select('id')
    .where('project', '=', project)
    .where('name', '=', name)
    .where('gone_at', 'is', null)
    .executeTakeFirst();
  if (named)
    throw new StoreError('conflict', `project ${project} already has an instance named ${name}`, '/name');
  const holder = await holderOf(tx, offer.site, externalReference);
  if (holder)
    throw new StoreError(
      'conflict',
      managedAlready(externalReference, 'instance', holder, request),
      '/externalReference',
    );
}

/** What is managed already, as far as whoever asks may know. */
export function managedAlready(
  externalReference: string,
  kind: string,
  holder: { name: string; project: string },
  { project, isOfOneProject }: Pick<AdoptionRequest, 'project' | 'isOfOneProject'>,
): string {
  return isOfOneProject && holder.project !== project
    ? `${externalReference} is managed by another project already`
    : `${externalReference} is ${kind} ${holder.name} of project ${holder.project} already`;
}

/** The instance that a machine of a site is, or is becoming. */
export async function holderOf(
  db: Queryable,
  site: string,
  externalReference: string,
): Promise<{ id: string; name: string; project: string; deleted_at: Date | null } | undefined> {
  return db
    .selectFrom('instances')
    .select(['id', 'name', 'project', 'deleted_at'])
    .where('site', '=', site)
    .where('gone_at', 'is', null)
    .where((eb) =>
      eb.or([
        eb('adopted', '=', externalReference),
        sql<boolean>`status ->> 'externalReference' = ${externalReference}`,
      ]),
    )
    .executeTakeFirst();
}

/** It stands on its host whether or not there is room for it: what it takes is claimed all the same. */
async function takeRoom(
  tx: Tx,
  room: Omit<Parameters<typeof claim>[1][number], 'generation'>,
): Promise<void> {
  const host = await tx
    .selectFrom('hosts')
    .select('ledger_generation')
    .where('site', '=', room.site)
    .where('name', '=', room.host)
    .forUpdate()
    .executeTakeFirst();
  if (!host) throw new StoreError('notFound', `there is no host ${room.host} at site ${room.site}`);
  await claim(tx, [{ ...room, generation: host.ledger_generation }]);
}

/** The machine as it was when it got our stamp: what it is from then on wanted to be, until somebody asks for a change. */
export async function settleAdoption(
  tx: Tx,
  row: { id: string; spec: InstanceSpec },
  intent: { attempt: number; offer: Offer; sized_for: Size },
  seen: { power: 'running' | 'stopped'; instanceType: string; vcpus: number; memoryGiB: number },
): Promise<InstanceSpec> {
  const { vcpus, memoryGiB, power, instanceType } = seen;
  const spec = { ...row.spec, vcpus, memoryGiB, power };
  await tx
    .updateTable('instances')
    .set({ spec: JSON.stringify(spec) })
    .where('id', '=', row.id)
    .execute();
  if (instanceType === intent.offer.instanceType) return spec;
  // Somebody resized it meanwhile: what the other type cost says nothing of this one.
  const { pricePerHour: _hour, pricePerMonth: _month, ...offer } = intent.offer;
  const sizedFor = { ...intent.sized_for, vcpus, memoryGiB };
  await replaceOffer(
    tx,
    row.id,
    intent.attempt,
    { ...offer, instanceType, vcpus, memoryGiB } as Offer,
    sizedFor,
  );
  return spec;
}
