import { Catalogue } from '../catalogue/catalogue.ts';
import type { Clause } from '../file/policy.ts';
import { compilePolicies, NO_POLICIES } from '../place/compiled.ts';
import { place } from '../place/place.ts';
import { type EstateMachine, NEUTRAL_REQUEST, type PlacementRequest, type SiteView } from '../place/types.ts';
import { policy } from '../testing/policies.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { decisionAfter, type RecordedRequest, replay, sumUp, type WhatIfWorld } from './what-if.ts';

const row = {
  provider: 'aws',
  zone: null,
  instanceType: 'm5.large',
  market: 'onDemand' as const,
  vcpus: 2,
  memoryGiB: 8,
  architecture: 'x86_64',
  gpuName: null,
  gpuCount: 0,
  burstable: false,
};
const catalogue = Catalogue.fromRows(
  [
    { ...row, region: 'us-east-1', pricePerHour: 0.1 },
    { ...row, region: 'eu-central-1', pricePerHour: 0.12 },
  ],
  { name: 'test', date: '2025-01-01' },
);
const aws: SiteView = {
  name: 'aws-1',
  provider: 'aws',
  regions: [],
  certifications: [],
  labels: {},
  hosts: [],
};

const policies = (...clauses: Clause[]) =>
  compilePolicies([policy('new', [{ name: 'rule', line: 7, clauses }])]);
const world = (after: WhatIfWorld['after'], more: Partial<WhatIfWorld> = {}): WhatIfWorld => ({
  catalogue,
  sites: [aws],
  estate: [],
  before: NO_POLICIES,
  after,
  ...more,
});
const recorded = (
  request: Partial<PlacementRequest> = {},
  resource: string | null = null,
): RecordedRequest => ({
  decision: 'd',
  resource,
  request: { ...NEUTRAL_REQUEST, name: 'web', ...request },
  requestRules: [],
  now: new Date('2026-11-01T12:00:00Z'),
});

test('a request that a new rule sends elsewhere moves, with both costs and the rule', () => {
  const replayed = replay(
    recorded(),
    world(policies({ effect: 'require', expression: 'offer.region.startsWith("eu-")' })),
  );
  expect(replayed).toMatchObject({
    change: 'moved',
    from: { region: 'us-east-1' },
    to: { region: 'eu-central-1' },
    rules: [{ policy: 'new', rule: 'rule', file: 'new.yaml', line: 7 }],
    allows: [],
    why: 'new/rule rejects the old place',
  });
  const sums = sumUp([replayed, replay(recorded(), world(NO_POLICIES))]);
  expect(sums).toMatchObject({ requests: 2, moved: 1, unchanged: 1, rejected: 0, placed: 0, approvals: 0 });
  expect(sums.monthlyAfter - sums.monthlyBefore).toBeCloseTo(0.02 * 730, 9);
  expect(sums.rules).toMatchObject([{ rule: 'rule', requests: 1 }]);
});

test('a place that the policies kept out is why a request moves there, with what it saves', () => {
  const europe = policies({ effect: 'require', expression: 'offer.region.startsWith("eu-")' });
  expect(replay(recorded(), world(NO_POLICIES, { before: europe }))).toMatchObject({
    change: 'moved',
    from: { region: 'eu-central-1' },
    to: { region: 'us-east-1' },
    rules: [],
    allows: ['new/rule'],
    why: 'cheaper by $14.60 a month: new/rule no longer rejects the new place',
  });
});

test('a preference that comes or goes is why a request moves', () => {
  const green = policies({
    effect: 'prefer',
    expression: 'offer.region.startsWith("eu-")',
    weight: { kind: 'share', share: 0.5 },
  });
  expect(replay(recorded(), world(green))).toMatchObject({
    change: 'moved',
    to: { region: 'eu-central-1' },
    why: 'new/rule prefers the new place',
  });
  expect(replay(recorded(), world(NO_POLICIES, { before: green })).why).toBe(
    'cheaper by $14.60 a month: new/rule no longer prefers the old place',
  );
});

