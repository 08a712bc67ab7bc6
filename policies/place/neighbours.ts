import { combinations } from '../cel/columnar.ts';
import type { OfferAttribute } from '../cel/schema.ts';
import type { Clause, Domain } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { chosenMachines, wouldBeChosen } from './chosen-machines.ts';
import {
  byCode,
  type Circumstances,
  type MachinesVerdict,
  type RowVerdict,
  rowReader,
} from './circumstances.ts';
import { candidateValue, domainOf, groupIn, groupName, isSelf, offerKeys, type Place } from './groups.ts';
import { machineWords } from './machine-words.ts';
import type { OfferTable } from './offers.ts';
import type { EstateMachine } from './types.ts';

/** A clause about where other machines stand. */
export type NeighbourClause = Extract<Clause, { effect: 'spread' | 'affinity' | 'antiAffinity' }>;

type SpreadClause = Extract<Clause, { effect: 'spread' }>;

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
): MachinesVerdict {
  const own = clause.effect === 'spread' ? offerKeys(clause.group) : [];
  const attributes = [...new Set([...DOMAIN_ATTRIBUTES[clause.by], ...own])];
  const { codes, first } = combinations(table, attributes);
  const judge =
    clause.effect === 'spread' ? spreadJudge(clause, context) : companyJudge(clause, context, chosen);
  return byCode(codes, first.length, (code) => {
    const offer = rowReader(table, first[code]!);
    const place = placeOf(offer);
    const domain = domainOf(place, clause.by);
    return domain === null ? 'error' : judge(domain, place, offer);
  });
}

/** How other machines stand against the offer of a row that the clause rejects, for a person; null: its domain is not known. */
export function neighbourRefusal(
  clause: NeighbourClause,
  table: OfferTable,
  row: number,
  context: Circumstances,
): string | null {
  const offer = rowReader(table, row);
  const place = placeOf(offer);
  const domain = domainOf(place, clause.by);
  if (domain === null) return null;
  const where = `${clause.by} ${typeof domain === 'string' ? domain : '(of its own)'}`;
  if (clause.effect !== 'spread') return companyRefusal(clause, domain, where, context);
  const { machines, domains, byDomain } = standingFor(clause, offer, context);
  const there = typeof domain === 'string' ? (byDomain.get(domain) ?? 0) : 0;
  const group = clause.group.map((key) => `${key}=${candidateValue(context.request, offer, key)}`).join(', ');
  const now =
    machines === 1
      ? `the only machine of ${group} stands in ${where}`
      : `${there} of the ${machines} machines of ${group} stand in ${where}`;
  if (domains < clause.min && there > 0)
    return `${now}, and the rule wants ${clause.min} ${clause.by}s in use first`;
  return `${now}, which may have ${largestShare(clause.maxShare, machines + 1)} of ${machines + 1}`;
}

function companyRefusal(
  clause: Extract<Clause, { effect: 'affinity' | 'antiAffinity' }>,
  domain: string | { alone: true },
  where: string,
  context: Circumstances,
): string | null {
  const chosen = chosenMachines(clause.to, context);
  if (clause.effect === 'affinity') {
    if (chosen.length === 0) return 'there is no machine yet that it has to be with';
    return chosen.length === 1
      ? `the one machine it has to be with does not stand in ${where}`
      : `none of the ${chosen.length} machines it has to be with stands in ${where}`;
  }
  const there = chosen.find((machine) => domainOf(machine, clause.by) === domain);
  return there === undefined ? null : `${machineWords(there)} stands in ${where}`;
}

function placeOf(offer: (attribute: OfferAttribute) => unknown): Place {
  const text = (attribute: OfferAttribute): string => (offer(attribute) as string | undefined) ?? '';
  return {
    provider: text('provider'),
    site: text('site'),
    region: text('region'),
    zone: text('zone') || null,
    host: text('host') || null,
  };
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
function spreadJudge(clause: SpreadClause, context: Circumstances): Judge {
  const standings = new Map<string, Standing>();
  return (domain, _place, offer) => {
    const { machines, domains, byDomain } = standingFor(clause, offer, context, standings);
    const there = typeof domain === 'string' ? (byDomain.get(domain) ?? 0) : 0;
    if (domains < clause.min && there > 0) return 'false';
    return there + 1 <= largestShare(clause.maxShare, machines + 1) ? 'true' : 'false';
  };
}

/** How the group that an offer's machine would be of stands without it; `standings` keeps that for one request. */
function standingFor(
  clause: SpreadClause,
  offer: (attribute: OfferAttribute) => unknown,
  { request, estate }: Circumstances,
  standings = new Map<string, Standing>(),
): Standing {
  const isThere = (machine: EstateMachine): boolean => isSelf(machine, request);
  const ofGroup = (name: string): Standing => {
    const { standing, added } = groupIn(estate, clause.group, name);
    if (standing.some(isThere) || added.some(isThere))
      return counted(
        [...standing, ...added].filter((machine) => !isThere(machine)),
        clause.by,
      );
    const known = memo(standingsOf, standing, () => new Map<Domain, Standing>());
    const before = memo(known, clause.by, () => counted(standing, clause.by));
    return added.length === 0 ? before : counted(added, clause.by, before);
  };
  const name = groupName(clause.group.map((key) => candidateValue(request, offer, key)));
  return memo(standings, name, () => ofGroup(name));
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
