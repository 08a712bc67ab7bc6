import { Catalogue } from '../catalogue/catalogue.ts';
import { familyOf } from '../catalogue/instance-types.ts';
import { jurisdictionOf } from '../catalogue/jurisdictions.ts';
import { interpret, type Verdict } from '../cel/columnar.ts';
import { celRequest, OFFER_ATTRIBUTES, type OfferAttribute } from '../cel/schema.ts';
import type { ParsedPolicy, ParsedRule } from '../file/policy.ts';
import { policy } from '../testing/policies.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { compilePolicies } from './compiled.ts';
import { celAttribute, compareOffers, type OfferFacts, placedOffer } from './offers.ts';
import { measuredType } from './onprem.ts';
import { place } from './place.ts';
import type { PlacementRequest, SetAside, SiteView } from './types.ts';

/** Everything by hand: every offer as an object, every rule by the interpreter, sort, take the first. */
function bruteForce(
  request: PlacementRequest,
  rows: Iterable<ReturnType<Catalogue['row']>>,
  sites: SiteView[],
  policies: ParsedPolicy[],
  setAside: SetAside[],
  includeUnconfigured: boolean,
): { best: OfferFacts | null; compliant: number; rejected: Map<string, number>; alone: Map<string, number> } {
  const offers: { facts: OfferFacts; free: boolean }[] = [];
  for (const row of rows) {
    const shared = {
      ...row,
      host: null,
      family: familyOf(row.provider, row.instanceType),
      accel: '',
      jurisdiction: jurisdictionOf(row.provider, row.region),
    };
    const own = sites.filter((s) => s.provider === row.provider);
    for (const site of own)
      if (site.regions.length === 0 || site.regions.includes(row.region))
        offers.push({
          facts: { ...shared, site: site.name, certifications: site.certifications, labels: site.labels },
          free: true,
        });
    if (own.length === 0 && includeUnconfigured)
      offers.push({ facts: { ...shared, site: null, certifications: null, labels: {} }, free: true });
  }
  for (const site of sites.filter((s) => s.provider === 'onprem'))
    for (const host of site.hosts) {
      const within = (s: typeof host.free): boolean =>
        s.vcpus >= request.vcpus && s.memoryGiB >= request.memoryGiB && s.diskGiB >= request.diskGiB;
      if (!within(host.capacity)) continue;
      const price =
        (site.pricing?.vcpuHour ?? 0) * request.vcpus + (site.pricing?.gibHour ?? 0) * request.memoryGiB;
      offers.push({
        free: host.ready && within(host.free),
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
          pricePerHour: price,
          jurisdiction: site.jurisdiction ?? null,
          certifications: site.certifications,
          accel: host.accel,
          labels: site.labels,
        },
      });
    }
  const within = (list: string[], name: string | null): boolean =>
    list.length === 0 || (name !== null && list.includes(name));
  const fits = offers.filter(
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
  );
  const cel = celRequest(request);
  const rules = policies
    .filter((p) => p.scope.name === (p.scope.kind === 'project' ? request.project : request.organization))
    .flatMap((p) =>
      p.rules.map((r) => ({ key: `${p.name}/${r.name}`, mode: p.mode, passes: passing(p, r) })),
    );
  const rejected = new Map(rules.map((r) => [r.key, 0]));
  const alone = new Map(rules.map((r) => [r.key, 0]));
  const compliant = fits.filter(({ facts }) => {
    const offer: Record<string, unknown> = {};
    for (const name of Object.keys(OFFER_ATTRIBUTES) as OfferAttribute[]) {
      const value = celAttribute(facts, name);
      if (value !== undefined) offer[name] = value;
    }
    const against = rules.filter((r) => !r.passes(cel, offer));
    for (const r of against) {
      rejected.set(r.key, rejected.get(r.key)! + 1);
      if (against.every((o) => o === r || o.mode !== 'enforce')) alone.set(r.key, alone.get(r.key)! + 1);
    }
    return against.every((r) => r.mode !== 'enforce');
  });
  const matches = (wanted: string | null, value: string | null): boolean =>
    wanted === null || wanted === value;
  const available = compliant.filter(
    ({ facts: o, free }) =>
      free &&
      !setAside.some(
        (s) =>
          s.site === o.site &&
          s.region === o.region &&
          matches(s.zone, o.zone) &&
          matches(s.host, o.host) &&
          matches(s.instanceType, o.instanceType) &&
          matches(s.market, o.market),
      ),
  );
  const best =
    available.map((a) => a.facts).sort((a, b) => compareOffers(placedOffer(a), placedOffer(b)))[0] ?? null;
  return { best, compliant: compliant.length, rejected, alone };
}

