import { Catalogue } from '../catalogue/catalogue.ts';
import type { CatalogueRow } from '../catalogue/rows.ts';
import type { Clause, ParsedPolicy } from '../file/policy.ts';
import { compilePolicies } from '../place/compiled.ts';
import { type EstateMachine, NEUTRAL_REQUEST, type PlacementRequest, type SiteView } from '../place/types.ts';
import { policy } from '../testing/policies.ts';
import { judge, type Violation } from './judge.ts';
import { type PlacedMachine, standings } from './standing.ts';

const now = new Date('2026-11-20T12:00:00Z');

const row = (region: string, zone: string | null, pricePerHour: number): CatalogueRow => ({
  provider: 'aws',
  region,
  zone,
  instanceType: 'm7g.large',
  market: 'onDemand',
  vcpus: 2,
  memoryGiB: 8,
  architecture: 'arm64',
  gpuName: null,
  gpuCount: 0,
  burstable: false,
  pricePerHour,
});
const catalogue = Catalogue.fromRows([row('eu-central-1', null, 0.1), row('us-east-1', null, 0.08)], {
  name: 'test',
  date: '2026-11-01',
});
const sites: SiteView[] = [
  {
    name: 'cloud',
    provider: 'aws',
    regions: [],
    certifications: ['iso27001'],
    labels: { tier: 'gold' },
    hosts: [],
  },
  {
    name: 'dc',
    provider: 'onprem',
    regions: ['dc'],
    jurisdiction: 'EU',
    certifications: [],
    labels: {},
    pricing: { vcpuHour: 0.01, gibHour: 0.001, currency: 'USD' },
    hosts: ['h1', 'h2'].map((name) => ({
      name,
      zone: name === 'h1' ? 'a' : 'b',
      region: 'dc',
      architecture: 'x86_64',
      accel: 'kvm',
      free: { vcpus: 64, memoryGiB: 256, diskGiB: 1000 },
      capacity: { vcpus: 64, memoryGiB: 256, diskGiB: 1000 },
      ready: true,
    })),
  },
];

let made = 0;
/** A machine at a place; later calls make later machines. */
function machine(
  name: string,
  at: Partial<EstateMachine> = {},
  asked: Partial<PlacementRequest> = {},
): PlacedMachine {
  const labels = at.labels ?? {};
  const it: EstateMachine = {
    id: name,
    name,
    project: 'default',
    organization: 'default',
    labels,
    state: 'Running',
    site: 'cloud',
    provider: 'aws',
    region: 'eu-central-1',
    zone: 'eu-central-1a',
    host: null,
    instanceType: 'm7g.large',
    market: 'onDemand',
    architecture: 'arm64',
    gpuName: null,
    gpuCount: 0,
    vcpus: 2,
    memoryGiB: 8,
    diskGiB: 10,
    pricePerHour: 0.09,
    publicAddress: false,
    createdAt: new Date(now.getTime() - 86_400_000 + made++ * 1_000).toISOString(),
    ...at,
  };
  return {
    machine: it,
    request: { ...NEUTRAL_REQUEST, name, project: it.project, vcpus: 2, memoryGiB: 8, labels, ...asked },
    taken: {
      site: it.site,
      provider: it.provider,
      region: it.region,
      zone: it.zone,
      host: it.host,
      instanceType: it.instanceType,
      market: it.market,
      vcpus: it.vcpus,
      memoryGiB: it.memoryGiB,
      architecture: it.architecture,
      gpuName: it.gpuName,
      gpuCount: it.gpuCount,
      burstable: false,
      pricePerHour: it.pricePerHour,
      pricePerMonth: it.pricePerHour * 730,
      currency: 'USD',
      jurisdiction: null,
    },
  };
}

const onprem = (host: string): Partial<EstateMachine> => ({
  site: 'dc',
  provider: 'onprem',
  region: 'dc',
  zone: host === 'h1' ? 'a' : 'b',
  host,
  instanceType: 'kvm-2-8',
  architecture: 'x86_64',
});

function found(machines: PlacedMachine[], policies: ParsedPolicy[], prices = catalogue): Violation[] {
  const judging = judge({
    standings: standings(machines, prices, sites),
    estate: machines.map(({ machine: it }) => it),
    policies: compilePolicies(policies),
    sites,
    now,
  });
  let step = judging.next();
  while (!step.done) step = judging.next();
  return step.value;
}

const names = (violations: Violation[]): string[] => violations.map(({ machine: it }) => it.name).sort();
const rule = (...clauses: Clause[]): ParsedPolicy[] => [policy('p', [{ name: 'r', clauses }])];

