import { readdirSync, readFileSync } from 'node:fs';
import { Catalogue } from '../catalogue/catalogue.ts';
import { loadSnapshot } from '../catalogue/snapshot.ts';
import { runPolicyTests } from './run-tests.ts';

const examples = new URL('../../examples/policies/', import.meta.url);

describe('the examples', () => {
  for (const file of readdirSync(examples).filter((f) => f.endsWith('.yaml')))
    test(`${file} has no problems and passes its own tests over the shipped prices`, () => {
      const text = readFileSync(new URL(file, examples), 'utf8');
      const { results, problems } = runPolicyTests(text, file, { catalogue: loadSnapshot() });
      expect(problems).toEqual([]);
      expect(results.length).toBeGreaterThan(2);
      expect(results.filter((r) => !r.passed)).toEqual([]);
    });
});

const catalogue = Catalogue.fromRows([], { name: 'none', date: '2025-01-01' });
const run = (tests: string, readFixture?: (path: string) => string): { passed: boolean; message: string }[] =>
  runPolicyTests(
    `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p, scope: projects/shop}
spec:
  rules:
  - {name: eu, require: offer.jurisdiction == "EU"}
  - {name: small, deny: offer.vcpus > 4}
tests:
${tests}`,
    'p.yaml',
    { catalogue, ...(readFixture && { readFixture }) },
  ).results;

const US =
  '{provider: aws, region: us-east-1, instanceType: m5.large, vcpus: 2, memoryGiB: 8, pricePerHour: 0.1}';
const EU =
  '{provider: aws, region: eu-west-1, instanceType: m5.large, vcpus: 2, memoryGiB: 8, pricePerHour: 0.2}';

test('an expectation that does not hold fails, with what happened', () => {
  expect(run(`- {name: t, offers: [${US}, ${EU}], expect: {placed: {region: us-east-1}}}`)).toMatchObject([
    {
      passed: false,
      message:
        'expected region "us-east-1", not "eu-west-1"; placed m5.large in eu-west-1 (aws) at 0.2 USD an hour',
    },
  ]);
  expect(run(`- {name: t, offers: [${EU}], expect: {rejectedBy: [eu]}}`)[0]!.passed).toBe(false);
  expect(run(`- {name: t, offers: [${US}], expect: {rejectedBy: [small]}}`)[0]!.message).toContain(
    'small rejected nothing',
  );
  expect(
    run(`- {name: t, offers: [${US}, ${EU.replace('vcpus: 2', 'vcpus: 8')}], expect: {rejectedBy: [eu]}}`)[0]!
      .message,
  ).toContain('rejected only by small');
  expect(run(`- {name: t, offers: [${EU}], expect: {unplaceable: true}}`)[0]!.passed).toBe(false);
  expect(
    run(`- {name: t, request: {vcpus: 0}, offers: [${EU}], expect: {unplaceable: true}}`)[0]!.message,
  ).toContain('vcpus must be');
});

test('an expected attribute may be one of several', () => {
  expect(
    run(`- {name: t, offers: [${EU}], expect: {placed: {region: [eu-west-1, eu-west-3]}}}`)[0]!.passed,
  ).toBe(true);
});

test('offers may stand in a file of their own, read by who runs the tests', () => {
  const test = '- {name: t, offers: fixtures/offers.yaml, expect: {rejectedBy: [eu]}}';
  expect(run(test, () => `- ${US}\n`)[0]!.passed).toBe(true);
  expect(run(test, () => '- {provider: aws, regoin: x}\n')[0]!.message).toContain(
    "fixtures/offers.yaml:1:19: error: unknown field 'regoin'",
  );
  expect(
    run(test, () => {
      throw new Error('no such file');
    })[0],
  ).toMatchObject({ passed: false, message: expect.stringContaining('no such file') });
  expect(run(test)[0]!.message).toContain('no way to read files');
});

