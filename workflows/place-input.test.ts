import { imageArchitectures, subnetZones } from '@landfall/store';
import { noProvider } from './place.ts';
import { narrowedTo, type PlacementSubject, placementRequest } from './place-input.ts';

const subject = (
  architecture?: 'x86_64' | 'arm64' | 'any',
  providers?: ('aws' | 'azure' | 'gcp' | 'onprem')[],
): PlacementSubject => ({
  organization: 'default',
  project: 'default',
  name: 'web',
  labels: {},
  spec: {
    image: 'some',
    vcpus: 1,
    memoryGiB: 1,
    architecture,
    placement: { providers },
  } as PlacementSubject['spec'],
});
const both = ['x86_64', 'arm64'];
const request = (...given: [PlacementSubject, Parameters<typeof placementRequest>[1]]) => {
  const { architecture, providers } = placementRequest(...given);
  return { architecture, providers };
};

const architecturesOf = (
  spec: Partial<Parameters<typeof imageArchitectures>[0]>,
  provider: Parameters<typeof imageArchitectures>[1],
) => imageArchitectures({ user: 'root', minDiskGiB: 1, ...spec }, provider);

test('an image is to be had where it has an entry, for arm64 where that names one', () => {
  const azure = { publisher: 'p', offer: 'o', sku: 's' };
  const gcp = { project: 'p', family: 'f' };
  expect(architecturesOf({ azure }, 'gcp')).toEqual([]);
  expect(architecturesOf({ azure }, 'azure')).toEqual(['x86_64']);
  expect(architecturesOf({ azure: { ...azure, skuArm64: 'a' } }, 'azure')).toEqual(both);
  expect(architecturesOf({ gcp }, 'gcp')).toEqual(['x86_64']);
  expect(architecturesOf({ gcp: { ...gcp, familyArm64: 'a' } }, 'gcp')).toEqual(both);
  expect(architecturesOf({ gcp, architectures: ['arm64'] }, 'gcp')).toEqual(['arm64']);
  const aws = { owner: 'o', nameFilter: 'n' };
  expect(architecturesOf({ aws, architectures: ['x86_64'] }, 'aws')).toEqual(['x86_64']);
});

test('a provider without the image, or without it for the architecture, comes into no question', () => {
  const image = [
    { provider: 'aws', architectures: both },
    { provider: 'azure', architectures: ['x86_64'] },
  ];
  expect(request(subject(), image)).toEqual({ architecture: 'x86_64', providers: ['aws', 'azure'] });
  expect(request(subject('arm64'), image)).toEqual({ architecture: 'arm64', providers: ['aws'] });
  expect(request(subject('arm64', ['azure', 'gcp']), image).providers).toEqual([]);
  expect(noProvider(subject('arm64', ['azure']), image)).toBe(
    'the image some for arm64 is to be had on aws; the request allows only azure',
  );
  expect(noProvider(subject('arm64'), [{ provider: 'gcp', architectures: ['x86_64'] }])).toBe(
    'no provider has the image some for arm64',
  );
});

test('any architecture is one of them where a provider in question has the image for one only', () => {
  const aws = { provider: 'aws', architectures: both };
  const azure = { provider: 'azure', architectures: ['x86_64'] };
  expect(request(subject('any'), [aws])).toEqual({ architecture: 'any', providers: ['aws'] });
  expect(request(subject('any'), [aws, azure])).toEqual({
    architecture: 'x86_64',
    providers: ['aws', 'azure'],
  });
  expect(request(subject('any', ['aws']), [aws, azure]).architecture).toBe('any');
  expect(request(subject('any'), [{ provider: 'gcp', architectures: ['arm64'] }])).toEqual({
    architecture: 'arm64',
    providers: ['gcp'],
  });
});

test('a machine goes into a zone that its network has a subnet in', () => {
  const subnets = [
    { name: 'a', ref: 's1', cidr: '10.0.0.0/25', zone: 'eu-1b' },
    { name: 'b', ref: 's2', cidr: '10.0.0.128/25', zone: 'eu-1c' },
  ];
  expect(subnetZones({ subnets }, undefined)).toEqual(['eu-1b', 'eu-1c']);
  expect(subnetZones({ subnets }, 'b')).toEqual(['eu-1c']);
  const regional = { name: 'c', ref: 's3', cidr: '10.0.1.0/25' };
  expect(subnetZones({ subnets: [...subnets, regional] }, undefined)).toBeUndefined();
  const zonesAsked = (zones?: string[]) =>
    narrowedTo(
      { ...subject().spec, placement: { zones } },
      { site: 'aws', region: 'eu-1', zones: ['eu-1b', 'eu-1c'] },
    ).placement?.zones;
  expect(zonesAsked()).toEqual(['eu-1b', 'eu-1c', '']);
  expect(zonesAsked(['eu-1a', 'eu-1c'])).toEqual(['eu-1c']);
  expect(zonesAsked(['eu-1a'])).toEqual(['eu-1a']);
});