test('the decision after the change is the whole one, with its explanation and the same winner', () => {
  const there = world(policies({ effect: 'require', expression: 'offer.region.startsWith("eu-")' }));
  const { winner, explanation } = decisionAfter(recorded(), there);
  expect(winner).toEqual(replay(recorded(), there).to);
  expect(explanation?.counterfactuals).toMatchObject([
    { policy: 'new', rule: 'rule', offer: { region: 'us-east-1' } },
  ]);
});

test('a request that fits nowhere any more is rejected, and one that fits now is placed', () => {
  const nothing = policies({ effect: 'deny', expression: 'true' });
  const gone = replay(recorded(), world(nothing));
  expect(gone).toMatchObject({
    change: 'rejected',
    to: null,
    why: 'new/rule rejects the old place, and there is no other',
  });
  expect(sumUp([gone])).toMatchObject({
    rejected: 1,
    monthlyBefore: 73,
    monthlyRejected: 73,
    monthlyAfter: 0,
  });
  const freed = replay(recorded(), world(NO_POLICIES, { before: nothing }));
  expect(freed).toMatchObject({
    change: 'placed',
    from: null,
    rules: [],
    allows: ['new/rule'],
    why: 'new/rule no longer rejects it',
  });
  expect(sumUp([freed])).toMatchObject({ placed: 1, monthlyBefore: 0, monthlyAfter: 73 });
  expect(replay(recorded({ vcpus: 99 }), world(nothing))).toMatchObject({ change: 'unchanged', why: null });
  expect(replay(recorded({ vcpus: -1 }), world(nothing)).change).toBe('unchanged');
});

test('a new approval is told, and one that was needed before is not', () => {
  const asks = policies({ effect: 'approval', by: ['finops'], expiresHours: 24 });
  const replayed = replay(recorded(), world(asks));
  expect(replayed).toMatchObject({
    change: 'approval',
    approvals: ['new/rule'],
    why: 'new/rule asks for an approval',
  });
  expect(sumUp([replayed])).toMatchObject({ unchanged: 1, approvals: 1 });
  expect(replay(recorded(), world(asks, { before: asks })).change).toBe('unchanged');
});

test('other prices move a request, and no rule is named for that', () => {
  const dearer = Catalogue.fromRows(
    [
      { ...row, region: 'us-east-1', pricePerHour: 0.2 },
      { ...row, region: 'eu-central-1', pricePerHour: 0.12 },
    ],
    { name: 'test', date: '2025-02-01' },
  );
  const replayed = replay(recorded(), world(NO_POLICIES, { catalogueAfter: dearer }));
  expect(replayed).toMatchObject({
    change: 'moved',
    to: { region: 'eu-central-1' },
    rules: [],
    why: 'by the other prices',
  });
  const rising = sumUp([
    replay(recorded({ regions: ['us-east-1'] }), world(NO_POLICIES, { catalogueAfter: dearer })),
  ]);
  expect(rising.unchanged).toBe(1);
  expect(rising.monthlyAfter - rising.monthlyBefore).toBeCloseTo(73, 9);
});

test('rules that came with a request hold on both sides', () => {
  const [europe] = policy('request', [{ expression: 'offer.region.startsWith("eu-")' }]).rules;
  const own = { ...recorded(), requestRules: [europe!] };
  const cheap = policies({ effect: 'maxPrice', perHour: 0.11 });
  expect(replay(own, world(NO_POLICIES)).from).toMatchObject({ region: 'eu-central-1' });
  expect(replay(own, world(cheap))).toMatchObject({ change: 'rejected' });
});

test('an audited rule changes nothing', () => {
  const audit = compilePolicies([
    policy('new', [{ clauses: [{ effect: 'deny', expression: 'true' }] }], { mode: 'audit' }),
  ]);
  expect(replay(recorded(), world(audit))).toMatchObject({ change: 'unchanged', rules: [] });
});

test('windows and exceptions are those of the time of the request', () => {
  const deny = { effect: 'deny', expression: 'true' } as const;
  const excepted = compilePolicies([
    policy('new', [{ name: 'rule', clauses: [deny] }], {
      exceptions: [
        { rule: 'rule', line: 1, owner: 'a', reason: 'b', expires: '2026-11-02T00:00:00Z', match: null },
      ],
    }),
  ]);
  expect(replay(recorded(), world(excepted)).change).toBe('unchanged');
  const later = { ...recorded(), now: new Date('2026-11-03T00:00:00Z') };
  expect(replay(later, world(excepted)).change).toBe('rejected');
});

