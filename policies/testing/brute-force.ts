import { familyOf } from '../catalogue/instance-types.ts';
import { jurisdictionOf } from '../catalogue/jurisdictions.ts';
import type { CatalogueRow } from '../catalogue/rows.ts';
import { interpret, type Verdict } from '../cel/columnar.ts';
import { celRequest, celResource, OFFER_ATTRIBUTES, type OfferAttribute } from '../cel/schema.ts';
import type { Clause, Domain, GroupKey, ParsedPolicy, ParsedRule } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { askedFor } from '../place/chosen-machines.ts';
import { egressPrice } from '../place/egress.ts';
import { celAttribute, compareOffers, type OfferFacts, placedOffer } from '../place/offers.ts';
import { measuredType } from '../place/onprem.ts';
import {
  type EstateMachine,
  NEUTRAL_REQUEST,
  type PlacedOffer,
  type PlacementRequest,
  type SetAside,
  type SiteView,
} from '../place/types.ts';
import { NOW, openNow } from './random-worlds.ts';

const parsed = new Map<string, ReturnType<typeof interpret>>();

/** An expression, parsed once. */
function test(source: string): ReturnType<typeof interpret> {
  return memo(parsed, source, () => interpret(source));
}

/** All that a random placement is decided on. */
export interface World {
  request: PlacementRequest;
  rows: CatalogueRow[];
  sites: SiteView[];
  policies: ParsedPolicy[];
  setAside: SetAside[];
  estate: EstateMachine[];
  includeUnconfigured: boolean;
}

/** What a decision must say. */
export interface Expected {
  winner: PlacedOffer | null;
  compliant: number;
  /** For each clause in force, in order. */
  rules: { rejected: number; alone: number }[];
  approvals: number;
  limits: { used: number; takes: number }[];
}

/** A clause in force. */
interface Law {
  policy: ParsedPolicy;
  rule: ParsedRule;
  clause: Clause;
  /** It is a rule of these machines that stand, and holds whatever the request is. */
  of?: EstateMachine[];
}

/** An offer as an object, and as CEL sees it. */
interface Candidate {
  facts: OfferFacts;
  free: boolean;
  cel: Record<string, unknown>;
}

/** Decides by hand: every offer an object, every rule by the interpreter or a plain loop, sort, take the first. */
export function bruteForce(world: World): Expected {
  const { request, setAside } = world;
  const laws = [...lawsOf(world), ...lawsOfStanding(world)];
  const enforced = (law: Law): boolean => law.policy.mode === 'enforce';
  const counts = laws.map(() => ({ rejected: 0, alone: 0 }));
  const compliant = candidates(world).filter((candidate) => {
    const against = laws.filter((law) => !passes(law, candidate, world));
    for (const law of against) {
      const count = counts[laws.indexOf(law)]!;
      count.rejected++;
      if (against.every((other) => other === law || !enforced(other))) count.alone++;
    }
    return !against.some(enforced);
  });
  const same = (wanted: string | null, value: string | null): boolean => wanted === null || wanted === value;
  const available = compliant.filter(
    ({ facts: o, free }) =>
      free &&
      !setAside.some(
        (s) =>
          s.site === o.site &&
          s.region === o.region &&
          same(s.zone, o.zone) &&
          same(s.host, o.host) &&
          same(s.instanceType, o.instanceType) &&
          same(s.market, o.market),
      ),
  );
  const pricing = laws.filter(enforced).filter(({ clause }) => /prefer|gravity/.test(clause.effect));
  const scored = available.map((candidate) => ({ candidate, ...scoreOf(candidate, pricing, world) }));
  const [best] = scored.sort((a, b) => {
    for (let i = 0; i < a.strict.length; i++) if (a.strict[i] !== b.strict[i]) return a.strict[i]! ? 1 : -1;
    return a.score - b.score || compareOffers(placedOffer(a.candidate.facts), placedOffer(b.candidate.facts));
  });
  const priced = pricing.some(({ clause }) => clause.effect !== 'prefer' || clause.weight.kind !== 'strict');
  const winner = best?.candidate;
  const says = laws
    .filter(enforced)
    .filter((law) => winner && !gates(law, winner, request).includes('false'));
  return {
    winner: best
      ? { ...placedOffer(best.candidate.facts), ...(priced && { scorePerHour: best.score }) }
      : null,
    compliant: compliant.length,
    rules: counts,
    approvals: says.filter(({ clause }) => clause.effect === 'approval').length,
    limits: says.flatMap(({ clause }) =>
      clause.effect === 'budget' || clause.effect === 'quota' ? [limit(clause, winner!.facts, world)] : [],
    ),
  };
}

