import type { Clause, Domain } from '../file/policy.ts';
import { compilePolicies } from '../place/compiled.ts';
import { place } from '../place/place.ts';
import { type EstateMachine, NEUTRAL_REQUEST, type PlacementRequest } from '../place/types.ts';
import { policy } from '../testing/policies.ts';
import { cloud, machine, market, rule } from '../testing/small-market.ts';
import { bestBatch } from './place-batch.ts';
import { randomWorld, tryAll } from './testing/company-worlds.ts';
import type { BatchDecision, BatchInput } from './types.ts';

const near = (to: string, by: Domain = 'zone'): Clause => ({ effect: 'affinity', to, by });
const apart = (to: string, by: Domain = 'zone'): Clause => ({ effect: 'antiAffinity', to, by });
const SAME_APP = 'resource.labels.app == request.labels.app';

const ZONES = market(
  { zone: 'eu-central-1a', pricePerHour: 0.1 },
  { zone: 'eu-central-1b', pricePerHour: 0.11 },
  { region: 'us-east-1', zone: 'us-east-1a', pricePerHour: 0.12 },
);

type Wish = [labels: Record<string, string>, count: number, more?: Partial<PlacementRequest>];

function batch(
  rules: Parameters<typeof policy>[1],
  wishes: readonly Wish[],
  more: Partial<BatchInput> = {},
): BatchInput {
  return {
    requests: wishes.map(([labels, count, own], i) => ({
      request: { ...NEUTRAL_REQUEST, name: `new-${i}`, labels, ...own },
      count,
    })),
    catalogue: ZONES,
    sites: [cloud('aws-1', 'aws')],
    policies: compilePolicies([policy('p', rules)]),
    setAside: [],
    includeUnconfigured: false,
    now: new Date('2026-05-10T12:00:00Z'),
    ...more,
  };
}

const exact = (input: BatchInput): Promise<BatchDecision> => bestBatch(input, { gap: 0 });

/** How many machines of each request are in which zone. */
function zones(decision: BatchDecision): string[] {
  return decision.placements
    .map(({ request, count, offer }) => `${request}: ${count} in ${offer.zone}`)
    .sort();
}

