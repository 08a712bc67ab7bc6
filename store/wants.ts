import type { Schemas } from '@landfall/model';
import type { ImageSpec } from './database.ts';
import { StoreError } from './errors.ts';
import { networkWant } from './instance-networks.ts';
import type { Queryable } from './open.ts';
import { resourceWantFor } from './resource-wants.ts';

/** What one attempt of a resource or an instance must be: the adapters' `Want<Kind>`. */
export async function wantOfAny(
  db: Queryable,
  ref: { resource: string; attempt: number },
  broker: string,
): Promise<{ site: string; want: object }> {
  return (await resourceWantFor(db, ref, broker)) ?? wantFor(db, ref, broker);
}

/**
 * What one attempt of an instance must be, put together from the instance as wanted now, the offer and size its intent stands
 * for (what the ledger has claimed, and no more), its image and its keys. Structurally the adapters' `Want<'Instance'>`. Holds user data: never log it, never put it in a history.
 */
export async function wantFor(db: Queryable, ref: { resource: string; attempt: number }, broker: string) {
  const row = await db
    .selectFrom('instances')
    .innerJoin('intents', 'intents.resource', 'instances.id')
    .selectAll('instances')
    .select([
      'intents.offer',
      'intents.sized_for',
      'intents.site as intentSite',
      'intents.region',
      'intents.zone',
      'intents.host',
      'intents.state as intentState',
    ])
    .where('instances.id', '=', ref.resource)
    .where('intents.attempt', '=', ref.attempt)
    .executeTakeFirst();
  if (!row)
    throw new StoreError('notFound', `there is no attempt ${ref.attempt} of resource ${ref.resource}`);
  if (row.intentState === 'removing' || row.intentState === 'removed' || row.deleted_at) {
    throw new StoreError(
      'conflict',
      `attempt ${ref.attempt} of resource ${ref.resource} is to be removed, not made`,
    );
  }
  const { image: name } = row.spec;
  const image = name === undefined ? null : await imageWant(db, row.project, name, row.offer.architecture);
  const keys = row.spec.sshKeys?.length
    ? await db
        .selectFrom('ssh_keys')
        .select('public_key')
        .where('project', '=', row.project)
        .where('name', 'in', row.spec.sshKeys)
        .orderBy('name')
        .execute()
    : [];
  const onprem = row.offer.provider === 'onprem';
  const architecture = row.offer.architecture;
  return {
    site: row.intentSite,
    want: {
      kind: 'Instance' as const,
      spec: {
        name: row.name,
        instanceType: row.offer.instanceType,
        market: row.offer.market,
        vcpus: onprem ? row.sized_for.vcpus : row.offer.vcpus,
        memoryGiB: onprem ? row.sized_for.memoryGiB : row.offer.memoryGiB,
        diskGiB: row.sized_for.diskGiB,
        // A cloud's instance type brings its own.
        ...(onprem && row.offer.gpuName && row.sized_for.gpus > 0
          ? { gpu: { name: row.offer.gpuName, count: row.sized_for.gpus } }
          : {}),
        architecture,
        ...(image ? { image } : {}),
        sshKeys: keys.map((key) => key.public_key),
        ...(row.user_data === null ? {} : { userData: row.user_data }),
        labels: row.labels,
        publicAddress: row.spec.publicAddress ?? false,
        power: row.spec.power ?? ('running' as const),
        reboots: row.spec.reboots ?? 0,
        ...(await networkWant(db, row, row.zone)),
      },
      stamp: { broker, project: row.project, resource: row.id, attempt: ref.attempt },
      ...(row.adopted === null
        ? {}
        : { adopted: { ref: row.adopted, settled: row.status.readyAt !== undefined } }),
      location: {
        region: row.region,
        ...(row.zone ? { zone: row.zone } : {}),
        ...(row.host ? { host: row.host } : {}),
      },
    },
  };
}

/** A project's own image comes before a logical one of the same name. */
async function imageWant(db: Queryable, project: string, name: string, architecture: 'x86_64' | 'arm64') {
  const own = await db
    .selectFrom('resources')
    .select(['spec', 'status'])
    .where('kind', '=', 'CustomImage')
    .where('project', '=', project)
    .where('name', '=', name)
    .where('gone_at', 'is', null)
    .executeTakeFirst();
  if (own) {
    const custom = own.status.externalReference ?? '';
    return { name, architecture, user: own.spec.user ?? 'root', custom };
  }
  const image = await db.selectFrom('images').select('spec').where('name', '=', name).executeTakeFirst();
  if (!image) throw new StoreError('notFound', `there is no image ${name}`);
  return resolveImage(name, image.spec, architecture);
}

/** Architectures for which a provider has an image. Azure and Google Cloud name another one for arm64. */
export function imageArchitectures(
  spec: ImageSpec,
  provider: Schemas['Provider'],
): Schemas['Architecture'][] {
  const { azure, gcp, architectures = ['x86_64', 'arm64'] } = spec;
  if (spec[provider] === undefined) return [];
  const forArm64 = { aws: true, azure: azure?.skuArm64, gcp: gcp?.familyArm64, onprem: true }[provider];
  // An image for arm64 alone has no second name for it.
  return forArm64 || architectures.length === 1
    ? architectures
    : architectures.filter((architecture) => architecture !== 'arm64');
}

function resolveImage(name: string, spec: ImageSpec, architecture: 'x86_64' | 'arm64') {
  const { aws, azure, gcp, onprem, user } = spec;
  const arm64 = architecture === 'arm64';
  return {
    name,
    architecture,
    user,
    ...(aws
      ? {
          aws: {
            owner: aws.owner,
            nameFilter: aws.nameFilter.replaceAll('{arch}', arm64 ? 'arm64' : 'amd64'),
          },
        }
      : {}),
    ...(azure
      ? {
          azure: {
            publisher: azure.publisher,
            offer: azure.offer,
            sku: (arm64 && azure.skuArm64) || azure.sku,
          },
        }
      : {}),
    ...(gcp ? { gcp: { project: gcp.project, family: (arm64 && gcp.familyArm64) || gcp.family } } : {}),
    ...(onprem?.builtin ? { onprem: { builtin: onprem.builtin } } : {}),
    ...(onprem?.url && onprem.sha256 ? { onprem: { url: onprem.url, sha256: onprem.sha256 } } : {}),
  };
}

/** The installation's id, which every stamp carries as `broker`. */
export async function installationId(db: Queryable): Promise<string> {
  const row = await db.selectFrom('installation').select('id').executeTakeFirst();
  if (!row) throw new StoreError('notFound', 'this database has no installation yet: start the broker first');
  return row.id;
}
