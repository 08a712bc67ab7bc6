import { Catalogue } from '../catalogue/catalogue.ts';
import type { ParsedPolicy } from '../file/policy.ts';
import { policy } from '../testing/policies.ts';
import { compilePolicies, NO_POLICIES } from './compiled.ts';
import { place } from './place.ts';
import { type Decision, NEUTRAL_REQUEST, type SiteView } from './types.ts';

const aws: SiteView = {
  name: 'aws-1',
  provider: 'aws',
  regions: [],
  certifications: ['iso27001'],
  labels: {},
  hosts: [],
};
const row = {
  provider: 'aws',
  region: 'eu-central-1',
  zone: 'euc1-az1',
  instanceType: 'm5.large',
  market: 'onDemand' as const,
  vcpus: 2,
  memoryGiB: 8,
  architecture: 'x86_64',
  gpuName: null,
  gpuCount: 0,
  burstable: false,
  pricePerHour: 0.1,
};
const catalogueOf = (...rows: Partial<typeof row>[]): Catalogue =>
  Catalogue.fromRows(
    rows.map((r) => ({ ...row, ...r })),
    { name: 'test', date: '2025-01-01' },
  );
const plain = {
  catalogue: catalogueOf({}),
  sites: [aws],
  policies: NO_POLICIES,
  setAside: [],
  includeUnconfigured: false,
};

test.each([
  ['vcpus', -1],
  ['vcpus', 0],
  ['vcpus', 1.5],
  ['vcpus', Number.NaN],
  ['memoryGiB', 0],
  ['memoryGiB', Number.POSITIVE_INFINITY],
  ['diskGiB', -5],
  ['gpuCount', -1],
  ['count', 0],
  ['maxPricePerHour', Number.NaN],
])('an impossible size (%s %d) is unplaceable with the reason, not an exception', (field, value) => {
  const decision = place({ ...plain, request: { ...NEUTRAL_REQUEST, [field]: value } });
  expect(decision.outcome).toBe('unplaceable');
  expect(decision.reasons.join()).toContain(`${field} must be`);
});

test.each([
  [['euc1-az2'], 'unplaceable'],
  [['euc1-az2', ''], 'placed'],
])('an offer of a whole region is in zones %j: %s', (zones, outcome) => {
  const whole = Catalogue.fromRows([{ ...row, zone: null }], { name: 'test', date: '2025-01-01' });
  expect(place({ ...plain, catalogue: whole, request: { ...NEUTRAL_REQUEST, zones } }).outcome).toBe(outcome);
});

test('a size that nobody sells is unplaceable, and the reason names the largest there is', () => {
  const decision = place({ ...plain, request: { ...NEUTRAL_REQUEST, vcpus: 100_000_000 } });
  expect(decision.reasons).toContain('no offer at all has at least 100000000 vCPUs (the most there is: 2)');
});

test('what one request asks for is never mistaken for what another asks for', () => {
  const decide = (regions: string[]): string =>
    place({ ...plain, request: { ...NEUTRAL_REQUEST, regions } }).outcome;
  expect(decide(['eu-central-1 or x'])).toBe('unplaceable');
  expect(decide(['eu-central-1', 'x'])).toBe('placed');
  expect(decide(['eu-central-1","x'])).toBe('unplaceable');
});

test('a condition that alone stands in the way is named', () => {
  const decision = place({ ...plain, request: { ...NEUTRAL_REQUEST, regions: ['eu-west-1'] } });
  expect(decision.reasons).toContain('without "region eu-west-1", 1 offer would fit');
});

test('a provider without a site is for plans only, and then the winner has no site', () => {
  const request = { ...NEUTRAL_REQUEST };
  const decision = place({ ...plain, sites: [], request });
  expect(decision.reasons.join()).toContain('no site is configured; providers without a site: aws');
  expect(place({ ...plain, sites: [], request, includeUnconfigured: true }).winner).toMatchObject({
    site: null,
    provider: 'aws',
  });
});

