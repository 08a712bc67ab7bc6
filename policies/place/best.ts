import { type Bits, countBits, nextBit } from '../cel/trivalue.ts';
import type { Evaluated } from './evaluate.ts';
import { compareOffers, type OfferTable } from './offers.ts';
import type { PlacedOffer, SetAside } from './types.ts';

/** The winner and its fallbacks. */
export interface Best {
  winner: PlacedOffer | null;
  fallbacks: PlacedOffer[];
  /** The cheapest available offer of each provider that has one, cheapest first. */
  cheapestByProvider: PlacedOffer[];
  /** Compliant offers that can be had now. */
  available: number;
  /** Why compliant offers cannot be had, with how many each. */
  refusals: Map<string, number>;
}

/** At most this many of the winner and its fallbacks are one instance type of one region of one site. */
const ALIKE = 2;

/**
 * Takes the cheapest available offers of all tables in order. Fallbacks are there for when the winner is
 * refused, so they differ in more than the market (never the same site, zone, host and instance type twice)
 * and at most two share site, region and instance type, whose capacity fails together. When that leaves too
 * few, the passed-over ones of the second kind fill up, still cheapest first.
 */
export function takeBest(
  evaluated: readonly Evaluated[],
  setAside: readonly SetAside[],
  refusal: (site: string, host: string) => string | null,
  fallbacks: number,
): Best {
  const refusals = new Map<string, number>();
  const available = evaluated.map((e) => availableBits(e, setAside, refusal, refusals));
  const chosen: PlacedOffer[] = [];
  const passedOver: PlacedOffer[] = [];
  const places = new Set<string>();
  const alike = new Map<string, number>();
  const wanted = 1 + Math.max(0, fallbacks);
  for (const offer of inOrder(
    evaluated.map((e) => e.table),
    available,
  )) {
    const kind = [offer.site, offer.provider, offer.region, offer.instanceType].join('\0');
    const exact = [kind, offer.zone, offer.host].join('\0');
    if (places.has(exact)) continue;
    places.add(exact);
    const count = (alike.get(kind) ?? 0) + 1;
    // On-prem hosts fail one by one, so they count as unlike.
    if (offer.host === null && count > ALIKE) {
      if (passedOver.length < wanted) passedOver.push(offer);
      continue;
    }
    alike.set(kind, count);
    chosen.push(offer);
    if (chosen.length >= wanted) break;
  }
  const [winner = null, ...rest] = chosen;
  const others = [...rest, ...passedOver.slice(0, wanted - chosen.length)].sort(compareOffers);
  return {
    winner,
    fallbacks: others,
    cheapestByProvider: cheapestByProvider(evaluated, available),
    available: available.reduce((t, bits) => t + countBits(bits), 0),
    refusals,
  };
}

function cheapestByProvider(evaluated: readonly Evaluated[], available: readonly Bits[]): PlacedOffer[] {
  const cheapest = new Map<string, PlacedOffer>();
  for (const [t, { table }] of evaluated.entries()) {
    const { codes, values } = table.column('provider');
    const left = new Set(values.keys());
    for (let i = nextBit(available[t]!, 0); i >= 0 && left.size > 0; i = nextBit(available[t]!, i + 1)) {
      if (!left.delete(codes[i]!)) continue;
      const offer = table.offer(i);
      const known = cheapest.get(offer.provider);
      if (known === undefined || compareOffers(offer, known) < 0) cheapest.set(offer.provider, offer);
    }
  }
  return [...cheapest.values()].sort(compareOffers);
}

/** Offers of several sorted tables, best first. */
function* inOrder(tables: readonly OfferTable[], bits: readonly Bits[]): Generator<PlacedOffer> {
  const heads = tables.map((table, t) => {
    const at = nextBit(bits[t]!, 0);
    return { table, bits: bits[t]!, at, offer: at < 0 ? null : table.offer(at) };
  });
  while (true) {
    let best: (typeof heads)[number] | null = null;
    for (const head of heads)
      if (head.offer !== null && (best === null || compareOffers(head.offer, best.offer!) < 0)) best = head;
    if (best === null) return;
    yield best.offer!;
    best.at = nextBit(best.bits, best.at + 1);
    best.offer = best.at < 0 ? null : best.table.offer(best.at);
  }
}

function availableBits(
  { table, compliantBits }: Evaluated,
  setAside: readonly SetAside[],
  refusal: (site: string, host: string) => string | null,
  refusals: Map<string, number>,
): Bits {
  const bits = compliantBits.slice();
  const drop = (i: number, reason: string): void => {
    bits[i >>> 5]! &= ~(1 << (i & 31));
    refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
  };
  for (const aside of setAside) {
    const matches = matcher(table, aside);
    if (matches === null) continue;
    for (let i = nextBit(bits, 0); i >= 0; i = nextBit(bits, i + 1))
      if (matches(i)) drop(i, `set aside: ${aside.reason}`);
  }
  const hosts = table.column('host');
  const sites = table.column('site');
  if (hosts.values.some((h) => h !== ''))
    for (let i = nextBit(bits, 0); i >= 0; i = nextBit(bits, i + 1)) {
      const host = hosts.values[hosts.codes[i]!] as string;
      const reason = host === '' ? null : refusal(sites.values[sites.codes[i]!] as string, host);
      if (reason !== null) drop(i, reason);
    }
  return bits;
}

/** Compares codes, not names; null when the table has no such offer at all. */
function matcher(table: OfferTable, aside: SetAside): ((i: number) => boolean) | null {
  const tests: { codes: Uint32Array; code: number }[] = [];
  for (const attribute of ['site', 'region', 'zone', 'host', 'instanceType', 'market'] as const) {
    const wanted = aside[attribute];
    if (wanted === null) continue;
    const { codes, values } = table.column(attribute);
    const code = values.indexOf(wanted);
    if (code < 0) return null;
    tests.push({ codes, code });
  }
  return (i) => tests.every((t) => t.codes[i] === t.code);
}
