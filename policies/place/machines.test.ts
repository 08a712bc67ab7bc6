import { parseRequestRules } from '../file/parse.ts';
import type { Clause, ParsedRule } from '../file/policy.ts';
import { cellar, cloud, machine, market, placeUnder, rule } from '../testing/small-market.ts';
import { choose } from './choose.ts';
import { NO_POLICIES } from './compiled.ts';
import { withMachine } from './estate.ts';
import { withinLimit } from './limits.ts';
import { largestShare } from './neighbours.ts';
import { NEUTRAL_REQUEST } from './types.ts';

const zones = market(
  { zone: 'a', pricePerHour: 0.1 },
  { zone: 'b', pricePerHour: 0.2 },
  { zone: 'c', pricePerHour: 0.3 },
);
const at = (zone: string, n: number) => machine(`web-${zone}-${n}`, { zone });

describe('spread', () => {
  const spread = (more: Partial<Extract<Clause, { effect: 'spread' }>>) => [
    rule('ha', { effect: 'spread', by: 'zone', min: 1, maxShare: 1, group: ['project'], ...more }),
  ];

  test('lets the first machine of a group stand anywhere', () => {
    expect(placeUnder(spread({ min: 3, maxShare: 0.1 }), { catalogue: zones }).winner!.zone).toBe('a');
  });

  test('sends machines to new domains until enough are in use, and then to the cheapest', () => {
    const rules = spread({ min: 2 });
    expect(placeUnder(rules, { catalogue: zones, estate: [at('a', 1)] }).winner!.zone).toBe('b');
    expect(placeUnder(rules, { catalogue: zones, estate: [at('a', 1), at('b', 1)] }).winner!.zone).toBe('a');
    const decision = placeUnder(rules, { catalogue: market({ zone: 'a' }), estate: [at('a', 1)] });
    expect(decision).toMatchObject({ outcome: 'unplaceable', rules: [{ effect: 'spread', rejected: 1 }] });
  });

  test('keeps every domain at its share, rounded up to whole machines', () => {
    const rules = spread({ maxShare: 0.5 });
    // The third may be the second in zone a: half of three is two machines. The fourth may not be the third there.
    expect(placeUnder(rules, { catalogue: zones, estate: [at('a', 1), at('b', 1)] }).winner!.zone).toBe('a');
    expect(
      placeUnder(rules, { catalogue: zones, estate: [at('a', 1), at('a', 2), at('b', 1)] }).winner!.zone,
    ).toBe('b');
  });

  test('counts the machines of the group only, and not the one that is placed anew', () => {
    const rules = spread({ min: 2, group: ['project', 'labels.app'] });
    const request = { labels: { app: 'web' } };
    const web = { labels: { app: 'web' }, zone: 'a' };
    expect(
      placeUnder(rules, { catalogue: zones, request, estate: [machine('other', { zone: 'a' })] }).winner!
        .zone,
    ).toBe('a');
    expect(placeUnder(rules, { catalogue: zones, request, estate: [machine('w', web)] }).winner!.zone).toBe(
      'b',
    );
    expect(placeUnder(rules, { catalogue: zones, request, estate: [machine('new', web)] }).winner!.zone).toBe(
      'a',
    );
  });

  test('by zone rejects an offer whose zone is not known, unless missing values pass', () => {
    const catalogue = market({ zone: null });
    expect(placeUnder(spread({ min: 2 }), { catalogue })).toMatchObject({
      outcome: 'unplaceable',
      rules: [{ rejected: 1, errors: 1 }],
    });
    const [lenient] = spread({ min: 2 });
    expect(placeUnder([{ ...lenient, missing: 'pass' }], { catalogue }).outcome).toBe('placed');
  });

  test('by host counts hosts of one site, and a machine in a cloud as on one of its own', () => {
    const rules = spread({ by: 'host', maxShare: 0.5 });
    const sites = [cloud('aws-1', 'aws'), cellar('h1')];
    const onH1 = machine('x', { provider: 'onprem', site: 'cellar', region: 'cellar', host: 'h1' });
    expect(placeUnder(rules, { catalogue: market({}), sites }).winner!.host).toBe('h1');
    expect(placeUnder(rules, { catalogue: market({}), sites, estate: [onH1] }).winner!.site).toBe('aws-1');
    expect(
      placeUnder(rules, { catalogue: market({}), sites: [sites[0]!], estate: [machine('y'), machine('z')] })
        .outcome,
    ).toBe('placed');
  });

  test('a share that is a whole number of machines is that number, whatever binary makes of it', () => {
    expect(0.07 * 100).toBeGreaterThan(7);
    expect(largestShare(0.07, 100)).toBe(7);
    expect(largestShare(0.6, 5)).toBe(3);
    expect(largestShare(0.01, 1)).toBe(1);
  });
});

