/** What a request would cost in each region. */
import { type Catalogue, choose, type PlacementInput } from '@landfall/policies';
import { cloudTable } from '@landfall/policies/place/offers.ts';

/** The best offer of one region for the request, under the same rules; without a price: none is compliant. */
export interface RegionOffer {
  provider: string;
  region: string;
  instanceType?: string;
  /** USD. */
  pricePerHour?: number;
}

/** The best compliant offer of each region that the catalogue has, for the request and under the rules of `input`. */
export function regionOffers(input: PlacementInput): RegionOffer[] {
  const { request, catalogue } = input;
  const asked = (list: readonly string[], one: string): boolean => list.length === 0 || list.includes(one);
  const offers = regionsOf(catalogue)
    .filter(({ provider, region }) => asked(request.providers, provider) && asked(request.regions, region))
    .map(({ provider, region }): RegionOffer => {
      const narrowed = { ...request, providers: [provider], regions: [region] };
      const { winner } = choose({ ...input, request: narrowed }, 0);
      if (winner === null) return { provider, region };
      return { provider, region, instanceType: winner.instanceType, pricePerHour: winner.pricePerHour };
    });
  return offers.sort(
    (a, b) => (a.pricePerHour ?? Infinity) - (b.pricePerHour ?? Infinity) || (a.region < b.region ? -1 : 1),
  );
}

const REGIONS = new WeakMap<Catalogue, { provider: string; region: string }[]>();

function regionsOf(catalogue: Catalogue): { provider: string; region: string }[] {
  const known = REGIONS.get(catalogue);
  if (known) return known;
  const table = cloudTable(catalogue, []);
  const [providers, regions] = [table.column('provider'), table.column('region')];
  const found = new Map<string, { provider: string; region: string }>();
  for (let row = 0; row < table.length; row++) {
    const provider = String(providers.values[providers.codes[row]!]);
    const region = String(regions.values[regions.codes[row]!]);
    found.set(`${provider} ${region}`, { provider, region });
  }
  const list = [...found.values()];
  REGIONS.set(catalogue, list);
  return list;
}
