import { Catalogue } from '../catalogue/catalogue.ts';
import type { CatalogueRow } from '../catalogue/rows.ts';
import type { Clause, ParsedPolicy, ParsedRule } from '../file/policy.ts';
import { compilePolicies } from '../place/compiled.ts';
import { type PlacementInput, place } from '../place/place.ts';
import {
  type Decision,
  type EstateMachine,
  NEUTRAL_REQUEST,
  type PlacementRequest,
  type SiteView,
} from '../place/types.ts';
import { policy } from './policies.ts';

/** A site with all regions of a cloud. */
export function cloud(name: string, provider: string): SiteView {
  return { name, provider, regions: [], certifications: [], labels: {}, hosts: [] };
}

/** An on-prem site with roomy hosts, one to a rack. */
export function cellar(...hosts: string[]): SiteView {
  const size = { vcpus: 64, memoryGiB: 256, diskGiB: 1000 };
  return {
    ...cloud('cellar', 'onprem'),
    hosts: hosts.map((name) => ({
      name,
      zone: `rack-${name}`,
      region: 'cellar',
      architecture: 'x86_64',
      accel: 'kvm',
      free: size,
      capacity: size,
      ready: true,
    })),
    pricing: { vcpuHour: 0.01, gibHour: 0, currency: 'USD' },
  };
}

/** Offers of one machine at AWS, a1.large in zone eu-central-1a at 0.10 USD, but for what is given. */
export function market(...rows: Partial<CatalogueRow>[]): Catalogue {
  const row: CatalogueRow = {
    provider: 'aws',
    region: 'eu-central-1',
    zone: 'eu-central-1a',
    instanceType: 'a1.large',
    market: 'onDemand',
    vcpus: 2,
    memoryGiB: 4,
    architecture: 'x86_64',
    gpuName: null,
    gpuCount: 0,
    burstable: false,
    pricePerHour: 0.1,
  };
  return Catalogue.fromRows(
    rows.map((r) => ({ ...row, ...r })),
    { name: 'test', date: '2025-01-01' },
  );
}

/** A running machine of the offers of {@link market}. */
export function machine(name: string, more: Partial<EstateMachine> = {}): EstateMachine {
  return {
    id: name,
    name,
    project: 'default',
    organization: 'default',
    labels: {},
    state: 'Running',
    site: 'aws-1',
    provider: 'aws',
    region: 'eu-central-1',
    zone: 'eu-central-1a',
    host: null,
    instanceType: 'a1.large',
    market: 'onDemand',
    architecture: 'x86_64',
    gpuName: null,
    gpuCount: 0,
    vcpus: 2,
    memoryGiB: 4,
    diskGiB: 10,
    pricePerHour: 0.1,
    publicAddress: false,
    createdAt: '2026-01-01T00:00:00Z',
    ...more,
  };
}

/** A rule of one clause. */
export function rule(name: string, clause: Clause, more: Partial<ParsedRule> = {}): Partial<ParsedRule> {
  return { name, clauses: [clause], ...more };
}

/** Places a request named `new` under one policy, over sites `aws-1` and `gcp-1`. */
export function placeUnder(
  rules: Partial<ParsedRule>[],
  {
    request = {},
    more = {},
    ...input
  }: { request?: Partial<PlacementRequest>; more?: Partial<ParsedPolicy> } & Partial<
    Omit<PlacementInput, 'request'>
  >,
): Decision {
  return place({
    request: { ...NEUTRAL_REQUEST, name: 'new', ...request },
    catalogue: market({}),
    sites: [cloud('aws-1', 'aws'), cloud('gcp-1', 'gcp')],
    policies: compilePolicies([policy('p', rules, more)]),
    setAside: [],
    includeUnconfigured: false,
    ...input,
  });
}
