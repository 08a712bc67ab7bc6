import { Catalogue } from '../catalogue/catalogue.ts';
import type { Clause, ParsedRule } from '../file/policy.ts';
import { compilePolicies } from '../place/compiled.ts';
import { type PlacementInput, place } from '../place/place.ts';
import {
  type EstateMachine,
  NEUTRAL_REQUEST,
  type PlacedOffer,
  type PlacementRequest,
  type SetAside,
} from '../place/types.ts';
import { policy } from '../testing/policies.ts';
import { RandomCases } from '../testing/random-cases.ts';
import type { Explanation } from './types.ts';

type Rule = Partial<ParsedRule> & { name: string; clauses: Clause[] };
type World = Omit<PlacementInput, 'policies'>;

const now = new Date('2026-11-20T12:00:00Z');

function winnerOf(world: World, rules: readonly Rule[]): PlacedOffer | null {
  return place({ ...world, policies: compilePolicies([policy('p', [...rules])]) }).winner;
}

function explained(
  world: World,
  rules: readonly Rule[],
): { winner: PlacedOffer | null; explanation: Explanation } {
  const { winner, explanation } = place({ ...world, policies: compilePolicies([policy('p', [...rules])]) });
  return { winner, explanation: explanation! };
}

function machine(cases: RandomCases, i: number): EstateMachine {
  const provider = cases.pick(['aws', 'gcp', 'azure']);
  return {
    id: `m${i}`,
    name: `other-${i}`,
    project: cases.pick(['shop', 'lab']),
    organization: 'default',
    labels: { env: cases.pick(['prod', 'test']) },
    state: 'Running',
    site: `${provider}-1`,
    provider,
    region: cases.pick(['eu-central-1', 'us-east-1', 'westeurope', 'europe-west3']),
    zone: null,
    host: null,
    instanceType: 'm5.large',
    market: 'onDemand',
    architecture: 'x86_64',
    gpuName: null,
    gpuCount: 0,
    vcpus: cases.pick([1, 2, 4]),
    memoryGiB: 4,
    diskGiB: 10,
    pricePerHour: cases.pick([0.01, 0.05, 0.1]),
    publicAddress: false,
    createdAt: '2026-11-01T00:00:00Z',
  };
}

function clause(cases: RandomCases): Clause {
  const kinds: (() => Clause)[] = [
    () => ({ effect: 'require', expression: cases.expression(1) }),
    () => ({ effect: 'deny', expression: cases.expression(1) }),
    () => ({ effect: 'require', expression: cases.comparison() }),
    () => ({ effect: 'deny', expression: cases.comparison() }),
    () => ({ effect: 'prefer', expression: cases.comparison(), weight: { kind: 'share', share: 0.5 } }),
    () => ({ effect: 'prefer', expression: cases.comparison(), weight: { kind: 'money', perHour: 0.03 } }),
    () => ({ effect: 'prefer', expression: cases.comparison(), weight: { kind: 'strict' } }),
    () => ({ effect: 'maxPrice', perHour: cases.pick([0.02, 0.1]) }),
    () => ({
      effect: 'quota',
      group: cases.pick([['project'], ['region'], ['provider']] as const).slice() as ['project'],
      resource: cases.pick(['vcpu', 'instances', 'memoryGiB'] as const),
      limit: cases.pick([1, 4, 8, 12]),
    }),
    () => ({
      effect: 'budget',
      group: cases.chance(0.5) ? ['project'] : ['region'],
      per: cases.pick(['hour', 'month'] as const),
      limit: cases.pick([0.1, 0.2, 50, 100]),
    }),
    () => ({ effect: 'antiAffinity', to: 'resource.labels.env == "prod"', by: 'region' }),
    () => ({ effect: 'labels', required: ['env'], allowed: {} }),
  ];
  return cases.pick(kinds)();
}

function rules(cases: RandomCases): Rule[] {
  return Array.from({ length: 1 + Math.floor(cases.next() * 5) }, (_, i) => ({
    name: `r${i}`,
    clauses: cases.chance(0.15) ? [clause(cases), clause(cases)] : [clause(cases)],
    when: cases.chance(0.2) ? cases.comparison() : null,
    missing: cases.chance(0.5) ? ('pass' as const) : ('reject' as const),
  }));
}

