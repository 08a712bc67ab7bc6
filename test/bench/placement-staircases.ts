import type { Catalogue, CompiledPolicies, PlacementRequest, SiteView } from '@landfall/policies';
import { nextBit } from '@landfall/policies/cel/trivalue.ts';
import { heldTo } from '@landfall/policies/place/held.ts';
import { cloudTable } from '@landfall/policies/place/offers.ts';
import { circumstancesOf } from '@landfall/policies/place/place.ts';
import { readyOffers } from '@landfall/policies/place/ready.ts';

/** Of one group, no offer here is dearer than another and no larger in any size. */
interface Staircase {
  architecture: string;
  market: string;
  prices: number[];
  vcpus: number[];
  memoryGiB: number[];
}

/**
 * The other way to keep what the rules let through: for equal requests, groups by architecture and market, and in each
 * only the offers that no cheaper one equals or passes in size (a Pareto front), by price. It finds the winner alone: a
 * fallback may be an offer that it has left out, and so may the winner once machines, hosts or set-asides have a say.
 * Here to measure what it would save.
 */
export class StaircaseIndex {
  readonly #requests: PlacementRequest[];
  readonly #known = new Map<string, Staircase[]>();
  readonly #keyOf: (request: PlacementRequest) => string;

  constructor(
    catalogue: Catalogue,
    policies: CompiledPolicies,
    sites: SiteView[],
    requestOf: (i: number) => PlacementRequest,
  ) {
    this.#requests = Array.from({ length: 30 }, (_, i) => requestOf(i));
    const circumstances = (request: PlacementRequest) =>
      circumstancesOf({ request, catalogue, sites, policies, setAside: [], includeUnconfigured: false });
    const own: never[] = [];
    this.#keyOf = (request) => heldTo(policies, own, circumstances(request)).signature;
    const table = cloudTable(catalogue, sites);
    for (const request of this.#requests) {
      const context = circumstances(request);
      const held = heldTo(policies, own, context);
      if (this.#known.has(held.signature)) continue;
      const { bits } = readyOffers(table, held, context, false).classes[0]!;
      const groups = new Map<string, Staircase>();
      for (let i = nextBit(bits, 0); i >= 0; i = nextBit(bits, i + 1)) {
        const { architecture, market, pricePerHour, vcpus, memoryGiB } = table.offer(i);
        const key = `${architecture} ${market}`;
        let group = groups.get(key);
        if (group === undefined) {
          group = { architecture, market, prices: [], vcpus: [], memoryGiB: [] };
          groups.set(key, group);
        }
        const { prices } = group;
        if (prices.some((_, k) => group.vcpus[k]! >= vcpus && group.memoryGiB[k]! >= memoryGiB)) continue;
        prices.push(pricePerHour);
        group.vcpus.push(vcpus);
        group.memoryGiB.push(memoryGiB);
      }
      this.#known.set(held.signature, [...groups.values()]);
    }
  }

  /** The price of the winner for a request; null: none. */
  cheapest(i: number): number | null {
    const request = this.#requests[i]!;
    let best: number | null = null;
    for (const group of this.#known.get(this.#keyOf(request))!) {
      if (request.architecture !== 'any' && request.architecture !== group.architecture) continue;
      if (request.market !== 'any' && request.market !== group.market) continue;
      const { prices, vcpus, memoryGiB } = group;
      for (let k = 0; k < prices.length; k++) {
        if (best !== null && prices[k]! >= best) break;
        if (vcpus[k]! < request.vcpus || memoryGiB[k]! < request.memoryGiB) continue;
        best = prices[k]!;
        break;
      }
    }
    return best;
  }

  /** What is kept. */
  described(): string {
    const lists = [...this.#known.values()].flat();
    const kept = lists.reduce((sum, list) => sum + list.prices.length, 0);
    return `(the Pareto lists keep ${kept} offers in ${lists.length} groups for ${this.#known.size} kinds of request)`;
  }
}
