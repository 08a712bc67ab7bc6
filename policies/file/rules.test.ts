import { parsePolicy, parseRequestRules } from './parse.ts';

const HEAD = 'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n';

const parse = (...rules: string[]) =>
  parsePolicy(`${HEAD}${rules.map((rule, i) => `  - {name: r${i}, ${rule}}\n`).join('')}`, 'p.yaml');

/** The clauses of one rule, or its problems. */
function clauses(rule: string): unknown {
  const { policies, problems } = parse(rule);
  return problems.length > 0 ? problems.map((p) => p.message) : policies[0]!.rules[0]!.clauses;
}

/** Code, column and message of the only problem of a rule. */
function problem(rule: string): string {
  const { problems } = parse(rule);
  expect(problems.length).toBe(1);
  const { code, message, suggestion } = problems[0]!;
  return `${code}: ${message}${suggestion === undefined ? '' : ` (${suggestion}?)`}`;
}

test.each([
  ['require: offer.vcpus > 1', { effect: 'require', expression: '(offer.vcpus > 1)' }],
  ['deny: true', { effect: 'deny', expression: 'true' }],
  [
    'prefer: offer.burstable, weight: 0.03',
    { effect: 'prefer', expression: 'offer.burstable', weight: { kind: 'share', share: 0.03 } },
  ],
  [
    'prefer: offer.burstable, weight: 0.01 USD/h',
    { effect: 'prefer', expression: 'offer.burstable', weight: { kind: 'money', perHour: 0.01 } },
  ],
  [
    'prefer: offer.burstable, weight: 73 USD/month',
    { effect: 'prefer', expression: 'offer.burstable', weight: { kind: 'money', perHour: 0.1 } },
  ],
  [
    'prefer: offer.burstable, weight: strict',
    { effect: 'prefer', expression: 'offer.burstable', weight: { kind: 'strict' } },
  ],
  [
    'spread: {by: zone, min: 2, maxShare: 0.6}',
    { effect: 'spread', by: 'zone', min: 2, maxShare: 0.6, group: ['project', 'labels.app'] },
  ],
  [
    'spread: {by: host, min: 3, group: [labels.tier]}',
    { effect: 'spread', by: 'host', min: 3, maxShare: 1, group: ['labels.tier'] },
  ],
  [
    'affinity: {to: resource.name == "db", by: zone}',
    { effect: 'affinity', to: '(resource.name == "db")', by: 'zone' },
  ],
  [
    'antiAffinity: {to: resource.labels.app == request.labels.app, by: host}',
    { effect: 'antiAffinity', to: '(resource.labels.app == request.labels.app)', by: 'host' },
  ],
  [
    'gravity: {at: aws/eu-central-1, gibPerMonth: 500}',
    { effect: 'gravity', at: 'aws/eu-central-1', gibPerMonth: '500.0' },
  ],
  [
    'gravity: {at: site/hall-1, gibPerMonth: request.count * 10}',
    { effect: 'gravity', at: 'site/hall-1', gibPerMonth: 'double((request.count * 10))' },
  ],
  [
    'budget: {group: project, per: month, limit: 20000 USD}',
    { effect: 'budget', group: ['project'], per: 'month', limit: 20000 },
  ],
  [
    'quota: {group: [provider, region], resource: gpu, limit: 16}',
    { effect: 'quota', group: ['provider', 'region'], resource: 'gpu', limit: 16 },
  ],
  ['maxPrice: 0.5 USD/h', { effect: 'maxPrice', perHour: 0.5 }],
  ['approval: {by: [finops], expires: 24h}', { effect: 'approval', by: ['finops'], expiresHours: 24 }],
  ['ttl: {max: 7d}', { effect: 'ttl', maxHours: 168, defaultHours: null }],
  ['ttl: {max: 72h, default: 30m}', { effect: 'ttl', maxHours: 72, defaultHours: 0.5 }],
  ['labels: {required: [owner]}', { effect: 'labels', required: ['owner'], allowed: {} }],
  [
    'labels: {allowed: {env: [dev, prod]}}',
    { effect: 'labels', required: [], allowed: { env: ['dev', 'prod'] } },
  ],
  [
    'window: {deny: Fri 18:00/60h, timeZone: Europe/Berlin}',
    { effect: 'window', window: { kind: 'deny', spans: ['Fri 18:00/60h'], timeZone: 'Europe/Berlin' } },
  ],
  [
    'window: {allow: [Mon-Fri 08:00/10h, 2999-12-24/3d]}',
    {
      effect: 'window',
      window: { kind: 'allow', spans: ['Mon-Fri 08:00/10h', '2999-12-24/3d'], timeZone: 'UTC' },
    },
  ],
])('reads %s', (rule, clause) => {
  expect(clauses(rule)).toEqual([clause]);
});

