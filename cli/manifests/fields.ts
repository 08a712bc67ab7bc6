/** The fields that each kind of manifest has. The types check these tables against the API document. */
import type { Schemas } from '@landfall/model';

type Keys<T> = Record<keyof T, Shape>;
/** `value`: a scalar, a list or free-form map; else the fields of the map. */
export type Shape = 'value' | { [field: string]: Shape };

type SpecOf<T> = Omit<T, 'name' | 'labels' | 'organization'>;

const placement = {
  providers: 'value',
  sites: 'value',
  regions: 'value',
  zones: 'value',
  hosts: 'value',
  maxPricePerHour: 'value',
  rules: 'value',
} satisfies Keys<Required<Schemas['PlacementConstraints']>>;

const instance = {
  image: 'value',
  vcpus: 'value',
  memoryGiB: 'value',
  diskGiB: 'value',
  architecture: 'value',
  instanceType: 'value',
  gpu: { name: 'value', count: 'value' },
  market: 'value',
  dataClass: 'value',
  sshKeys: 'value',
  publicAddress: 'value',
  ttl: 'value',
  power: 'value',
  network: 'value',
  subnet: 'value',
  placement,
  userData: 'value',
} satisfies Keys<Omit<Required<Schemas['InstanceSpec']>, 'userDataDigest' | 'reboots'>>;

const site = {
  provider: 'value',
  regions: 'value',
  endpoint: 'value',
  subscription: 'value',
  project: 'value',
  credentials: { source: 'value', prefix: 'value', path: 'value', command: 'value', profile: 'value' },
  callsPerSecond: 'value',
  jurisdiction: 'value',
  certifications: 'value',
  pricing: { vcpuHour: 'value', gibHour: 'value', gpuHour: 'value', currency: 'value' },
  overcommit: { vcpu: 'value' },
  hosts: 'value',
} satisfies Keys<Required<Schemas['SiteSpec']>>;

const image = {
  user: 'value',
  minDiskGiB: 'value',
  architectures: 'value',
  aws: { owner: 'value', nameFilter: 'value' },
  azure: { publisher: 'value', offer: 'value', sku: 'value', skuArm64: 'value' },
  gcp: { project: 'value', family: 'value', familyArm64: 'value' },
  onprem: { builtin: 'value', url: 'value', sha256: 'value' },
} satisfies Keys<Required<SpecOf<Schemas['ImageInput']>>>;

const project = {
  limits: { instances: 'value', vcpus: 'value', memoryGiB: 'value' },
} satisfies Keys<Required<SpecOf<Schemas['ProjectInput']>>>;

const place = { site: 'value', region: 'value', zone: 'value', host: 'value' } as const;
const volume = {
  ...place,
  sizeGiB: 'value',
  type: 'value',
  snapshot: 'value',
  attachedTo: 'value',
  dataClass: 'value',
} satisfies Keys<Required<Schemas['VolumeSpec']>>;
const snapshot = { ...place, volume: 'value', dataClass: 'value' } satisfies Keys<
  Required<Schemas['SnapshotSpec']>
>;
const network = { ...place, cidr: 'value', subnets: 'value' } satisfies Keys<
  Required<Schemas['NetworkSpec']>
>;
const firewall = {
  ...place,
  network: 'value',
  appliesTo: { labels: 'value' },
  rules: 'value',
} satisfies Keys<Required<Schemas['FirewallSpec']>>;
const address = { ...place, attachedTo: 'value' } satisfies Keys<Required<Schemas['AddressSpec']>>;
const customImage = {
  ...place,
  from: { instance: 'value', snapshot: 'value', url: { url: 'value', sha256: 'value', format: 'value' } },
  architecture: 'value',
  user: 'value',
  minDiskGiB: 'value',
  dataClass: 'value',
} satisfies Keys<Required<Schemas['CustomImageSpec']>>;

/** The kinds in the order they are applied: what others refer to comes first. */
export const manifestKinds = [
  'Organization',
  'Project',
  'Site',
  'Image',
  'SshKey',
  'PlacementPolicy',
  'Network',
  'Firewall',
  'Instance',
  'Volume',
  'Snapshot',
  'Address',
  'CustomImage',
] as const;
export type ManifestKind = (typeof manifestKinds)[number];

/** The fields of `spec`; a policy's are the policy language's own affair. */
export const specFields: Record<Exclude<ManifestKind, 'PlacementPolicy'>, { [field: string]: Shape }> = {
  Organization: {},
  Project: project,
  Site: site,
  Image: image,
  SshKey: { publicKey: 'value', publicKeyFile: 'value' },
  Network: network,
  Firewall: firewall,
  Instance: instance,
  Volume: volume,
  Snapshot: snapshot,
  Address: address,
  CustomImage: customImage,
};

/** The fields of `metadata`. */
export const metadataFields: Record<Exclude<ManifestKind, 'PlacementPolicy'>, string[]> = {
  Organization: ['name', 'labels'],
  Project: ['name', 'labels', 'organization'],
  Site: ['name', 'labels', 'organization'],
  Image: ['name', 'labels', 'organization'],
  SshKey: ['name', 'labels', 'project'],
  Network: ['name', 'labels', 'project'],
  Firewall: ['name', 'labels', 'project'],
  Instance: ['name', 'labels', 'project'],
  Volume: ['name', 'labels', 'project'],
  Snapshot: ['name', 'labels', 'project'],
  Address: ['name', 'labels', 'project'],
  CustomImage: ['name', 'labels', 'project'],
};