describe('affinity', () => {
  const near = (to: string, effect: 'affinity' | 'antiAffinity' = 'affinity') => [
    rule('near', { effect, to, by: 'zone' }),
  ];
  const db = machine('db', { labels: { app: 'db' }, zone: 'c' });

  test('goes where the machines are that it names', () => {
    const rules = near('resource.labels.app == "db"');
    expect(placeUnder(rules, { catalogue: zones, estate: [db, at('a', 1)] }).winner!.zone).toBe('c');
  });

  test('to machines of which there is none rejects a request that is none of them, and lets the first of them be', () => {
    const rules = near('resource.labels.app == "db"');
    expect(placeUnder(rules, { catalogue: zones }).outcome).toBe('unplaceable');
    expect(placeUnder(rules, { catalogue: zones, request: { labels: { app: 'db' } } }).winner!.zone).toBe(
      'a',
    );
  });

  test('the other way round goes where they are not', () => {
    const rules = near('resource.labels.app == request.labels.app', 'antiAffinity');
    const request = { labels: { app: 'web' } };
    const web = (zone: string | null) => machine(`w-${zone}`, { labels: { app: 'web' }, zone });
    expect(placeUnder(rules, { catalogue: zones, request, estate: [web('a')] }).winner!.zone).toBe('b');
    expect(
      placeUnder(rules, { catalogue: zones, request, estate: [web('a'), web('b'), web('c')] }).outcome,
    ).toBe('unplaceable');
    // It could be in any zone of the region.
    expect(placeUnder(rules, { catalogue: zones, request, estate: [web(null)] })).toMatchObject({
      outcome: 'unplaceable',
      rules: [{ errors: 3 }],
    });
  });

  test('is not held against where the machine itself stands', () => {
    const rules = near('resource.labels.app == "web"', 'antiAffinity');
    const self = machine('new', { labels: { app: 'web' }, zone: 'a' });
    expect(placeUnder(rules, { catalogue: zones, estate: [self] }).winner!.zone).toBe('a');
  });

  test('in one zone of two providers is not in one domain', () => {
    const rules = near('resource.labels.app == "db"');
    const catalogue = market({ zone: 'c', provider: 'gcp', region: 'eu-central-1' });
    expect(placeUnder(rules, { catalogue, estate: [db] }).outcome).toBe('unplaceable');
  });
});

