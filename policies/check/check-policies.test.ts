import { Catalogue } from '../catalogue/catalogue.ts';
import { loadSnapshot } from '../catalogue/snapshot.ts';
import { parsePolicy } from '../file/parse.ts';
import type { ParsedPolicy } from '../file/policy.ts';
import { policy } from '../testing/policies.ts';
import { checkPolicies } from './check-policies.ts';

/** A policy of one rule in a scope. */
function layer(name: string, scope: string, rule: string): ParsedPolicy {
  const text = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: ${name}, scope: ${scope}}\nspec:\n  rules:\n  - ${rule}\n`;
  return parsePolicy(text, `${name}.yaml`).policies[0]!;
}

/** Codes and messages of the problems of a policy with these rules. */
function found(...policies: ParsedPolicy[]): string[] {
  return checkPolicies(policies, null).map((p) => `${p.line} ${p.code} ${p.message}`);
}

function codes(...expressions: string[]): string[] {
  return checkPolicies(
    [
      policy(
        'p',
        expressions.map((expression) => ({ expression })),
      ),
    ],
    null,
  ).map((p) => p.code);
}

describe('a policy with an error in a rule', () => {
  const file = (...lines: string[]): ReturnType<typeof parsePolicy> =>
    parsePolicy(
      `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p, scope: organizations/default}\nspec:\n${lines.join('\n')}\n`,
      'p.yaml',
    );
  const rules = [
    '  rules:',
    '  - {name: broken, deny: offer.burstabel}',
    '  - {name: never, require: offer.vcpus > 4 && offer.vcpus < 2}',
    '  - {name: wide, require: offer.vcpus > 1}',
    '  - {name: narrow, require: offer.vcpus > 3}',
  ];

  test('is told what is doubtful in its others, each where it is', () => {
    const { policies, partly, problems } = file(...rules);
    expect(policies).toEqual([]);
    expect(problems.map(({ path }) => path)).toEqual(['spec.rules[0].deny']);
    expect(checkPolicies(partly, null).map(({ code, line, path }) => [code, line, path])).toEqual([
      ['never-holds', 7, 'spec.rules[1]'],
      ['redundant-rule', 8, 'spec.rules[2]'],
    ]);
  });

  test('is not looked at where the error may matter to all of them', () => {
    expect(file(...rules, '  match: request.cuont > 1').partly).toEqual([]);
    expect(file('  rules:', '  - {name: broken, deny: offer.burstabel}').partly).toEqual([]);
    expect(file('  rules: 3').partly).toEqual([]);
  });

  test('may have the rule that another overrides', () => {
    const own = layer('own', 'projects/shop', '{name: broken, require: offer.vcpus > 1, override: true}');
    expect(checkPolicies([...file(...rules).partly, own], null).map(({ code }) => code)).not.toContain(
      'override',
    );
  });
});

describe('an override', () => {
  const org = (overridable: boolean) =>
    layer('org', 'organizations/default', `{name: r, deny: offer.burstable, overridable: ${overridable}}`);
  const own = layer('own', 'projects/shop', '{name: r, require: offer.vcpus > 1, override: true}');

  test('of a rule that does not allow it is told, and which rule that is', () => {
    expect(found(org(false), own)).toEqual([
      "6 override rule 'r': policy 'org' does not make it overridable: both apply",
    ]);
  });

  test('that is allowed, or whose rule is not among the files, is fine', () => {
    expect(found(org(true), own)).toEqual([]);
    expect(found(own)).toEqual([]);
  });

  test('of a rule that nobody has is told where the organization is known, with the rule that may be meant', () => {
    const typo = layer('own', 'projects/shop', '{name: redisency, require: offer.vcpus > 1, override: true}');
    const parent = layer(
      'org',
      'organizations/default',
      '{name: residency, deny: offer.burstable, overridable: true}',
    );
    expect(checkPolicies([parent, typo], null)).toMatchObject([
      {
        code: 'override',
        line: 6,
        message:
          "rule 'redisency': it overrides nothing: no organization's policy given here has a rule of this name",
        suggestion: 'residency',
      },
    ]);
    expect(checkPolicies([typo], null)).toEqual([]);
    expect(checkPolicies([typo], null, { whole: true })).toMatchObject([
      { message: expect.stringContaining("no organization's policy in force has") },
    ]);
  });

  test("in an organization's policy takes nothing's place", () => {
    expect(
      found(layer('o', 'organizations/default', '{name: r, deny: offer.burstable, override: true}')),
    ).toEqual(["6 override rule 'r': only a project's policy can override, so this adds to what is there"]);
  });
});

describe('a rule that can never hold', () => {
  test.each([
    'offer.vcpus > 4 && offer.vcpus < 2',
    'offer.vcpus > 2 && offer.vcpus < 3',
    'offer.memoryGiB > 4.0 && offer.memoryGiB <= 4.0',
    'offer.provider == "aws" && offer.provider == "gcp"',
    'offer.provider in ["aws", "azure"] && !(offer.provider in ["azure", "aws", "gcp"])',
    'offer.region.startsWith("eu-") && offer.region in ["us-east-1", "us-west-2"]',
    'offer.region.startsWith("eu-") && offer.region.startsWith("us-")',
    'offer.instanceType.matches("^m5\\\\.") && offer.instanceType == "t3.large"',
    'offer.burstable && !offer.burstable',
    '(offer.burstable ? offer.vcpus > 8 : false) && offer.vcpus < 8',
    'has(offer.zone) && !has(offer.zone)',
    'offer.zone == "a" && !has(offer.zone)',
    'request.labels.env == "prod" && request.labels["env"] == "test"',
    '"env" in request.labels && !has(request.labels.env)',
    'offer.currency == "EUR"',
    'offer.price < 0.1 && offer.pricePerHour > 0.2',
    'offer.pricePerHour < 0.0',
    'offer.vcpus < request.vcpus && request.vcpus < offer.vcpus',
    'offer.vcpus * 2 > 8 && offer.vcpus * 2 < 4',
    'offer.certifications.exists(c, c == "x") && !offer.certifications.exists(c, c == "x")',
    'offer.vcpus == 1 && (offer.vcpus == 2 || offer.vcpus == 3)',
  ])('%s', (expression) => {
    expect(codes(expression)).toEqual(['never-holds']);
  });

  test('because of its `when` is told with a request as an example', () => {
    const rule = {
      when: 'request.dataClass == "secret" && offer.provider == "aws"',
      expression: 'offer.provider == "gcp"',
    };
    expect(found(policy('p', [rule]))).toEqual([
      `1 never-holds rule 'rule-0': no offer can meet it where it applies: it rejects everything, for example of a request with dataClass "secret"`,
    ]);
  });

  test('is told of a preference too', () => {
    const weight = { kind: 'strict' } as const;
    const clauses = [{ effect: 'prefer' as const, expression: 'offer.vcpus < 0', weight }];
    expect(found(policy('p', [{ clauses }]))[0]).toContain(
      "1 never-holds rule 'rule-0': no offer can ever meet",
    );
  });

  test('is not told of one that says `deny: true`, which is meant', () =>
    expect(found(policy('p', [{ when: 'request.count > 9', effect: 'deny', expression: 'true' }]))).toEqual(
      [],
    ));

  test.each([
    '!(offer.price / 0.0 < 1.0) && !(offer.price / 0.0 >= 1.0)',
    '!(offer.price / 0.0 < offer.carbon) && !(offer.price / 0.0 >= offer.carbon)',
  ])('is not told of %s, which NaN meets', (expression) => expect(codes(expression)).toEqual([]));

  test('is not told where a missing value passes', () =>
    expect(
      found(policy('p', [{ expression: 'offer.zone == "a" && !has(offer.zone)', missing: 'pass' }])).join(),
    ).not.toContain('rejects everything'));
});

describe('a rule without effect', () => {
  test.each([
    'offer.vcpus >= 0',
    'offer.currency == "USD"',
    'offer.provider == "aws" || offer.provider != "aws"',
    '!has(offer.zone) || offer.zone == "a" || offer.zone != "a"',
    'request.vcpus > 0',
  ])('%s', (expression) => expect(codes(expression)).toEqual(['always-holds']));

  test('is not one that a missing value makes reject', () =>
    expect(codes('offer.zone == "a" || offer.zone != "a"')).toEqual([]));

  test('is one whose `when` contradicts the policy’s match', () =>
    expect(
      found(
        policy('p', [{ when: 'request.count < 3', expression: 'offer.burstable' }], {
          match: 'request.count > 5',
        }),
      ),
    ).toEqual([
      "1 never-applies rule 'rule-0': match and when are never true together: the rule never applies",
    ]));
});

describe('two rules', () => {
  const three = [
    { expression: 'offer.provider == "aws"' },
    { expression: 'offer.vcpus > 1' },
    { expression: 'offer.provider in ["aws", "gcp"]' },
  ];
  test('of which one rejects all that the other rejects: the other is superfluous', () =>
    expect(found(policy('p', three))).toEqual([
      "3 redundant-rule rule 'rule-2': rule 'rule-0' (line 1) already rejects all that it rejects",
    ]));
  test('that are equal: the later one is superfluous', () =>
    expect(codes('offer.vcpus > 1', 'offer.vcpus >= 2')).toEqual(['redundant-rule']));
  test('are both needed where the stronger one is only an audit', () =>
    expect(found(policy('a', [three[0]!], { mode: 'audit' }), policy('b', [three[2]!]))).toEqual([]));
  test('are both needed where the stronger one can be overridden, or has an exception', () => {
    expect(found(policy('p', [{ ...three[0], overridable: true }, three[2]!]))).toEqual([]);
    const exceptions = [
      { rule: 'rule-0', line: 9, owner: 'o', reason: 'r', expires: '2099-01-01', match: null },
    ];
    expect(found(policy('p', [three[0]!, three[2]!], { exceptions }))).toEqual([]);
  });
  test('are both needed where only one asks for more than a report', () =>
    expect(found(policy('p', [three[0]!, { ...three[2], onViolation: 'stop' }]))).toEqual([]));
  test('are both needed where the weaker one also rejects a missing value', () =>
    expect(codes('!has(offer.carbon) || offer.carbon < 100.0', 'offer.carbon < 200.0')).toEqual([]));
  test('are both needed in different projects', () => {
    const scope = (name: string) => ({ scope: { kind: 'project' as const, name } });
    expect(found(policy('a', [three[0]!], scope('a')), policy('b', [three[2]!], scope('b')))).toEqual([]);
  });

  test('that leave nothing together contradict each other, layers included', () => {
    const project = policy('b', [{ when: 'request.gpuCount > 0', expression: 'offer.provider == "gcp"' }], {
      scope: { kind: 'project', name: 'lab' },
    });
    expect(found(policy('a', [three[0]!]), project)).toEqual([
      "1 contradiction rule 'rule-0': together with rule 'rule-0' of policy 'a' (a.yaml line 1) it rejects every offer, for example of a request with gpuCount 1",
    ]);
  });
  test('do not contradict each other where they never apply together', () =>
    expect(
      found(
        policy('p', [
          { when: 'request.dataClass == "a"', expression: 'offer.provider == "aws"' },
          { when: 'request.dataClass == "b"', expression: 'offer.provider == "gcp"' },
        ]),
      ),
    ).toEqual([]));
  test('do not contradict each other where no request is known to which both apply', () =>
    expect(
      found(
        policy('p', [
          { when: 'size(request.regions) > 0', expression: 'offer.provider == "aws"' },
          { when: 'request.regions == []', expression: 'offer.provider == "gcp"' },
        ]),
      ),
    ).toEqual([]));
  test('do not contradict each other where the project takes the place of the organization’s rule', () => {
    const parent = policy('a', [{ name: 'cloud', expression: 'offer.provider == "aws"', overridable: true }]);
    const child = policy('b', [{ name: 'cloud', expression: 'offer.provider == "gcp"', override: true }], {
      scope: { kind: 'project', name: 'lab' },
    });
    expect(found(parent, child)).toEqual([]);
  });
});

describe('a spread over more than there is', () => {
  const zones = (provider: string, region: string, ...names: string[]) => {
    const row = [...loadSnapshot().rows()].find((r) => r.provider === provider && r.region === region)!;
    return names.map((zone) => ({ ...row, zone }));
  };
  const rows = [
    ...zones('aws', 'eu-central-1', 'euc1-az1', 'euc1-az2', 'euc1-az3'),
    ...zones('aws', 'us-east-1', 'use1-az1', 'use1-az2'),
  ];
  const catalogue = Catalogue.fromRows(rows, { name: 'test', date: '2026-01-01' });
  const spread = (clause: string, over: Catalogue | null = catalogue): string[] => {
    const source = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n  - {name: ha, spread: ${clause}}\n`;
    const { policies, problems } = parsePolicy(source, 'p.yaml');
    expect(problems).toEqual([]);
    return checkPolicies(policies, over).map((p) => `${p.severity} ${p.code} ${p.line} ${p.message}`);
  };

  test('is warned of, with how many there are', () => {
    expect(spread('{by: zone, min: 6}')).toEqual([
      "warning wide-spread 6 rule 'ha': it asks for 6 zones, and the catalogue has 5: only on-prem sites could make up for the rest",
    ]);
    expect(spread('{by: zone, min: 4, group: [project, provider, region]}')).toEqual([
      "warning wide-spread 6 rule 'ha': it asks for 4 zones, and the catalogue has 3 for one provider and region: only on-prem sites could make up for the rest",
    ]);
    expect(spread('{by: provider, min: 2}')).toHaveLength(1);
    expect(spread('{by: region, min: 3}')).toHaveLength(1);
  });

  test('is not warned of where there are enough, in some group, or where nobody knows', () => {
    expect(spread('{by: zone, min: 5}')).toEqual([]);
    expect(spread('{by: zone, min: 3, group: [project, region]}')).toEqual([]);
    expect(spread('{by: region, min: 2}')).toEqual([]);
    expect(spread('{by: host, min: 100}')).toEqual([]);
    expect(spread('{by: zone, min: 100}', null)).toEqual([]);
    const zoneless = rows.map((row) => ({ ...row, zone: null }));
    const unknown = Catalogue.fromRows(zoneless, { name: 'test', date: '2026-01-01' });
    expect(spread('{by: zone, min: 100}', unknown)).toEqual([]);
  });
});

