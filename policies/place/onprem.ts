import { gpusOf } from './fit.ts';
import { type OfferFacts, type OfferTable, tableOfOffers } from './offers.ts';
import { Recent } from './recent.ts';
import type { HostView, PlacementRequest, SiteView } from './types.ts';

/** On-prem offers of a request, and what a person should know about them. */
export interface OnpremOffers {
  table: OfferTable;
  /** Why an offer cannot be taken now, by host; absent = it can. */
  refusal: (site: string, host: string) => string | null;
  notices: string[];
}

/** Name of the instance type made to measure, `kvm-4-16`: vCPUs and GiB; with two GPUs `kvm-4-16-2gpu`. */
export function measuredType(request: PlacementRequest): string {
  const gpus = gpusOf(request);
  return `kvm-${request.vcpus}-${request.memoryGiB}${gpus === 0 ? '' : `-${gpus}gpu`}`;
}

/**
 * One offer per host whose whole capacity could hold the machine: exactly the vCPUs, memory and GPUs asked for, at
 * the site's own prices. Whether the host has room and is ready now is decided after the rules, so that the
 * record can tell "not allowed" from "full". A site without prices counts as 0; one that does not price in
 * USD is left out, because no rate is known to compare it by.
 */
export function onpremOffers(request: PlacementRequest, sites: readonly SiteView[]): OnpremOffers {
  const notices: string[] = [];
  const own: SiteView[] = [];
  for (const site of sites) {
    if (site.provider !== 'onprem') continue;
    const { pricing } = site;
    if (pricing && pricing.currency !== 'USD') {
      notices.push(
        `site ${site.name} prices in ${pricing.currency}: it is left out, prices are compared in USD`,
      );
      continue;
    }
    if (pricing && ![pricing.vcpuHour, pricing.gibHour, pricing.gpuHour ?? 0].every(validPrice)) {
      notices.push(`site ${site.name} has a price that is not a number of at least 0: it is left out`);
      continue;
    }
    if (!pricing && site.hosts.length > 0)
      notices.push(`site ${site.name} has no prices: its machines count as 0.00 USD an hour`);
    own.push(site);
  }
  let hosts: Map<string, HostView> | undefined;
  return {
    table: own.length === 0 ? NO_HOSTS : hostTable(request, own),
    refusal: (site, host) => {
      hosts ??= new Map(own.flatMap((s) => s.hosts.map((h) => [`${s.name}\0${h.name}`, h])));
      return refusalOf(hosts.get(`${site}\0${host}`)!, request);
    },
    notices,
  };
}

const NO_HOSTS = tableOfOffers([]);

/** Tables of the last few sizes asked for: what is known of a table (verdicts of rules, say) is kept by it. */
const hostTables = new Recent<OfferTable>(64);

/** By what does not change from one placement to the next: the room on a host is no part of it. */
function hostTable(request: PlacementRequest, sites: readonly SiteView[]): OfferTable {
  const { vcpus, memoryGiB, diskGiB } = request;
  const standing = sites.map(({ name, jurisdiction, certifications, labels, pricing, hosts }) => [
    name,
    jurisdiction,
    certifications,
    labels,
    pricing,
    hosts.map((h) => [h.name, h.zone, h.region, h.architecture, h.accel, h.gpuName, h.capacity]),
  ]);
  const key = JSON.stringify([vcpus, memoryGiB, diskGiB, gpusOf(request), standing]);
  return hostTables.get(key) ?? hostTables.set(key, tableOfOffers(hostOffers(request, sites)));
}

function hostOffers(request: PlacementRequest, sites: readonly SiteView[]): OfferFacts[] {
  const gpus = gpusOf(request);
  return sites.flatMap((site) =>
    site.hosts
      .filter((host) => holds(host.capacity, request))
      .map((host) => ({
        site: site.name,
        provider: 'onprem',
        region: host.region,
        zone: host.zone,
        host: host.name,
        instanceType: measuredType(request),
        family: 'kvm',
        market: 'onDemand',
        vcpus: request.vcpus,
        memoryGiB: request.memoryGiB,
        architecture: host.architecture,
        gpuName: gpus === 0 ? null : (host.gpuName ?? null),
        gpuCount: gpus,
        burstable: false,
        pricePerHour: site.pricing
          ? site.pricing.vcpuHour * request.vcpus +
            site.pricing.gibHour * request.memoryGiB +
            (site.pricing.gpuHour ?? 0) * gpus
          : 0,
        jurisdiction: site.jurisdiction ?? null,
        certifications: site.certifications,
        accel: host.accel,
        labels: site.labels,
      })),
  );
}

function validPrice(price: number): boolean {
  return Number.isFinite(price) && price >= 0;
}

function holds(size: HostView['free'], request: PlacementRequest): boolean {
  return (
    size.vcpus >= request.vcpus &&
    size.memoryGiB >= request.memoryGiB &&
    size.diskGiB >= request.diskGiB &&
    (size.gpus ?? 0) >= gpusOf(request)
  );
}

/** How many hosts could never hold the request, by what they have too little of: these are not even offers. */
export function tooSmall(request: PlacementRequest, sites: readonly SiteView[]): string[] {
  const hosts = sites.flatMap((site) => site.hosts);
  const wanted: [string, number, (size: HostView['capacity']) => number][] = [
    ['vCPUs', request.vcpus, (size) => size.vcpus],
    ['GiB of memory', request.memoryGiB, (size) => size.memoryGiB],
    ['GiB of disk', request.diskGiB, (size) => size.diskGiB],
    ['GPUs', gpusOf(request), (size) => size.gpus ?? 0],
  ];
  return wanted.flatMap(([unit, least, has]) => {
    const short = hosts.filter(({ capacity }) => has(capacity) < least).length;
    return short === 0
      ? []
      : [`on-prem, ${short} of ${hosts.length} hosts have less than ${least} ${unit} in all`];
  });
}

function refusalOf(host: HostView, request: PlacementRequest): string | null {
  if (!host.ready) return `host ${host.name} is not ready`;
  if (holds(host.free, request)) return null;
  const { vcpus, memoryGiB, diskGiB, gpus = 0 } = host.free;
  const more = gpusOf(request) === 0 ? '' : ` and ${gpus} GPUs`;
  return `host ${host.name} has ${vcpus} vCPUs, ${memoryGiB} GiB of memory${more === '' ? ' and' : ','} ${diskGiB} GiB of disk${more} free`;
}