describe('anti-affinity of a machine that stands', () => {
  const apart = (more: Partial<ParsedRule> = {}, to = 'resource.labels.app == "batch"') => [
    rule(
      'alone',
      { effect: 'antiAffinity', to, by: 'zone' },
      { when: 'request.labels.app == "db"', ...more },
    ),
  ];
  const batch = { labels: { app: 'batch' } };
  const db = machine('db-1', { labels: { app: 'db' }, zone: 'a' });

  test('keeps who comes out of its domain, though the rule is not for it, and says whose rule it is', () => {
    const input = { catalogue: zones, request: batch, estate: [db] };
    expect(placeUnder(apart(), input)).toMatchObject({
      winner: { zone: 'b' },
      rules: [
        { rule: 'alone', applies: false, rejected: 0 },
        {
          rule: 'alone',
          applies: true,
          rejected: 1,
          message: expect.stringContaining('db-1 of project default'),
        },
      ],
    });
    const { reasons } = placeUnder(apart(), { ...input, catalogue: market({ zone: 'a' }) });
    expect(reasons.join()).toContain('the rule of machine db-1 of project default, to be in no zone with');
  });

  test('is not held against others, nor against the machine itself, nor by machines it is not for', () => {
    const zoneFor = (request: { name?: string; labels: Record<string, string> }, estate = [db]) =>
      placeUnder(apart(), { catalogue: zones, request, estate });
    expect(zoneFor({ labels: { app: 'web' } })).toMatchObject({
      winner: { zone: 'a' },
      rules: [{ rejected: 0 }],
    });
    expect(zoneFor({ name: 'db-1', ...batch }).winner!.zone).toBe('a');
    expect(zoneFor(batch, [machine('web-1', { labels: { app: 'web' }, zone: 'a' })]).winner!.zone).toBe('a');
  });

  test('rejects nothing a second time that the same rule rejects for who comes', () => {
    const mutual = [
      rule('each', { effect: 'antiAffinity', to: 'resource.labels.app == request.labels.app', by: 'zone' }),
    ];
    const request = { labels: { app: 'db' } };
    expect(placeUnder(mutual, { catalogue: zones, request, estate: [db] })).toMatchObject({
      winner: { zone: 'b' },
      rules: [{ rejected: 1, rejectedAlone: 1 }],
    });
  });

  test('is left to compliance where more would have to be known of the machine than the list of machines says', () => {
    const input = { catalogue: zones, request: batch, estate: [db] };
    expect(
      placeUnder(apart({ when: 'request.dataClass == ""' }, 'resource.labels.app == "x"'), input).rules,
    ).toHaveLength(1);
    const unknown = apart({ when: 'request.labels.app == "db" && request.image == "tiny"' });
    expect(placeUnder(unknown, input).winner!.zone).toBe('a');
  });
});

describe('anti-affinity that a standing machine brought with its own request', () => {
  const own = (to: string, more: object = {}) => [
    { name: 'alone', antiAffinity: { to, by: 'zone' }, ...more },
  ];
  const batch = { labels: { app: 'batch' } };
  const db = machine('db-1', { zone: 'a', rules: own('resource.labels.app == "batch"') });
  const input = { catalogue: zones, request: batch, estate: [db] };

  test('keeps who comes out of its domain, and says whose rule it is', () => {
    expect(placeUnder([], input)).toMatchObject({
      winner: { zone: 'b' },
      rules: [
        { policy: 'request', rule: 'alone', rejected: 1, message: expect.stringContaining('machine db-1') },
      ],
    });
    expect(placeUnder([], { ...input, estate: withMachine([], db) }).winner!.zone).toBe('b');
  });

  test('is not held against those that it does not choose, nor by machines that did not bring it, nor against its own', () => {
    const zoneOf = (more: Parameters<typeof placeUnder>[1]) =>
      placeUnder([], { ...input, ...more }).winner!.zone;
    expect(zoneOf({ request: { labels: { app: 'web' } } })).toBe('a');
    expect(zoneOf({ request: { name: 'db-1', ...batch } })).toBe('a');
    expect(
      zoneOf({
        estate: [
          { ...db, rules: null },
          { ...db, name: 'db-2', zone: 'b' },
        ],
      }),
    ).toBe('a');
  });

  test('is held against its own project alone: what holds for all is an admin’s to say, in a policy', () => {
    const greedy = machine('db-1', {
      zone: 'a',
      project: 'greedy',
      rules: own('resource.project != "greedy"'),
    });
    expect(placeUnder([], { ...input, estate: [greedy] }).winner!.zone).toBe('a');
    const mine = machine('db-1', { zone: 'a', project: 'greedy', rules: own('true') });
    const request = { ...batch, project: 'greedy' };
    expect(placeUnder([], { ...input, request, estate: [mine] }).winner!.zone).toBe('b');
  });

  test('is held against a request that brings the same rule itself', () => {
    const twin = machine('db-1', { zone: 'a', rules: own('resource.labels.app == "batch"') });
    expect(
      placeUnder([], { ...input, requestRules: parseRequestRules(twin.rules, 'r').rules }).winner!.zone,
    ).toBe('b');
  });

  test('is found by the quick choice as by the whole decision, and gone with its machine', () => {
    const all = { request: { ...NEUTRAL_REQUEST, name: 'new', ...batch }, sites: [cloud('aws-1', 'aws')] };
    const asked = {
      policies: NO_POLICIES,
      setAside: [],
      includeUnconfigured: false,
      ...all,
      catalogue: zones,
    };
    expect(choose({ ...asked, estate: [db] }).winner!.zone).toBe('b');
    expect(choose({ ...asked, estate: [] }).winner!.zone).toBe('a');
  });

  test('is left to compliance where it reads more of the request than the list of machines says', () => {
    const big = machine('db-1', { zone: 'a', rules: own('resource.labels.app == request.image') });
    expect(placeUnder([], { ...input, estate: [big] }).winner!.zone).toBe('a');
  });
});

