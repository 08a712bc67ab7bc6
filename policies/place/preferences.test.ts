import type { Clause, Weight } from '../file/policy.ts';
import { policy } from '../testing/policies.ts';
import { cellar, cloud, market, placeUnder, rule } from '../testing/small-market.ts';
import { compilePolicies } from './compiled.ts';

const prefer = (expression: string, weight: Weight): Clause => ({ effect: 'prefer', expression, weight });
const share = (of: number): Weight => ({ kind: 'share', share: of });
const money = (perHour: number): Weight => ({ kind: 'money', perHour });
const STRICT: Weight = { kind: 'strict' };
const catalogue = market(
  { instanceType: 'cheap', pricePerHour: 0.1, burstable: true },
  { instanceType: 'steady', pricePerHour: 0.11 },
  { instanceType: 'dear', pricePerHour: 0.2, architecture: 'arm64' },
);

test('an offer that does not meet a preference counts as dearer by the share, and no offer is rejected', () => {
  const decision = placeUnder([rule('calm', prefer('!offer.burstable', share(0.2)))], { catalogue });
  expect(decision.winner).toMatchObject({ instanceType: 'steady', pricePerHour: 0.11, scorePerHour: 0.11 });
  expect(decision.fallbacks[0]!.instanceType).toBe('cheap');
  expect(decision.fallbacks[0]!.scorePerHour).toBeCloseTo(0.12, 12);
  expect(decision.preferences).toEqual([
    { policy: 'p', rule: 'calm', effect: 'prefer', met: true, addsPerHour: 0 },
  ]);
  expect(decision).toMatchObject({ compliant: 3, rules: [{ effect: 'prefer', rejected: 0 }] });
});

test('a preference that is worth less than the difference in price does not decide, and its cost is shown', () => {
  const decision = placeUnder([rule('calm', prefer('!offer.burstable', money(0.005)))], { catalogue });
  expect(decision.winner).toMatchObject({
    instanceType: 'cheap',
    pricePerHour: 0.1,
    scorePerHour: 0.1 + 0.005,
  });
  expect(decision.preferences).toMatchObject([{ met: false, addsPerHour: 0.005 }]);
  expect(decision.certificate.bound).toBe(0.1 + 0.005);
});

test('preferences add up', () => {
  const rules = [
    rule('calm', prefer('!offer.burstable', money(0.06))),
    rule('arm', prefer('offer.architecture == "arm64"', money(0.05))),
  ];
  expect(placeUnder(rules, { catalogue }).winner!.instanceType).toBe('steady');
  const stronger = [rules[0]!, rule('arm', prefer('offer.architecture == "arm64"', money(0.1)))];
  expect(placeUnder(stronger, { catalogue }).winner!.instanceType).toBe('dear');
});

test('a strict preference comes before any price and any surcharge, and the earlier rule before the later', () => {
  const arm = rule('arm', prefer('offer.architecture == "arm64"', STRICT));
  const calm = rule('calm', prefer('!offer.burstable', share(10)));
  const cheap = rule('cheap', prefer('offer.burstable', STRICT));
  expect(placeUnder([calm, arm], { catalogue }).winner!.instanceType).toBe('dear');
  expect(placeUnder([arm, cheap], { catalogue }).winner!.instanceType).toBe('dear');
  expect(placeUnder([cheap, arm], { catalogue }).winner!.instanceType).toBe('cheap');
});

test('strict preferences alone leave the score what it is: the price', () => {
  const { winner, certificate } = placeUnder([rule('arm', prefer('offer.architecture == "arm64"', STRICT))], {
    catalogue,
  });
  expect(winner).not.toHaveProperty('scorePerHour');
  expect(certificate.bound).toBe(0.2);
});

test('a preference without a value is not met, unless its rule lets missing values pass', () => {
  const unknown = market(
    { region: 'moon-1', instanceType: 'far' },
    { instanceType: 'near', pricePerHour: 0.12 },
  );
  const inEu = prefer('offer.jurisdiction == "EU"', share(0.5));
  const decision = placeUnder([rule('eu', inEu)], { catalogue: unknown });
  expect(decision.winner!.instanceType).toBe('near');
  expect(decision.rules[0]).toMatchObject({ rejected: 0, errors: 1 });
  expect(
    placeUnder([rule('eu', inEu, { missing: 'pass' })], { catalogue: unknown }).winner!.instanceType,
  ).toBe('far');
});

