import { combinations } from '../cel/columnar.ts';
import type { OfferAttribute } from '../cel/schema.ts';
import type { Clause, Domain, GroupKey } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { rowReader } from '../place/circumstances.ts';
import type { CompiledRule } from '../place/compiled.ts';
import {
  candidateValue,
  domainOf,
  groupName,
  isRequestKey,
  machinesByGroup,
  offerKeys,
  type Place,
} from '../place/groups.ts';
import { type LimitClause, machineUse } from '../place/limits.ts';
import { HOURS_PER_MONTH, type OfferTable } from '../place/offers.ts';
import type { EstateMachine, PlacementRequest } from '../place/types.ts';
import { ALONE, type Cell, type Limit, type SpreadGroup, THE_HOST, UNKNOWN } from './problem.ts';

/** Whether a rule looks at more than one machine of a batch; affinity does only where it chooses some of it. */
export function isCoupled(rule: CompiledRule): boolean {
  return ['budget', 'quota', 'spread', 'antiAffinity'].includes(rule.effect);
}

const DOMAIN_READS: Record<Domain, OfferAttribute[]> = {
  provider: ['provider'],
  site: ['site'],
  region: ['provider', 'site', 'region'],
  zone: ['provider', 'site', 'region', 'zone'],
  host: ['site', 'host'],
};

/** The attributes of an offer that coupled rules tell offers apart by. */
export function coupledAttributes(rules: readonly CompiledRule[]): OfferAttribute[] {
  const found = new Set<OfferAttribute>();
  for (const { clause } of rules) {
    if (clause.effect === 'budget' || clause.effect === 'quota' || clause.effect === 'spread')
      for (const key of offerKeys(clause.group)) found.add(key);
    if (clause.effect === 'spread' || clause.effect === 'antiAffinity' || clause.effect === 'affinity')
      for (const attribute of DOMAIN_READS[clause.by]) found.add(attribute);
  }
  return [...found].sort();
}

/** Hours a budget is for: limits here count USD per hour. */
const HOURS = { hour: 1, day: 24, month: HOURS_PER_MONTH };

/**
 * Whether a spread rule counts the same machines wherever they go: it has a say over all their offers or none, and an
 * offer whose domain is not known is rejected.
 */
export function isSure({ clause, gate, missing }: CompiledRule): boolean {
  return (
    clause.effect === 'spread' &&
    clause.group.every(isRequestKey) &&
    (gate?.offerAttributes.size ?? 0) === 0 &&
    missing !== 'pass'
  );
}