describe('limits', () => {
  const budget = (limit: number, more: Partial<Extract<Clause, { effect: 'budget' }>> = {}) => [
    rule('spend', { effect: 'budget', group: ['project'], per: 'month', limit, ...more }),
  ];

  test('a budget that is exactly met is kept, and a cent more is not', () => {
    const estate = [machine('a', { pricePerHour: 0.2 })];
    const rules = budget(0.3, { per: 'hour' });
    expect(0.2 + 0.1).toBeGreaterThan(0.3);
    expect(placeUnder(rules, { estate }).outcome).toBe('placed');
    expect(placeUnder(budget(0.29, { per: 'hour' }), { estate }).outcome).toBe('unplaceable');
    expect(withinLimit({ limit: 219, used: 146, takes: 73 })).toBe(true);
    expect(withinLimit({ limit: 218.99, used: 146, takes: 73 })).toBe(false);
  });

  test('the decision says how each limit stands for the winner', () => {
    const { limits } = placeUnder(budget(500), {
      estate: [machine('a'), machine('b', { project: 'other' })],
    });
    expect(limits).toEqual([
      {
        policy: 'p',
        rule: 'spend',
        effect: 'budget',
        key: 'project=default',
        unit: 'USD/month',
        limit: 500,
        used: 73,
        takes: 73,
      },
    ]);
  });

  test('a quota by region rejects the offers of a region that is full, and the next region is taken', () => {
    const catalogue = market({}, { region: 'eu-west-1', zone: null, pricePerHour: 0.2 });
    const rules = [
      rule('few', { effect: 'quota', group: ['provider', 'region'], resource: 'vcpu', limit: 4 }),
    ];
    const winner = (n: number) =>
      placeUnder(rules, { catalogue, estate: Array.from({ length: n }, (_, i) => machine(`m-${i}`)) });
    expect(winner(1).winner!.region).toBe('eu-central-1');
    expect(winner(2).winner!.region).toBe('eu-west-1');
    expect(winner(2).limits).toMatchObject([{ key: 'provider=aws, region=eu-west-1', used: 0, takes: 2 }]);
  });

  test('what takes nothing of a limit passes it, even one that is passed already', () => {
    const rules = [rule('gpus', { effect: 'quota', group: ['project'], resource: 'gpu', limit: 1 })];
    expect(placeUnder(rules, { estate: [machine('a', { gpuCount: 4 })] }).outcome).toBe('placed');
  });

  test('a machine without the label of the group counts with the others without it', () => {
    const rules = [rule('few', { effect: 'quota', group: ['labels.team'], resource: 'instances', limit: 1 })];
    const estate = [machine('a')];
    expect(placeUnder(rules, { estate }).outcome).toBe('unplaceable');
    expect(placeUnder(rules, { estate, request: { labels: { team: 'web' } } }).outcome).toBe('placed');
  });

  test('of several limits the least decides', () => {
    const rules = [...budget(1000), ...budget(100).map((r) => ({ ...r, name: 'less' }))];
    const decision = placeUnder(rules, { estate: [machine('a')] });
    expect(decision.rules.map((r) => [r.rule, r.rejected])).toEqual([
      ['spend', 0],
      ['less', 1],
    ]);
  });

  test('a limit in audit counts what it would reject and rejects nothing', () => {
    const decision = placeUnder(budget(1), { more: { mode: 'audit' } });
    expect(decision).toMatchObject({ outcome: 'placed', rules: [{ effect: 'budget', rejected: 1 }] });
    expect(decision.limits).toBeUndefined();
  });
});

