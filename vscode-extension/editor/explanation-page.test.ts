import { Catalogue, compilePolicies, NEUTRAL_REQUEST, type PlacedOffer, place } from '@landfall/policies';
import { policy } from '@landfall/policies/testing/policies.ts';
import type { PlacementExplanation } from '../language/protocol.ts';
import { explanationPage } from './explanation-page.ts';
import type { PageLinks } from './page.ts';

const links: PageLinks = {
  line: (uri, line) => `${uri}#${line}`,
  rule: ({ policy, rule, uri = 'broker' }) => `${uri}#${policy}/${rule}`,
  decision: ({ id }) => `decision:${id}`,
};
const row = {
  provider: 'aws',
  zone: null,
  instanceType: 'm5.large',
  market: 'onDemand' as const,
  vcpus: 2,
  memoryGiB: 8,
  architecture: 'x86_64',
  gpuName: null,
  gpuCount: 0,
  burstable: false,
};
const decide = (expression: string) =>
  place({
    catalogue: Catalogue.fromRows(
      [
        { ...row, region: 'us-east-1', pricePerHour: 0.1 },
        { ...row, region: 'eu-central-1', pricePerHour: 0.12 },
      ],
      { name: 'test', date: '2025-01-01' },
    ),
    sites: [],
    request: { ...NEUTRAL_REQUEST, name: 'web' },
    policies: compilePolicies([policy('eu', [{ name: 'residency', expression }])]),
    setAside: [],
    includeUnconfigured: true,
  });
const explained = (change: Partial<PlacementExplanation>): PlacementExplanation => ({
  subject: 'instance/web',
  decision: decide('offer.region.startsWith("eu-")'),
  regions: [],
  unreadable: [],
  madeFrom: 'Made up.',
  atBroker: true,
  ...change,
});
/** The text of a page, tags left out. */
const textOf = (page: string): string =>
  page
    .replace(/.*<body>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

test('every rule on the page is a link: in the table, in what would change the answer, in the funnel and in reasons', () => {
  const page = explanationPage(explained({}), links);
  const named = page.match(/eu\/residency/g)!.length;
  // Each is in an address and in its words.
  expect(page.match(/<a href="broker#eu\/residency">eu\/residency<\/a>/g)).toHaveLength(named / 2);
  expect(named / 2).toBe(3);
  const nowhere = explanationPage(explained({ decision: decide('false') }), links);
  expect(nowhere.match(/eu\/residency/g)!.length).toBe(
    2 * nowhere.match(/<a href="broker#eu\/residency">eu\/residency<\/a>/g)!.length,
  );
});

test('a change says why the old place is not taken, what both cost, and leads to the decision of then', () => {
  const from = decide('true').winner as PlacedOffer;
  const change = {
    recorded: { project: 'default', name: 'web', id: 'd1' },
    from,
    why: 'eu/residency rejects the old place',
    rules: [{ policy: 'eu', rule: 'residency' }],
    files: { eu: 'file:///w/eu.yaml' },
  };
  const page = explanationPage(explained({ change }), links);
  expect(textOf(page)).toContain(
    'Why not aws us-east-1 m5.large eu/residency rejects the old place ( as it was decided ) now aws us-east-1 m5.large $73.00/month then aws eu-central-1 m5.large $87.60/month',
  );
  expect(page).toContain('<a href="file:///w/eu.yaml#eu/residency">eu/residency</a> rejects the old place');
  expect(page).toContain('<a href="decision:d1">as it was decided</a>');
});