test('a machine that placement would put where it stands violates nothing', () => {
  const residency = policy('eu', [{ expression: 'offer.jurisdiction == "EU" && offer.price < 0.2' }]);
  expect(found([machine('fine'), machine('here', onprem('h1'))], [residency])).toEqual([]);
});

test('a machine is held to the rules that came with its own request, and no other machine is', () => {
  const away = { region: 'us-east-1', zone: 'us-east-1a' };
  const own = policy('any', [{ name: 'home', expression: 'offer.jurisdiction == "EU"' }]).rules;
  const asks = (it: PlacedMachine): PlacedMachine => ({ ...it, requestRules: own });
  expect(found([asks(machine('a', away)), machine('b', away), asks(machine('c'))], [])).toMatchObject([
    { machine: { name: 'a' }, policy: 'request', rule: 'home', mode: 'enforce', owner: null },
  ]);
});

test('of machines that ask to be apart from others, the one in such company is found', () => {
  const apart: Clause = { effect: 'antiAffinity', to: 'resource.labels.app == "db"', by: 'host' };
  const own = policy('any', [{ name: 'apart', clauses: [apart] }]).rules;
  const asks = (it: PlacedMachine): PlacedMachine => ({ ...it, requestRules: own });
  const machines = [
    asks(machine('first', onprem('h1'))),
    asks(machine('alone', onprem('h2'))),
    machine('db', { ...onprem('h1'), labels: { app: 'db' } }),
  ];
  expect(found(machines, [])).toMatchObject([
    { machine: { name: 'first' }, policy: 'request', rule: 'apart', message: expect.stringContaining('db') },
  ]);
});

test('a machine outside what a rule requires is found, with rule, line, message, owner and action', () => {
  const residency = policy('eu', [
    {
      name: 'residency',
      expression: 'offer.jurisdiction == "EU"',
      when: 'request.dataClass == "restricted"',
      message: { kind: 'cel', source: '"data of class " + request.dataClass + " must stay in the EU"' },
      onViolation: 'stop',
      owner: 'dpo',
    },
  ]);
  const away = { region: 'us-east-1', zone: 'us-east-1a' };
  expect(
    found(
      [machine('a', away, { dataClass: 'restricted' }), machine('b', away, { dataClass: 'public' })],
      [residency],
    ),
  ).toMatchObject([
    {
      machine: { name: 'a' },
      policy: 'eu',
      policyVersion: 'v1',
      rule: 'residency',
      line: 1,
      mode: 'enforce',
      effect: 'require',
      message: 'data of class restricted must stay in the EU',
      owner: 'dpo',
      onViolation: 'stop',
      exception: null,
    },
  ]);
});

test('a rule that denies, and one that reads what is known of the site, hold over machines too', () => {
  expect(
    found([machine('a')], rule({ effect: 'deny', expression: 'offer.instanceType.startsWith("m7g")' })),
  ).toHaveLength(1);
  expect(
    found([machine('a')], rule({ effect: 'require', expression: '"iso27001" in offer.certifications' })),
  ).toEqual([]);
  expect(
    found(
      [machine('a', onprem('h1'))],
      rule({ effect: 'require', expression: '"iso27001" in offer.certifications' }),
    ),
  ).toHaveLength(1);
});

test('a value that is not known is a violation, unless the rule lets what is missing pass', () => {
  const clauses: Clause[] = [{ effect: 'require', expression: 'offer.zone == "eu-central-1a"' }];
  const unknown = machine('a', { zone: null });
  const [violation] = found([unknown], [policy('p', [{ clauses }])]);
  expect(violation?.message).toBe('a value that the rule reads is not known');
  expect(found([unknown], [policy('p', [{ clauses, missing: 'pass' }])])).toEqual([]);
});

test('prices are those of today, not those of the day of placement', () => {
  const cap = rule({ effect: 'maxPrice', perHour: 0.15 });
  expect(found([machine('a')], cap)).toEqual([]);
  const dearer = Catalogue.fromRows([row('eu-central-1', null, 0.2)], { name: 'test', date: '2026-11-20' });
  const [violation] = found([machine('a')], cap, dearer);
  expect(violation?.message).toBe('it costs 0.2 USD an hour, 0.15 are allowed');
  expect(
    found([machine('a')], rule({ effect: 'deny', expression: 'offer.price > 0.15' }), dearer),
  ).toHaveLength(1);
});

