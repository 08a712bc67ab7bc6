import { StoreError } from './errors.ts';
import type { Queryable } from './open.ts';
import { adapterKinds } from './resource-kinds.ts';
import { type Referred, referredTo } from './resource-references.ts';
import type { ResourceRow } from './resources.ts';

/**
 * What one attempt of a resource must be, with what it names as the provider's references. Structurally the adapters'
 * `Want<Kind>`. Undefined where there is no such resource: it may be an instance.
 */
export async function resourceWantFor(
  db: Queryable,
  ref: { resource: string; attempt: number },
  broker: string,
) {
  const row = await db.selectFrom('resources').selectAll().where('id', '=', ref.resource).executeTakeFirst();
  if (!row) return undefined;
  const intent = await db
    .selectFrom('resource_intents')
    .selectAll()
    .where('resource', '=', ref.resource)
    .where('attempt', '=', ref.attempt)
    .executeTakeFirst();
  if (!intent)
    throw new StoreError('notFound', `there is no attempt ${ref.attempt} of resource ${ref.resource}`);
  // What is to go is let go of first: until then it is wanted, attached to nothing.
  const lettingGo = row.deleted_at !== null && row.status.attachedTo !== undefined;
  if (intent.state === 'removing' || intent.state === 'removed' || (row.deleted_at && !lettingGo)) {
    const message = `attempt ${ref.attempt} of resource ${ref.resource} is to be removed, not made`;
    throw new StoreError('conflict', message);
  }
  return {
    site: intent.site,
    want: {
      kind: adapterKinds[row.kind],
      spec: {
        name: row.name,
        labels: row.labels,
        ...specFor(lettingGo ? detached(row) : row, await referredTo(db, row.refers_to)),
      },
      stamp: { broker, project: row.project, resource: row.id, attempt: ref.attempt },
      ...(row.adopted === null
        ? {}
        : { adopted: { ref: row.adopted, settled: row.status.readyAt !== undefined } }),
      location: {
        region: intent.region,
        ...(intent.zone ? { zone: intent.zone } : {}),
        ...(intent.host ? { host: intent.host } : {}),
      },
    },
  };
}

function detached(row: ResourceRow): ResourceRow {
  const { attachedTo: _, ...spec } = row.spec;
  return { ...row, spec };
}

/** The fields of the adapters' spec beyond name and labels. */
function specFor(row: ResourceRow, referred: Referred[]): Record<string, unknown> {
  const { spec } = row;
  /** The provider's reference of what a field names; nothing for a source that is gone: it was read already. */
  const refOf = (kind: Referred['kind']): string | undefined =>
    referred.find((each) => each.kind === kind)?.ref ?? undefined;
  switch (row.kind) {
    case 'Volume':
      return {
        sizeGiB: spec.sizeGiB,
        type: spec.type ?? 'standard',
        ...(spec.snapshot ? { snapshot: refOf('Snapshot') } : {}),
        ...(spec.attachedTo ? { attachedTo: refOf('Instance') } : {}),
      };
    case 'Snapshot':
      return { volume: refOf('Volume') ?? '' };
    case 'Network':
      return { cidr: spec.cidr, subnets: spec.subnets };
    case 'Firewall':
      return { network: refOf('Network') ?? '', rules: spec.rules };
    case 'Address':
      return spec.attachedTo ? { attachedTo: refOf('Instance') } : {};
    case 'CustomImage':
      return {
        ...(spec.from
          ? {
              source: spec.from.url ?? {
                ...(spec.from.instance ? { instance: refOf('Instance') ?? '' } : {}),
                ...(spec.from.snapshot ? { snapshot: refOf('Snapshot') ?? '' } : {}),
              },
            }
          : {}),
        architecture: spec.architecture ?? 'x86_64',
      };
  }
}
