import { combinations } from '../cel/columnar.ts';
import type { OfferAttribute } from '../cel/schema.ts';
import type { Clause, Domain } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { chosenMachines, wouldBeChosen } from './chosen-machines.ts';
import { byCode, type Circumstances, type RowVerdict, rowReader } from './circumstances.ts';
import { candidateValue, domainOf, groupIn, groupName, isSelf, offerKeys, type Place } from './groups.ts';
import type { OfferTable } from './offers.ts';
import type { EstateMachine } from './types.ts';

/** A clause about where other machines stand. */
export type NeighbourClause = Extract<Clause, { effect: 'spread' | 'affinity' | 'antiAffinity' }>;

const DOMAIN_ATTRIBUTES: Record<Domain, OfferAttribute[]> = {
  provider: ['provider'],
  site: ['site'],
  region: ['provider', 'site', 'region'],
  zone: ['provider', 'site', 'region', 'zone'],
  host: ['site', 'host'],
};

/**
 * Whether each offer stands right towards the other machines: those that an affinity's `to` chooses, or those `chosen`. An offer
 * whose domain is not known has no value.
 */
export function neighbourVerdict(
  clause: NeighbourClause,
  table: OfferTable,
  context: Circumstances,
  chosen: readonly EstateMachine[] | null = null,
): RowVerdict {
  const own = clause.effect === 'spread' ? offerKeys(clause.group) : [];
  const attributes = [...new Set([...DOMAIN_ATTRIBUTES[clause.by], ...own])];
  const { codes, first } = combinations(table, attributes);
  const judge =
    clause.effect === 'spread' ? spreadJudge(clause, context) : companyJudge(clause, context, chosen);
  return byCode(codes, (code) => {
    const offer = rowReader(table, first[code]!);
    const text = (attribute: OfferAttribute): string => (offer(attribute) as string | undefined) ?? '';
    const place = {
      provider: text('provider'),
      site: text('site'),
      region: text('region'),
      zone: text('zone') || null,
      host: text('host') || null,
    };
    const domain = domainOf(place, clause.by);
    return domain === null ? 'error' : judge(domain, place, offer);
  });
}

type Judge = (
  domain: string | { alone: true },
  place: Place,
  offer: (attribute: OfferAttribute) => unknown,
) => ReturnType<RowVerdict>;

/** How a group stands: how many machines, and how many in each domain. */
interface Standing {
  machines: number;
  domains: number;
  byDomain: Map<string, number>;
}

/**
 * Machines come one by one, so the rule is one that no later machine has to undo: while fewer than `min` domains are
 * in use, a new machine goes to one that is not; and after it no domain has more than `maxShare` of the group, rounded
 * up to whole machines (the first of a group may stand anywhere). Machines in a domain that is not known count in none.
 */
function spreadJudge(
  clause: Extract<Clause, { effect: 'spread' }>,
  { request, estate }: Circumstances,
): Judge {
  const standings = new Map<string, Standing>();
  const ofGroup = (name: string): Standing => {
    const { standing, added } = groupIn(estate, clause.group, name);
    const isThere = (machine: EstateMachine): boolean => isSelf(machine, request);
    if (standing.some(isThere) || added.some(isThere))
      return counted(
        [...standing, ...added].filter((machine) => !isThere(machine)),
        clause.by,
      );
    const known = memo(standingsOf, standing, () => new Map<Domain, Standing>());
    const before = memo(known, clause.by, () => counted(standing, clause.by));
    return added.length === 0 ? before : counted(added, clause.by, before);
  };
  return (domain, _place, offer) => {
    const name = groupName(clause.group.map((key) => candidateValue(request, offer, key)));
    const { machines, domains, byDomain } = memo(standings, name, () => ofGroup(name));
    const there = typeof domain === 'string' ? (byDomain.get(domain) ?? 0) : 0;
    if (domains < clause.min && there > 0) return 'false';
    return there + 1 <= largestShare(clause.maxShare, machines + 1) ? 'true' : 'false';
  };
}

const standingsOf = new WeakMap<readonly EstateMachine[], Map<Domain, Standing>>();

/** How a group stands, counted on from how a part of it does. */
function counted(group: readonly EstateMachine[], by: Domain, before?: Standing): Standing {
  const found: Standing = {
    machines: before?.machines ?? 0,
    domains: before?.domains ?? 0,
    byDomain: new Map(before?.byDomain),
  };
  for (const machine of group) {
    const at = domainOf(machine, by);
    if (at === null) continue;
    found.machines++;
    const there = typeof at === 'string' ? (found.byDomain.get(at) ?? 0) : 0;
    if (there === 0) found.domains++;
    if (typeof at === 'string') found.byDomain.set(at, there + 1);
  }
  return found;
}

/** How many of `machines` one domain may have. */
export function largestShare(maxShare: number, machines: number): number {
  // 0.07 × 100 is a little above 7 in binary; without the correction that would round up to 8.
  return Math.max(1, Math.ceil(maxShare * machines - 1e-9));
}

/**
 * In one domain with a machine that `to` chooses, or with none of them. An error in `to` does not choose the machine.
 * Affinity to machines of which there is none yet holds for a request that would itself be one (it is the first), and
 * rejects any other. Beside a machine whose zone is not known, anti-affinity by zone has no value in that region.
 */
function companyJudge(
  clause: Extract<Clause, { effect: 'affinity' | 'antiAffinity' }>,
  context: Circumstances,
  given: readonly EstateMachine[] | null,
): Judge {
  const chosen = given ?? chosenMachines(clause.to, context);
  const domains = new Set(chosen.map((machine) => domainOf(machine, clause.by)));
  if (clause.effect === 'antiAffinity') {
    const unsure = new Set(
      chosen.filter((m) => domainOf(m, clause.by) === null).map((m) => domainOf(m, 'region')),
    );
    return (domain, place) =>
      domains.has(domain) ? 'false' : unsure.has(domainOf(place, 'region')) ? 'error' : 'true';
  }
  if (chosen.length === 0) {
    const first = wouldBeChosen(clause.to, context) ? 'true' : 'false';
    return () => first;
  }
  return (domain) => (domains.has(domain) ? 'true' : 'false');
}