test('a region outside the sites is not used, not even for a plan', () => {
  const sites = [{ ...aws, regions: ['us-east-1'] }];
  expect(place({ ...plain, sites, request: NEUTRAL_REQUEST, includeUnconfigured: true }).outcome).toBe(
    'unplaceable',
  );
});

test('equal prices are decided by size and then by name, whatever the order of the rows', () => {
  const rows = [
    { instanceType: 'b' },
    { instanceType: 'a' },
    { instanceType: 'z', vcpus: 1 },
    { instanceType: 'y', vcpus: 1, memoryGiB: 4 },
  ];
  const names = (list: typeof rows): string[] => {
    const d = place({ ...plain, catalogue: catalogueOf(...list), request: NEUTRAL_REQUEST });
    return [d.winner!, ...d.fallbacks].map((o) => o.instanceType);
  };
  expect(names(rows)).toEqual(['y', 'z', 'a', 'b']);
  expect(names(rows.reverse())).toEqual(['y', 'z', 'a', 'b']);
});

test('fallbacks leave what fails together: no third zone of one type while another region is compliant', () => {
  const zones = ['a', 'b', 'c', 'd'].map((zone) => ({ zone }));
  const catalogue = catalogueOf(
    ...zones,
    { region: 'eu-west-1', zone: 'x', pricePerHour: 0.2 },
    { market: 'spot' as 'onDemand', zone: 'a', pricePerHour: 0.15 },
  );
  const decision = place({
    ...plain,
    catalogue,
    request: { ...NEUTRAL_REQUEST, market: 'any' },
    fallbacks: 3,
  });
  expect([decision.winner!, ...decision.fallbacks].map((o) => o.zone)).toEqual(['a', 'b', 'c', 'x']);
  expect(
    place({ ...plain, catalogue, request: NEUTRAL_REQUEST, fallbacks: 2 }).fallbacks.map((o) => o.zone),
  ).toEqual(['b', 'x']);
  expect(place({ ...plain, catalogue, request: NEUTRAL_REQUEST, fallbacks: 0 }).fallbacks).toEqual([]);
});

test('what is set aside is not chosen, and when nothing else is left the reason is given', () => {
  const aside = {
    site: 'aws-1',
    region: 'eu-central-1',
    zone: null,
    host: null,
    instanceType: null,
    market: null,
    reason: 'InsufficientInstanceCapacity',
  };
  const decision = place({ ...plain, setAside: [aside], request: NEUTRAL_REQUEST });
  expect(decision).toMatchObject({ outcome: 'unplaceable', compliant: 1 });
  expect(decision.reasons).toContain('1 of them: set aside: InsufficientInstanceCapacity');
});