test('a rule may do several things, and says once how it behaves', () => {
  const { policies, problems } = parse(
    'ttl: {max: 72h}, labels: {required: owner}, window: {deny: daily 02:00/4h}, when: request.count > 1, missing: pass, onViolation: stop, owner: ops, overridable: true, override: true, message: no',
  );
  expect(problems).toEqual([]);
  const [rule] = policies[0]!.rules;
  expect(rule!.clauses.map((c) => c.effect)).toEqual(['ttl', 'labels', 'window']);
  expect(rule).toMatchObject({
    when: '(request.count > 1)',
    missing: 'pass',
    onViolation: 'stop',
    owner: 'ops',
    overridable: true,
    override: true,
  });
});

test.each([
  ['prefer: offer.burstable', 'missing-field: a preference needs a weight'],
  ['require: "true", weight: 0.1', 'rule-effect: weight belongs to prefer'],
  ['prefer: offer.burstable, weight: 0', 'above 0 and at most 10 (0.03 = 3%)'],
  ['prefer: offer.burstable, weight: 11', 'above 0 and at most 10'],
  ['prefer: offer.burstable, weight: heavy', 'or strict; is "heavy"'],
  ['prefer: offer.burstable, weight: 3 EUR/h', 'must be in USD: prices are, and EUR is not converted'],
  ['prefer: offer.burstable, weight: 3 USD', 'such as "0.5 USD/h", is \'3 USD\''],
  ['spread: {by: zone}', 'says nothing: give min'],
  ['spread: {by: zones, min: 2}', "must be one of provider, site, region, zone, host, is 'zones' (zone?)"],
  ['spread: {by: zone, min: 0}', 'must be a whole number of at least 1 and at most 1000, is 0'],
  ['spread: {by: zone, maxShare: 60}', 'must be a number above 0 and at most 1, is 60'],
  [
    'spread: {by: zone, min: 2, group: [project, zone]}',
    'cannot be met: all machines of a group share one zone',
  ],
  ['spread: {by: provider, min: 2, group: site}', 'cannot be met: all machines of a group share one site'],
  ['spread: {by: provider, min: 5}', 'cannot be met: there are 4 providers'],
  [
    'spread: {by: provider, maxShare: 0.2}',
    'cannot be met: 4 providers with 0.2 of the machines each do not hold all',
  ],
  ['affinity: {to: offer.burstable, by: zone}', "'offer' is not known here"],
  [
    'affinity: {to: resource.nme == "x", by: zone}',
    "'nme' is not a known attribute of resource (resource.name?)",
  ],
  ['gravity: {at: eu-central-1, gibPerMonth: 5}', 'must be where the data lies'],
  [
    'gravity: {at: aws/eu-central-1, gibPerMonth: request.name}',
    'must be a number, or an expression that gives one',
  ],
  ['gravity: {at: aws/eu-central-1, gibPerMonth: -5}', 'gibPerMonth above 0'],
  ['gravity: {at: aws/eu-central-1, gibPerMonth: offer.price}', "'offer' is not known here"],
  ['budget: {group: project, per: month, limit: 0 USD}', "must be more than 0, is '0 USD'"],
  ['budget: {group: project, per: month, limit: -1 USD}', "must be more than 0, is '-1 USD'"],
  [
    'budget: {group: project, per: month, limit: 20000}',
    'must be an amount such as "20000 USD", is 20000 (20000 USD?)',
  ],
  ['budget: {group: project, per: month, limit: 9 EUR}', 'EUR is not converted'],
  ['budget: {group: project, per: year, limit: 9 USD}', "must be one of hour, day, month, is 'year'"],
  ['budget: {group: projcet, per: month, limit: 9 USD}', "is 'projcet' (project?)"],
  ['budget: {group: label.team, per: month, limit: 9 USD}', "is 'label.team' (labels.team?)"],
  ['budget: {group: [project, project], per: month, limit: 9 USD}', 'names a key twice'],
  ['budget: {group: [], per: month, limit: 9 USD}', 'needs at least 1'],
  ['budget: {per: month, limit: 9 USD}', 'missing-field: spec.rules[0].budget.group is missing'],
  ['quota: {group: project, resource: gpus, limit: 1}', "is 'gpus' (gpu?)"],
  ['quota: {group: project, resource: gpu, limit: -1}', 'must be a number of at least 0, is -1'],
  [
    'quota: {group: project, resource: gpu, limit: many}',
    'wrong-type: spec.rules[0].quota.limit must be a number of at least 0, is "many"',
  ],
  ['maxPrice: 0.5 USD', 'such as "0.5 USD/h"'],
  ['maxPrice: 0.5 USD/week', 'the time is h or month'],
  ['maxPrice: .nan', 'must be an amount such as "0.5 USD/h", is NaN'],
  ['approval: {by: [], expires: 24h}', 'needs at least 1'],
  ['approval: {by: finops, expires: soon}', "must be a duration such as 30m, 72h or 7d, is 'soon'"],
  ['ttl: {max: 1h, default: 2h}', 'has a default that is longer than its max'],
  ['labels: {}', 'needs required or allowed'],
  ['labels: {required: ["-x"]}', 'must be a label key'],
  ['labels: {allowed: {"-x": [a]}}', "'-x' is not a label key"],
  ['labels: {allowed: {env: []}}', 'needs at least 1'],
  ['labels: {allowed: {size: [1]}}', 'allowed.size[0] must be a text'],
  ['window: {timeZone: UTC}', 'needs either deny or allow'],
  ['window: {deny: daily 02:00/1h, allow: daily 02:00/1h}', 'needs either deny or allow'],
  ['window: {deny: daily 00:00/24h}', 'is never open: its spans cover the whole week'],
  ['window: {deny: [Mon-Fri 00:00/24h, Sat 00:00/2d]}', 'is never open'],
  ['window: {deny: Friday 18:00}', 'must be a span such as "Fri 18:00/60h"'],
  ['window: {deny: Fri 24:00/1h}', "has no time of day: '24:00'"],
  ['window: {deny: 2026-02-30/1d}', 'names a day that does not exist: 2026-02-30'],
  ['window: {deny: daily 02:00/8d}', 'is longer than the week'],
  ['window: {deny: daily 02:00/4h, timeZone: Europe/Berln}', "is 'Europe/Berln' (Europe/Berlin?)"],
  ['window: {allow: 2020-12-24/3d}', 'never opens again: its dates are past'],
  ['require: "true", missing: ignore', 'must be one of reject, pass'],
  ['require: "true", onViolation: kill', 'must be one of report, approve, replace, stop'],
  [
    'when: resource.ageHours > 3.0, prefer: offer.burstable, weight: 1',
    'may read resource only beside require or deny',
  ],
  ['requier: "true", deny: offer.burstable', "unknown field 'requier' (require?)"],
])('refuses %s', (rule, expected) => {
  expect(problem(rule)).toContain(expected);
});