test("a price of the machine's own zone comes before another zone's; one that is gone is the price it was placed at", () => {
  const zoned = Catalogue.fromRows(
    [row('eu-central-1', 'eu-central-1a', 0.3), row('eu-central-1', 'eu-central-1b', 0.01)],
    { name: 'test', date: '2026-11-20' },
  );
  const cap = rule({ effect: 'maxPrice', perHour: 0.2 });
  expect(found([machine('a')], cap, zoned)).toHaveLength(1);
  expect(found([machine('b', { zone: 'eu-central-1b' })], cap, zoned)).toEqual([]);
  const [standing] = standings([machine('c', { zone: 'eu-central-1c' })], zoned, sites);
  expect(standing?.offer.pricePerHour).toBe(0.09);
});

test('an on-prem machine costs what its site says today', () => {
  const cap = rule({ effect: 'maxPrice', perHour: 0.027 });
  // 2 × 0.01 + 8 × 0.001
  expect(found([machine('a', onprem('h1'))], cap)[0]?.message).toBe(
    'it costs 0.028 USD an hour, 0.027 are allowed',
  );
});

test('rules that read the machine itself hold for machines that exist', () => {
  const old = rule({ effect: 'deny', expression: 'resource.ageHours > 48.0 && resource.state == "Running"' });
  const aged = { createdAt: '2026-11-01T00:00:00Z' };
  expect(
    names(found([machine('a', aged), machine('b'), machine('c', { ...aged, state: 'Stopped' })], old)),
  ).toEqual(['a']);
});

test('labels and a life without end are found; a default given later does not make up for it', () => {
  const hygiene = rule(
    { effect: 'labels', required: ['owner'], allowed: { env: ['dev', 'prod'] } },
    { effect: 'ttl', maxHours: 72, defaultHours: 24 },
  );
  const [violation, ...others] = found([machine('a')], hygiene);
  expect(others).toEqual([]);
  expect(violation).toMatchObject({ effect: 'labels' });
  expect(violation?.message).toMatch(/label owner.*; .*ttl/);
  expect(found([machine('b', { labels: { owner: 'me' } }, { ttlHours: 72 })], hygiene)).toEqual([]);
  expect(
    found([machine('c', { labels: { owner: 'me', env: 'test' } }, { ttlHours: 1 })], hygiene),
  ).toHaveLength(1);
});

test('of a quota, those that came last and do not fit are over it, and no others', () => {
  const quota = rule({ effect: 'quota', group: ['project'], resource: 'vcpu', limit: 5 });
  const machines = [
    machine('one'),
    machine('big', { vcpus: 4 }),
    machine('two'),
    machine('else', { project: 'other' }),
  ];
  expect(names(found(machines, quota))).toEqual(['big']);
  expect(names(found(machines.toReversed(), quota))).toEqual(['big']);
});

test('a budget counts what the machines cost today', () => {
  const budget = rule({ effect: 'budget', group: ['labels.team'], per: 'day', limit: 5 });
  const team = { labels: { team: 'a' } };
  const machines = [machine('one', team), machine('two', team), machine('three', { labels: { team: 'b' } })];
  expect(found(machines, budget)).toEqual([]);
  const dearer = Catalogue.fromRows([row('eu-central-1', null, 0.15)], { name: 'test', date: '2026-11-20' });
  const [violation] = found(machines, budget, dearer);
  expect(violation).toMatchObject({
    machine: { name: 'two' },
    message: 'labels.team=a would use 7.2 of 5 USD/day with it',
  });
});

test('machines that crowd one zone are found, the first of them is not', () => {
  const spread = rule({ effect: 'spread', by: 'zone', min: 2, maxShare: 0.5, group: ['labels.app'] });
  const app = { labels: { app: 'web' } };
  const crowd = [machine('a', app), machine('b', app), machine('c', { ...app, zone: 'eu-central-1b' })];
  expect(names(found(crowd, spread))).toEqual(['b']);
  expect(found([crowd[0]!, crowd[2]!], spread)).toEqual([]);
});

test('of two machines that may not share a host the later one is found', () => {
  const apart = rule({ effect: 'antiAffinity', to: 'resource.labels.app == request.labels.app', by: 'host' });
  const app = { labels: { app: 'db' } };
  const machines = [
    machine('a', { ...onprem('h1'), ...app }),
    machine('b', { ...onprem('h1'), ...app }),
    machine('c', { ...onprem('h2'), ...app }),
    machine('d', onprem('h1')),
  ];
  const violations = found(machines, apart);
  expect(names(violations)).toEqual(['b']);
  expect(violations[0]?.message).toBe('it stands in one host with machine a of project default');
  expect(found(machines.slice(1), apart)).toEqual([]);
});