/** Whether an offer is out because it is not known which domain of a spread or affinity rule it is in, as for one machine. */
export function lacksDomain(rule: CompiledRule, offer: (attribute: OfferAttribute) => unknown): boolean {
  const { clause } = rule;
  return (
    (clause.effect === 'spread' || clause.effect === 'affinity') &&
    rule.missing !== 'pass' &&
    domainOf(placeOf(offer), clause.by) === null
  );
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

/** A request, and an offer, as coupled rules ask about them; what was read once is kept with them. */
export interface Asked {
  request: PlacementRequest;
  names: Map<CompiledRule, number>;
}

export interface Offered {
  offer: (attribute: OfferAttribute) => unknown;
  pool: { index: number; hosts: number } | null;
  names: Map<CompiledRule, number>;
  domains: Map<Domain, number | null>;
}

const NOWHERE: Offered = { offer: () => undefined, pool: null, names: new Map(), domains: new Map() };

/** More than there are names of the one part of a group. */
const NAMES = 2 ** 26;

/** Turns coupled rules into limits and groups as offers are met, with what the machines that exist use of them. */
export class Coupling {
  readonly limits: Limit[] = [];
  readonly spreads: SpreadGroup[] = [];
  /** The coupled anti-affinity rules, in the order of `Batch.apart`. */
  readonly apart: CompiledRule[];
  /** The affinity rules that couple machines of the batch, in the order of `Batch.together`. */
  together: readonly CompiledRule[] = [];
  readonly #estate: readonly EstateMachine[];
  readonly #limitOf = new Map<CompiledRule, Map<number, number>>();
  readonly #spreadOf = new Map<CompiledRule, Map<number, number>>();
  readonly #names = new Map<string, number>();
  readonly #domains = new Map<string, number>();
  readonly #clouds: OfferTable;
  /** By region, the zones that are offered. */
  readonly #zones = new Map<string, number[]>();

  /** `hosts`: names as `site/host`, in the order of `Batch.hosts`, whose numbers are their domains. */
  constructor(
    estate: readonly EstateMachine[],
    apart: CompiledRule[],
    hosts: readonly string[],
    clouds: OfferTable,
  ) {
    this.#estate = estate;
    this.apart = apart;
    this.#clouds = clouds;
    for (const [h, host] of hosts.entries()) this.#domains.set(`host ${host}`, h);
  }

  /** The spread groups that a request's machines are in wherever they go. */
  sureSpreads(rules: readonly CompiledRule[], asked: Asked): number[] {
    return rules.flatMap((rule) =>
      rule.clause.effect === 'spread' && isSure(rule)
        ? [this.#spread(rule, rule.clause, asked, NOWHERE)]
        : [],
    );
  }

  /** What an offer means to the coupled rules that have a say over it. To spread, a domain that is not known counts in none. */
  cell(rules: readonly CompiledRule[], asked: Asked, offered: Offered): Cell {
    const limits: number[] = [];
    const spreads: Cell['spreads'][number][] = [];
    for (const rule of rules) {
      const { clause } = rule;
      if (clause.effect === 'budget' || clause.effect === 'quota')
        limits.push(this.#limit(rule, clause, asked, offered));
      if (clause.effect !== 'spread') continue;
      const domain = this.#domain(clause.by, offered);
      if (domain !== null) spreads.push({ group: this.#spread(rule, clause, asked, offered), domain });
    }
    const apart = this.apart.flatMap((rule, index) => {
      if (rule.clause.effect !== 'antiAffinity') return [];
      const domain = this.#domain(rule.clause.by, offered);
      const held = rules.includes(rule);
      if (domain !== null) return [{ rule: index, domain, held }];
      // It may be in any zone of its region. A rule that lets pass what is not known asks nothing there.
      return rule.missing === 'pass'
        ? []
        : this.#zonesAround(offered).map((zone) => ({ rule: index, domain: zone, held }));
    });
    const together = this.together.flatMap((rule, index) => {
      if (rule.clause.effect !== 'affinity') return [];
      const domain = this.#domain(rule.clause.by, offered);
      return [{ rule: index, domain: domain ?? UNKNOWN, held: domain !== null && rules.includes(rule) }];
    });
    return { pool: offered.pool?.index ?? -1, limits, spreads, apart, together };
  }

  /** Equal for one group of a rule. The request's part and the offer's are read once each: pairs of them are many, and numbers faster than texts. */
  #numberOf(
    rule: CompiledRule,
    keys: readonly GroupKey[],
    { request, names: askedNames }: Asked,
    { offer, names: offeredNames }: Offered,
  ): number {
    const part = (of: (key: GroupKey) => boolean): number => {
      const name = groupName(keys.filter(of).map((key) => candidateValue(request, offer, key)));
      return memo(this.#names, name, () => this.#names.size);
    };
    const asked = memo(askedNames, rule, () => part(isRequestKey));
    return asked * NAMES + memo(offeredNames, rule, () => part((key) => !isRequestKey(key)));
  }

  #limit(rule: CompiledRule, clause: LimitClause, asked: Asked, offered: Offered): number {
    const known = memo(this.#limitOf, rule, () => new Map<number, number>());
    return memo(known, this.#numberOf(rule, clause.group, asked, offered), () => {
      const { name, words: of } = this.#group(clause.group, asked, offered);
      const group = machinesByGroup(this.#estate, clause.group).get(name) ?? [];
      const used = group.reduce((t, machine) => t + machineUse(clause, machine), 0);
      const unit = clause.effect === 'budget' ? `USD a ${clause.per}` : clause.resource;
      const words = `${clause.effect} ${rule.policy}/${rule.rule}: ${clause.limit} ${unit}${of}, ${round(used)} used already`;
      const hours = clause.effect === 'budget' ? HOURS[clause.per] : 1;
      const counts = clause.effect === 'budget' ? ('price' as const) : clause.resource;
      const shared = !clause.group.some(isRequestKey);
      return this.limits.push({ words, counts, shared, left: (clause.limit - used) / hours }) - 1;
    });
  }

  #group(keys: readonly GroupKey[], { request }: Asked, { offer }: Offered): { name: string; words: string } {
    const values = keys.map((key) => candidateValue(request, offer, key));
    const words = keys.map((key, i) => `${key} ${values[i] || 'none'}`).join(', ');
    return { name: groupName(values), words: words === '' ? '' : ` for ${words}` };
  }

  #spread(
    rule: CompiledRule,
    clause: Extract<Clause, { effect: 'spread' }>,
    asked: Asked,
    offered: Offered,
  ): number {
    const known = memo(this.#spreadOf, rule, () => new Map<number, number>());
    return memo(known, this.#numberOf(rule, clause.group, asked, offered), () => {
      const { name, words: of } = this.#group(clause.group, asked, offered);
      const existing = new Map<number, number>();
      let existingAlone = 0;
      for (const machine of machinesByGroup(this.#estate, clause.group).get(name) ?? []) {
        const at = domainOf(machine, clause.by);
        if (at === null) continue;
        if (typeof at !== 'string') existingAlone++;
        else {
          const domain = this.#number(clause.by, at);
          existing.set(domain, (existing.get(domain) ?? 0) + 1);
        }
      }
      const { by, min, maxShare } = clause;
      const words = `spread ${rule.policy}/${rule.rule}: at least ${min} ${by}s and at most ${round(maxShare * 100)}% in one${of}`;
      return this.spreads.push({ words, min, maxShare, existing, existingAlone, sure: isSure(rule) }) - 1;
    });
  }

  #zonesAround({ offer }: Offered): number[] {
    const region = domainOf(placeOf(offer), 'region') as string;
    return memo(this.#zones, region, () =>
      combinations(this.#clouds, DOMAIN_READS.zone)
        .first.map((row) => placeOf(rowReader(this.#clouds, row)))
        .filter((place) => domainOf(place, 'region') === region)
        .flatMap((place) => this.domainOf(place, 'zone') ?? []),
    );
  }

  /** The domain of a place; null: not known, or its own. */
  domainOf(place: Place, by: Domain): number | null {
    const at = domainOf(place, by);
    return typeof at === 'string' ? this.#number(by, at) : null;
  }

  #domain(by: Domain, { offer, pool, domains }: Offered): number | null {
    if (by === 'host' && pool !== null && pool.hosts > 1) return THE_HOST;
    return memo(domains, by, () => {
      const at = domainOf(placeOf(offer), by);
      return at === null ? null : typeof at === 'string' ? this.#number(by, at) : ALONE;
    });
  }

  #number(by: Domain, name: string): number {
    return memo(this.#domains, `${by} ${name}`, () => this.#domains.size);
  }
}

function round(x: number): number {
  return Math.round(x * 100) / 100;
}