describe('on-prem', () => {
  const size = { vcpus: 8, memoryGiB: 32, diskGiB: 100 };
  const host = {
    name: 'h1',
    zone: 'rack-1',
    region: 'cellar',
    architecture: 'x86_64',
    accel: 'kvm' as const,
    free: size,
    capacity: size,
    ready: true,
  };
  const cellar: SiteView = {
    name: 'cellar',
    provider: 'onprem',
    regions: [],
    jurisdiction: 'DE',
    certifications: [],
    labels: {},
    hosts: [host],
    pricing: { vcpuHour: 0.01, gibHour: 0.002, currency: 'USD' },
  };
  const request = { ...NEUTRAL_REQUEST, vcpus: 2, memoryGiB: 4 };

  test('competes at its own price, for exactly the size asked for', () => {
    const { winner } = place({ ...plain, sites: [aws, cellar], request });
    expect(winner).toMatchObject({
      site: 'cellar',
      host: 'h1',
      instanceType: 'kvm-2-4',
      vcpus: 2,
      memoryGiB: 4,
      jurisdiction: 'DE',
    });
    expect(winner!.pricePerHour).toBeCloseTo(0.028, 12);
    expect(winner!.pricePerMonth).toBeCloseTo(20.44, 9);
  });

  test('that is full or not ready counts as compliant but is passed over', () => {
    const full = {
      ...cellar,
      hosts: [
        { ...host, free: { ...size, vcpus: 1 } },
        { ...host, name: 'h2', ready: false },
      ],
    };
    const decision = place({ ...plain, sites: [full], request });
    expect(decision).toMatchObject({ outcome: 'unplaceable', compliant: 2 });
    expect(decision.reasons.join()).toMatch(/h1 has 1 vCPUs.*h2 is not ready/);
  });

  test('with GPUs is for requests of their kind, as many as are free', () => {
    const capacity = { ...size, gpus: 4 };
    const rack = { ...host, name: 'g1', gpuName: 'A100', capacity, free: { ...size, gpus: 2 } };
    const pricing = { ...cellar.pricing!, gpuHour: 0.5 };
    const sites = [{ ...cellar, hosts: [host, rack], pricing }];
    const asked = (gpuName: string, gpuCount: number): Decision =>
      place({ ...plain, sites, request: { ...request, gpuName, gpuCount } });
    const { winner } = asked('a100', 2);
    expect(winner).toMatchObject({ host: 'g1', gpuName: 'A100', gpuCount: 2, instanceType: 'kvm-2-4-2gpu' });
    expect(winner!.pricePerHour).toBeCloseTo(1.028, 12);
    expect(asked('', 1).winner).toMatchObject({ host: 'g1', gpuCount: 1 });
    // A kind alone asks for one of it.
    expect(asked('A100', 0).winner).toMatchObject({ host: 'g1', gpuCount: 1 });
    expect(asked('T4', 1)).toMatchObject({ outcome: 'unplaceable', winner: null });
    const never = asked('', 5);
    expect(never).toMatchObject({ outcome: 'unplaceable', compliant: 0 });
    expect(never.reasons).toContain('on-prem, 2 of 2 hosts have less than 5 GPUs in all');
    const full = asked('', 3);
    expect(full).toMatchObject({ outcome: 'unplaceable', compliant: 1 });
    expect(full.reasons.join()).toContain('100 GiB of disk and 2 GPUs free');
    expect(asked('', 0).winner).toMatchObject({ gpuName: null, gpuCount: 0 });
  });

  test('that prices in another currency is left out and said to be', () => {
    const euro = { ...cellar, pricing: { vcpuHour: 0.01, gibHour: 0.002, currency: 'EUR' } };
    const decision = place({ ...plain, sites: [aws, euro], request });
    expect(decision.winner!.site).toBe('aws-1');
    expect(decision.reasons.join()).toContain('prices in EUR');
  });

  test.each([Number.NaN, -0.01, Number.POSITIVE_INFINITY])(
    'whose price is no number of at least 0 (%d) is left out and said to be',
    (vcpuHour) => {
      const odd = { ...cellar, pricing: { vcpuHour, gibHour: 0, currency: 'USD' } };
      const decision = place({ ...plain, sites: [aws, odd], request });
      expect(decision.winner!.site).toBe('aws-1');
      expect(decision.reasons.join()).toContain('has a price that is not a number of at least 0');
    },
  );
});