function lawsOf({ policies, request }: World): Law[] {
  const cel = celRequest(request);
  const holds = (match: string | null): boolean => match === null || test(match)(cel, {}) === 'true';
  const mine = policies.filter(
    ({ scope }) => scope.name === (scope.kind === 'project' ? request.project : request.organization),
  );
  const replaced = new Set(
    mine
      .filter((p) => p.scope.kind === 'project' && p.mode === 'enforce' && holds(p.match))
      .flatMap((p) => p.rules.filter((r) => r.override).map((r) => r.name)),
  );
  return [...mine]
    .sort((a, b) => a.scope.kind.localeCompare(b.scope.kind))
    .flatMap((p) =>
      p.rules
        .filter((r) => !(p.scope.kind === 'organization' && r.overridable && replaced.has(r.name)))
        .filter(
          (r) =>
            !p.exceptions.some(
              (e) => e.rule === r.name && NOW.getTime() < new Date(e.expires).getTime() && holds(e.match),
            ),
        )
        .flatMap((r) => r.clauses.map((clause) => ({ policy: p, rule: r, clause }))),
    );
}

/** Anti-affinity of machines that stand, where all that it reads is known of them, and no exception or override has a say. */
function lawsOfStanding(world: World): Law[] {
  const { policies, request, estate } = world;
  const own = lawsOf(world);
  const overrides = policies.flatMap((p) => p.rules.filter((r) => r.override).map((r) => r.name));
  const onlyKnown = (text: string): boolean =>
    !/offer\./.test(text) &&
    [...text.matchAll(/(?:request|resource)\.(\w+)/g)].every(([, name]) =>
      ['kind', 'name', 'project', 'organization', 'labels'].includes(name!),
    );
  const ranked = [...policies].sort((a, b) => a.scope.kind.localeCompare(b.scope.kind));
  return ranked.flatMap((policy) =>
    policy.rules.flatMap((rule) =>
      rule.clauses.flatMap((clause): Law[] => {
        if (clause.effect !== 'antiAffinity' || policy.mode !== 'enforce') return [];
        const gateTexts = [policy.match, rule.when].filter((g) => g !== null);
        if (policy.exceptions.some((e) => e.rule === rule.name)) return [];
        if (rule.overridable && overrides.includes(rule.name)) return [];
        if (![clause.to, ...gateTexts].every(onlyKnown) || gateTexts.some((g) => /resource\./.test(g)))
          return [];
        const comer = celResource(askedFor(request, NOW), NOW);
        const asIt = (m: EstateMachine) =>
          celRequest({
            ...NEUTRAL_REQUEST,
            name: m.name,
            project: m.project,
            organization: m.organization,
            labels: m.labels,
          });
        const says = (cel: ReturnType<typeof celRequest>): Verdict => {
          const each = gateTexts.map((g) => test(g)(cel, {}));
          return each.includes('false') ? 'false' : each.includes('error') ? 'error' : 'true';
        };
        const isLaw = own.some((law) => law.clause === clause) && says(celRequest(request)) === 'true';
        const of = estate.filter(
          (m) =>
            !(m.name === request.name && m.project === request.project) &&
            policy.scope.name === (policy.scope.kind === 'project' ? m.project : m.organization) &&
            (says(asIt(m)) === 'true' || (says(asIt(m)) === 'error' && rule.missing === 'reject')) &&
            test(clause.to)(asIt(m), {}, comer) === 'true' &&
            !(isLaw && test(clause.to)(celRequest(request), {}, celResource(m, NOW)) === 'true'),
        );
        return of.length === 0 ? [] : [{ policy, rule, clause, of }];
      }),
    ),
  );
}