test('a request and an estate may stand in files of their own, too', () => {
  const files: Record<string, string> = {
    'request.yaml': 'vcpus: 2\nlabels: {env: prod}\n',
    'estate.yaml': '- {name: a, provider: aws, region: r}\n- {name: b, provider: aws, region: r}\n',
    'wrong.yaml': '- {name: a, provider: aws}\n',
  };
  const readFixture = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error('no such file');
    return text;
  };
  const results = (test: string) =>
    runPolicyTests(
      `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p}
spec:
  rules:
  - {name: two, when: request.labels.env == "prod", quota: {group: project, resource: instances, limit: 2}}
tests:
- {name: t, offers: [${EU}], ${test}}
`,
      'p.yaml',
      { catalogue, readFixture },
    ).results;
  expect(results('request: request.yaml, estate: estate.yaml, expect: {rejectedBy: [two]}')).toMatchObject([
    { passed: true },
  ]);
  // Neither alone is refused: both were read.
  expect(
    results('estate: estate.yaml, request: {labels: {env: x}}, expect: {unplaceable: false}'),
  ).toMatchObject([{ passed: true }]);
  expect(results('request: request.yaml, expect: {unplaceable: false}')).toMatchObject([{ passed: true }]);
  expect(results('estate: wrong.yaml, expect: {unplaceable: false}')).toMatchObject([
    { passed: false, message: 'p.yaml: wrong.yaml:1:3: error: estate[0].region is missing [missing-field]' },
  ]);
  expect(results('request: none.yaml, expect: {unplaceable: false}')).toMatchObject([
    { passed: false, message: 'the request of this test cannot be read from none.yaml: no such file' },
  ]);
});

test('a test brings machines that exist, a time, and the approvals it expects', () => {
  const text = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p}
spec:
  rules:
  - {name: two, quota: {group: project, resource: instances, limit: 2}}
  - {name: weekend, window: {deny: "Fri 18:00/60h", timeZone: Europe/Berlin}}
  - {name: dear, when: offer.pricePerHour > 0.15, approval: {by: [finops], expires: 24h}}
tests:
- {name: room, offers: [${US}], estate: [{name: a, provider: aws, region: r}], now: 2026-11-18T12:00:00Z, expect: {placed: {region: us-east-1}, approvals: []}}
- {name: full, offers: [${US}], estate: [{name: a, provider: aws, region: r}, {name: b, provider: aws, region: r}], now: 2026-11-18, expect: {rejectedBy: [two]}}
- {name: closed, offers: [${US}], now: 2026-11-21T12:00:00Z, expect: {rejectedBy: [weekend]}}
- {name: dear, offers: [${EU}], now: 2026-11-18, expect: {approvals: [dear]}}
- {name: wrong, offers: [${EU}], now: 2026-11-18, expect: {placed: {}, approvals: []}}
`;
  const { problems, results } = runPolicyTests(text, 'p.yaml', { catalogue });
  expect(problems).toEqual([]);
  expect(results.map((r) => [r.name, r.passed])).toEqual([
    ['room', true],
    ['full', true],
    ['closed', true],
    ['dear', true],
    ['wrong', false],
  ]);
  expect(results[4]!.message).toContain('expected no approval, not approval by dear; placed');
});

test('a test that cannot be meant is a problem of the file', () => {
  const { problems, results } = runPolicyTests(
    'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec: {rules: [{name: eu, require: "true"}]}\ntests:\n- {name: t, request: {vcpu: 2, count: many}, expect: {rejectedBy: [ue]}}\n- {name: u, expect: {placed: {}, unplaceable: true}}\n',
    'p.yaml',
    { catalogue },
  );
  expect(results).toEqual([]);
  expect(problems.map((p) => p.message)).toEqual([
    "unknown field 'vcpu'",
    'tests[0].request.count must be a whole number',
    "the policy has no rule 'ue'",
    expect.stringContaining('tests[1].expect needs exactly one of placed, rejectedBy, unplaceable'),
  ]);
});
