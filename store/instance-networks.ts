import { sql } from 'kysely';
import type { ResourceSpec, ResourceStatus } from './database.ts';
import type { InstanceRow } from './instances.ts';
import type { Queryable } from './open.ts';
import type { ResourceRow } from './resources.ts';

/** Where an instance may be because of what it names, or what that has to wait for. */
export interface Tied {
  site: string;
  region: string;
  /** Zones that its network has a subnet in; absent where every zone will do. */
  zones?: string[];
  host?: string;
}

type Named = Pick<InstanceRow, 'network' | 'project' | 'spec' | 'labels'>;

/** The subnet of the network that an instance in `zone` goes into: the one it names, else the first that may be in its zone. */
export function subnetOf(
  status: Pick<ResourceStatus, 'subnets'>,
  wanted: string | undefined,
  zone: string | null,
): { name: string; ref: string; zone?: string } | undefined {
  const subnets = status.subnets ?? [];
  if (wanted !== undefined) return subnets.find(({ name }) => name === wanted);
  return subnets.find((subnet) => !zone || !subnet.zone || subnet.zone === zone);
}

/**
 * Zones that an instance of this network may be in: those of its subnets, or of the one subnet that it names. Undefined:
 * any, since there is a subnet that spans the region.
 */
export function subnetZones(
  status: Pick<ResourceStatus, 'subnets'>,
  wanted: string | undefined,
): string[] | undefined {
  const fitting = (status.subnets ?? []).filter(({ name }) => wanted === undefined || name === wanted);
  const zones = fitting.flatMap(({ zone }) => zone ?? []);
  return zones.length === fitting.length && zones.length > 0 ? [...new Set(zones)].sort() : undefined;
}

/** The network and firewalls of an instance as the adapters' want has them; empty for one in its site's default network. */
export async function networkWant(
  db: Queryable,
  row: Named,
  zone: string | null,
): Promise<{ network?: { ref: string; subnet: string }; firewalls?: string[] }> {
  if (!row.network) return {};
  const network = await db
    .selectFrom('resources')
    .select('status')
    .where('id', '=', row.network)
    .executeTakeFirstOrThrow();
  const subnet = subnetOf(network.status, row.spec.subnet, zone);
  return {
    network: { ref: network.status.externalReference ?? '', subnet: subnet?.ref ?? '' },
    firewalls: await firewallsOf(db, row),
  };
}

/** References of the firewalls that hold for an instance: ready, staying, of its network, and for its labels. */
async function firewallsOf(db: Queryable, { network, labels }: Named): Promise<string[]> {
  const rows = await db
    .selectFrom('resources')
    .select(['spec', 'status'])
    .where('kind', '=', 'Firewall')
    .where(sql<boolean>`refers_to @> array[${network}]::uuid[]`)
    .where('deleted_at', 'is', null)
    .where('gone_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows
    .filter(({ spec }) => holdsFor(spec, labels))
    .flatMap(({ status }) => (status.readyAt && status.externalReference ? [status.externalReference] : []));
}

/** Whether a firewall is for an instance with these labels. */
export function holdsFor(spec: ResourceSpec, labels: Record<string, string>): boolean {
  return Object.entries(spec.appliesTo?.labels ?? {}).every(([key, value]) => labels[key] === value);
}

type NamedResource = Pick<ResourceRow, 'kind' | 'name' | 'state' | 'status'>;

/** What the instances of a transaction name, read once for all that name the same. */
export class TiedPlaces {
  readonly #db: Queryable;
  readonly #known = new Map<string, Promise<NamedResource[]>>();

  constructor(db: Queryable) {
    this.#db = db;
  }

  /**
   * Where the network and the image of an instance let it be; `waitsFor` while one of them is not ready, `refused` where it
   * can no longer become ready. Undefined: anywhere.
   */
  async of(row: Named): Promise<Tied | { waitsFor: string } | { refused: string } | undefined> {
    const key = JSON.stringify([row.project, row.network, row.spec.network, row.spec.image]);
    let named = this.#known.get(key);
    if (!named) {
      named = namedResources(this.#db, row);
      this.#known.set(key, named);
    }
    return tiedPlace(await named, row);
  }
}

/** The network and the image of the project's own that an instance names. */
async function namedResources(db: Queryable, row: Named): Promise<NamedResource[]> {
  return db
    .selectFrom('resources')
    .select(['kind', 'name', 'state', 'status'])
    .where((eb) =>
      eb.or([
        eb('id', '=', row.network),
        eb.and([
          eb('kind', '=', 'Network'),
          eb('project', '=', row.project),
          eb('name', '=', row.network === null ? (row.spec.network ?? '') : ''),
          eb('gone_at', 'is', null),
        ]),
        eb.and([
          eb('kind', '=', 'CustomImage'),
          eb('project', '=', row.project),
          eb('name', '=', row.spec.image ?? ''),
          eb('gone_at', 'is', null),
        ]),
      ]),
    )
    .orderBy('kind', 'desc')
    .execute();
}

function tiedPlace(
  named: readonly NamedResource[],
  row: Named,
): Tied | { waitsFor: string } | { refused: string } | undefined {
  let tied: Tied | undefined;
  for (const { kind, name, state, status } of named) {
    const what = `${kind === 'Network' ? 'network' : 'image'} ${name}`;
    if (['Failed', 'Lost', 'Deleting', 'Deleted'].includes(state)) return { refused: `${what} is ${state}` };
    if (!status.readyAt || !status.site || !status.region) return { waitsFor: what };
    if (kind === 'Network' && row.spec.subnet !== undefined && !subnetOf(status, row.spec.subnet, null))
      return { refused: `${what} has no subnet ${row.spec.subnet}` };
    const zones = kind === 'Network' ? subnetZones(status, row.spec.subnet) : undefined;
    const asked = row.spec.placement?.zones ?? [];
    if (zones && asked.length > 0 && !asked.some((zone) => zones.includes(zone)))
      return {
        refused: `${what} has subnets in ${zones.join(', ')} only, and spec.placement.zones asks for ${asked.join(', ')}`,
      };
    const place: Tied = {
      site: status.site,
      region: status.region,
      ...(zones ? { zones } : {}),
      ...(status.host ? { host: status.host } : {}),
    };
    if (tied && (tied.site !== place.site || tied.region !== place.region || tied.host !== place.host))
      return { refused: `${what} is at ${place.site} ${place.host ?? place.region}, and its network is not` };
    tied = { ...place, ...tied };
  }
  return tied;
}
