/** Small batches under rules about where other machines are, and what trying all their answers finds. */
import { interpret } from '../../cel/columnar.ts';
import { celRequest, celResource } from '../../cel/schema.ts';
import type { Clause, Domain, ParsedRule } from '../../file/policy.ts';
import { memo } from '../../memo.ts';
import { compilePolicies } from '../../place/compiled.ts';
import { type EstateMachine, NEUTRAL_REQUEST, type PlacementRequest } from '../../place/types.ts';
import { policy } from '../../testing/policies.ts';
import { seeded } from '../../testing/random-cases.ts';
import { cellar, cloud, machine, market } from '../../testing/small-market.ts';
import type { BatchInput } from '../types.ts';

const NOW = new Date('2026-05-10T12:00:00Z');

/** Where a machine can be had, or stands. */
type Spot = Pick<EstateMachine, 'provider' | 'site' | 'region' | 'zone' | 'host'>;

export interface CompanyWorld {
  input: BatchInput;
  offers: (Spot & { price: number })[];
  rules: ParsedRule[];
}

const HOST_ROOM = 4;

/** One machine more or less, in a zone, a region, or a host's rack; a few machines stand already. */
export function randomWorld(seed: number): CompanyWorld {
  const next = seeded(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
  const chance = (p: number): boolean => next() < p;
  const price = (): number => Math.round((0.05 + 0.1 * next()) * 1000) / 1000;
  const at = (provider: string, region: string, zone: string | null): CompanyWorld['offers'][number] => {
    return { provider, site: `${provider}-1`, region, zone, host: null, price: price() };
  };
  const clouds = [
    at('aws', 'eu', 'eu-a'),
    at('aws', 'eu', 'eu-b'),
    at('aws', 'us', 'us-a'),
    ...(chance(0.6) ? [at('gcp', 'eu', 'eu-a')] : []),
    ...(chance(0.4) ? [at('aws', 'eu', null)] : []),
  ];
  const site = cellar(...['h1', 'h2'].slice(0, Math.floor(next() * 3)));
  const hosts = site.hosts.map((host) => ({
    provider: 'onprem',
    site: 'cellar',
    region: 'cellar',
    zone: host.zone,
    host: host.name,
    price: 0.02,
  }));
  const room = { vcpus: HOST_ROOM, memoryGiB: 64, diskGiB: 100 };
  const sites = [
    cloud('aws-1', 'aws'),
    cloud('gcp-1', 'gcp'),
    { ...site, hosts: site.hosts.map((host) => ({ ...host, free: room, capacity: room })) },
  ];
  const offers = [...clouds, ...hosts];
  const labels = (): Record<string, string> => ({
    ...(chance(0.8) && { app: pick(['a', 'b']) }),
    ...(chance(0.8) && { role: pick(['web', 'db']) }),
  });
  const project = (): string => pick(['shop', 'shop', 'lab']);
  const requests = Array.from({ length: 2 + Math.floor(next() * 2) }, (_, i) => ({
    request: {
      ...NEUTRAL_REQUEST,
      name: `new-${i}`,
      project: project(),
      labels: labels(),
      vcpus: 2,
      memoryGiB: 4,
    },
    count: i === 0 && chance(0.5) ? 2 : 1,
  }));
  const estate = Array.from({ length: Math.floor(next() * 3) }, (_, i) => {
    const { price: _price, ...spot } = pick(offers);
    return machine(`old-${i}`, { ...spot, project: project(), labels: labels() });
  });
  const rules = policy(
    'p',
    Array.from({ length: 1 + Math.floor(next() * 3) }, () => ({
      clauses: [randomClause(pick)],
      when: chance(0.5)
        ? pick([
            'request.labels.role == "web"',
            'request.labels.app == "a"',
            'offer.provider == "aws"',
            'offer.zone != "eu-a"',
          ])
        : null,
      missing: chance(0.25) ? ('pass' as const) : ('reject' as const),
    })),
  );
  const rows = clouds.map(({ provider, region, zone, price: pricePerHour }) => ({
    provider,
    region,
    zone,
    pricePerHour,
  }));
  const input = {
    requests,
    catalogue: market(...rows),
    sites,
    policies: compilePolicies([rules]),
    setAside: [],
    includeUnconfigured: false,
    now: NOW,
    estate,
  };
  return { input, offers, rules: rules.rules };
}

function randomClause(pick: <T>(from: readonly T[]) => T): Clause {
  const by = pick<Domain>(['site', 'region', 'zone', 'zone', 'host']);
  const to = pick([
    'resource.labels.app == request.labels.app',
    'resource.labels.role == "db"',
    'resource.labels.role != request.labels.role',
    'resource.project == request.project && resource.labels.role == "web"',
  ]);
  const neighbours = { by, to };
  return pick<Clause>([
    { effect: 'affinity', ...neighbours },
    { effect: 'affinity', ...neighbours },
    { effect: 'affinity', ...neighbours },
    { effect: 'antiAffinity', ...neighbours },
    { effect: 'antiAffinity', ...neighbours },
    { effect: 'quota', group: ['region'], resource: 'instances', limit: pick([1, 2]) },
    { effect: 'spread', group: ['project'], by: 'zone', min: pick([1, 2]), maxShare: pick([0.5, 1]) },
  ]);
}

interface Wanted {
  request: PlacementRequest;
  machine: EstateMachine;
}

/** A machine of an answer. */
interface Put extends Wanted {
  at: CompanyWorld['offers'][number];
}

/** The best by trying every offer for every machine: fewest without a place, then the least price. */
export function tryAll(world: CompanyWorld): { unplaced: number; price: number } {
  const wanted = world.input.requests.flatMap(({ request, count }) =>
    Array.from({ length: count }, (): Wanted => {
      const { name, project, organization, labels, vcpus } = request;
      const nowhere = { site: '', provider: '', region: '', zone: null, host: null };
      return { request, machine: machine(name, { ...nowhere, project, organization, labels, vcpus }) };
    }),
  );
  let best = { unplaced: wanted.length, price: 0 };
  const visit = (i: number, put: Put[]): void => {
    if (i - put.length > best.unplaced) return;
    if (i < wanted.length) {
      for (const at of world.offers) visit(i + 1, [...put, { ...wanted[i]!, at }]);
      visit(i + 1, put);
      return;
    }
    const answer = { unplaced: wanted.length - put.length, price: put.reduce((t, p) => t + p.at.price, 0) };
    if (answer.unplaced === best.unplaced && answer.price >= best.price) return;
    if (stands(put, world)) best = answer;
  };
  visit(0, []);
  return best;
}

/** Whether machines may be where they are: by hosts, and by every rule. Affinity is a matter of all its rules together. */
export function stands(put: readonly Put[], world: CompanyWorld): boolean {
  const { rules, input } = world;
  const estate = input.estate!;
  for (const host of new Set(put.flatMap(({ at }) => at.host ?? [])))
    if (put.filter(({ at }) => at.host === host).length * 2 > HOST_ROOM) return false;
  for (const rule of rules)
    for (const clause of rule.clauses)
      if (
        (clause.effect === 'antiAffinity' && !isApart(clause, rule, put, estate)) ||
        (clause.effect === 'quota' && !isWithin(clause, rule, put, estate)) ||
        (clause.effect === 'spread' && !isSpread(clause, rule, put, estate))
      )
        return false;
  return canBeMade(rules, put, estate);
}

const parsed = new Map<string, ReturnType<typeof interpret>>();

function test(text: string): ReturnType<typeof interpret> {
  return memo(parsed, text, () => interpret(text));
}

/** Whether a rule has a say over a request at an offer; one without a value is held against it, unless such offers pass. */
function isHeld({ when, missing }: ParsedRule, request: PlacementRequest, at: Spot): boolean {
  const { provider, zone } = at;
  const offer = { provider, ...(zone !== null && { zone }) };
  const says =
    when === null
      ? 'true'
      : asked(request, `${provider} ${zone} ${when}`, () => test(when)(celRequest(request), offer));
  return says === 'true' || (says === 'error' && missing !== 'pass');
}

function chooses(to: string, request: PlacementRequest, other: EstateMachine): boolean {
  const key = `${other.project} ${other.name} ${to}`;
  return asked(request, key, () => test(to)(celRequest(request), {}, celResource(other, NOW))) === 'true';
}

/** What was said of a request, asked once: there are thousands of answers to try. */
const said = new WeakMap<PlacementRequest, Map<string, string>>();

function asked(request: PlacementRequest, key: string, ask: () => string): string {
  return memo(
    memo(said, request, () => new Map<string, string>()),
    key,
    ask,
  );
}

/** What a machine that stands is known to have asked for. */
const requests = new WeakMap<EstateMachine, PlacementRequest>();

function requestOf(old: EstateMachine): PlacementRequest {
  const { name, project, labels } = old;
  return memo(requests, old, () => ({ ...NEUTRAL_REQUEST, name, project, labels }));
}

/** Null: not known. */
function domainOf({ provider, site, region, zone, host }: Spot, by: Domain): string | null {
  const area = provider === 'onprem' ? `${site}:${region}` : `${provider}:${region}`;
  if (by === 'site') return site;
  if (by === 'region') return area;
  if (by === 'zone') return zone === null ? null : `${area}:${zone}`;
  return host === null ? OWN : `${site}:${host}`;
}

const OWN = 'its own';

type Apart = Extract<Clause, { effect: 'affinity' | 'antiAffinity' }>;

function isApart(
  clause: Apart,
  rule: ParsedRule,
  put: readonly Put[],
  estate: readonly EstateMachine[],
): boolean {
  const passes = rule.missing === 'pass';
  /** Whether one that the rule has a say over may be at a place with another elsewhere. */
  const may = (at: Spot, other: Spot): boolean => {
    const [own, there] = [domainOf(at, clause.by), domainOf(other, clause.by)];
    if (own !== null && own === there && own !== OWN) return false;
    return passes || there !== null || domainOf(at, 'region') !== domainOf(other, 'region');
  };
  return put.every((p) => {
    const { request, at } = p;
    if (isHeld(rule, request, at)) {
      if (domainOf(at, clause.by) === null && !passes) return false;
      const others = [
        ...put
          .filter((other) => other !== p)
          .map((other) => ({ machine: other.machine, at: other.at as Spot })),
        ...estate.map((other) => ({ machine: other, at: other as Spot })),
      ];
      if (others.some((other) => chooses(clause.to, request, other.machine) && !may(at, other.at)))
        return false;
    }
    return estate.every((old) => {
      const request = requestOf(old);
      // What the rule reads of an offer is not asked of a machine that stands.
      if (rule.when?.includes('offer.') || !isHeld(rule, request, old)) return true;
      if (!chooses(clause.to, request, p.machine)) return true;
      return (domainOf(at, clause.by) !== null || passes) && may(at, old);
    });
  });
}

/**
 * Whether the machines can be made one by one, each beside one that it is to be with; the first of those only where all the
 * others that it is to be with come to it, too.
 */
function canBeMade(
  rules: readonly ParsedRule[],
  put: readonly Put[],
  estate: readonly EstateMachine[],
): boolean {
  const made = new Set<Put>();
  const asks = (p: Put, rule: ParsedRule, clause: Clause): boolean => {
    if (clause.effect !== 'affinity' || !isHeld(rule, p.request, p.at)) return true;
    const { to, by } = clause;
    const own = domainOf(p.at, by);
    if (own === null) return rule.missing === 'pass';
    const isThere = (at: Spot): boolean => own !== OWN && domainOf(at, by) === own;
    const old = estate.filter((other) => chooses(to, p.request, other));
    const others = put.filter((other) => other !== p && chooses(to, p.request, other.machine));
    if (old.some(isThere) || others.some((other) => made.has(other) && isThere(other.at))) return true;
    const isOne = chooses(to, p.request, p.machine);
    return old.length === 0 && isOne && others.every((other) => isThere(other.at));
  };
  for (let before = -1; before !== made.size; ) {
    before = made.size;
    for (const p of put)
      if (rules.every((rule) => rule.clauses.every((clause) => asks(p, rule, clause)))) made.add(p);
  }
  return made.size === put.length;
}

function isWithin(
  clause: Extract<Clause, { effect: 'quota' }>,
  rule: ParsedRule,
  put: readonly Put[],
  estate: readonly EstateMachine[],
): boolean {
  return put.every(({ at, request }) => {
    if (!isHeld(rule, request, at)) return true;
    const counted = put.filter((p) => p.at.region === at.region && isHeld(rule, p.request, p.at)).length;
    return counted + estate.filter(({ region }) => region === at.region).length <= clause.limit;
  });
}

function isSpread(
  clause: Extract<Clause, { effect: 'spread' }>,
  rule: ParsedRule,
  put: readonly Put[],
  estate: readonly EstateMachine[],
): boolean {
  const held = put.filter(({ request, at }) => isHeld(rule, request, at));
  const at = (spot: Spot): string | null => domainOf(spot, clause.by);
  if (rule.missing !== 'pass' && held.some((p) => at(p.at) === null)) return false;
  return [...new Set(held.map(({ request }) => request.project))].every((project) => {
    const old = estate.filter((m) => m.project === project).flatMap((m) => at(m) ?? []);
    const come = held.filter((p) => p.request.project === project).flatMap((p) => at(p.at) ?? []);
    if (come.length === 0) return true;
    const all = [...old, ...come];
    const most = Math.max(1, Math.ceil(clause.maxShare * all.length - 1e-9));
    const wanted = Math.min(clause.min, new Set(old).size + come.length);
    const crowded = come.some((domain) => all.filter((other) => other === domain).length > most);
    return !crowded && new Set(all).size >= wanted;
  });
}