test('beside a machine whose zone is not known nobody knows whether two are apart, unless that may pass', () => {
  const apart: Clause[] = [{ effect: 'antiAffinity', to: 'resource.labels["env"] == "dev"', by: 'zone' }];
  const when = 'request.labels["env"] == "prod"';
  const machines = [
    machine('prod', { labels: { env: 'prod' } }),
    machine('dev', { labels: { env: 'dev' }, zone: null }),
  ];
  const [violation] = found(machines, [policy('p', [{ when, clauses: apart }])]);
  expect(violation).toMatchObject({
    machine: { name: 'prod' },
    message: 'the zone of machine dev of project default is not known',
  });
  expect(found(machines, [policy('p', [{ when, clauses: apart, missing: 'pass' }])])).toEqual([]);
});

test('a machine is found when one that the rule is not for has come beside it', () => {
  const alone = [
    policy('p', [
      {
        name: 'alone',
        when: 'request.labels["env"] == "prod"',
        clauses: [{ effect: 'antiAffinity', to: 'resource.labels["env"] == "dev"', by: 'host' }],
      },
    ]),
  ];
  const prod = machine('prod', { ...onprem('h1'), labels: { env: 'prod' } });
  const dev = machine('dev', { ...onprem('h1'), labels: { env: 'dev' } });
  expect(names(found([prod, dev], alone))).toEqual(['prod']);
});

test('machines are told apart by whatever of their labels a rule reads', () => {
  const apart = rule({ effect: 'antiAffinity', to: '"solo" in resource.labels', by: 'host' });
  const at = onprem('h1');
  const plain = machine('a', { ...at, labels: { app: 'x' } });
  expect(found([plain, machine('b', { ...at, labels: { app: 'x' } })], apart)).toEqual([]);
  expect(names(found([plain, machine('c', { ...at, labels: { app: 'x', solo: '' } })], apart))).toEqual([
    'a',
  ]);
});

test('a machine away from those it is to be with is found; the only one of its kind is not', () => {
  const near = rule({
    effect: 'affinity',
    to: 'resource.labels["app"] == request.labels["app"]',
    by: 'region',
  });
  const app = { labels: { app: 'db' } };
  const first = machine('a', app);
  expect(found([first], near)).toEqual([]);
  expect(
    names(found([first, machine('b', app), machine('c', { ...app, region: 'us-east-1' })], near)),
  ).toEqual(['c']);
});

test('an exception waives, says by whom and until when, and waives no longer when it is over', () => {
  const except = (expires: string): ParsedPolicy[] => [
    policy('p', [{ name: 'r', expression: 'offer.provider == "gcp"' }], {
      exceptions: [
        { rule: 'r', line: 9, owner: 'cto', reason: 'migration', expires, match: 'request.name == "a"' },
      ],
    }),
  ];
  expect(found([machine('a'), machine('b')], except('2026-12-01T00:00:00Z'))).toMatchObject([
    {
      machine: { name: 'a' },
      exception: { owner: 'cto', reason: 'migration', expires: '2026-12-01T00:00:00Z' },
    },
    { machine: { name: 'b' }, exception: null },
  ]);
  expect(found([machine('a')], except('2026-11-20T12:00:00Z'))).toMatchObject([{ exception: null }]);
});

test("audit and dryRun are found with their mode; a project's override takes the parent's place", () => {
  const parent = policy('org', [{ name: 'r', expression: 'offer.provider == "gcp"', overridable: true }], {
    mode: 'audit',
  });
  expect(found([machine('a')], [parent])).toMatchObject([{ mode: 'audit' }]);
  const child = policy('own', [{ name: 'r', expression: 'offer.provider == "aws"', override: true }], {
    scope: { kind: 'project', name: 'default' },
  });
  expect(found([machine('a')], [parent, child])).toEqual([]);
  expect(names(found([machine('a'), machine('b', { project: 'other' })], [parent, child]))).toEqual(['b']);
});

test('preferences, windows and approvals are about the moment of placement', () => {
  expect(
    found(
      [machine('a')],
      rule(
        { effect: 'prefer', expression: 'offer.provider == "gcp"', weight: { kind: 'strict' } },
        { effect: 'approval', by: ['finops'], expiresHours: 24 },
        { effect: 'window', window: { kind: 'deny', spans: ['Mon 00:00/168h'], timeZone: 'UTC' } },
      ),
    ),
  ).toEqual([]);
});
