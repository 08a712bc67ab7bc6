import type { ResourceSpec, Tx } from '@landfall/store';
import type { wordsOf } from '@landfall/store/resource-kinds.ts';
import type { Referred } from '@landfall/store/resource-references.ts';

export interface ResourcePlace {
  site: string;
  provider: 'aws' | 'azure' | 'gcp' | 'onprem';
  region: string;
  zone: string | null;
  host: string | null;
}

/**
 * Where a resource goes: where it says, else where what it names is, else the only site and its first region. A volume
 * follows its instance into its zone; on-prem everything is on a host.
 * @param referred what it names, all of it ready.
 */
export async function resourcePlace(
  tx: Tx,
  organization: string,
  kind: keyof typeof wordsOf,
  spec: ResourceSpec,
  referred: readonly Referred[],
): Promise<ResourcePlace | { refused: string; field: string }> {
  const [first] = referred;
  const wanted = spec.site ?? first?.site;
  const sites = await tx
    .selectFrom('sites')
    .select(['name', 'provider', 'spec'])
    .where('organization', '=', organization)
    // A site stays while something is being placed at it (R10).
    .forShare()
    .$if(wanted !== null && wanted !== undefined, (query) => query.where('name', '=', wanted!))
    .execute();
  if (sites.length !== 1)
    return { refused: wanted ? `there is no site ${wanted}` : 'no one site follows from it', field: '/site' };
  const site = sites[0]!;
  for (const field of ['site', 'region', 'host'] as const) {
    const places = [...new Set([spec[field], ...referred.map((each) => each[field])].filter(Boolean))];
    if (places.length > 1)
      return {
        refused: `what it names is in different places: ${field}s ${places.join(' and ')}`,
        field: `/${field}`,
      };
  }
  const region = spec.region ?? first?.region ?? site.spec.regions?.[0];
  if (!region) return { refused: `site ${site.name} has no region`, field: '/region' };
  const zoneOf = kind === 'Volume' ? referred.find((each) => each.kind === 'Instance') : undefined;
  const zone = spec.zone ?? zoneOf?.zone ?? null;
  if (site.provider !== 'onprem')
    return { site: site.name, provider: site.provider, region, zone, host: null };
  const host = spec.host ?? first?.host ?? (await anyHost(tx, site.name));
  if (!host) return { refused: `site ${site.name} has no host that is heard of`, field: '/host' };
  return { site: site.name, provider: site.provider, region, zone, host };
}

/** A host is heard of every ten seconds. */
const heardOfMs = 60_000;

/** The host of the site, of those heard of lately, that has the fewest resources; by name where several have. */
async function anyHost(tx: Tx, site: string): Promise<string | undefined> {
  const row = await tx
    .selectFrom('hosts')
    .select('name')
    .where('site', '=', site)
    .where('last_seen_at', '>', new Date(Date.now() - heardOfMs))
    .orderBy(({ selectFrom }) =>
      selectFrom('resource_intents as n')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .whereRef('n.host', '=', 'hosts.name')
        .whereRef('n.site', '=', 'hosts.site')
        .where('n.state', '<>', 'removed'),
    )
    .orderBy('name')
    .executeTakeFirst();
  return row?.name;
}