function candidates(world: World): Candidate[] {
  const { request } = world;
  const within = (list: string[], name: string | null): boolean =>
    list.length === 0 || (name !== null && list.includes(name));
  return offers(world)
    .filter(
      ({ facts: o }) =>
        o.vcpus >= request.vcpus &&
        o.memoryGiB >= request.memoryGiB &&
        (request.architecture === 'any' || o.architecture === request.architecture) &&
        (request.market === 'any' || o.market === request.market) &&
        (request.gpuName === '' || (o.gpuName ?? '').toLowerCase() === request.gpuName.toLowerCase()) &&
        o.gpuCount >= Math.max(request.gpuCount, request.gpuName === '' ? 0 : 1) &&
        within(request.providers, o.provider) &&
        within(request.sites, o.site) &&
        within(request.regions, o.region) &&
        within(request.zones, o.zone) &&
        within(request.hosts, o.host) &&
        (request.maxPricePerHour === 0 || o.pricePerHour <= request.maxPricePerHour),
    )
    .map(({ facts, free }) => {
      const cel: Record<string, unknown> = {};
      for (const name of Object.keys(OFFER_ATTRIBUTES) as OfferAttribute[]) {
        const value = celAttribute(facts, name);
        if (value !== undefined) cel[name] = value;
      }
      return { facts, free, cel };
    });
}

function offers({
  request,
  rows,
  sites,
  includeUnconfigured,
}: World): { facts: OfferFacts; free: boolean }[] {
  const found: { facts: OfferFacts; free: boolean }[] = [];
  for (const row of rows) {
    const shared = {
      ...row,
      host: null,
      family: familyOf(row.provider, row.instanceType),
      accel: '',
      jurisdiction: jurisdictionOf(row.provider, row.region),
    };
    const own = sites.filter((s) => s.provider === row.provider);
    for (const { name, regions, certifications, labels } of own)
      if (regions.length === 0 || regions.includes(row.region))
        found.push({ facts: { ...shared, site: name, certifications, labels }, free: true });
    if (own.length === 0 && includeUnconfigured)
      found.push({ facts: { ...shared, site: null, certifications: null, labels: {} }, free: true });
  }
  for (const site of sites.filter((s) => s.provider === 'onprem'))
    for (const host of site.hosts) {
      const holds = (s: typeof host.free): boolean =>
        s.vcpus >= request.vcpus && s.memoryGiB >= request.memoryGiB && s.diskGiB >= request.diskGiB;
      if (!holds(host.capacity)) continue;
      found.push({
        free: host.ready && holds(host.free),
        facts: {
          site: site.name,
          provider: 'onprem',
          region: host.region,
          zone: host.zone,
          host: host.name,
          instanceType: measuredType(request),
          family: 'kvm',
          market: 'onDemand',
          vcpus: request.vcpus,
          memoryGiB: request.memoryGiB,
          architecture: host.architecture,
          gpuName: null,
          gpuCount: 0,
          burstable: false,
          pricePerHour:
            (site.pricing?.vcpuHour ?? 0) * request.vcpus + (site.pricing?.gibHour ?? 0) * request.memoryGiB,
          jurisdiction: site.jurisdiction ?? null,
          certifications: site.certifications,
          accel: host.accel,
          labels: site.labels,
        },
      });
    }
  return found;
}

function gates({ policy, rule, of }: Law, { cel }: Candidate, request: PlacementRequest): Verdict[] {
  if (of) return [];
  return [policy.match, rule.when].filter((g) => g !== null).map((g) => test(g)(celRequest(request), cel));
}

/** Whether the rule lets the offer through; for a preference, whether it is met. */
function passes(law: Law, candidate: Candidate, world: World): boolean {
  const { clause, rule } = law;
  if (clause.effect === 'prefer' || clause.effect === 'gravity' || clause.effect === 'approval') return true;
  return holds(law, candidate, world, () => verdict(clause, candidate, world, law.of), rule.missing);
}

