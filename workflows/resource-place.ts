import type { ResourceSpec, Tx } from '@landfall/store';
import { referencesOf } from '@landfall/store/resource-kinds.ts';
import type { Referred } from '@landfall/store/resource-references.ts';
import { type PlacedResource, placeAt, type RefusedPlace, rulesAtPlaces } from './resource-policies.ts';

export interface ResourcePlace {
  site: string;
  provider: 'aws' | 'azure' | 'gcp' | 'onprem';
  region: string;
  zone: string | null;
  host: string | null;
}

export type NoPlace = { code: 'Invalid'; refused: string; field: string } | RefusedPlace;

/**
 * Where a resource goes: where it says, else where what it names is, else the only site, there the first region, and on-prem the
 * emptiest host, that the policies allow. A volume follows its instance into its zone; on-prem everything is on a host.
 * @param referred what it names, all of it somewhere.
 */
export async function resourcePlace(
  tx: Tx,
  resource: PlacedResource,
  referred: readonly Referred[],
): Promise<ResourcePlace | NoPlace> {
  const { organization, kind, spec } = resource;
  const refuse = (refused: string, field: string): NoPlace => ({ code: 'Invalid', refused, field });
  const [first] = referred;
  const wanted = spec.site ?? first?.site;
  const sites = await tx
    .selectFrom('sites')
    .select(['name', 'provider', 'labels', 'spec'])
    .where('organization', '=', organization)
    // A site stays while something is being placed at it (R10).
    .forShare()
    .$if(wanted !== null && wanted !== undefined, (query) => query.where('name', '=', wanted!))
    .execute();
  if (sites.length !== 1)
    return refuse(wanted ? `there is no site ${wanted}` : 'no one site follows from it', '/site');
  const site = sites[0]!;
  for (const field of ['site', 'region', 'host'] as const) {
    const places = [...new Set([spec[field], ...referred.map((each) => each[field])].filter(Boolean))];
    if (places.length > 1)
      return refuse(`what it names is in different places: ${field}s ${places.join(' and ')}`, `/${field}`);
  }
  const said = spec.region ?? first?.region;
  const regions = said ? [said] : (site.spec.regions ?? []);
  if (regions.length === 0) return refuse(`site ${site.name} has no region`, '/region');
  const zoneOf = kind === 'Volume' ? referred.find((each) => each.kind === 'Instance') : undefined;
  const zone = spec.zone ?? zoneOf?.zone ?? null;
  const hosts =
    site.provider === 'onprem'
      ? await hostsFor(tx, site.name, spec.host ?? first?.host ?? undefined)
      : [{ name: null, zone: null }];
  if (hosts.length === 0) return refuse(`site ${site.name} has no host that is heard of`, '/host');
  const { name, provider, labels } = site;
  const { jurisdiction, certifications = [] } = site.spec;
  const seen = { name, provider, jurisdiction, certifications, labels };
  const choices = regions.flatMap((region) =>
    hosts.map((host) => ({
      place: { site: name, provider, region, zone, host: host.name },
      seen: placeAt(seen, { region, zone: zone ?? host.zone, host: host.name }),
    })),
  );
  const rules = await rulesAtPlaces(tx, resource, fieldOf(spec));
  return rules.firstAllowed(choices);
}

/** The field that says where it is: of its own, else what it names. */
function fieldOf(spec: ResourceSpec): string {
  const own = (['host', 'region', 'site'] as const).find((field) => spec[field] !== undefined);
  return own ? `/${own}` : (referencesOf(spec)[0]?.pointer.slice('/spec'.length) ?? '');
}

/** A host is heard of every ten seconds. */
const heardOfMs = 60_000;

/** The host that is named, as far as its zone is known; else those heard of lately, the one with the fewest resources first; by name where several have. */
async function hostsFor(
  tx: Tx,
  site: string,
  named: string | undefined,
): Promise<{ name: string; zone: string | null }[]> {
  const ofSite = tx.selectFrom('hosts').select(['name', 'zone']).where('site', '=', site);
  if (named !== undefined) {
    const host = await ofSite.where('name', '=', named).executeTakeFirst();
    return [{ name: named, zone: host?.zone ?? null }];
  }
  return ofSite
    .where('last_seen_at', '>', new Date(Date.now() - heardOfMs))
    .orderBy(({ selectFrom }) =>
      selectFrom('resource_intents as n')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .whereRef('n.host', '=', 'hosts.name')
        .whereRef('n.site', '=', 'hosts.site')
        .where('n.state', '<>', 'removed'),
    )
    .orderBy('name')
    .execute();
}
