import { Catalogue } from '../catalogue/catalogue.ts';
import type { CatalogueRow } from '../catalogue/rows.ts';
import { parsePolicy } from '../file/parse.ts';
import { type CompiledPolicies, compilePolicies, NO_POLICIES } from '../place/compiled.ts';
import { place } from '../place/place.ts';
import {
  type EstateMachine,
  type HostView,
  NEUTRAL_REQUEST,
  type PlacementRequest,
  type SiteView,
} from '../place/types.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { bestBatch, placeBatch, placeGreedy } from './place-batch.ts';
import type { BatchDecision, BatchInput } from './types.ts';

const NOW = new Date('2026-11-20T12:00:00Z');

function row(
  region: string,
  zone: string | null,
  pricePerHour: number,
  more: Partial<CatalogueRow> = {},
): CatalogueRow {
  return {
    provider: 'aws',
    region,
    zone,
    instanceType: 'm5.large',
    market: 'onDemand',
    vcpus: 2,
    memoryGiB: 8,
    architecture: 'x86_64',
    gpuName: null,
    gpuCount: 0,
    burstable: false,
    pricePerHour,
    ...more,
  };
}

const catalogueOf = (rows: CatalogueRow[]): Catalogue =>
  Catalogue.fromRows(rows, { name: 'test', date: '2026-11-01' });

const CATALOGUE = catalogueOf([
  row('eu-central-1', 'eu-central-1a', 0.1),
  row('eu-central-1', 'eu-central-1b', 0.11),
  row('us-east-1', 'us-east-1a', 0.08),
]);

const AWS: SiteView = {
  name: 'aws-1',
  provider: 'aws',
  regions: [],
  certifications: [],
  labels: {},
  hosts: [],
};

function cellar(hosts: { name: string; vcpus: number; memoryGiB: number; zone?: string }[]): SiteView {
  return {
    ...AWS,
    name: 'cellar',
    provider: 'onprem',
    pricing: { vcpuHour: 0.005, gibHour: 0.001, currency: 'USD' },
    hosts: hosts.map(({ name, vcpus, memoryGiB, zone = 'rack-1' }): HostView => {
      const size = { vcpus, memoryGiB, diskGiB: 1000 };
      return {
        name,
        zone,
        region: 'cellar',
        architecture: 'x86_64',
        accel: 'kvm',
        free: size,
        capacity: size,
        ready: true,
      };
    }),
  };
}

