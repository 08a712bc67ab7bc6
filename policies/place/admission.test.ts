import type { Clause } from '../file/policy.ts';
import { policy } from '../testing/policies.ts';
import { market, placeUnder, rule } from '../testing/small-market.ts';
import { choose } from './choose.ts';
import { compilePolicies } from './compiled.ts';
import { NEUTRAL_REQUEST } from './types.ts';

describe('labels', () => {
  const rules = [
    rule('hygiene', { effect: 'labels', required: ['owner'], allowed: { env: ['prod', 'test'] } }),
  ];

  test('a request without a required label is refused, with the label', () => {
    const decision = placeUnder(rules, {});
    expect(decision).toMatchObject({
      outcome: 'unplaceable',
      rules: [{ effect: 'labels', rejected: 1, message: 'the request must have the label owner' }],
    });
    expect(decision.reasons.join()).toContain('the request must have the label owner');
  });

  test('a label that may have some values only is refused with any other, and may be left out', () => {
    const labels = { owner: 'kim' };
    expect(placeUnder(rules, { request: { labels } }).outcome).toBe('placed');
    expect(placeUnder(rules, { request: { labels: { ...labels, env: 'lab' } } }).rules[0]!.message).toBe(
      "label env must be prod or test, not 'lab'",
    );
  });

  test("the rule's own message goes first, and the rule speaks only where it applies", () => {
    const own = [
      { ...rules[0], message: { kind: 'text' as const, text: 'ask Kim' }, when: 'request.count > 1' },
    ];
    expect(placeUnder(own, { request: { count: 2 } }).rules[0]!.message).toBe('ask Kim');
    expect(placeUnder(own, {})).toMatchObject({ outcome: 'placed', rules: [{ applies: false }] });
  });
});

describe('ttl', () => {
  const ttl = (maxHours: number, defaultHours: number | null): Clause => ({
    effect: 'ttl',
    maxHours,
    defaultHours,
  });

  test('a life longer than allowed is refused, the longest one is not', () => {
    const rules = [rule('short', ttl(72, null))];
    expect(placeUnder(rules, { request: { ttlHours: 72 } })).toMatchObject({ outcome: 'placed' });
    expect(placeUnder(rules, { request: { ttlHours: 72 } }).ttlHours).toBeUndefined();
    expect(placeUnder(rules, { request: { ttlHours: 73 } }).rules[0]!.message).toBe(
      'a ttl of 73 h is asked for, 72 h are allowed',
    );
  });

  test('a request that names none gets the shortest default, or is refused where there is none', () => {
    const rules = [rule('a', ttl(72, 48)), rule('b', ttl(100, 24))];
    expect(placeUnder(rules, {}).ttlHours).toBe(24);
    expect(placeUnder([...rules, rule('c', ttl(12, 12))], {}).ttlHours).toBe(12);
    expect(placeUnder([rule('a', ttl(72, null))], {}).outcome).toBe('unplaceable');
  });
});

describe('window', () => {
  const closed = (spans: string[]): Clause => ({
    effect: 'window',
    window: { kind: 'deny', spans, timeZone: 'Europe/Berlin' },
  });
  const rules = [rule('weekend', closed(['Fri 18:00/60h']))];
  const outcome = (now: string) => placeUnder(rules, { now: new Date(now) }).outcome;

  test('closes at its start and opens at its end, on the clock of its time zone', () => {
    expect(outcome('2026-01-09T16:59:59Z')).toBe('placed');
    expect(outcome('2026-01-09T17:00:00Z')).toBe('unplaceable');
    expect(outcome('2026-01-12T04:59:59Z')).toBe('unplaceable');
    expect(outcome('2026-01-12T05:00:00Z')).toBe('placed');
  });

  test('says when it opens', () => {
    expect(placeUnder(rules, { now: new Date('2026-01-10T00:00:00Z') }).rules[0]!.message).toBe(
      'closed during Fri 18:00/60h (Europe/Berlin); the next time is 2026-01-12T05:00:00.000Z',
    );
  });
});

