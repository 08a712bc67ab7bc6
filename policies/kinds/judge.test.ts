import { parsePolicy } from '../file/parse.ts';
import { compilePolicies } from '../place/compiled.ts';
import { judgeResources, type ResourceViolation, type StandingResource } from './judge.ts';
import type { ResourceRequest } from './known.ts';

const now = new Date('2026-11-21T12:00:00Z');

const standing = (id: string, region: string, request: Partial<ResourceRequest> = {}): StandingResource => ({
  id,
  request: {
    kind: 'Volume',
    name: id,
    project: 'shop',
    organization: 'default',
    labels: {},
    dataClass: '',
    ...request,
  },
  place: {
    site: 'cloud',
    provider: 'aws',
    region,
    zone: null,
    host: null,
    jurisdiction: region.startsWith('eu') ? 'EU' : 'US',
    certifications: [],
    labels: {},
  },
});

function found(spec: string, ...resources: StandingResource[]): ResourceViolation[] {
  const text = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n${spec}\n`;
  const { policies, problems } = parsePolicy(text, 'p.yaml', now);
  expect(problems).toEqual([]);
  const judging = judgeResources({ resources, policies: compilePolicies(policies), now });
  for (let step = judging.next(); ; step = judging.next()) if (step.done) return step.value;
}

test('of many resources those are found, in order, that a rule would refuse where they are', () => {
  const many = Array.from({ length: 200 }, (_, i) =>
    standing(`v${i}`, i % 50 === 0 ? 'us-east-1' : 'eu-west-1'),
  );
  const violations = found('  rules: [{name: eu, require: offer.jurisdiction == "EU", owner: ops}]', ...many);
  expect(violations.map(({ resource }) => resource.id)).toEqual(['v0', 'v50', 'v100', 'v150']);
  expect(violations[0]).toMatchObject({
    policy: 'p',
    rule: 'eu',
    line: 5,
    mode: 'enforce',
    effect: 'require',
    message: 'requires offer.jurisdiction == "EU"',
    owner: 'ops',
    onViolation: 'report',
    exception: null,
  });
});

test('a rule is broken once, with all that is wrong; in audit it is found as such; a window is about the moment of making', () => {
  const rule =
    '  mode: audit\n  rules: [{name: r, require: offer.jurisdiction == "EU", labels: {required: [owner]}, window: {deny: daily 00:00/23h, timeZone: UTC}}]';
  expect(found(rule, standing('v', 'us-east-1'))).toMatchObject([
    {
      mode: 'audit',
      message: 'requires offer.jurisdiction == "EU"; the request must have the label owner',
    },
  ]);
  expect(found(rule, standing('v', 'eu-west-1', { labels: { owner: 'ada' } }))).toEqual([]);
});

test('one that an exception sets aside is found with it, for as long as it holds', () => {
  const except = (expires: string): string =>
    `  rules: [{name: r, require: offer.jurisdiction == "EU"}]
  exceptions: [{rule: r, owner: ada, reason: it moves, expires: ${expires}, match: request.project == "shop"}]`;
  const [inShop, inBlog] = found(
    except('2027-01-01'),
    standing('v', 'us-east-1'),
    standing('w', 'us-east-1', { project: 'blog' }),
  );
  expect(inShop?.exception).toMatchObject({ owner: 'ada', reason: 'it moves' });
  expect(inBlog?.exception).toBeNull();
});