function world(cases: RandomCases, request: Partial<PlacementRequest> = {}, rows = 25): World {
  const asked = {
    ...cases.request(),
    labels: cases.chance(0.8) ? { env: 'prod' } : {},
    ...(cases.chance(0.8) && {
      vcpus: cases.pick([1, 2, 4]),
      memoryGiB: cases.pick([0.5, 1, 4]),
      gpuName: '',
      providers: [],
      sites: [],
      regions: [],
    }),
    ...request,
  };
  const setAside: SetAside[] = cases.chance(0.1)
    ? [
        {
          site: 'aws-1',
          region: 'eu-central-1',
          zone: null,
          host: null,
          instanceType: null,
          market: null,
          reason: 'full',
        },
      ]
    : [];
  return {
    request: asked,
    catalogue: Catalogue.fromRows(cases.rows(rows), { name: 'test', date: '2025-01-01' }),
    sites: cases.sites(),
    setAside,
    includeUnconfigured: cases.chance(0.2),
    now,
    estate: cases.chance(0.6) ? Array.from({ length: 5 }, (_, i) => machine(cases, i)) : [],
  };
}

function* worlds(
  seed: number,
  n: number,
  rows?: number,
): Generator<{ cases: RandomCases; world: World; rules: Rule[] }> {
  const cases = new RandomCases(seed);
  for (let i = 0; i < n; i++) yield { cases, world: world(cases, {}, rows), rules: rules(cases) };
}

test.each([
  { worldsTried: 1000, rows: 25 },
  // Most offers cost more than the winner, and no set of an explanation reaches so far.
  { worldsTried: 150, rows: 300 },
])(
  'what would win without a rule is what placing again without it gives ($worldsTried worlds, $rows prices)',
  ({ worldsTried, rows }) => {
    let told = 0;
    for (const { world, rules } of worlds(11, worldsTried, rows)) {
      const { winner, explanation } = explained(world, rules);
      for (const { name } of rules) {
        const without = winnerOf(
          world,
          rules.filter((rule) => rule.name !== name),
        );
        const said = explanation.counterfactuals.find((c) => c.rule === name);
        if (said === undefined) {
          expect({ ...without, scorePerHour: 0 }).toEqual({ ...winner, scorePerHour: 0 });
          continue;
        }
        told++;
        expect(said.offer).toEqual(without);
        expect(said.savingPerMonth).toBe(
          winner === null ? null : (winner.pricePerHour - without!.pricePerHour) * 730,
        );
      }
    }
    expect(told).toBeGreaterThan(worldsTried / 4);
  },
);

test('the smallest sets of rules to drop are those that trying all sets finds (500 worlds where nothing fits)', () => {
  const sizes = [0, 0, 0, 0];
  let seen = 0;
  for (const { world, rules } of worlds(12, 20_000)) {
    const { winner, explanation } = explained(world, rules);
    if (winner !== null) {
      expect(explanation.relaxations).toEqual([]);
      continue;
    }
    const found: { names: string[]; offer: PlacedOffer }[] = [];
    for (let mask = 1; mask < 1 << rules.length; mask++) {
      const names = rules.filter((_, i) => (mask >> i) & 1).map((rule) => rule.name);
      if (names.length > 3) continue;
      const offer = winnerOf(
        world,
        rules.filter((rule) => !names.includes(rule.name)),
      );
      if (offer !== null) found.push({ names, offer });
    }
    const smallest = found.filter(
      ({ names }) =>
        !found.some((f) => f.names.length < names.length && f.names.every((n) => names.includes(n))),
    );
    const said = explanation.relaxations.map(({ rules, offer }) => ({
      names: rules.map((r) => r.rule),
      offer,
    }));
    const byNames = (a: { names: string[] }, b: { names: string[] }): number =>
      a.names.join() < b.names.join() ? -1 : 1;
    expect([...said].sort(byNames)).toEqual(smallest.sort(byNames));
    for (const { names } of said) sizes[names.length]!++;
    if (++seen === 500) break;
  }
  expect(seen).toBe(500);
  expect(sizes[1]).toBeGreaterThan(100);
  expect(sizes[2]).toBeGreaterThan(20);
  expect(sizes[3]).toBeGreaterThan(3);
}, 60_000);

/** Numbers that offers have, and numbers a little beside them. */
const TRIED = {
  pricePerHour: near(0.01, 0.02, 0.05, 0.1, 0.25, 1),
  memoryGiB: near(0.5, 2, 4, 8, 16),
  carbon: near(30, 100, 338, 379, 436, 600, 900),
};

function near(...values: number[]): number[] {
  return values.flatMap((v) => [v - 1e-7, v, v + 1e-7]);
}

const BEYOND = { '<': 1e-7, '>': -1e-7, '<=': 0, '>=': 0 };
const rises = (operator: string): boolean => operator.startsWith('<');

