/** What each attribute is, as editors and schemas show it; its type is in schema.ts. */
import type { OfferAttribute, REQUEST_ATTRIBUTES, ResourceAttribute } from './schema.ts';

/** One attribute: a sentence, and a value it may have as CEL writes it. */
export interface Description {
  about: string;
  example: string;
}

const of = (example: string, about: string): Description => ({ about, example });

const request: Record<keyof typeof REQUEST_ATTRIBUTES, Description> = {
  kind: of('"Volume"', 'Instance, Volume, Snapshot, Network, Firewall, Address or CustomImage.'),
  name: of('"web-1"', "The resource's name."),
  project: of('"shop"', 'The project it is for.'),
  organization: of('"default"', 'The organization of the project.'),
  labels: of('{"env": "prod"}', 'Its labels. Reading one that is not there is an error: ask has() first.'),
  dataClass: of('"restricted"', "The owner's classification of the data; empty: none."),
  image: of('"debian-12"', 'The image it is made from.'),
  vcpus: of('4', 'At least so many vCPUs.'),
  memoryGiB: of('16.0', 'At least so much memory, GiB.'),
  diskGiB: of('100.0', 'Root disk, GiB.'),
  architecture: of('"arm64"', 'x86_64, arm64 or any.'),
  gpuName: of('"A100"', 'The GPU asked for; empty: any or none.'),
  gpuCount: of('1', 'At least so many GPUs.'),
  market: of('"spot"', 'onDemand, spot or any.'),
  instanceType: of('"m7g.large"', 'This instance type and no other; empty: any.'),
  publicAddress: of('true', 'Whether a public address is asked for.'),
  count: of('3', 'How many machines the whole request is for.'),
  providers: of('["aws"]', 'Only these providers; empty: any.'),
  sites: of('["hall-1"]', 'Only these sites; empty: any.'),
  regions: of('["eu-central-1"]', 'Only these regions; empty: any.'),
  zones: of('["eu-central-1a"]', 'Only these zones; empty: any.'),
  hosts: of('["kvm1"]', 'Only these hosts; empty: any.'),
  maxPricePerHour: of('0.5', 'A hard cap on the price, USD an hour; 0: none.'),
  ttlHours: of('72.0', 'How long it is to live, hours; 0: until it is deleted.'),
};

const offer: Record<OfferAttribute, Description> = {
  provider: of('"aws"', 'aws, azure, gcp or onprem.'),
  site: of('"hall-1"', 'The configured site; empty for a provider without one.'),
  region: of('"eu-central-1"', 'The region, as the provider names it.'),
  zone: of('"eu-central-1a"', 'The zone. Missing where the price is for the whole region.'),
  host: of('"kvm1"', 'The on-prem host; empty for a cloud.'),
  instanceType: of('"m7g.large"', 'The instance type, as the provider names it.'),
  family: of('"m7g"', 'The family of the instance type.'),
  market: of('"onDemand"', 'onDemand or spot.'),
  vcpus: of('2', 'vCPUs.'),
  memoryGiB: of('8.0', 'Memory, GiB.'),
  architecture: of('"arm64"', 'x86_64 or arm64.'),
  gpuName: of('"A10G"', 'The GPU; empty: none.'),
  gpuCount: of('1', 'How many GPUs.'),
  burstable: of('false', 'Whether CPU time is a credit or a share.'),
  pricePerHour: of('0.0376', 'USD an hour. Times 730.0 it is the price of a month.'),
  price: of('0.0376', 'The same as pricePerHour.'),
  currency: of('"USD"', 'The currency of the price: USD.'),
  jurisdiction: of('"EU"', 'EU, US, UK, CH or a country code. Missing where the region is not listed.'),
  certifications: of('["iso27001"]', 'What the site is certified for. Missing without a site.'),
  accel: of('"kvm"', 'On-prem: kvm, or tcg (emulation); empty for a cloud.'),
  labels: of('{"tier": "gold"}', "The site's labels."),
  carbon: of('35.0', "Carbon intensity of the region's grid, g CO2e a kWh. Missing where not known."),
  networkGbps: of('12.5', 'Sustained network bandwidth, Gbit/s. Missing where not known.'),
  localDiskGiB: of('0.0', 'Disks that go with the machine, GiB; 0: none. Missing where not known.'),
  gpuMemoryGiB: of('24.0', 'Memory of one GPU, GiB; 0: no GPU. Missing where not known.'),
  cpuVendor: of('"Intel"', 'Who makes or designed the processor. Missing where not known.'),
  interruptionRate: of(
    '0.05',
    'Share of spot machines taken back in a month; 0 on demand. Missing where not known.',
  ),
};

const resource: Record<ResourceAttribute, Description> = {
  id: of('"019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f10"', "The machine's id."),
  name: of('"orders"', "The machine's name."),
  project: of('"shop"', 'The project it is of.'),
  organization: of('"default"', 'The organization of the project.'),
  labels: of('{"env": "prod"}', 'Its labels. Reading one that is not there is an error: ask has() first.'),
  state: of('"Running"', 'Running, Stopped, …'),
  site: of('"hall-1"', 'The site it stands at.'),
  provider: of('"aws"', 'aws, azure, gcp or onprem.'),
  region: of('"eu-central-1"', 'The region it stands in.'),
  zone: of('"eu-central-1a"', 'The zone. Missing where the provider chose it.'),
  host: of('"kvm1"', 'The on-prem host; empty for a cloud.'),
  instanceType: of('"m7g.large"', 'Its instance type.'),
  market: of('"onDemand"', 'onDemand or spot.'),
  architecture: of('"arm64"', 'x86_64 or arm64.'),
  gpuName: of('"A10G"', 'Its GPU; empty: none.'),
  gpuCount: of('0', 'How many GPUs.'),
  vcpus: of('2', 'vCPUs.'),
  memoryGiB: of('8.0', 'Memory, GiB.'),
  diskGiB: of('100.0', 'Root disk, GiB.'),
  pricePerHour: of('0.0376', 'What it costs, USD an hour.'),
  publicAddress: of('false', 'Whether it has a public address.'),
  ageHours: of('720.0', 'How long it has existed, hours.'),
};

/** By what an expression reads, then by attribute. */
export const DESCRIPTIONS: {
  request: Record<string, Description>;
  offer: Record<string, Description>;
  resource: Record<string, Description>;
} = { request, offer, resource };