function passing(
  p: ParsedPolicy,
  rule: ParsedRule,
): (request: Record<string, unknown>, offer: Record<string, unknown>) => boolean {
  const gates = [p.match, rule.when].filter((g) => g !== null).map(interpret);
  const clause = rule.clauses[0]!;
  if (clause.effect !== 'require' && clause.effect !== 'deny')
    throw new Error(`no meaning of ${clause.effect} here`);
  const verdict = interpret(clause.expression);
  return (request, offer) => {
    const values: Verdict[] = gates.map((g) => g(request, offer));
    if (values.includes('false')) return true;
    const v = verdict(request, offer);
    // An error in a gate holds the rule against the offer, unless the rule lets the offer through anyway.
    return clause.effect === 'require' ? v === 'true' : v === 'false';
  };
}

test('the winner is the brute-force winner for a thousand random requests, policies and sites', () => {
  const random = new RandomCases(42);
  let placed = 0;
  let ruledOut = 0;
  for (let i = 0; i < 1000; i++) {
    const catalogue = Catalogue.fromRows(random.rows(60), { name: 'test', date: '2025-01-01' });
    const sites = random.sites();
    const request = random.request();
    const policies = Array.from({ length: Math.floor(random.next() * 3) }, (_, p) =>
      policy(
        `p${p}`,
        Array.from({ length: 1 + Math.floor(random.next() * 3) }, () => ({
          effect: random.pick(['require', 'deny'] as const),
          when: random.chance(0.5) ? random.expression(1) : null,
          expression: random.expression(2),
        })),
        {
          mode: random.pick(['enforce', 'enforce', 'enforce', 'audit', 'dryRun'] as const),
          match: random.chance(0.3)
            ? random.pick(['request.labels.env == "prod"', 'request.count > 2', 'true'])
            : null,
          scope: random.chance(0.7)
            ? { kind: 'organization', name: 'default' }
            : { kind: 'project', name: random.pick(['shop', 'lab']) },
        },
      ),
    );
    const setAside: SetAside[] = random.chance(0.3)
      ? [
          {
            site: random.pick(['aws-1', 'gcp-1', 'cellar']),
            region: random.pick(['eu-central-1', 'us-east1', 'cellar']),
            zone: null,
            host: random.pick([null, 'h1']),
            instanceType: random.pick([null, 'm5.large']),
            market: null,
            reason: 'no capacity',
          },
        ]
      : [];
    const includeUnconfigured = random.chance(0.3);
    const decision = place({
      request,
      catalogue,
      sites,
      policies: compilePolicies(policies),
      setAside,
      includeUnconfigured,
    });
    const rows = [...catalogue.rows()];
    const expected = bruteForce(request, rows, sites, policies, setAside, includeUnconfigured);
    const context = { i, request, policies: policies.map((p) => p.rules) };
    expect({ context, winner: decision.winner, compliant: decision.compliant }).toEqual({
      context,
      winner: expected.best === null ? null : placedOffer(expected.best),
      compliant: expected.compliant,
    });
    for (const rule of decision.rules) {
      const key = `${rule.policy}/${rule.rule}`;
      expect({ context, key, n: [rule.rejected, rule.rejectedAlone] }).toEqual({
        context,
        key,
        n: [expected.rejected.get(key), expected.alone.get(key)],
      });
    }
    expect(decision.outcome).toBe(expected.best === null ? 'unplaceable' : 'placed');
    if (expected.best === null) expect(decision.reasons.length).toBeGreaterThan(0);
    const numbers = decision.funnel.map((f) => f.remaining);
    expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
    if (expected.best !== null) placed++;
    else if (expected.compliant === 0 && [...expected.rejected.values()].some((n) => n > 0)) ruledOut++;
  }
  expect(placed).toBeGreaterThan(200);
  expect(ruledOut).toBeGreaterThan(50);
});
