import type { Catalogue } from '../catalogue/catalogue.ts';
import { combinations } from '../cel/columnar.ts';
import type { OfferAttribute } from '../cel/schema.ts';
import type { Clause, ParsedPolicy } from '../file/policy.ts';
import type { Problem } from '../file/problems.ts';
import { memo } from '../memo.ts';
import { rowReader } from '../place/circumstances.ts';
import { offerKeys } from '../place/groups.ts';
import { cloudTable } from '../place/offers.ts';
import { ruleProblem } from './rule-cases.ts';

type Spread = Extract<Clause, { effect: 'spread' }>;

/** What a catalogue tells apart; of sites and hosts it knows nothing. */
const READS: Partial<Record<Spread['by'], OfferAttribute[]>> = {
  provider: ['provider'],
  region: ['provider', 'region'],
  zone: ['provider', 'region', 'zone'],
};

/**
 * Spread rules that ask for more domains than the catalogue has in any of their groups. Where it names no domain at all, as a list without
 * zones, nothing is said.
 */
export function wideSpreads(policies: readonly ParsedPolicy[], catalogue: Catalogue): Problem[] {
  return policies.flatMap((policy) =>
    policy.rules.flatMap((rule, index) =>
      rule.clauses.flatMap((clause): Problem[] => {
        if (clause.effect !== 'spread') return [];
        const most = mostDomains(clause, catalogue);
        if (most === 0 || most >= clause.min) return [];
        const keys = catalogueKeys(clause);
        const of = keys.length === 0 ? '' : ` for one ${keys.join(' and ')}`;
        const message = `it asks for ${clause.min} ${clause.by}s, and the catalogue has ${most}${of}: only on-prem sites could make up for the rest`;
        return [ruleProblem({ policy, rule, index }, 'wide-spread', message)];
      }),
    ),
  );
}

/** Hosts and sites of a group are within what else it names; the catalogue has neither. */
function catalogueKeys({ group }: Spread): OfferAttribute[] {
  return offerKeys(group).filter((key) => key !== 'site' && key !== 'host');
}

const known = new WeakMap<Catalogue, Map<string, number>>();

/** How many domains the group with the most of them has. */
function mostDomains(clause: Spread, catalogue: Catalogue): number {
  const reads = READS[clause.by];
  if (reads === undefined) return 0;
  const keys = catalogueKeys(clause);
  const counts = memo(known, catalogue, () => new Map<string, number>());
  return memo(counts, `${clause.by} of ${keys.join()}`, () => {
    const table = cloudTable(catalogue, []);
    const groups = new Map<string, Set<string>>();
    for (const row of combinations(table, [...new Set([...reads, ...keys])]).first) {
      const offer = rowReader(table, row);
      const domain = reads.map((name) => offer(name));
      if (domain.some((part) => part === undefined || part === '')) continue;
      const group = JSON.stringify(keys.map((key) => offer(key)));
      memo(groups, group, () => new Set<string>()).add(JSON.stringify(domain));
    }
    return Math.max(0, ...[...groups.values()].map((domains) => domains.size));
  });
}