describe('what stands against the cheapest rejected offer is told', () => {
  const told = (...args: Parameters<typeof placeUnder>) => placeUnder(...args).rules[0]!.message;

  test('by a budget and a quota: the group, what it uses, what it may', () => {
    const estate = [machine('a', { pricePerHour: 2 })];
    const budget = rule('spend', { effect: 'budget', group: ['project'], per: 'month', limit: 1500 });
    expect(told([budget], { estate })).toBe('project=default: 1,460 of 1,500 USD/month used, 73 more needed');
    const catalogue = market({ region: 'eu-west-1', zone: null, pricePerHour: 0.2 }, {});
    const few = rule('few', { effect: 'quota', group: ['region'], resource: 'vcpu', limit: 1 });
    expect(told([few], { catalogue })).toBe('region=eu-central-1: 0 of 1 vcpu used, 2 more needed');
  });

  test('by spread: how many machines of the group stand where', () => {
    const estate = [at('a', 1), at('a', 2), at('b', 1)];
    const spread = (min: number, maxShare: number) =>
      rule('ha', { effect: 'spread', by: 'zone', min, maxShare, group: ['project'] });
    expect(told([spread(1, 0.5)], { catalogue: zones, estate })).toBe(
      '2 of the 3 machines of project=default stand in zone aws/eu-central-1/a, which may have 2 of 4',
    );
    expect(told([spread(2, 1)], { catalogue: zones, estate: [at('a', 1)] })).toBe(
      'the only machine of project=default stands in zone aws/eu-central-1/a, and the rule wants 2 zones in use first',
    );
    expect(told([spread(3, 1)], { catalogue: zones, estate })).toBe(
      '2 of the 3 machines of project=default stand in zone aws/eu-central-1/a, and the rule wants 3 zones in use first',
    );
  });

  test('by affinity and anti-affinity: the machines that it is about', () => {
    const near = (effect: 'affinity' | 'antiAffinity') =>
      rule('near', { effect, to: 'resource.name.startsWith("web")', by: 'zone' });
    expect(told([near('antiAffinity')], { catalogue: zones, estate: [at('b', 1)] })).toBe(
      'machine web-b-1 of project default stands in zone aws/eu-central-1/b',
    );
    expect(told([near('affinity')], { catalogue: zones, estate: [at('b', 1)] })).toBe(
      'the one machine it has to be with does not stand in zone aws/eu-central-1/a',
    );
    expect(told([near('affinity')], { catalogue: zones })).toBe(
      'there is no machine yet that it has to be with',
    );
  });

  test('by an expression: the expression itself, shortened where it is long', () => {
    expect(told([rule('r', { effect: 'require', expression: 'offer.vcpus > 64' })], {})).toBe(
      'requires offer.vcpus > 64',
    );
    const long = Array.from({ length: 40 }, (_, i) => `offer.vcpus == ${i + 100}`).join(' || ');
    const shown = told([rule('r', { effect: 'require', expression: long })], {})!;
    expect([shown.length, shown.at(-1)]).toEqual([120, '…']);
  });

  test('but the message of the rule stands for itself, and a value that is not known is told elsewhere', () => {
    const own = { kind: 'text' as const, text: 'ask finance' };
    const budget = rule(
      'spend',
      { effect: 'budget', group: ['project'], per: 'month', limit: 1 },
      { message: own },
    );
    expect(told([budget], {})).toBe('ask finance');
    const spread = rule('ha', { effect: 'spread', by: 'zone', min: 2, maxShare: 1, group: ['project'] });
    expect(told([spread], { catalogue: market({ zone: null }) })).toBeNull();
  });
});