function holds(
  law: Law,
  candidate: Candidate,
  { request }: World,
  verdictOf: () => Verdict,
  missing: 'reject' | 'pass',
): boolean {
  const around = gates(law, candidate, request);
  if (around.includes('false')) return true;
  const says = verdictOf();
  if (says === 'true') return true;
  // An error in a gate holds the rule against the offer, unless the rule lets the offer through anyway.
  return missing === 'pass' && (says === 'error' || around.includes('error'));
}

function verdict(clause: Clause, { facts, cel }: Candidate, world: World, of?: EstateMachine[]): Verdict {
  const { request, estate } = world;
  const bool = (b: boolean): Verdict => (b ? 'true' : 'false');
  const others = estate.filter((m) => !(m.name === request.name && m.project === request.project));
  switch (clause.effect) {
    case 'require':
      return test(clause.expression)(celRequest(request), cel);
    case 'deny': {
      const says = test(clause.expression)(celRequest(request), cel);
      return says === 'error' ? 'error' : bool(says === 'false');
    }
    case 'maxPrice':
      return bool(facts.pricePerHour <= clause.perHour);
    case 'labels': {
      const { labels } = request;
      const right = Object.entries(clause.allowed).every(
        ([key, values]) => labels[key] === undefined || values.includes(labels[key]),
      );
      return bool(right && clause.required.every((key) => labels[key] !== undefined));
    }
    case 'ttl':
      return bool(
        request.ttlHours === 0 ? clause.defaultHours !== null : request.ttlHours <= clause.maxHours,
      );
    case 'window':
      return bool(openNow(clause));
    case 'budget':
    case 'quota': {
      const { used, takes } = limit(clause, facts, world);
      return bool(takes === 0 || used + takes <= clause.limit + 1e-9 * clause.limit);
    }
    case 'spread': {
      const domain = domainOf(facts, clause.by);
      if (domain === null) return 'error';
      const group = others.filter((m) =>
        clause.group.every((key) => ofMachine(m, key) === ofOffer(facts, request, key)),
      );
      const stand = group.map((m, i) => named(domainOf(m, clause.by), i)).filter((d) => d !== null);
      const here = stand.filter((d) => d === named(domain, 'new')).length;
      if (new Set(stand).size < clause.min && here > 0) return 'false';
      return bool(here + 1 <= Math.max(1, Math.ceil(clause.maxShare * (stand.length + 1) - 1e-9)));
    }
    case 'affinity':
    case 'antiAffinity': {
      const domain = domainOf(facts, clause.by);
      if (domain === null) return 'error';
      const chosen = of ?? others.filter((m) => isChosen(clause.to, m, request));
      const beside = chosen.filter((m, i) => named(domainOf(m, clause.by), i) === named(domain, 'new'));
      if (clause.effect === 'affinity') {
        if (chosen.length > 0) return bool(beside.length > 0);
        return bool(isChosen(clause.to, asMachine(request), request));
      }
      if (beside.length > 0) return 'false';
      const unsure = chosen.some(
        (m) => domainOf(m, clause.by) === null && domainOf(m, 'region') === domainOf(facts, 'region'),
      );
      return unsure ? 'error' : 'true';
    }
    default:
      throw new Error(`${clause.effect} rejects nothing`);
  }
}

type Standing = Pick<EstateMachine, 'provider' | 'region' | 'zone' | 'host'> & { site: string | null };

/** Null: not known; OWN: a place nobody else shares. */
function domainOf(at: Standing, by: Domain): string | null {
  const area = at.provider === 'onprem' ? `${at.site}:${at.region}` : `${at.provider}:${at.region}`;
  if (by === 'provider') return at.provider;
  if (by === 'site') return at.site ?? '';
  if (by === 'region') return area;
  if (by === 'zone') return at.zone === null ? null : `${area}:${at.zone}`;
  return at.host === null ? OWN : `${at.site}:${at.host}`;
}