test('the threshold of a rule is the nearest number with which placing again gives another answer (400 worlds)', () => {
  const cases = new RandomCases(13);
  let told = 0;
  for (let i = 0; i < 400; i++) {
    const here = world(cases);
    const attribute = cases.pick(['pricePerHour', 'memoryGiB', 'carbon'] as const);
    const value = cases.pick(
      { pricePerHour: [0.015, 0.05, 0.5], memoryGiB: [1, 4, 8], carbon: [200, 338, 400] }[attribute],
    );
    const op = cases.pick(['<', '<=', '>', '>='] as const);
    const mirrored = cases.chance(0.5);
    const effect = cases.pick(['require', 'deny'] as const);
    // Has no value in some regions, and then the comparison alone decides whether the rule has one.
    const unknown = cases.chance(0.5)
      ? ''
      : effect === 'require'
        ? ' && offer.jurisdiction != ""'
        : ' || offer.jurisdiction == ""';
    const others = rules(cases).slice(0, 3);
    const at = (n: number): Rule => ({
      name: 'number',
      clauses: [
        {
          effect,
          expression: mirrored
            ? `(offer.burstable || double(${n}) ${op} offer.${attribute}) && offer.vcpus < 100`
            : `offer.${attribute} ${op} double(${n})${unknown}`,
        },
      ],
      missing: i % 2 === 0 ? 'reject' : 'pass',
    });
    const { winner, explanation } = explained(here, [...others, at(value)]);
    const said = explanation.thresholds.find(
      (t) => t.rule?.rule === 'number' && t.subject === `offer.${attribute}`,
    );
    const rising = (rises(op) !== mirrored) !== (effect === 'deny');
    for (const n of TRIED[attribute]) {
      if (rising ? n < value : n > value) continue;
      // Up to the threshold nothing changes; without one, nothing ever does.
      const far = said === undefined ? 0 : (rising ? 1 : -1) * (n - said.needed - BEYOND[said.operator]);
      if (said === undefined || far < -5e-8) expect(winnerOf(here, [...others, at(n)])).toEqual(winner);
    }
    if (said === undefined) continue;
    told++;
    expect(said.value).toBe(value);
    expect(rises(said.operator)).toBe(rising);
    expect(winnerOf(here, [...others, at(said.needed + BEYOND[said.operator])])).toEqual(said.offer);
  }
  expect(told).toBeGreaterThan(50);
}, 60_000);

test('the threshold of a size or the price cap is the nearest with which placing again gives another answer (1,000 worlds)', () => {
  const cases = new RandomCases(14);
  const told: Record<string, number> = {};
  for (let i = 0; i < 1000; i++) {
    const cloud = world(cases);
    const here = { ...cloud, sites: cloud.sites.filter((site) => site.provider !== 'onprem') };
    const reading = /request\.(vcpus|memoryGiB|gpuCount|maxPricePerHour)/;
    const fixed = rules(cases).filter((rule) => !reading.test(JSON.stringify(rule)));
    const { winner, explanation } = explained(here, fixed);
    for (const [attribute, tried] of [
      ['vcpus', [1, 2, 4, 8, 16]],
      ['memoryGiB', [0.4, 0.5, 2, 4, 8, 16]],
      ['maxPricePerHour', [0.01, 0.02, 0.05, 0.1, 0.25, 1]],
    ] as const) {
      const subject = attribute === 'maxPricePerHour' ? 'offer.pricePerHour' : `offer.${attribute}`;
      const said = explanation.thresholds.find((t) => t.rule === null && t.subject === subject);
      const at = (n: number): PlacedOffer | null =>
        winnerOf({ ...here, request: { ...here.request, [attribute]: n } }, fixed);
      const rising = attribute === 'maxPricePerHour';
      const asked = here.request[attribute];
      if (asked === 0) continue;
      for (const n of tried) {
        if (rising ? n < asked : n > asked) continue;
        if (said === undefined || (rising ? n < said.needed : n > said.needed)) expect(at(n)).toEqual(winner);
      }
      if (said === undefined) continue;
      told[attribute] = (told[attribute] ?? 0) + 1;
      expect(at(said.needed)).toEqual(said.offer);
    }
  }
  for (const attribute of ['vcpus', 'memoryGiB', 'maxPricePerHour'])
    expect(told[attribute]).toBeGreaterThan(10);
}, 60_000);