describe('approval', () => {
  const rules = [
    rule('big', { effect: 'approval', by: ['finops'], expiresHours: 24 }, { when: 'offer.vcpus > 2' }),
  ];

  test('is asked for the offer that won, and rejects nothing', () => {
    const catalogue = market({}, { instanceType: 'big', vcpus: 8, pricePerHour: 0.5 });
    expect(placeUnder(rules, { catalogue }).approvals).toBeUndefined();
    const decision = placeUnder(rules, { catalogue, request: { vcpus: 4 } });
    expect(decision).toMatchObject({ outcome: 'placed', rules: [{ effect: 'approval', rejected: 0 }] });
    expect(decision.approvals).toEqual([
      { policy: 'p', rule: 'big', by: ['finops'], expiresHours: 24, message: null },
    ]);
  });

  test('is asked for where its condition has no value, and not by a policy in audit mode', () => {
    const inEu = [{ ...rules[0], when: 'offer.jurisdiction == "EU"' }];
    const catalogue = market({ region: 'moon-1' });
    expect(placeUnder(inEu, { catalogue }).approvals).toHaveLength(1);
    expect(placeUnder(inEu, { catalogue, more: { mode: 'audit' } }).approvals).toBeUndefined();
  });

  test('approvals of all layers add up', () => {
    const clause: Clause = { effect: 'approval', by: ['ops'], expiresHours: 1 };
    const policies = compilePolicies([
      policy('org', [rule('a', clause)]),
      policy('proj', [rule('b', clause)], { scope: { kind: 'project', name: 'default' } }),
    ]);
    expect(placeUnder([], { policies }).approvals!.map((a) => a.rule)).toEqual(['a', 'b']);
  });
});

describe('exceptions', () => {
  const rules = [rule('none', { effect: 'deny', expression: 'true' })];
  const exception = {
    rule: 'none',
    line: 9,
    owner: 'kim',
    reason: 'a trial',
    expires: '2026-01-01T12:00:00Z',
  };
  const under = (now: string, match: string | null, request = {}) => ({
    request,
    now: new Date(now),
    more: { exceptions: [{ ...exception, match }] },
  });

  test('take a rule out until they expire, and the decision names them', () => {
    const decision = placeUnder(rules, under('2026-01-01T11:59:59Z', null));
    expect(decision).toMatchObject({ outcome: 'placed', rules: [] });
    expect(decision.exceptions).toEqual([
      { policy: 'p', rule: 'none', owner: 'kim', reason: 'a trial', expires: '2026-01-01T12:00:00Z' },
    ]);
    const after = placeUnder(rules, under('2026-01-01T12:00:00Z', null));
    expect(after.outcome).toBe('unplaceable');
    expect(after.exceptions).toBeUndefined();
  });

  test('are for the requests they match; an error does not match', () => {
    const at = '2026-01-01T00:00:00Z';
    const match = 'request.labels.trial == "yes"';
    expect(placeUnder(rules, under(at, match)).outcome).toBe('unplaceable');
    expect(placeUnder(rules, under(at, match, { labels: { trial: 'yes' } })).outcome).toBe('placed');
  });
});

test('a rule about running machines is no matter of placement', () => {
  const decision = placeUnder([rule('old', { effect: 'deny', expression: 'resource.ageHours > 100.0' })], {});
  expect(decision).toMatchObject({ outcome: 'placed', rules: [] });
});

test('a hard price cap rejects what is dearer, not what costs just that', () => {
  const catalogue = market({}, { instanceType: 'dear', pricePerHour: 0.11 });
  const decision = placeUnder([rule('cap', { effect: 'maxPrice', perHour: 0.1 })], { catalogue });
  expect(decision).toMatchObject({ compliant: 1, rules: [{ effect: 'maxPrice', rejected: 1 }] });
});

test('choosing again at another time, or with other labels, is not answered from what was known before', () => {
  const exceptions = [
    { rule: 'none', line: 9, owner: 'kim', reason: 'a trial', expires: '2026-01-12T00:00:00Z', match: null },
  ];
  const policies = compilePolicies([
    policy(
      'p',
      [
        rule('none', { effect: 'deny', expression: 'true' }),
        rule('hygiene', { effect: 'labels', required: ['owner'], allowed: {} }),
        rule('weekend', {
          effect: 'window',
          window: { kind: 'deny', spans: ['2026-01-10/1d'], timeZone: 'UTC' },
        }),
      ],
      { exceptions },
    ),
  ]);
  const catalogue = market({});
  const chosen = (now: string, labels: Record<string, string>): string | undefined => {
    const request = { ...NEUTRAL_REQUEST, labels };
    const input = { request, catalogue, sites: [], policies, setAside: [], includeUnconfigured: true };
    return choose({ ...input, now: new Date(now) }).winner?.instanceType;
  };
  expect(chosen('2026-01-09T23:59:59Z', { owner: 'kim' })).toBe('a1.large');
  expect(chosen('2026-01-10T00:00:00Z', { owner: 'kim' })).toBeUndefined();
  expect(chosen('2026-01-11T00:00:00Z', {})).toBeUndefined();
  expect(chosen('2026-01-11T00:00:00Z', { owner: 'kim' })).toBe('a1.large');
  expect(chosen('2026-01-12T00:00:00Z', { owner: 'kim' })).toBeUndefined();
});