test("a machine's own host has room for it, and its own use of a limit does not count", () => {
  const size = { vcpus: 2, memoryGiB: 4, diskGiB: 10 };
  const cellar: SiteView = {
    ...aws,
    name: 'cellar',
    provider: 'onprem',
    pricing: { vcpuHour: 0.001, gibHour: 0.001, currency: 'USD' },
    hosts: [
      {
        name: 'h1',
        zone: 'rack',
        region: 'cellar',
        architecture: 'x86_64',
        accel: 'kvm',
        free: { vcpus: 0, memoryGiB: 0, diskGiB: 0 },
        capacity: size,
        ready: true,
      },
    ],
  };
  const machine: EstateMachine = {
    ...size,
    id: 'r1',
    name: 'web',
    project: 'default',
    organization: 'default',
    labels: {},
    state: 'Running',
    site: 'cellar',
    provider: 'onprem',
    region: 'cellar',
    zone: 'rack',
    host: 'h1',
    instanceType: 'kvm-2-4',
    market: 'onDemand',
    architecture: 'x86_64',
    gpuName: null,
    gpuCount: 0,
    pricePerHour: 0.006,
    publicAddress: false,
    createdAt: '2026-11-01T00:00:00Z',
  };
  const quota = policies({ effect: 'quota', group: ['project'], resource: 'instances', limit: 1 });
  const there = world(quota, { sites: [aws, cellar], estate: [machine] });
  expect(replay(recorded(size, 'r1'), there)).toMatchObject({
    change: 'unchanged',
    from: { host: 'h1' },
    to: { host: 'h1' },
  });
  expect(replay(recorded({ ...size, name: 'other' }, 'r2'), there)).toMatchObject({
    change: 'rejected',
    from: { provider: 'aws' },
  });
});

test('both places are what placing gives, and the rules named are those that reject the old place (300 random worlds)', () => {
  const cases = new RandomCases(21);
  let moved = 0;
  for (let i = 0; i < 300; i++) {
    const here = {
      catalogue: Catalogue.fromRows(cases.rows(25), { name: 'test', date: '2025-01-01' }),
      sites: cases.sites(),
      estate: [],
    };
    const rule = (name: string) => ({ name, expression: cases.expression(1), missing: 'pass' as const });
    const [a, b, c] = [rule('a'), rule('b'), rule('c')];
    const before = compilePolicies([policy('p', [a])]);
    const after = compilePolicies([policy('p', [b, c])]);
    const request = { ...cases.request(), vcpus: 1, memoryGiB: 0.5 };
    const { from, to, rules, allows } = replay(
      { decision: '', resource: null, request, requestRules: [], now: new Date(0) },
      { ...here, before, after },
    );
    const common = { ...here, request, setAside: [], includeUnconfigured: false, now: new Date(0) };
    expect(from).toEqual(place({ ...common, policies: before }).winner);
    expect(to).toEqual(place({ ...common, policies: after }).winner);
    const withOld = compilePolicies([policy('p', [b, c, a])]);
    const isKeptOut = JSON.stringify(place({ ...common, policies: withOld }).winner) !== JSON.stringify(to);
    const isSame = JSON.stringify(from) === JSON.stringify(to);
    expect(allows).toEqual(isKeptOut && !isSame ? ['p/a'] : []);
    if (from === null) continue;
    // A rule rejects the old place if that is no longer the best when the rule comes to the old ones.
    const rejecting = [b, c].filter((rule) => {
      const both = compilePolicies([policy('p', [a, rule])]);
      return JSON.stringify(place({ ...common, policies: both }).winner) !== JSON.stringify(from);
    });
    expect(rules.map((each) => each.rule)).toEqual(rejecting.map((each) => each.name));
    if (rules.length > 0) moved++;
  }
  expect(moved).toBeGreaterThan(50);
});