describe('affinity among the machines of a batch', () => {
  it('puts the machines of an app into one zone, the one that is best for all of them', async () => {
    const quota: Clause = { effect: 'quota', group: ['zone'], resource: 'instances', limit: 2 };
    const wishes: Wish[] = [
      [{ app: 'a' }, 3],
      [{ app: 'b' }, 2],
    ];
    const together = rule('near', near(SAME_APP));
    expect(zones(await exact(batch([together], wishes)))).toEqual([
      '0: 3 in eu-central-1a',
      '1: 2 in eu-central-1a',
    ]);
    // Only two of the three fit into any zone; the third is left out, and not put elsewhere.
    const few = await exact(batch([together, rule('few', quota)], wishes));
    expect(few.unplaced).toEqual([{ request: 0, count: 1 }]);
    expect(new Set(few.placements.map(({ request, offer }) => `${request} ${offer.zone}`)).size).toBe(2);
    expect(few.gap).toBe(0);
    expect(few.conflicts[0]).toEqual({
      requests: [0],
      because: [
        expect.stringMatching(/^quota p\/few: 2 instances/),
        expect.stringMatching(/^quota p\/few: 2 instances/),
        'affinity p/near: in one zone with what it is to be with',
      ],
      // Parts of a machine would fit, so no linear programme proves it.
      irreducible: false,
    });
  });

  it('puts machines beside any of those that they are to be with, wherever these are spread to', async () => {
    const input = batch(
      [
        rule('near', near('resource.labels.role == "db"'), { when: 'request.labels.role == "web"' }),
        rule(
          'spread',
          { effect: 'spread', by: 'zone', min: 2, maxShare: 0.5, group: ['labels.role'] },
          { when: 'request.labels.role == "db"' },
        ),
        rule('few', { effect: 'quota', group: ['zone'], resource: 'instances', limit: 3 }),
      ],
      [
        [{ role: 'web' }, 4],
        [{ role: 'db' }, 2],
      ],
    );
    expect(zones(await exact(input))).toEqual([
      '0: 2 in eu-central-1a',
      '0: 2 in eu-central-1b',
      '1: 1 in eu-central-1a',
      '1: 1 in eu-central-1b',
    ]);
  });

  it('takes those that exist and those of the batch alike', async () => {
    const rules = [
      rule('near', near('resource.labels.role == "db"'), { when: 'request.labels.role == "web"' }),
    ];
    const wishes: Wish[] = [
      [{ role: 'web' }, 1],
      [{ role: 'db' }, 1],
    ];
    const estate = [machine('old', { labels: { role: 'db' }, zone: 'eu-central-1b' })];
    expect(zones(await exact(batch(rules, wishes, { estate })))).toEqual([
      '0: 1 in eu-central-1a',
      '1: 1 in eu-central-1a',
    ]);
    const full: BatchInput['setAside'] = [
      {
        site: 'aws-1',
        region: 'eu-central-1',
        zone: 'eu-central-1a',
        host: null,
        instanceType: null,
        market: null,
        reason: 'full',
      },
    ];
    const elsewhere: Wish[] = [wishes[0]!, [{ role: 'db' }, 1, { regions: ['us-east-1'] }]];
    expect(zones(await exact(batch(rules, elsewhere, { estate, setAside: full })))).toEqual([
      '0: 1 in eu-central-1b',
      '1: 1 in us-east-1a',
    ]);
  });

  it('can be made one by one: single placement puts each where the batch does, the first ones first', async () => {
    const rules = [
      rule('near', near('resource.labels.role == "db"'), { when: 'request.labels.role == "web"' }),
      rule('app', near(SAME_APP, 'region')),
    ];
    const input = batch(rules, [
      [{ app: 'a', role: 'web' }, 2],
      [{ app: 'a', role: 'db' }, 1, { regions: ['us-east-1'] }],
    ]);
    const decision = await exact(input);
    expect(decision.unplaced).toEqual([]);
    const estate: EstateMachine[] = [];
    for (const { request, count, offer } of [...decision.placements].reverse())
      for (let n = 0; n < count; n++) {
        const { request: asked } = input.requests[request]!;
        const one = place({ ...input, request: { ...asked, name: `${asked.name}-${n}` }, estate });
        expect(one.winner?.zone).toBe(offer.zone);
        estate.push(machine(`${asked.name}-${n}`, { ...offer, site: 'aws-1', labels: asked.labels }));
      }
    expect(estate).toHaveLength(3);
  });

  it('leaves out, with the rule, machines that each wait for the other', async () => {
    const rules = [
      rule('web', near('resource.labels.role == "db"'), { when: 'request.labels.role == "web"' }),
      rule('db', near('resource.labels.role == "web"'), { when: 'request.labels.role == "db"' }),
    ];
    const wishes: Wish[] = [
      [{ role: 'web' }, 2],
      [{ role: 'db' }, 1],
      [{ role: 'other' }, 1],
    ];
    const decision = await exact(batch(rules, wishes));
    expect(decision.unplaced).toEqual([
      { request: 0, count: 2 },
      { request: 1, count: 1 },
    ]);
    expect(decision.conflicts.map(({ because }) => because)).toEqual([
      [expect.stringMatching(/^affinity p\/web .* none may be the first: place one of them first$/)],
      [expect.stringMatching(/^affinity p\/db /)],
    ]);
    const estate = [machine('old', { labels: { role: 'web' }, zone: 'eu-central-1b' })];
    const begun = await exact(batch(rules, wishes, { estate }));
    expect(begun.unplaced).toEqual([]);
    expect(zones(begun)).toContain('1: 1 in eu-central-1b');
  });

  it('puts onto one host what is to share one', async () => {
    const size = { vcpus: 4, memoryGiB: 16, diskGiB: 100 };
    const hosts = ['h1', 'h2', 'h3'].map((name) => ({
      name,
      zone: 'rack',
      region: 'cellar',
      architecture: 'x86_64',
      accel: 'kvm' as const,
      free: name === 'h2' ? size : { ...size, vcpus: 2 },
      capacity: size,
      ready: true,
    }));
    const sites = [cloud('aws-1', 'aws'), { ...cloud('cellar', 'onprem'), hosts }];
    const input = batch(
      [rule('near', near(SAME_APP, 'host'))],
      [[{ app: 'a' }, 4, { providers: ['onprem'] }]],
      { sites },
    );
    const decision = await exact(input);
    expect(decision.placements.map(({ offer, count }) => [offer.host, count])).toEqual([['h2', 4]]);
    // However many hosts there are, and however alike.
    const alike = Array.from({ length: 40 }, (_, i) => ({
      ...hosts[1]!,
      name: `h${i}`,
      free: i === 20 ? size : { ...size, vcpus: 2, memoryGiB: 2 },
    }));
    const many = { ...input, sites: [sites[0]!, { ...sites[1]!, hosts: alike }] };
    expect((await exact(many)).placements.map(({ offer, count }) => [offer.host, count])).toEqual([
      ['h20', 4],
    ]);
    // No cloud says who shares its hosts.
    const [wish] = input.requests;
    const clouds = await exact({
      ...input,
      requests: [{ ...wish!, request: { ...wish!.request, providers: ['aws'] } }],
    });
    expect(clouds.placements.map(({ count }) => count)).toEqual([1]);
    expect(clouds.unplaced).toEqual([{ request: 0, count: 3 }]);
  });
});

