import type { HostView, SetAside, SiteView } from '../place/types.ts';
import type { BatchHost, Pool, ROOM } from './problem.ts';

/** With at most this many hosts each is a pool of its own, so that the bound is exact; more would be slow. */
const OWN_POOLS = 24;

/** The hosts that can take machines, in pools of those that only their room tells apart. */
export interface Pools {
  hosts: BatchHost[];
  /** As `site/host`, in the order of `hosts`. */
  names: string[];
  pools: Pool[];
  /** The on-prem sites with one host for each pool, which has room for anything: what rules are asked about. */
  stand: SiteView[];
  /** The pool of a host of `stand`, by `site/host`. */
  poolOf: ReadonlyMap<string, number>;
}

/**
 * Parts ready hosts into pools; `apart` has each be its own, as is needed where a rule or request names hosts. Hosts
 * that are set aside for every instance type are left out.
 */
export function poolsOf(sites: readonly SiteView[], setAside: readonly SetAside[], apart: boolean): Pools {
  const ready = sites.flatMap((site) =>
    site.provider !== 'onprem'
      ? []
      : site.hosts
          .filter((host) => host.ready && !setAside.some((aside) => covers(aside, site, host)))
          .map((host) => ({ site, host })),
  );
  const own = apart || ready.length <= OWN_POOLS;
  const found: Pools = { hosts: [], names: [], pools: [], stand: [], poolOf: new Map() };
  const poolOf = found.poolOf as Map<string, number>;
  const byLooks = new Map<string, number>();
  for (const { site, host } of ready) {
    const { region, zone, architecture, accel, gpuName, free, capacity } = host;
    const looks = JSON.stringify([
      ...[site.name, region, zone, architecture, accel, gpuName],
      own ? host.name : '',
    ]);
    let pool = byLooks.get(looks);
    if (pool === undefined) {
      pool = found.pools.push({ words: own ? `host ${host.name}` : '', hosts: [] }) - 1;
      byLooks.set(looks, pool);
      poolOf.set(`${site.name}/${host.name}`, pool);
      const gpus = gpuName === undefined ? 0 : ENDLESS;
      const endless = { vcpus: ENDLESS, memoryGiB: ENDLESS, diskGiB: ENDLESS, gpus };
      const stand = { ...host, free: endless, capacity: endless };
      const known = found.stand.find((s) => s.name === site.name);
      if (known === undefined) found.stand.push({ ...site, hosts: [stand] });
      else known.hosts.push(stand);
    }
    const h = found.hosts.length;
    (found.pools[pool]!.hosts as number[]).push(h);
    const size = (d: (typeof ROOM)[number]): number => Math.max(0, Math.min(free[d] ?? 0, capacity[d] ?? 0));
    found.hosts.push({
      name: host.name,
      pool,
      free: [size('vcpus'), size('memoryGiB'), size('diskGiB'), size('gpus')],
    });
    found.names.push(`${site.name}/${host.name}`);
    if (!own)
      found.pools[pool]!.words =
        `hosts of site ${site.name}, zone ${zone}, ${architecture}, ${accel}${gpuName === undefined ? '' : `, ${gpuName}`}`;
  }
  return found;
}

const ENDLESS = 1e12;

function covers(aside: SetAside, site: SiteView, host: HostView): boolean {
  return (
    aside.site === site.name &&
    (aside.region === null || aside.region === host.region) &&
    (aside.zone === null || aside.zone === host.zone) &&
    (aside.host === null || aside.host === host.name) &&
    (aside.instanceType === null || aside.instanceType.startsWith('kvm-')) &&
    (aside.market === null || aside.market === 'onDemand')
  );
}