test('what a limit lacks, and what one unit more saves, is what placing again with a higher limit gives (1,200 worlds)', () => {
  const cases = new RandomCases(15);
  let told = 0;
  let saved = 0;
  for (let i = 0; i < 1200; i++) {
    const here = world(cases);
    const others = rules(cases).slice(0, 2);
    const quota = cases.chance(0.5);
    const limit = cases.pick(quota ? [1, 4, 8] : [0.05, 0.1, 20, 60]);
    const at = (limit: number): Rule => ({
      name: 'limit',
      clauses: [
        quota
          ? { effect: 'quota', group: ['region'], resource: 'vcpu', limit }
          : { effect: 'budget', group: ['region'], per: 'month', limit },
      ],
    });
    const { winner, explanation } = explained(here, [...others, at(limit)]);
    const said = explanation.limits.find((l) => l.rule === 'limit');
    const oneMore = winnerOf(here, [...others, at(limit + 1)]);
    if (said === undefined) {
      expect(winnerOf(here, [...others, at(1e9)])).toEqual(winner);
      continue;
    }
    told++;
    expect(said.short).toBeCloseTo(said.used + said.takes - limit, 9);
    // With no limit at all the best that it keeps out wins.
    expect(winnerOf(here, [...others, at(1e9)])).toEqual(said.offer);
    expect(winnerOf(here, [...others, at(said.used + said.takes)])).not.toEqual(winner);
    const saves = winner === null ? null : (winner.pricePerHour - oneMore!.pricePerHour) * 730;
    expect(said.oneMoreSavesPerMonth).toBe(saves);
    if (saves !== null && saves > 0) saved++;
  }
  expect(told).toBeGreaterThan(100);
  expect(saved).toBeGreaterThan(5);
}, 60_000);

test('what a host lacks is what placing again with that much more room gives (2,000 worlds)', () => {
  let told = 0;
  for (const { world, rules } of worlds(16, 2000)) {
    const { explanation } = explained(world, rules);
    for (const { offer, short } of explanation.capacity) {
      if (short === undefined) continue;
      told++;
      const sites = world.sites.map((site) => ({
        ...site,
        hosts: site.hosts.map((host) =>
          site.name === offer.site && host.name === offer.host
            ? {
                ...host,
                free: {
                  vcpus: host.free.vcpus + short.vcpus,
                  memoryGiB: host.free.memoryGiB + short.memoryGiB,
                  diskGiB: host.free.diskGiB + short.diskGiB,
                },
              }
            : host,
        ),
      }));
      expect(winnerOf({ ...world, sites }, rules)).toEqual(offer);
    }
  }
  expect(told).toBeGreaterThan(30);
});

test('the runner-up is who wins when the winner is not to be had (500 worlds)', () => {
  let told = 0;
  for (const { world, rules } of worlds(17, 500)) {
    const { winner, explanation } = explained(world, rules);
    if (winner === null || winner.zone === null || winner.site === null) continue;
    const { site, region, zone, host, instanceType, market } = winner;
    const gone = { site, region, zone, host, instanceType, market, reason: 'gone' };
    expect(winnerOf({ ...world, setAside: [...world.setAside, gone] }, rules)).toEqual(explanation.runnerUp);
    told++;
  }
  expect(told).toBeGreaterThan(50);
});

test('a rule that only audits is no counterfactual', () => {
  const cases = new RandomCases(1);
  const here = { ...world(cases, { vcpus: 1, memoryGiB: 0.5 }), setAside: [] };
  const deny = { name: 'r', clauses: [{ effect: 'deny', expression: 'true' } as const] };
  const audit = compilePolicies([policy('p', [deny], { mode: 'audit' })]);
  expect(place({ ...here, policies: audit }).explanation!.counterfactuals).toEqual([]);
});

test('where the winner misses a strict preference, what meets it is found however dear it is', () => {
  const cases = new RandomCases(1);
  const cheap = cases.rows(1)[0]!;
  const like = { ...cheap, provider: 'aws', vcpus: 2, memoryGiB: 4, market: 'onDemand' as const };
  const rows = Array.from({ length: 200 }, (_, i) => ({
    ...like,
    region: i < 199 ? 'us-east-1' : 'eu-central-1',
    zone: null,
    instanceType: `m${i}`,
    pricePerHour: i < 199 ? 0.01 + i / 1000 : 5,
  }));
  const here = {
    ...world(cases, { ...NEUTRAL_REQUEST, vcpus: 1, memoryGiB: 1 }),
    catalogue: Catalogue.fromRows(rows, { name: 'test', date: '2025-01-01' }),
    includeUnconfigured: true,
    sites: [],
    setAside: [],
  };
  const { winner, explanation } = explained(here, [
    { name: 'not-there', clauses: [{ effect: 'deny', expression: 'offer.region == "eu-central-1"' }] },
    {
      name: 'there',
      clauses: [
        { effect: 'prefer', expression: 'offer.region == "eu-central-1"', weight: { kind: 'strict' } },
      ],
    },
  ]);
  expect(winner?.region).toBe('us-east-1');
  expect(explanation.counterfactuals.map(({ rule, offer }) => [rule, offer.region])).toEqual([
    ['not-there', 'eu-central-1'],
  ]);
});