function rules(text: string): CompiledPolicies {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => `  - ${line.trim()}`);
  const file = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n${lines.join('\n')}\n`;
  const { policies, problems } = parsePolicy(file, 'p.yaml');
  if (problems.some((p) => p.severity === 'error')) throw new Error(JSON.stringify(problems));
  return compilePolicies(policies);
}

function batch(requests: [Partial<PlacementRequest>, number][], more: Partial<BatchInput> = {}): BatchInput {
  return {
    requests: requests.map(([request, count]) => ({
      request: { ...NEUTRAL_REQUEST, vcpus: 2, memoryGiB: 4, ...request },
      count,
    })),
    catalogue: CATALOGUE,
    sites: [AWS],
    policies: NO_POLICIES,
    setAside: [],
    includeUnconfigured: false,
    now: NOW,
    ...more,
  };
}

const exact = (input: BatchInput): Promise<BatchDecision> => bestBatch(input, { gap: 0 });

/** Machines by a part of their offer. */
function tally(decision: BatchDecision, part: 'region' | 'zone' | 'host'): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { offer, count } of decision.placements) {
    const key = offer[part] ?? 'none';
    counts[key] = (counts[key] ?? 0) + count;
  }
  return counts;
}

function machine(more: Partial<EstateMachine>): EstateMachine {
  return {
    id: 'i',
    name: 'old',
    project: 'default',
    organization: 'default',
    labels: {},
    state: 'Running',
    site: 'aws-1',
    provider: 'aws',
    region: 'us-east-1',
    zone: 'us-east-1a',
    host: null,
    instanceType: 'm5.large',
    market: 'onDemand',
    architecture: 'x86_64',
    gpuName: null,
    gpuCount: 0,
    vcpus: 2,
    memoryGiB: 8,
    diskGiB: 0,
    pricePerHour: 0.08,
    publicAddress: false,
    createdAt: '2026-11-01T00:00:00Z',
    ...more,
  };
}

describe('placing a batch', () => {
  it('puts each machine where a single placement would, when nothing is shared', async () => {
    const cases = new RandomCases(11);
    for (let round = 0; round < 25; round++) {
      const sites = cases.sites().filter((site) => site.provider !== 'onprem');
      const catalogue = catalogueOf(cases.rows(40));
      const requests = Array.from({ length: 6 }, () => ({
        request: { ...cases.request(), count: 1 },
        count: 2,
      }));
      const policies = rules(`{name: r, missing: reject, require: '${cases.expression(2)}'}`);
      const decision = await exact({ ...batch([]), requests, sites, catalogue, policies });
      requests.forEach(({ request }, i) => {
        const one = place({ ...batch([]), request, sites, catalogue, policies });
        const own = decision.placements.filter((p) => p.request === i);
        expect(own.reduce((t, p) => t + p.count, 0)).toBe(one.winner === null ? 0 : 2);
        for (const { offer } of own) expect(offer.pricePerHour).toBeCloseTo(one.winner!.pricePerHour, 9);
      });
      expect(decision.gap).toBe(0);
    }
  });

  it('keeps a quota, what exists already counted, and takes the next cheapest place', async () => {
    const policies = rules('{name: q, quota: {group: [region], resource: instances, limit: 3}}');
    const decision = await exact(batch([[{}, 4]], { policies, estate: [machine({})] }));
    expect(tally(decision, 'region')).toEqual({ 'us-east-1': 2, 'eu-central-1': 2 });
    expect(decision.shadowPrices[0]).toMatchObject({ unit: 'instance' });
    expect(decision.shadowPrices[0]!.savesPerMonth).toBeCloseTo(0.02 * 730, 6);
    expect(decision.shadowPrices[0]!.words).toContain('quota p/q: 3 instances for region us-east-1, 1 used');
  });

  it('counts no offer of which it is not known whether a rule has a say over it, where the rule lets such pass', async () => {
    const rule = `name: q, when: 'offer.zone == "us-east-1a"', quota: {group: [region], resource: instances, limit: 1}`;
    const catalogue = catalogueOf([row('us-east-1', null, 0.05), row('eu-central-1', 'eu-central-1a', 0.2)]);
    const strict = await exact(batch([[{}, 2]], { policies: rules(`{${rule}}`), catalogue }));
    expect(tally(strict, 'region')).toEqual({ 'us-east-1': 1, 'eu-central-1': 1 });
    const policies = rules(`{${rule}, missing: pass}`);
    expect(tally(await exact(batch([[{}, 2]], { policies, catalogue })), 'region')).toEqual({
      'us-east-1': 2,
    });
  });

  it('takes a dearer machine that takes less of a quota, when all fit only so', async () => {
    const policies = rules('{name: q, quota: {group: [region], resource: vcpu, limit: 6}}');
    const catalogue = catalogueOf([
      row('us-east-1', null, 0.05, { instanceType: 'big', vcpus: 4 }),
      row('us-east-1', null, 0.09, { instanceType: 'small', vcpus: 2 }),
    ]);
    const decision = await exact(batch([[{}, 2]], { policies, catalogue }));
    const types = decision.placements.map((p) => [p.offer.instanceType, p.count]);
    expect(types.sort()).toEqual([
      ['big', 1],
      ['small', 1],
    ]);
  });

  it('keeps to strict preferences before any price, and prices the others', async () => {
    const strict = rules(`{name: eu, prefer: 'offer.region == "eu-central-1"', weight: strict}`);
    expect(tally(await exact(batch([[{}, 2]], { policies: strict })), 'zone')).toEqual({
      'eu-central-1a': 2,
    });
    const priced = rules(`{name: eu, prefer: 'offer.region == "eu-central-1"', weight: 0.5}`);
    const decision = await exact(batch([[{}, 2]], { policies: priced }));
    expect(tally(decision, 'zone')).toEqual({ 'eu-central-1a': 2 });
    expect(decision.scorePerHour).toBeCloseTo(0.2, 9);
  });

  it('does not count the machines it re-places as used', async () => {
    const policies = rules('{name: q, quota: {group: [region], resource: instances, limit: 1}}');
    const decision = await exact(batch([[{ name: 'old' }, 1]], { policies, estate: [machine({})] }));
    expect(tally(decision, 'region')).toEqual({ 'us-east-1': 1 });
  });

  it('keeps a budget that is met exactly, and leaves out what does not fit it', async () => {
    const policies = rules('{name: b, budget: {group: [project], per: hour, limit: 0.24 USD}}');
    const decision = await exact(batch([[{ project: 'shop' }, 4]], { policies }));
    expect(decision.pricePerHour).toBeCloseTo(0.24, 9);
    expect(decision.unplaced).toEqual([{ request: 0, count: 1 }]);
    expect(decision.unplacedBound).toBe(1);
    expect(decision.conflicts).toEqual([
      {
        requests: [0],
        because: ['budget p/b: 0.24 USD a hour for project shop, 0 used already'],
        irreducible: true,
      },
    ]);
  });

  it('spreads a group over domains, and no domain has more than its share', async () => {
    const policies = rules('{name: s, spread: {by: zone, min: 3, maxShare: 0.5, group: [project]}}');
    const decision = await exact(batch([[{}, 6]], { policies }));
    expect(tally(decision, 'zone')).toEqual({ 'us-east-1a': 3, 'eu-central-1a': 2, 'eu-central-1b': 1 });
  });

  it('keeps machines apart by zone: from each other, and from those that exist', async () => {
    const policies = rules(
      `{name: a, antiAffinity: {to: 'resource.labels.app == request.labels.app', by: zone}}`,
    );
    const db = { labels: { app: 'db' } };
    const estate = [machine({ labels: { app: 'db' } })];
    const decision = await exact(
      batch(
        [
          [db, 3],
          [{ labels: { app: 'web' } }, 2],
        ],
        { policies, estate },
      ),
    );
    const zones = decision.placements.filter((p) => p.request === 0).map((p) => [p.offer.zone, p.count]);
    expect(zones.sort()).toEqual([
      ['eu-central-1a', 1],
      ['eu-central-1b', 1],
    ]);
    expect(decision.unplaced).toEqual(
      [
        { request: 0, count: 1 },
        { request: 1, count: 1 },
      ].slice(0, decision.unplaced.length),
    );
    expect(decision.unplaced[0]).toEqual({ request: 0, count: 1 });
    expect(decision.conflicts[0]!.because).toContain('anti-affinity p/a: not in one zone');
  });

  it('fills hosts in all of vCPUs and memory, and prices one more of what is scarce', async () => {
    const site = cellar([
      { name: 'h1', vcpus: 4, memoryGiB: 64 },
      { name: 'h2', vcpus: 64, memoryGiB: 4 },
    ]);
    const decision = await exact(batch([[{}, 5]], { sites: [AWS, site] }));
    expect(tally(decision, 'host')).toEqual({ h1: 2, h2: 1, none: 2 });
    const [first] = decision.shadowPrices;
    expect(first!.savesPerMonth).toBeGreaterThan(0);
    expect(decision.shadowPrices.map((p) => [p.words, p.unit])).toContainEqual(['host h1', 'vCPU']);
  });

  it('packs more hosts than are looked at one by one without overfilling any', async () => {
    const hosts = Array.from({ length: 40 }, (_, i) => ({
      name: `h${i}`,
      vcpus: 5 + (i % 7),
      memoryGiB: 9 + (i % 11),
      zone: `rack-${i % 3}`,
    }));
    const requests: [Partial<PlacementRequest>, number][] = [
      [{ vcpus: 2, memoryGiB: 4 }, 60],
      [{ vcpus: 1, memoryGiB: 6 }, 60],
      [{ vcpus: 2, memoryGiB: 2 }, 60],
    ];
    const decision = await exact(batch(requests, { sites: [AWS, cellar(hosts)] }));
    const used = new Map<string, [number, number]>();
    for (const { request, offer, count } of decision.placements) {
      if (offer.host === null) continue;
      const { vcpus, memoryGiB } = batch(requests).requests[request]!.request;
      const [v, m] = used.get(offer.host) ?? [0, 0];
      used.set(offer.host, [v + vcpus * count, m + memoryGiB * count]);
    }
    expect(used.size).toBe(40);
    for (const { name, vcpus, memoryGiB } of hosts) {
      expect(used.get(name)![0]).toBeLessThanOrEqual(vcpus);
      expect(used.get(name)![1]).toBeLessThanOrEqual(memoryGiB);
    }
    expect(decision.unplaced).toEqual([]);
  });

  it('names the rule, the quota and nothing else when they are what conflicts', async () => {
    const policies = rules(`
      {name: eu, require: 'offer.region == "eu-central-1"'}
      {name: cheap, deny: 'offer.pricePerHour > 5.0'}
      {name: q, quota: {group: [region], resource: vcpu, limit: 4}}
      {name: wide, quota: {group: [project], resource: vcpu, limit: 100}}`);
    const decision = await exact(batch([[{}, 3]], { policies }));
    expect(decision.unplaced).toEqual([{ request: 0, count: 1 }]);
    expect(decision.conflicts).toHaveLength(1);
    expect(decision.conflicts[0]!.irreducible).toBe(true);
    expect(decision.conflicts[0]!.because).toEqual([
      'quota p/q: 4 vcpu for region eu-central-1, 0 used already',
      expect.stringContaining('rule p/eu '),
    ]);
  });

  it('names the rules when they leave no offer at all', async () => {
    const policies = rules(`
      {name: eu, require: 'offer.region == "eu-central-1"'}
      {name: not-eu, deny: 'offer.region == "eu-central-1"'}
      {name: other, deny: offer.burstable}`);
    const { conflicts } = await exact(batch([[{}, 1]], { policies }));
    expect(conflicts).toEqual([
      {
        requests: [0],
        because: [expect.stringContaining('rule p/eu '), expect.stringContaining('rule p/not-eu ')],
        irreducible: true,
      },
    ]);
  });

  it('names the pool of hosts when the request asks for them alone', async () => {
    const site = cellar([{ name: 'h1', vcpus: 4, memoryGiB: 64 }]);
    const { conflicts } = await exact(batch([[{ providers: ['onprem'] }, 3]], { sites: [AWS, site] }));
    expect(conflicts[0]).toMatchObject({ irreducible: true });
    expect(conflicts[0]!.because).toEqual(['host h1: 4 vCPUs, 64 GiB of memory and 1000 GiB of disk free']);
  });

  it('fills GPUs of hosts, each kind for those that ask for it, and names them when they are what is short', async () => {
    const gpus = (name: string, gpuName: string, n: number): HostView => {
      const host = cellar([{ name, vcpus: 32, memoryGiB: 128 }]).hosts[0]!;
      const size = { ...host.free, gpus: n };
      return { ...host, gpuName, free: size, capacity: size };
    };
    const plain = cellar([{ name: 'plain', vcpus: 64, memoryGiB: 256 }]);
    const site = {
      ...plain,
      hosts: [...plain.hosts, gpus('g1', 'A100', 3), gpus('g2', 'T4', 2), gpus('g3', 'A100', 2)],
    };
    const decision = await exact(
      batch(
        [
          [{ name: 'two', gpuCount: 2, gpuName: 'a100' }, 3],
          [{ name: 'any', gpuCount: 1 }, 3],
          [{ name: 'none' }, 20],
        ],
        { sites: [site] },
      ),
    );
    // Two pairs of A100; the third A100 of g1 and two T4 for the singles; one pair finds none.
    expect(decision.unplaced).toEqual([{ request: 0, count: 1 }]);
    const at = (request: number): Record<string, number> =>
      tally({ ...decision, placements: decision.placements.filter((p) => p.request === request) }, 'host');
    expect(at(0)).toEqual({ g1: 1, g3: 1 });
    expect(at(1)).toEqual({ g1: 1, g2: 2 });
    expect(decision.placements.find((p) => p.request === 0)!.offer).toMatchObject({
      gpuName: 'A100',
      gpuCount: 2,
      instanceType: 'kvm-2-4-2gpu',
    });
    expect(decision.conflicts[0]!.because.join()).toContain('GPUs free');
  });

  it('leaves a request that makes no sense unplaced, with the reason', async () => {
    const decision = await exact(
      batch([
        [{ vcpus: 0 }, 2],
        [{}, 1],
      ]),
    );
    expect(decision.unplaced).toEqual([{ request: 0, count: 2 }]);
    expect(decision.unplacedBound).toBe(2);
    expect(decision.conflicts[0]!.because).toEqual(['vcpus must be a whole number of at least 1, not 0']);
  });

  it('counts no limit of a policy that is only audited, and uses nothing that is set aside', async () => {
    const audited = rules('{name: q, quota: {group: [region], resource: instances, limit: 1}}');
    const policies = { ...audited, rules: audited.rules.map((r) => ({ ...r, mode: 'audit' as const })) };
    expect(tally(await exact(batch([[{}, 3]], { policies })), 'region')).toEqual({ 'us-east-1': 3 });
    const aside = {
      site: 'aws-1',
      region: 'us-east-1',
      zone: null,
      host: null,
      instanceType: null,
      market: null,
      reason: 'full',
    };
    expect(tally(await exact(batch([[{}, 3]], { setAside: [aside] })), 'region')).toEqual({
      'eu-central-1': 3,
    });
  });

  it('deals equal requests out in order, joined into one kind of machine', async () => {
    const policies = rules('{name: q, quota: {group: [region], resource: instances, limit: 2}}');
    const decision = await exact(
      batch(
        [
          [{ name: 'a' }, 1],
          [{ name: 'b' }, 1],
          [{ name: 'c' }, 1],
        ],
        { policies },
      ),
    );
    expect(decision.classes).toBe(1);
    expect(decision.placements.map((p) => p.request)).toEqual([0, 1, 2]);
  });

  it('answers an empty batch', async () => {
    expect(await exact(batch([]))).toMatchObject({ placements: [], unplaced: [], gap: 0, scorePerHour: 0 });
  });

  it('is never worse than one by one, and says so with the same figures', async () => {
    const policies = rules('{name: q, quota: {group: [region], resource: vcpu, limit: 6}}');
    const input = batch(
      [
        [{}, 2],
        [{ regions: ['us-east-1'] }, 2],
      ],
      { policies },
    );
    const greedy = await placeGreedy(input);
    const answers: BatchDecision[] = [];
    for await (const decision of placeBatch(input)) answers.push(decision);
    const last = answers.at(-1)!;
    expect(last.unplaced).toEqual([]);
    expect(last.scorePerHour).toBeLessThanOrEqual(greedy.scorePerHour + 1e-9);
    expect(last.pricePerMonth).toBeCloseTo(last.pricePerHour * 730, 6);
  });
});
