import type { Adapter, Kind } from '@landfall/adapters';
import { context } from '@landfall/adapters/conformance/probe.ts';
import { loadSnapshot } from '@landfall/policies/catalogue/snapshot.ts';
import type { Standing } from './ledger.ts';

/** USD an hour of one of each kind. */
export type Rates = Record<Kind, number>;

/**
 * How many of each kind the suites have at most at once, with what they only asked for and with what they planted as somebody
 * else's. A run that has more is stopped: its bound would not hold.
 */
export const mostAtOnce: Record<Kind, number> = {
  Instance: 10,
  Volume: 6,
  Snapshot: 6,
  Image: 6,
  Address: 6,
  Network: 6,
  Firewall: 6,
};

// Above each provider's list price of what the suites use: the catalogue has prices of machines only.
const gibHour = 0.2 / 730;
const addressHour = 0.006;
const rootDiskGiB = 32;
const volumeGiB = 16;

/**
 * What each kind costs here, at most. A machine's price is the site's own offer's, or else the catalogue's for that instance type.
 * Rejects where an instance type is not offered, or nobody knows its price.
 */
export async function ratesOf(
  adapter: Adapter,
  provider: string,
  instanceTypes: readonly string[],
  { region, zone }: { region: string; zone?: string },
): Promise<Rates> {
  const prices = new Map<string, number | undefined>();
  for await (const offer of adapter.offers(context()))
    if (
      offer.market === 'onDemand' &&
      instanceTypes.includes(offer.instanceType) &&
      offer.region === region &&
      (offer.zone === undefined || offer.zone === zone)
    )
      prices.set(offer.instanceType, offer.pricePerHour);
  const catalogue = loadSnapshot();
  for (let at = 0; at < catalogue.length; at += 1) {
    const row = catalogue.row(at);
    if (row.provider !== provider || row.region !== region || row.market !== 'onDemand') continue;
    if (prices.has(row.instanceType) && prices.get(row.instanceType) === undefined)
      prices.set(row.instanceType, row.pricePerHour);
  }
  const machine = Math.max(
    ...instanceTypes.map((type) => {
      if (!prices.has(type))
        throw new Error(`${type} is not offered in ${zone ?? region}: choose another zone`);
      const price = prices.get(type);
      if (price === undefined) throw new Error(`nobody knows the price of ${type} in ${region}`);
      return price;
    }),
  );
  return {
    Instance: machine + rootDiskGiB * gibHour + addressHour,
    Volume: volumeGiB * gibHour,
    Snapshot: volumeGiB * gibHour,
    Image: rootDiskGiB * gibHour,
    Address: addressHour,
    Network: 0,
    Firewall: 0,
  };
}

const kinds = Object.keys(mostAtOnce) as Kind[];
const hour = 3_600_000;
/** Providers bill at least a minute of a machine. */
const leastMs = 60_000;

/** USD of a run that has the most of everything for all of its time. */
export function boundOf(rates: Rates, minutes: number): number {
  return kinds.reduce((sum, kind) => sum + mostAtOnce[kind] * rates[kind] * (minutes / 60), 0);
}

/** USD of what was made so far. */
export function spentOf(standings: readonly Standing[], rates: Rates, now: number): number {
  return standings.reduce(
    (sum, { kind, from, until = now }) => sum + (rates[kind] * Math.max(leastMs, until - from)) / hour,
    0,
  );
}

/** The most of each kind that stood at one time. */
export function peakOf(standings: readonly Standing[]): Map<Kind, number> {
  const peak = new Map<Kind, number>();
  for (const { kind, from } of standings) {
    const then = standings.filter(
      (other) =>
        other.kind === kind && other.from <= from && (other.until === undefined || other.until > from),
    );
    peak.set(kind, Math.max(peak.get(kind) ?? 0, then.length));
  }
  return peak;
}

/** Minutes that the sweep may take, kept back of the cap: until then everything goes on costing. */
export const sweepMinutes = 20;

/** Why the run must stop now; undefined while it may go on. */
export function whyStop(
  standings: readonly Standing[],
  rates: Rates,
  cap: number,
  now: number,
): string | undefined {
  for (const [kind, most] of peakOf(standings))
    if (most > mostAtOnce[kind])
      return `${most} of kind ${kind} stood at once, and the bound was computed for ${mostAtOnce[kind]}`;
  const standing = standings.filter(({ until }) => until === undefined);
  const sweep = standing.reduce((sum, { kind }) => sum + (rates[kind] * sweepMinutes) / 60, 0);
  const spent = spentOf(standings, rates, now);
  if (spent + sweep < cap) return undefined;
  return `$${spent.toFixed(4)} are spent, and removing what stands may cost $${sweep.toFixed(4)} more: the cap is $${cap}`;
}
