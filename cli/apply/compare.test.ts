import {
  compareInstance,
  differences,
  labelDifferences,
  renderDifferences,
  siteWithDefaults,
  userDataDigest,
} from './compare.ts';

const size = { image: 'tiny', vcpus: 1, memoryGiB: 1 };
const actual = {
  spec: {
    ...size,
    diskGiB: 10,
    architecture: 'x86_64',
    market: 'onDemand',
    publicAddress: false,
    power: 'running',
  },
  labels: {},
} as never;

test('fields that are absent on both sides, or have the default on one, are the same', () => {
  expect(compareInstance({ spec: size, labels: undefined }, actual).differences).toEqual([]);
  expect(
    compareInstance(
      { spec: { ...size, market: 'onDemand', placement: { providers: [] } }, labels: {} },
      actual,
    ).differences,
  ).toEqual([]);
});

test('lists are sets: their order means nothing', () => {
  expect(differences({ sshKeys: ['a', 'b'] }, { sshKeys: ['b', 'a'] })).toEqual([]);
  expect(differences({ sshKeys: ['a'] }, { sshKeys: ['a', 'b'] })).toHaveLength(1);
});

test('user data is compared by its digest', () => {
  const there = { spec: { ...size, userDataDigest: userDataDigest('#cloud-config\n') }, labels: {} } as never;
  expect(
    compareInstance({ spec: { ...size, userData: '#cloud-config\n' }, labels: undefined }, there).differences,
  ).toEqual([]);
  expect(
    compareInstance({ spec: { ...size, userData: 'other' }, labels: undefined }, there).fixed.map(
      ({ field }) => field,
    ),
  ).toEqual(['spec.userDataDigest']);
  expect(userDataDigest('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('a ttl that the manifest no longer has is removed', () => {
  const there = { spec: { ...size, ttl: '72h' }, labels: {} } as never;
  expect(compareInstance({ spec: size, labels: undefined }, there).patch).toEqual({ spec: { ttl: null } });
});

test('a change inside placement is named by its leaf, and cannot be made in place', () => {
  const there = { spec: { ...size, placement: { providers: ['onprem'] } }, labels: {} } as never;
  const change = compareInstance(
    { spec: { ...size, vcpus: 2, placement: { providers: ['aws'] } }, labels: undefined },
    there,
  );
  expect(change.fixed.map(({ field }) => field)).toEqual(['spec.placement.providers']);
  expect(change.patch).toEqual({ spec: { vcpus: 2 } });
});

test('labels are compared as a whole where the manifest has any', () => {
  expect(labelDifferences(undefined, { a: '1' })).toEqual([]);
  expect(labelDifferences({ b: '2' }, { a: '1' }).map(({ field, to }) => [field, to])).toEqual([
    ['labels.a', undefined],
    ['labels.b', '2'],
  ]);
});

test("a site's defaults are no differences", () => {
  const wanted = { provider: 'onprem', pricing: { vcpuHour: 0.01, gibHour: 0.002 } };
  const there = {
    ...wanted,
    pricing: { ...wanted.pricing, currency: 'USD' },
    overcommit: { vcpu: 4 },
    credentials: { source: 'default' },
  };
  expect(differences(siteWithDefaults(there), siteWithDefaults(wanted))).toEqual([]);
});

test('differences show what goes and what comes', () => {
  expect(
    renderDifferences([
      { field: 'spec.vcpus', from: 1, to: 2 },
      { field: 'spec.ttl', from: '1h', to: null },
      { field: 'labels.a', from: undefined, to: 'x' },
    ]),
  ).toBe('  ~ spec.vcpus: 1 → 2\n  - spec.ttl: 1h\n  + labels.a: x\n');
});
