import { parsePolicy } from '../file/parse.ts';
import { compilePolicies } from '../place/compiled.ts';
import { refusalsAt } from './at-place.ts';
import { kindsRefused } from './held.ts';
import type { Place, ResourceRequest } from './known.ts';

const now = new Date('2026-11-21T12:00:00Z');
const volume: ResourceRequest = {
  kind: 'Volume',
  name: 'data',
  project: 'shop',
  organization: 'default',
  labels: {},
  dataClass: 'restricted',
};
const place = (region: string, jurisdiction: string | null, more: Partial<Place> = {}): Place => ({
  site: 'cloud',
  provider: 'aws',
  region,
  zone: null,
  host: null,
  jurisdiction,
  certifications: ['iso27001'],
  labels: {},
  ...more,
});
const frankfurt = place('eu-central-1', 'EU');
const virginia = place('us-east-1', 'US');
const mars = place('mars-1', null);

/** The rules of a policy that refuse; `spec` is YAML below `spec:`. */
function refuses(spec: string, at: Place | null, request: ResourceRequest = volume, head = ''): string[] {
  const text = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p${head}}\nspec:\n${spec}\n`;
  const { policies, problems } = parsePolicy(text, 'p.yaml', now);
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  const refusals = refusalsAt(request, at, compilePolicies(policies), now);
  // What refuses one somewhere is what `policy explain` says holds for its kind.
  for (const { rule } of refusals) {
    const gates = rule.gateText === null ? [] : [rule.gateText];
    expect(kindsRefused(gates, rule.clause)).toContain(request.kind);
  }
  return refusals.map(({ rule }) => rule.rule);
}
const rule = (text: string): string => `  rules: [{name: r, ${text}}]`;

test('a rule about the place holds for a volume, and a value that is not known there refuses', () => {
  const eu = rule('when: request.dataClass == "restricted", require: offer.jurisdiction == "EU"');
  expect(refuses(eu, frankfurt)).toEqual([]);
  expect(refuses(eu, virginia)).toEqual(['r']);
  expect(refuses(eu, mars)).toEqual(['r']);
  expect(refuses(eu, virginia, { ...volume, dataClass: 'public' })).toEqual([]);
  const pass = rule('require: offer.jurisdiction == "EU", missing: pass');
  expect([refuses(pass, mars), refuses(pass, virginia)]).toEqual([[], ['r']]);
});

test.each([
  'require: offer.vcpus <= 8',
  'deny: offer.burstable',
  'require: offer.family == "m7g"',
  'require: offer.networkGbps > 10.0',
  'require: request.vcpus > 4',
  'deny: request.publicAddress == false',
  'require: has(offer.networkGbps)',
  'require: "request.regions.exists(r, r == offer.region)"',
  'maxPrice: 0.0001 USD/h',
  'ttl: {max: 1h}',
  'quota: {group: project, resource: instances, limit: 0}',
  'deny: resource.ageHours > 0.0',
])('what only machines have refuses no volume: %s', (text) => {
  expect(refuses(rule(text), virginia)).toEqual([]);
});

test.each([
  ['require: offer.jurisdiction == "EU" && !offer.burstable', true],
  ['deny: offer.burstable || offer.jurisdiction != "EU"', true],
  ['require: offer.jurisdiction == "EU" || offer.pricePerHour < 1.0', false],
  ['when: offer.burstable, require: offer.jurisdiction == "EU"', false],
  ['when: request.vcpus > 8, require: offer.jurisdiction == "EU"', false],
  ["require: \"offer.vcpus > 1 ? offer.jurisdiction == 'EU' : offer.region.startsWith('eu')\"", true],
  ['require: "offer.vcpus > 1 ? offer.jurisdiction == \'EU\' : true"', false],
])('a rule about both refuses where it would refuse every machine: %s', (text, refused) => {
  expect(refuses(rule(text), frankfurt)).toEqual([]);
  expect(refuses(rule(text), virginia)).toEqual(refused ? ['r'] : []);
});

test('a value of the place that is not known counts beside one that only machines have', () => {
  expect(refuses(rule('require: offer.jurisdiction == "EU" && !offer.burstable'), mars)).toEqual(['r']);
  expect(refuses(rule('require: offer.jurisdiction == "EU" || offer.burstable'), mars)).toEqual([]);
});

test('a volume whose zone is not known is refused by a rule about zones; a network is in no zone', () => {
  const zones = rule('deny: offer.zone == "eu-central-1c"');
  expect(refuses(zones, frankfurt)).toEqual(['r']);
  expect(refuses(zones, { ...frankfurt, zone: 'eu-central-1a' })).toEqual([]);
  expect(refuses(zones, frankfurt, { ...volume, kind: 'Network' })).toEqual([]);
  expect(refuses(zones, { ...frankfurt, zone: 'eu-central-1c' }, { ...volume, kind: 'Network' })).toEqual([
    'r',
  ]);
});

test('request.kind narrows a rule', () => {
  const noVolumes = rule('deny: request.kind == "Volume"');
  expect(refuses(noVolumes, frankfurt)).toEqual(['r']);
  expect(refuses(noVolumes, frankfurt, { ...volume, kind: 'Snapshot' })).toEqual([]);
  const machines = `  match: request.kind == "Instance"\n${rule('require: offer.jurisdiction == "EU"')}`;
  expect(refuses(machines, virginia)).toEqual([]);
});

test('required labels and closed times hold, under the same conditions', () => {
  const labels = rule('labels: {required: [owner], allowed: {env: [prod]}}');
  expect(refuses(labels, frankfurt)).toEqual(['r']);
  expect(refuses(labels, frankfurt, { ...volume, labels: { owner: 'ada', env: 'prod' } })).toEqual([]);
  expect(refuses(labels, frankfurt, { ...volume, labels: { owner: 'ada', env: 'x' } })).toEqual(['r']);
  expect(refuses(rule('when: offer.gpuCount > 0, labels: {required: [owner]}'), frankfurt)).toEqual([]);
  // 2026-11-21 is a Saturday.
  expect(refuses(rule('window: {deny: "Fri 18:00/60h", timeZone: UTC}'), frankfurt)).toEqual(['r']);
  expect(refuses(rule('window: {deny: "Mon 18:00/6h", timeZone: UTC}'), frankfurt)).toEqual([]);
});

test('before the place is known only what holds anywhere refuses', () => {
  expect(refuses(rule('require: offer.jurisdiction == "EU"'), null)).toEqual([]);
  expect(refuses(rule('deny: request.kind == "Volume"'), null)).toEqual(['r']);
  expect(refuses(rule('labels: {required: [owner]}'), null)).toEqual(['r']);
});

test('exceptions take a rule out, those that read what only machines have do not', () => {
  const except = (match: string): string =>
    `${rule('require: offer.jurisdiction == "EU"')}
  exceptions: [{rule: r, owner: ada, reason: it moves, expires: 2027-01-01, match: ${match}}]`;
  expect(refuses(except('request.project == "shop"'), virginia)).toEqual([]);
  expect(refuses(except('request.project == "blog"'), virginia)).toEqual(['r']);
  expect(refuses(except('request.memoryGiB < 2.0'), virginia)).toEqual(['r']);
});

test('scopes and modes are those of machines', () => {
  const eu = rule('require: offer.jurisdiction == "EU"');
  expect(refuses(eu, virginia, volume, ', scope: projects/shop')).toEqual(['r']);
  expect(refuses(eu, virginia, volume, ', scope: projects/blog')).toEqual([]);
  const text = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  mode: audit\n${eu}\n`;
  const [refusal] = refusalsAt(volume, virginia, compilePolicies(parsePolicy(text, 'p.yaml').policies), now);
  expect(refusal).toMatchObject({
    rule: { mode: 'audit', line: 6 },
    message: 'requires offer.jurisdiction == "EU"',
    unknown: false,
  });
});