test('rules about running machines read resource, in require and deny and their when', () => {
  expect(parse('deny: resource.ageHours > 72.0, when: resource.labels.env == "dev"').problems).toEqual([]);
});

describe('exceptions', () => {
  const parseException = (exception: string) =>
    parsePolicy(
      `${HEAD}  - {name: eu, require: offer.jurisdiction == "EU"}\n  exceptions:\n  - ${exception}\n`,
      'p.yaml',
      new Date('2026-11-20T00:00:00Z'),
    );

  test('name a rule, who answers, why and until when', () => {
    const { policies, problems } = parseException(
      '{rule: eu, owner: ada, reason: migration, expires: 2026-12-31, match: request.project == "shop"}',
    );
    expect(problems).toEqual([]);
    expect(policies[0]!.exceptions).toEqual([
      {
        rule: 'eu',
        owner: 'ada',
        reason: 'migration',
        expires: '2026-12-31T00:00:00.000Z',
        match: '(request.project == "shop")',
        line: 8,
      },
    ]);
  });

  test.each([
    ['{rule: ue, owner: a, reason: b, expires: 2026-12-31}', "the policy has no rule 'ue'", 'error'],
    ['{rule: eu, reason: b, expires: 2026-12-31}', 'owner is missing', 'error'],
    ['{rule: eu, owner: a, expires: 2026-12-31}', 'reason is missing', 'error'],
    ['{rule: eu, owner: a, reason: b}', 'expires is missing', 'error'],
    ['{rule: eu, owner: a, reason: b, expires: 2026-02-31}', 'must be a day such as', 'error'],
    ['{rule: eu, owner: a, reason: b, expires: 2026-12-31T10:00:00}', 'must be a day such as', 'error'],
    [
      '{rule: eu, owner: a, reason: b, expires: 2026-12-31, match: offer.burstable}',
      'not known here',
      'error',
    ],
    ['{rule: eu, owner: a, reason: b, expires: 2026-11-20}', "for rule 'eu' has expired", 'warning'],
  ])('%s is pointed out', (exception, message, severity) => {
    expect(parseException(exception).problems).toMatchObject([
      { message: expect.stringContaining(message), severity, line: 8 },
    ]);
  });
});

