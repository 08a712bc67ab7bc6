import { isDeepStrictEqual } from 'node:util';
import { Catalogue } from '../catalogue/catalogue.ts';
import type { ParsedRule } from '../file/policy.ts';
import { bruteForce } from '../testing/brute-force.ts';
import { policy } from '../testing/policies.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { NOW, randomEstate, randomPolicies, randomRule, randomSetAsides } from '../testing/random-worlds.ts';
import { choose } from './choose.ts';
import { compilePolicies } from './compiled.ts';
import { place } from './place.ts';

/** Worlds, and requests in each: compiling expressions takes most of the time. */
const WORLDS = 500;
const REQUESTS = 20;

test('the winner is the brute-force winner for ten thousand random requests, over policies of every kind', () => {
  const random = new RandomCases(42);
  const seen = { placed: 0, ruledOut: 0, scored: 0, approvals: 0, limits: 0, fallbacks: 0 };
  for (let w = 0; w < WORLDS; w++) {
    const catalogue = Catalogue.fromRows(random.rows(25), { name: 'test', date: '2025-01-01' });
    const rows = [...catalogue.rows()];
    const parsed = randomPolicies(random);
    const policies = compilePolicies(parsed);
    const standing = random.sites();
    const everything = randomEstate(random);
    for (let i = 0; i < REQUESTS; i++) {
      const request = { ...random.request(), ttlHours: random.pick([0, 24, 48, 100]) };
      const setAside = randomSetAsides(random);
      const includeUnconfigured = random.chance(0.3);
      // The room on hosts and the machines change from one placement to the next, and nothing else does.
      const sites = standing.map((site) => ({ ...site, hosts: site.hosts.map(random.anotherRoom) }));
      const estate = everything.slice(0, random.pick([0, 4, 12]));
      const world = { request, sites, setAside, estate, includeUnconfigured };
      const input = { ...world, catalogue, policies, now: NOW };
      const decision = place(input);
      const { winner, outcome } = decision;
      const remaining = decision.funnel.map((f) => f.remaining);
      const found = {
        winner,
        compliant: decision.compliant,
        rules: decision.rules.map((r) => ({ rejected: r.rejected, alone: r.rejectedAlone })),
        approvals: decision.approvals?.length ?? 0,
        limits: decision.limits?.map(({ used, takes }) => ({ used, takes })) ?? [],
        bound: decision.certificate.bound,
        chosen: choose(input),
        remaining,
        outcome,
        reasons: outcome === 'placed' || decision.reasons.length > 0,
      };
      const expected = bruteForce({ ...world, rows, policies: parsed });
      const wanted = {
        ...expected,
        bound: expected.winner?.scorePerHour ?? expected.winner?.pricePerHour ?? null,
        chosen: { winner, fallbacks: decision.fallbacks },
        remaining: [...remaining].sort((x, y) => y - x),
        outcome: expected.winner === null ? 'unplaceable' : 'placed',
        reasons: true,
      };
      const context = { w, i, request, rules: parsed.map((p) => [p.mode, p.match, p.rules]) };
      // The quick comparison first: Jest's own takes as long as the placements.
      if (!isDeepStrictEqual(found, wanted)) expect({ context, ...found }).toEqual({ context, ...wanted });
      if (winner !== null) seen.placed++;
      else if (decision.compliant === 0 && decision.rules.some((r) => r.rejected > 0)) seen.ruledOut++;
      if ((winner?.scorePerHour ?? 0) > (winner?.pricePerHour ?? 0)) seen.scored++;
      if (decision.approvals !== undefined) seen.approvals++;
      if (decision.limits !== undefined) seen.limits++;
      if (decision.fallbacks.length > 1) seen.fallbacks++;
    }
  }
  for (const [what, times] of Object.entries(seen)) expect([what, times > 100]).toEqual([what, true]);
}, 60_000);

test('so it is where machines that stand are to be apart from who comes', () => {
  const random = new RandomCases(11);
  let held = 0;
  for (let w = 0; w < 400; w++) {
    const catalogue = Catalogue.fromRows(random.rows(25), { name: 'test', date: '2025-01-01' });
    const apart = (): Partial<ParsedRule> => ({
      when: random.pick([null, 'request.labels.env == "prod"', 'request.project == "shop"']),
      missing: random.pick(['pass', 'reject']),
      clauses: [
        {
          effect: 'antiAffinity',
          by: random.pick(['provider', 'site', 'region', 'zone', 'host']),
          to: random.pick(['resource.labels.env == "test"', 'resource.labels.env != request.labels.env']),
        },
      ],
    });
    const scope = random.pick([
      { kind: 'organization' as const, name: 'default' },
      { kind: 'project' as const, name: 'shop' },
    ]);
    const parsed = [policy('apart', [apart(), apart()], { scope })];
    const policies = compilePolicies(parsed);
    const [sites, everything] = [random.sites(), randomEstate(random)];
    for (let i = 0; i < 5; i++) {
      const request = random.request();
      const estate = everything.slice(0, random.pick([1, 3, 6]));
      const world = { request, sites, setAside: [], estate, includeUnconfigured: true };
      const input = { ...world, catalogue, policies, now: NOW };
      const decision = place(input);
      const expected = bruteForce({ ...world, rows: [...catalogue.rows()], policies: parsed });
      const rules = decision.rules.map((r) => ({ rejected: r.rejected, alone: r.rejectedAlone }));
      expect({ winner: decision.winner, compliant: decision.compliant, rules }).toEqual({
        winner: expected.winner,
        compliant: expected.compliant,
        rules: expected.rules,
      });
      expect(choose(input).winner).toEqual(decision.winner);
      if (decision.rules.some((r) => r.message?.startsWith('it is the rule of machine'))) held++;
    }
  }
  expect(held).toBeGreaterThan(50);
}, 60_000);

test("a request's own rules decide as a project's policy of the same rules would", () => {
  const random = new RandomCases(7);
  for (let i = 0; i < 150; i++) {
    const catalogue = Catalogue.fromRows(random.rows(25), { name: 'test', date: '2025-01-01' });
    const request = random.request();
    const organization = randomPolicies(random).filter((p) => p.scope.kind === 'organization');
    const rules = [randomRule(random), randomRule(random)].map((rule) => ({ ...rule, override: false }));
    const own = policy('own', rules, { scope: { kind: 'project', name: request.project } });
    const input = {
      request,
      catalogue,
      sites: random.sites(),
      setAside: [],
      includeUnconfigured: true,
      estate: randomEstate(random),
      now: NOW,
    };
    const asPolicy = place({ ...input, policies: compilePolicies([...organization, own]) });
    const asRequest = { ...input, policies: compilePolicies(organization), requestRules: own.rules };
    const decision = place(asRequest);
    expect([i, decision.winner, decision.compliant]).toEqual([i, asPolicy.winner, asPolicy.compliant]);
    expect(choose(asRequest)).toEqual({ winner: decision.winner, fallbacks: decision.fallbacks });
  }
});