test('a preference of a policy in audit mode does not count', () => {
  const decision = placeUnder([rule('arm', prefer('offer.architecture == "arm64"', STRICT))], {
    catalogue,
    more: { mode: 'audit' },
  });
  expect(decision.winner!.instanceType).toBe('cheap');
  expect(decision.preferences).toBeUndefined();
});

test("a project's rule replaces an overridable preference of its organization", () => {
  const parent = policy('org', [rule('calm', prefer('!offer.burstable', STRICT), { overridable: true })]);
  const child = policy('proj', [rule('calm', prefer('offer.burstable', STRICT), { override: true })], {
    scope: { kind: 'project', name: 'shop' },
  });
  const policies = compilePolicies([parent, child]);
  expect(placeUnder([], { catalogue, policies }).winner!.instanceType).toBe('steady');
  expect(placeUnder([], { catalogue, policies, request: { project: 'shop' } }).winner!.instanceType).toBe(
    'cheap',
  );
});

test('more strict preferences than an order can hold are refused with the line of the first one too many', () => {
  const rules = Array.from({ length: 33 }, (_, i) => rule(`r-${i}`, prefer('offer.vcpus > 1', STRICT)));
  expect(() => compilePolicies([policy('p', rules)])).toThrow(/more than 32 strict preferences/);
});

describe('data gravity', () => {
  const places = market(
    { instanceType: 'there', pricePerHour: 0.3 },
    { instanceType: 'next-door', region: 'eu-west-1', zone: null, pricePerHour: 0.25 },
    { provider: 'gcp', region: 'europe-west3', zone: null, instanceType: 'abroad', pricePerHour: 0.1 },
  );
  const gravity = (at: string, gibPerMonth: string): Clause => ({ effect: 'gravity', at, gibPerMonth });
  const winnerAt = (at: string, gib: string) =>
    placeUnder([rule('near', gravity(at, gib))], {
      catalogue: places,
      sites: [cloud('aws-1', 'aws'), cloud('gcp-1', 'gcp'), cellar()],
    });

  test('counts what reading the data costs: nothing in its region, less in another of its provider than elsewhere', () => {
    expect(winnerAt('aws/eu-central-1', '100.0').winner!.instanceType).toBe('abroad');
    expect(winnerAt('aws/eu-central-1', '1750.0').winner!.instanceType).toBe('next-door');
    const { winner, preferences, fallbacks } = winnerAt('aws/eu-central-1', '7300.0');
    expect(winner!.instanceType).toBe('there');
    expect(preferences).toEqual([
      { policy: 'p', rule: 'near', effect: 'gravity', met: true, addsPerHour: 0 },
    ]);
    // 7300 GiB a month are 10 an hour: 0.02 to another region, 0.09 to another provider.
    expect(fallbacks.map((o) => [o.instanceType, o.scorePerHour!.toFixed(6)])).toEqual([
      ['next-door', '0.450000'],
      ['abroad', '1.000000'],
    ]);
  });

  test('is nothing from an own data centre, and the volume may follow from the request', () => {
    expect(winnerAt('site/cellar', '100000.0').winner).toMatchObject({
      instanceType: 'abroad',
      scorePerHour: 0.1,
    });
    expect(winnerAt('aws/eu-central-1', 'request.memoryGiB * 7300.0').winner!.instanceType).toBe('there');
  });

  test('counts only where its rule applies', () => {
    const clause = gravity('aws/eu-central-1', '7300.0');
    const decision = placeUnder([rule('near', clause, { when: 'offer.provider == "aws"' })], {
      catalogue: places,
    });
    expect(decision.winner).toMatchObject({ instanceType: 'abroad', scorePerHour: 0.1 });
  });

  test('that cannot be told is counted as an error and adds nothing', () => {
    for (const [at, gib] of [
      ['site/gone', '100.0'],
      ['aws/eu-central-1', '-1.0'],
      ['aws/eu-central-1', '0.0 / 0.0'],
    ] as const) {
      const { winner, rules } = winnerAt(at, gib);
      expect(winner).toMatchObject({ instanceType: 'abroad', scorePerHour: 0.1 });
      expect(rules[0]).toMatchObject({ rejected: 0, errors: 3 });
    }
  });
});