describe('anti-affinity among the machines of a batch', () => {
  const rules = [
    rule('quiet', apart('resource.labels.role == "noisy"'), { when: 'request.labels.role == "quiet"' }),
  ];

  it('holds for both, whichever of them the rule is for', async () => {
    const wishes: Wish[] = [
      [{ role: 'noisy' }, 1],
      [{ role: 'quiet' }, 1],
    ];
    for (const order of [wishes, [...wishes].reverse()]) {
      const found = await exact(batch(rules, order));
      expect(found.placements.map(({ offer }) => offer.zone).sort()).toEqual([
        'eu-central-1a',
        'eu-central-1b',
      ]);
    }
  });

  it('holds for machines that stand against those that come', async () => {
    const estate = [machine('old', { labels: { role: 'quiet' }, zone: 'eu-central-1a' })];
    const found = await exact(
      batch(
        rules,
        [
          [{ role: 'noisy' }, 2],
          [{}, 1],
        ],
        { estate },
      ),
    );
    expect(zones(found)).toEqual(['0: 2 in eu-central-1b', '1: 1 in eu-central-1a']);
  });

  it('holds for machines that stand under a rule of their own request against those that come', async () => {
    const own = [{ name: 'alone', antiAffinity: { to: 'resource.labels.role == "noisy"', by: 'zone' } }];
    const estate = [machine('old', { zone: 'eu-central-1a', rules: own })];
    const wishes: Wish[] = [
      [{ role: 'noisy' }, 2],
      [{}, 1],
    ];
    expect(zones(await exact(batch([], wishes, { estate })))).toEqual([
      '0: 2 in eu-central-1b',
      '1: 1 in eu-central-1a',
    ]);
  });

  it('holds for machines of another project against those its rule has no say over', async () => {
    const scope = { kind: 'project' as const, name: 'lab' };
    const policies = compilePolicies([policy('p', rules, { scope })]);
    const quiet = { project: 'lab', labels: { role: 'quiet' } };
    const estate = [machine('old', { ...quiet, zone: 'eu-central-1a' })];
    const wishes: Wish[] = [
      [{ role: 'other' }, 1],
      [{ role: 'noisy' }, 1],
    ];
    expect(zones(await exact(batch([], wishes, { policies, estate })))).toEqual([
      '0: 1 in eu-central-1a',
      '1: 1 in eu-central-1b',
    ]);
    const both: Wish[] = [
      [{ role: 'noisy' }, 1],
      [{ role: 'quiet' }, 1, { project: 'lab' }],
    ];
    const found = await exact(batch([], both, { policies }));
    expect(new Set(found.placements.map(({ offer }) => offer.zone)).size).toBe(2);
  });

  it('keeps others out of the region where one may be in any zone', async () => {
    const catalogue = market(
      { zone: null, pricePerHour: 0.05 },
      { zone: 'eu-central-1a', pricePerHour: 0.1, instanceType: 'b1.large', vcpus: 4 },
      { region: 'us-east-1', zone: 'us-east-1a', pricePerHour: 0.3, vcpus: 4 },
    );
    const found = await exact(
      batch(
        rules,
        [
          [{ role: 'noisy' }, 1],
          [{ role: 'quiet' }, 1, { vcpus: 4 }],
        ],
        { catalogue },
      ),
    );
    expect(zones(found)).toEqual(['0: 1 in null', '1: 1 in us-east-1a']);
  });
});

describe('machines of a batch that look at each other', () => {
  it('stand as trying all answers finds, with others that exist, quotas, spread and hosts', async () => {
    const wrong: string[] = [];
    let binds = 0;
    for (let seed = 0; seed < 300; seed++) {
      const world = randomWorld(seed);
      const best = tryAll(world);
      const free = world.rules.filter(({ clauses }) => clauses[0]!.effect !== 'affinity');
      if (free.length < world.rules.length) {
        const without = tryAll({ ...world, rules: free });
        if (without.unplaced < best.unplaced || without.price < best.price - 1e-9) binds++;
      }
      const found = await bestBatch(world.input, { gap: 0 });
      const unplaced = found.unplaced.reduce((t, u) => t + u.count, 0);
      if (unplaced !== best.unplaced || Math.abs(found.pricePerHour - best.price) > 1e-6)
        wrong.push(
          `seed ${seed}: ${unplaced} at ${found.pricePerHour}, not ${best.unplaced} at ${best.price}`,
        );
      if (found.bound > best.price + 1e-6 || found.unplacedBound > best.unplaced)
        wrong.push(`seed ${seed}: the bound ${found.bound} is above the best`);
    }
    expect(wrong).toEqual([]);
    expect(binds).toBeGreaterThan(60);
  });
});