describe('layers', () => {
  const parent = (overridable: boolean): ParsedPolicy =>
    policy('org', [{ name: 'cheap', expression: 'offer.price < 0.05', overridable }]);
  const child = policy('proj', [{ name: 'cheap', expression: 'offer.price < 0.5', override: true }], {
    scope: { kind: 'project', name: 'shop' },
  });
  const request = { ...NEUTRAL_REQUEST, project: 'shop' };

  test('a project may replace a rule its organization marked overridable', () => {
    const decision = place({ ...plain, policies: compilePolicies([child, parent(true)]), request });
    expect(decision.outcome).toBe('placed');
    expect(decision.rules.map((r) => r.policy)).toEqual(['proj']);
  });

  test('both rules apply when the parent is not overridable', () => {
    const policies = compilePolicies([parent(false), child]);
    const decision = place({ ...plain, policies, request });
    expect(decision).toMatchObject({
      outcome: 'unplaceable',
      rules: [
        { policy: 'org', rejected: 1, rejectedAlone: 1 },
        { policy: 'proj', rejected: 0 },
      ],
    });
  });

  test('an override that is not enforced, or whose policy does not match, relaxes nothing', () => {
    for (const more of [
      { mode: 'audit' as const },
      { match: 'request.count > 5' },
      { match: 'request.labels.env == "prod"' },
    ])
      expect(
        place({ ...plain, policies: compilePolicies([parent(true), { ...child, ...more }]), request })
          .outcome,
      ).toBe('unplaceable');
  });

  test('policies of other organizations and projects do not apply', () => {
    expect(
      place({
        ...plain,
        policies: compilePolicies([parent(false)]),
        request: { ...request, organization: 'other' },
      }).rules,
    ).toEqual([]);
  });

  test('one name twice in one scope is refused', () => {
    expect(() => compilePolicies([parent(true), parent(true)])).toThrow(
      "policy 'org' is given twice for its scope",
    );
  });
});

test('audit and dry-run rules count what they would reject, and reject nothing', () => {
  const policies = compilePolicies([
    policy('a', [{ effect: 'deny', expression: 'offer.vcpus > 1' }], { mode: 'audit' }),
  ]);
  const decision = place({ ...plain, policies, request: NEUTRAL_REQUEST });
  expect(decision).toMatchObject({
    outcome: 'placed',
    rules: [{ mode: 'audit', rejected: 1, rejectedAlone: 1 }],
  });
});

test('a rule rejects offers whose attribute is not known, and the record counts them as errors', () => {
  const policies = compilePolicies([
    policy('a', [{ expression: 'offer.jurisdiction == "EU"', message: { kind: 'text', text: 'EU only' } }]),
  ]);
  const decision = place({
    ...plain,
    catalogue: catalogueOf({ region: 'moon-1' }),
    policies,
    request: NEUTRAL_REQUEST,
  });
  expect(decision.rules[0]).toMatchObject({ rejected: 1, errors: 1, message: 'EU only' });
  expect(decision.reasons[1]).toContain('1 of them because a value the rule reads is not known there');
});

test('the record names the versions it was made under', () => {
  const decision = place({
    ...plain,
    policies: compilePolicies([policy('a', [{}])]),
    request: NEUTRAL_REQUEST,
  });
  expect(decision.policies).toEqual([{ name: 'a', version: 'v1' }]);
  expect(decision.catalogue.version).toBe(plain.catalogue.version);
  expect(decision.certificate).toEqual({ method: 'exact', bound: 0.1, gap: 0 });
});

test('the cheapest offer of each provider is named, so that a person sees what the others would cost', () => {
  const catalogue = catalogueOf(
    { instanceType: 'a1', pricePerHour: 0.3 },
    { instanceType: 'a2', pricePerHour: 0.2 },
    { provider: 'gcp', instanceType: 'g1', pricePerHour: 0.4 },
    { provider: 'gcp', instanceType: 'g2', pricePerHour: 0.1 },
  );
  const decision = place({ ...plain, catalogue, request: NEUTRAL_REQUEST, includeUnconfigured: true });
  expect(decision.cheapestByProvider.map((each) => each.instanceType)).toEqual(['g2', 'a2']);
});

test('counts in reasons have their thousands apart, as in tables', () => {
  const rows = Array.from({ length: 1_200 }, (_, i) => ({ instanceType: `t${i}` }));
  const policies = compilePolicies([policy('a', [{ effect: 'deny', expression: 'offer.vcpus > 1' }])]);
  const decision = place({ ...plain, catalogue: catalogueOf(...rows), policies, request: NEUTRAL_REQUEST });
  expect(decision.reasons.slice(0, 2)).toEqual([
    '1,200 offers would fit the request, but the policies reject all',
    expect.stringMatching(/^rule a\/.* rejects 1,200: denies offer.vcpus > 1$/),
  ]);
});
