import { printCel } from '../cel/print.ts';
import { writtenOut } from '../cel/schema.ts';
import { explainPolicy } from './explain.ts';
import { parsePolicy } from './parse.ts';
import { readable } from './readable.ts';

const now = new Date('2026-11-20T12:00:00Z');

function explain(spec: string, scope = 'organizations/acme') {
  const text = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p, scope: ${scope}}\nspec:\n${spec}`;
  const { policies, problems } = parsePolicy(text, 'p.yaml', now);
  expect(problems).toEqual([]);
  return explainPolicy(policies[0]!, now);
}

test.each([
  ['require: offer.jurisdiction == "EU"', 'Refuses an offer unless offer.jurisdiction == "EU".'],
  ['deny: offer.burstable && offer.vcpus < 2', 'Refuses an offer if offer.burstable && offer.vcpus < 2.'],
  ['deny: resource.ageHours > 72.0', 'Finds a running machine in violation if resource.ageHours > 72.0.'],
  [
    'prefer: offer.burstable, weight: 0.03',
    'Prefers offers with offer.burstable: any other counts as 3% dearer.',
  ],
  ['prefer: offer.burstable, weight: strict', 'Prefers offers with offer.burstable, before any price.'],
  [
    'spread: {by: zone, min: 2, maxShare: 0.6}',
    'Machines of the same project and labels.app stand in 2 zones or more and have at most 60% of them in one zone.',
  ],
  [
    'antiAffinity: {to: resource.name == "db", by: host}',
    'Places the machine in no host that has an existing machine with resource.name == "db".',
  ],
  [
    'gravity: {at: aws/us-east-1, gibPerMonth: 500}',
    'Adds to the price what it costs to read 500.0 GiB a month from aws/us-east-1.',
  ],
  [
    'budget: {group: project, per: month, limit: 20000 USD}',
    'Refuses what would bring the machines of the same project above 20,000 USD a month.',
  ],
  [
    'quota: {group: [provider, region], resource: gpu, limit: 16}',
    'Refuses what would bring the machines of the same provider and region above 16 gpu.',
  ],
  ['maxPrice: 73 USD/month', 'Refuses an offer that costs more than 0.1 USD an hour.'],
  [
    'approval: {by: [finops, cto], expires: 24h}',
    'Waits for the approval of finops or cto; without an answer in 24 hours the request fails.',
  ],
  [
    'ttl: {max: 7d, default: 30m}',
    'Lets a machine live 7 days at most; 30 minutes when the request does not say.',
  ],
  [
    'labels: {required: [owner], allowed: {env: [dev, prod]}}',
    'A request must have the label owner; where it is given, env must be dev or prod.',
  ],
  [
    'window: {deny: "Fri 18:00/60h", timeZone: Europe/Berlin}',
    'Makes no machine in Fri 18:00/60h (Europe/Berlin); now open until 2026-11-20T17:00Z.',
  ],
])('says what %s does', (rule, sentence) => {
  expect(explain(`  rules: [{name: r, ${rule}}]\n`)[0]!.does).toEqual([sentence]);
});

test('says when a rule applies, what it reads, how it is layered, and what else holds', () => {
  const [rule] = explain(`  mode: audit
  match: request.dataClass == "restricted"
  variables: {eu: offer.jurisdiction == "EU"}
  rules: [{name: r, when: request.count > 1, require: variables.eu, overridable: true, onViolation: stop, owner: ops}]
  exceptions: [{rule: r, owner: ada, reason: migration, expires: 2026-12-31}, {rule: r, owner: x, reason: y, expires: 2027-01-01, match: request.project == "shop"}]
`);
  expect(rule).toEqual({
    policy: 'p',
    rule: 'r',
    file: 'p.yaml',
    line: 8,
    does: ['Refuses an offer unless offer.jurisdiction == "EU".'],
    applies: 'Where request.dataClass == "restricted" and request.count > 1.',
    reads: ['request.dataClass', 'request.count', 'offer.jurisdiction'],
    layer:
      "Holds for every project of organization acme; a project may put its own rule 'r' in its place, with override: true.",
    notes: [
      "The policy's mode is audit: nothing is refused, only counted.",
      'A value that is missing refuses, unless the rest decides without it.',
      'A running machine found against it is stopped.',
      'About machines only: it says nothing about volumes and other kinds.',
      'ops answers for violations.',
      'Set aside for every request until 2026-12-31T00:00Z by ada: migration.',
      'Set aside for requests with request.project == "shop" until 2027-01-01T00:00Z by x: y.',
    ],
  });
  expect(
    explain('  rules: [{name: r, deny: offer.burstable, override: true}]\n', 'projects/shop')[0]!.layer,
  ).toBe("Holds for project shop, in place of the organization's rule 'r' if that is overridable.");
});

const others = 'Holds for volumes and other kinds too, as far as it follows from the place and the request.';
const machines = 'About machines only: it says nothing about volumes and other kinds.';
const some = (kinds: string) =>
  `Holds for ${kinds} too, as far as it follows from the place and the request.`;
test.each([
  ['require: offer.jurisdiction == "EU"', others],
  ['require: offer.jurisdiction == "EU" && !offer.burstable', others],
  ['require: offer.jurisdiction == "EU" || !offer.burstable', machines],
  ['deny: offer.burstable', machines],
  ['deny: offer.burstable || offer.region == "us-east-1"', others],
  ['deny: \'offer.burstable ? offer.region == "a" : offer.region == "b"\'', others],
  ['when: request.vcpus > 2, require: offer.jurisdiction == "EU"', machines],
  ['when: request.kind == "Instance", require: offer.jurisdiction == "EU"', machines],
  ['deny: request.kind == "Address"', some('Address')],
  ['when: \'request.kind in ["Volume", "Snapshot"]\', labels: {required: [owner]}', some('Volume, Snapshot')],
  ['labels: {required: [owner]}, maxPrice: 1 USD/h', others],
])('says whether other kinds than machines are held to %s', (rule, note) => {
  const { notes } = explain(`  rules: [{name: r, ${rule}}]\n`)[0]!;
  expect(notes.filter((one) => one.includes('other kinds') || one.startsWith('Holds'))).toEqual([note]);
});

test.each(['maxPrice: 1 USD/h', 'ttl: {max: 1h}', 'deny: resource.ageHours > 2.0'])(
  'says nothing of other kinds where a rule is about machines by what it does: %s',
  (rule) => {
    expect(explain(`  rules: [{name: r, ${rule}}]\n`)[0]!.notes.join()).not.toMatch('other kinds');
  },
);

test.each([
  '(a - (b - c)) * d',
  '!(a && b) || !c && (d || e)',
  'a ? b : (c ? d : e)',
  '(a ? b : c) ? d : e',
  '(a == b) == (c < d)',
  '-(a + b) - -c',
  '("x" + y).startsWith("x") && !z.exists(i, i in [1, 2] && i > 0)',
  '{"k": a + 1}["k"] > m.n["o p"].q && has(r.s)',
])('%s means the same when it is written for people', (source) => {
  const written = readable(source);
  expect(printCel(writtenOut(written)!)).toBe(printCel(writtenOut(source)!));
  expect(readable(written)).toBe(written);
  expect(written.length).toBeLessThanOrEqual(printCel(writtenOut(source)!).length);
});
