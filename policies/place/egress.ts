import { combinations } from '../cel/columnar.ts';
import type { Clause } from '../file/policy.ts';
import { memo } from '../memo.ts';
import type { Circumstances } from './circumstances.ts';
import { HOURS_PER_MONTH, type OfferTable } from './offers.ts';

/**
 * List prices of data leaving a provider's region, USD per GiB: to another of its regions, and to anywhere else. Of the
 * providers' own price pages ("EC2 On-Demand Pricing: Data Transfer", "Bandwidth pricing", "Network pricing: Premium
 * Tier"), for regions in Europe and North America and the first paid step of volume; other continents cost more, large
 * volumes less. Between zones of one region some ask a cent, which is left out: reading stays in one region.
 */
const EGRESS: Record<string, { otherRegion: number; elsewhere: number }> = {
  aws: { otherRegion: 0.02, elsewhere: 0.09 },
  azure: { otherRegion: 0.02, elsewhere: 0.087 },
  gcp: { otherRegion: 0.02, elsewhere: 0.12 },
  // Leaving an own data centre is not billed by volume.
  onprem: { otherRegion: 0, elsewhere: 0 },
};

/** USD per GiB from where data lies to a region of a provider; null: no price is known of its provider. */
export function egressPrice(
  from: { provider: string; region: string | null },
  to: { provider: string; region: string },
): number | null {
  const prices = EGRESS[from.provider];
  if (prices === undefined) return null;
  if (to.provider !== from.provider) return prices.elsewhere;
  return to.region === from.region ? 0 : prices.otherRegion;
}

/**
 * What reading the data costs at each offer by its row, USD per hour: egress over the hours of a month; offers of one code
 * cost the same. Null where it cannot be
 * told: the site is not known, the provider has no egress price here, or `gibPerMonth` has no value of at least 0.
 */
export function gravityCosts(
  clause: Extract<Clause, { effect: 'gravity' }>,
  gibPerMonth: number | null,
  table: OfferTable,
  context: Circumstances,
): { costs: (row: number) => number; codes: Uint32Array } | null {
  const from = dataPlace(clause.at, context);
  if (gibPerMonth === null || from === null || EGRESS[from.provider] === undefined) return null;
  const provider = table.column('provider');
  const region = table.column('region');
  const { codes } = combinations(table, ['provider', 'region']);
  const known = new Map<number, number>();
  const costs = (row: number): number =>
    memo(known, codes[row]!, () => {
      const to = {
        provider: provider.values[provider.codes[row]!] as string,
        region: region.values[region.codes[row]!] as string,
      };
      return (egressPrice(from, to)! * gibPerMonth) / HOURS_PER_MONTH;
    });
  return { costs, codes };
}

/** `aws/eu-central-1`, or `site/<name>`; a cloud's site with several regions is in none of them for sure. */
function dataPlace(at: string, { sites }: Circumstances): { provider: string; region: string | null } | null {
  const slash = at.indexOf('/');
  const [first, rest] = [at.slice(0, slash), at.slice(slash + 1)];
  if (first !== 'site') return { provider: first, region: rest };
  const site = sites.find((s) => s.name === rest);
  if (site === undefined) return null;
  return { provider: site.provider, region: site.regions.length === 1 ? site.regions[0]! : null };
}