describe('rules of a request', () => {
  test('are read like those of a policy', () => {
    const { rules, problems } = parseRequestRules(
      [
        { name: 'eu', require: 'offer.jurisdiction == "EU"', message: 'in the EU' },
        { name: 'green', prefer: 'offer.carbon < 200.0', weight: 0.05 },
        { name: 'cap', maxPrice: '0.5 USD/h', gravity: { at: 'aws/eu-west-1', gibPerMonth: 20.5 } },
      ],
      'request',
    );
    expect(problems).toEqual([]);
    expect(rules.map((rule) => rule.clauses.map((c) => c.effect))).toEqual([
      ['require'],
      ['prefer'],
      ['gravity', 'maxPrice'],
    ]);
    expect(rules[2]!.clauses[0]).toMatchObject({ gibPerMonth: '20.5' });
  });

  test('have problems with pointers into the value, and no rules then', () => {
    const { rules, problems } = parseRequestRules(
      [
        { name: 'a', require: 'offer.regoin == "x"' },
        { name: 'b', budget: { group: 'project', per: 'month', limit: '1 USD' } },
        { name: 'c', spread: { by: 'zone', min: -1 } },
        { name: 'c', deny: true, overridable: true },
      ],
      'request',
    );
    expect(rules).toEqual([]);
    expect(problems.map((p) => [p.path, p.code])).toEqual([
      ['/0/require', 'unknown-attribute'],
      ['/1/budget', 'unknown-field'],
      ['/1', 'rule-effect'],
      ['/2/spread/min', 'wrong-value'],
      ['/3/name', 'duplicate-rule'],
      ['/3/overridable', 'unknown-field'],
    ]);
  });

  test.each([
    ['a text', 'x'],
    ['nothing', null],
    ['undefined', undefined],
    ['a list of nothing', [null, 3, ['x']]],
    ['a mapping', { name: 'x' }],
    [
      'names that are inherited',
      [JSON.parse('{"name": "x", "__proto__": {"require": "true"}, "constructor": 1}')],
    ],
    ['nested ten thousand deep', JSON.parse(`${'['.repeat(10_000)}${']'.repeat(10_000)}`)],
    ['too many', Array.from({ length: 51 }, (_, i) => ({ name: `r${i}`, deny: 'false' }))],
    [
      'too many strict preferences',
      Array.from({ length: 21 }, (_, i) => ({ name: `r${i}`, prefer: 'offer.burstable', weight: 'strict' })),
    ],
  ])('that are %s are a problem, not an exception', (_what, value) => {
    const { rules, problems } = parseRequestRules(value, 'request');
    expect(rules).toEqual([]);
    expect(problems.length).toBeGreaterThan(0);
  });

  test('may be none', () => {
    expect(parseRequestRules([], 'request')).toEqual({ rules: [], problems: [] });
  });
});
