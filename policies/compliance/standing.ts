import type { Catalogue } from '../catalogue/catalogue.ts';
import { familyOf } from '../catalogue/instance-types.ts';
import { jurisdictionOf } from '../catalogue/jurisdictions.ts';
import type { CatalogueRow, NameColumn } from '../catalogue/rows.ts';
import type { ParsedRule } from '../file/policy.ts';
import type { OfferFacts } from '../place/offers.ts';
import type { EstateMachine, PlacedOffer, PlacementRequest, SiteView } from '../place/types.ts';

/** A machine that exists, what was asked for, and the offer it took. */
export interface PlacedMachine {
  machine: EstateMachine;
  request: PlacementRequest;
  /** Rules that came with the request; none when not given. */
  requestRules?: readonly ParsedRule[];
  /** As it was when it was placed. */
  taken: PlacedOffer;
}

/** A machine that exists beside the offer it stands on, as that offer is today. */
export interface Standing {
  machine: EstateMachine;
  request: PlacementRequest;
  requestRules?: readonly ParsedRule[];
  offer: OfferFacts;
}

/**
 * Where machines stand, at today's prices and with what is known of their sites and regions today. A price that the
 * catalogue no longer has is the one the machine was placed at. One pass over the catalogue, however many machines.
 */
export function standings(
  machines: readonly PlacedMachine[],
  catalogue: Catalogue,
  sites: readonly SiteView[],
): Standing[] {
  const bySite = new Map(sites.map((site) => [site.name, site]));
  const rows = todaysRows(
    machines.filter(({ machine }) => machine.provider !== 'onprem'),
    catalogue,
  );
  return machines.map(({ machine, request, requestRules, taken }) => {
    const site = bySite.get(machine.site);
    const offer =
      machine.provider === 'onprem'
        ? onpremOffer(machine, taken, site)
        : cloudOffer(machine, taken, rows.get(machine.id), site);
    return { machine: { ...machine, pricePerHour: offer.pricePerHour }, request, requestRules, offer };
  });
}

function cloudOffer(
  machine: EstateMachine,
  taken: PlacedOffer,
  row: CatalogueRow | undefined,
  site: SiteView | undefined,
): OfferFacts {
  return {
    ...placeFacts(machine, taken, site),
    ...(row ?? {}),
    zone: machine.zone ?? row?.zone ?? null,
  };
}

function onpremOffer(machine: EstateMachine, taken: PlacedOffer, site: SiteView | undefined): OfferFacts {
  const host = site?.hosts.find((candidate) => candidate.name === machine.host);
  const pricing = site?.pricing?.currency === 'USD' ? site.pricing : undefined;
  return {
    ...placeFacts(machine, taken, site),
    family: 'kvm',
    vcpus: machine.vcpus,
    memoryGiB: machine.memoryGiB,
    accel: host?.accel ?? '',
    ...(pricing
      ? { pricePerHour: pricing.vcpuHour * machine.vcpus + pricing.gibHour * machine.memoryGiB }
      : {}),
  };
}

/** What follows from where the machine is and what it took; `site` is undefined for one that is no longer configured. */
function placeFacts(machine: EstateMachine, taken: PlacedOffer, site: SiteView | undefined): OfferFacts {
  const { provider, region, instanceType } = machine;
  return {
    site: machine.site,
    provider,
    region,
    zone: machine.zone,
    host: machine.host,
    instanceType,
    family: familyOf(provider, instanceType),
    market: machine.market,
    vcpus: taken.vcpus,
    memoryGiB: taken.memoryGiB,
    architecture: machine.architecture,
    gpuName: machine.gpuName,
    gpuCount: machine.gpuCount,
    burstable: taken.burstable,
    pricePerHour: taken.pricePerHour,
    jurisdiction: jurisdictionOf(provider, region) ?? site?.jurisdiction ?? null,
    certifications: site?.certifications ?? null,
    accel: '',
    labels: site?.labels ?? {},
  };
}

/** The catalogue's rows for machines by their ids: of their zone, else of their whole region. */
function todaysRows(machines: readonly PlacedMachine[], catalogue: Catalogue): Map<string, CatalogueRow> {
  const columns = (['provider', 'region', 'instanceType', 'market'] as const).map((name) => catalogue[name]);
  const numbers = columns.map(({ values }) => new Map(values.map((value, code) => [value, code])));
  const keyOf = (codes: (column: NameColumn, at: number) => number | undefined): number | undefined => {
    let key = 0;
    for (let c = 0; c < columns.length; c++) {
      const code = codes(columns[c]!, c);
      if (code === undefined) return undefined;
      key = key * columns[c]!.values.length + code;
    }
    return key;
  };
  const wanted = new Map<number, EstateMachine[]>();
  for (const { machine } of machines) {
    const names = [machine.provider, machine.region, machine.instanceType, machine.market];
    const key = keyOf((_, c) => numbers[c]!.get(names[c]!));
    if (key === undefined) continue;
    const known = wanted.get(key);
    if (known) known.push(machine);
    else wanted.set(key, [machine]);
  }
  const found = new Map<string, CatalogueRow>();
  if (wanted.size === 0) return found;
  for (let i = 0; i < catalogue.length; i++) {
    const alike = wanted.get(keyOf(({ codes }) => codes[i])!);
    if (!alike) continue;
    const row = catalogue.row(i);
    for (const machine of alike)
      if (row.zone === null || row.zone === machine.zone) found.set(machine.id, row);
  }
  return found;
}