describe('a value that no offer has', () => {
  test('nor any other: an attribute of which the catalogue knows no value', () => {
    const rows = [...loadSnapshot().rows()].filter((row) => row.provider === 'gcp').slice(0, 3);
    const spot = rows.map((row) => ({ ...row, market: 'spot' as const }));
    const catalogue = Catalogue.fromRows(spot, { name: 'test', date: '2026-01-01' });
    const rules = [{ expression: '!has(offer.interruptionRate) || offer.interruptionRate < 0.1' }];
    expect(checkPolicies([policy('p', rules)], catalogue).map((p) => `${p.code} ${p.message}`)).toEqual([
      "unknown-value rule 'rule-0': no offer in the catalogue has a value of offer.interruptionRate",
    ]);
  });

  const unknown = (expression: string): string[] =>
    checkPolicies([policy('p', [{ expression }])], loadSnapshot())
      .filter((p) => p.code === 'unknown-value')
      .map((p) => `${p.message} → ${p.suggestion}`);

  test.each([
    [
      'offer.region == "eu-centrl-1"',
      'no offer in the catalogue has offer.region "eu-centrl-1" → "eu-central-1"',
    ],
    [
      'offer.region in ["eu-central-1", "eu-wset-1"]',
      'no offer in the catalogue has offer.region "eu-wset-1" → "eu-west-1"',
    ],
    [
      'offer.instanceType != "m5.largee"',
      'no offer in the catalogue has offer.instanceType "m5.largee" → "m5.large"',
    ],
    ['offer.provider == "amazon"', 'no offer in the catalogue has offer.provider "amazon" → undefined'],
    ['offer.provider == "AWS"', 'no offer in the catalogue has offer.provider "AWS" → "aws"'],
    ['offer.jurisdiction == "eu"', 'no offer in the catalogue has offer.jurisdiction "eu" → "EU"'],
    [
      'request.market == "spt"',
      '"spt" is no value here: request.market is one of "onDemand", "spot", "any" → "spot"',
    ],
    [
      'offer.family.startsWith("zz9")',
      'no offer in the catalogue has a offer.family that starts with "zz9" → undefined',
    ],
  ])('%s', (expression, message) => expect(unknown(expression)).toEqual([`rule 'rule-0': ${message}`]));

  test.each([
    'offer.region == "cellar-of-the-house"',
    'offer.provider == "onprem"',
    'offer.jurisdiction == "DE"',
    'offer.region.startsWith("eu-")',
    'request.labels.env == "prodd"',
  ])('is not reported of %s', (expression) => expect(unknown(expression)).toEqual([]));
});