const OWN = 'its own';

function named(domain: string | null, who: number | string): string | null {
  return domain === OWN ? `${OWN} ${who}` : domain;
}

function isChosen(to: string, machine: EstateMachine, request: PlacementRequest): boolean {
  const { zone, ...rest } = machine;
  const resource = {
    ...rest,
    ...(zone !== null && { zone }),
    vcpus: BigInt(machine.vcpus),
    ageHours: (NOW.getTime() - new Date(machine.createdAt).getTime()) / 3_600_000,
  };
  return test(to)(celRequest(request), {}, resource) === 'true';
}

function asMachine(request: PlacementRequest): EstateMachine {
  const { name, project, organization, labels, vcpus } = request;
  const nowhere = { site: '', provider: '', region: '', zone: null, host: null };
  const known = { name, project, organization, labels, vcpus, createdAt: NOW.toISOString() };
  return { ...nowhere, ...known } as EstateMachine;
}

function ofMachine(m: EstateMachine, key: GroupKey): string {
  return (key === 'labels.env' ? m.labels.env : (m[key as keyof EstateMachine] as string | null)) ?? '';
}

function ofOffer(facts: OfferFacts, request: PlacementRequest, key: GroupKey): string {
  if (key === 'labels.env') return request.labels.env ?? '';
  if (key === 'project' || key === 'organization') return request[key];
  return (facts[key as keyof OfferFacts] as string | null) ?? '';
}

function limit(
  clause: Extract<Clause, { effect: 'budget' | 'quota' }>,
  facts: OfferFacts,
  { request, estate }: World,
): { used: number; takes: number } {
  const group = estate
    .filter((m) => !(m.name === request.name && m.project === request.project))
    .filter((m) => clause.group.every((key) => ofMachine(m, key) === ofOffer(facts, request, key)));
  const of = (
    m: Pick<EstateMachine, 'pricePerHour' | 'vcpus' | 'memoryGiB' | 'gpuCount' | 'diskGiB'>,
  ): number =>
    clause.effect === 'budget'
      ? m.pricePerHour * { hour: 1, day: 24, month: 730 }[clause.per]
      : { instances: 1, vcpu: m.vcpus, memoryGiB: m.memoryGiB, gpu: m.gpuCount, diskGiB: m.diskGiB }[
          clause.resource
        ];
  return {
    used: group.reduce((sum, m) => sum + of(m), 0),
    takes: of({ ...facts, diskGiB: request.diskGiB }),
  };
}

function scoreOf(candidate: Candidate, pricing: Law[], world: World): { strict: boolean[]; score: number } {
  const { request, sites } = world;
  const { facts, cel } = candidate;
  const strict: boolean[] = [];
  let score = facts.pricePerHour;
  for (const law of pricing) {
    const { clause, rule } = law;
    if (clause.effect === 'prefer') {
      const prefers = test(clause.expression);
      const met = holds(law, candidate, world, () => prefers(celRequest(request), cel), rule.missing);
      if (clause.weight.kind === 'strict') strict.push(!met);
      else if (!met)
        score +=
          clause.weight.kind === 'share' ? clause.weight.share * facts.pricePerHour : clause.weight.perHour;
    } else if (clause.effect === 'gravity') {
      if (gates(law, candidate, request).includes('false')) continue;
      const gib = {
        '500.0': 500,
        'request.diskGiB * 10.0': request.diskGiB * 10,
        'request.memoryGiB / 0.0': Number.NaN,
        '-5.0': Number.NaN,
      }[clause.gibPerMonth]!;
      const [place, name] = clause.at.split('/') as [string, string];
      const site = sites.find((s) => s.name === name);
      if (Number.isNaN(gib) || (place === 'site' && site === undefined) || site?.provider === 'onprem')
        continue;
      const from =
        site === undefined ? { provider: place, region: name } : { provider: site.provider, region: null };
      score += (egressPrice(from, facts)! * gib) / 730;
    }
  }
  return { strict, score };
}
