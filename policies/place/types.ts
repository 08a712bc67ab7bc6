/**
 * The shapes on both sides of {@link place}: what is asked for, what may be chosen from, and the decision
 * record. `model/openapi.yaml` carries the same shapes; sizes are in vCPUs and GiB, money in USD per hour.
 */
import type { Explanation } from '../explain/types.ts';
import type { Effect } from '../file/policy.ts';

export type { EstateMachine } from '@landfall/model';

/** The kinds of resources that policies speak of. */
export const RESOURCE_KINDS = [
  'Instance',
  'Volume',
  'Snapshot',
  'Network',
  'Firewall',
  'Address',
  'CustomImage',
] as const;
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

/** What one machine must be. Every attribute is present; the neutral value is what "not asked for" means. */
export interface PlacementRequest {
  /** What it is for: placement is asked about instances; of the other kinds policies judge the place (policies/kinds). */
  kind: ResourceKind;
  /** The resource's name. */
  name: string;
  /** Name of the project; a policy of scope `projects/<project>` applies. */
  project: string;
  /** Name of the organization; a policy of scope `organizations/<organization>` applies. */
  organization: string;
  labels: Record<string, string>;
  /** The owner's classification of the data, such as `restricted`; `''` = none. */
  dataClass: string;
  image: string;
  /** At least this many; a whole number ≥ 1. */
  vcpus: number;
  /** At least this much memory, GiB, > 0. */
  memoryGiB: number;
  /** Disk, GiB, ≥ 0; counts against an on-prem host's free disk. */
  diskGiB: number;
  architecture: 'x86_64' | 'arm64' | 'any';
  /** `''` = any or none; compared without regard to case. */
  gpuName: string;
  /** At least this many; a `gpuName` with a count of 0 asks for one. */
  gpuCount: number;
  market: 'onDemand' | 'spot' | 'any';
  /** `''` = any. */
  instanceType: string;
  publicAddress: boolean;
  /** How many machines the whole request is for. A decision places one of them; rules may read the count. */
  count: number;
  /** Empty lists mean "any". */
  providers: string[];
  sites: string[];
  regions: string[];
  /** Empty: any. `''` among them: what is offered in the whole region will do, too. */
  zones: string[];
  hosts: string[];
  /** A hard cap in USD per hour; 0 = none. */
  maxPricePerHour: number;
  /** How long it is to live, hours; 0 = until it is deleted. */
  ttlHours: number;
}

/** The neutral request: one vCPU and one GiB of anything anywhere. Callers spread their wishes over it. */
export const NEUTRAL_REQUEST: Readonly<PlacementRequest> = Object.freeze({
  kind: 'Instance',
  name: '',
  project: 'default',
  organization: 'default',
  labels: {},
  dataClass: '',
  image: '',
  vcpus: 1,
  memoryGiB: 1,
  diskGiB: 0,
  architecture: 'any',
  gpuName: '',
  gpuCount: 0,
  market: 'onDemand',
  instanceType: '',
  publicAddress: false,
  count: 1,
  providers: [],
  sites: [],
  regions: [],
  zones: [],
  hosts: [],
  maxPricePerHour: 0,
  ttlHours: 0,
} satisfies PlacementRequest);

/** An offer as a decision names it. */
export interface PlacedOffer {
  /** Null: no site is configured for this provider, so it is good for a plan only. */
  site: string | null;
  provider: string;
  region: string;
  /** Null: the price holds for the whole region and the provider (or the adapter) picks the zone. */
  zone: string | null;
  /** The on-prem host; null for a cloud. */
  host: string | null;
  instanceType: string;
  market: string;
  vcpus: number;
  memoryGiB: number;
  architecture: string;
  gpuName: string | null;
  gpuCount: number;
  burstable: boolean;
  pricePerHour: number;
  /** `pricePerHour` × 730, the hours of an average month. */
  pricePerMonth: number;
  currency: 'USD';
  /** Null: not known. */
  jurisdiction: string | null;
  /** Grid carbon intensity of the region, g CO2e per kWh; absent: not known. */
  carbon?: number;
  /** What it is chosen by: the price, preferences and egress priced in, USD per hour. Absent where no rule prices anything: the price. */
  scorePerHour?: number;
}

/** A size of an on-prem host. */
export interface HostSize {
  vcpus: number;
  memoryGiB: number;
  diskGiB: number;
  /** Whole GPUs, for a machine each; absent: none. */
  gpus?: number;
}

/** An on-prem host as the broker knows it now. */
export interface HostView {
  name: string;
  zone: string;
  region: string;
  architecture: string;
  /** `kvm` runs on hardware virtualization, `tcg` is emulation. */
  accel: 'kvm' | 'tcg';
  /** What its GPUs are; a host has one kind. Absent: it has none. */
  gpuName?: string;
  free: HostSize;
  capacity: HostSize;
  ready: boolean;
}

/** A configured site. */
export interface SiteView {
  name: string;
  provider: string;
  /** Empty = all regions of the provider. */
  regions: string[];
  jurisdiction?: string;
  certifications: string[];
  labels: Record<string, string>;
  /** On-prem only. */
  hosts: HostView[];
  /** On-prem only: what the owner says an hour of one vCPU, one GiB and one GPU (absent: nothing) costs. */
  pricing?: { vcpuHour: number; gibHour: number; gpuHour?: number; currency: string };
}

/** Offers not to be tried for now, such as after a refusal for capacity. Null matches anything. */
export interface SetAside {
  site: string;
  region: string;
  zone: string | null;
  host: string | null;
  instanceType: string | null;
  market: string | null;
  reason: string;
}

/** What one rule did in one decision. */
export interface RuleRecord {
  policy: string;
  policyVersion: string;
  rule: string;
  mode: 'enforce' | 'audit' | 'dryRun';
  effect: Effect;
  /** Name of the policy's file, as it was given to the parser. */
  file?: string;
  /** Line of the rule in its policy file, from 1. */
  line: number;
  /** False: `match` or `when` is false for this request, so the rule had no say. */
  applies: boolean;
  /** Of the offers that fit the request at usable sites, how many it rejects (or would, if not enforced). */
  rejected: number;
  /** Of those, how many no other enforced rule rejects. */
  rejectedAlone: number;
  /** Of the rejected, how many because the expression had no value there (an attribute was missing, …). */
  errors: number;
  /** When it rejects something: the rule's message; without one, what it asks for or what stands against the cheapest it rejects. */
  message: string | null;
}

/** The decision record: what was chosen, among what, under which versions, and why nothing cheaper. */
export interface Decision {
  /** What was asked for, as the rules saw it; what-if replays it. */
  request?: PlacementRequest;
  /** ISO time the decision is for: windows and exceptions depend on it. */
  now?: string;
  outcome: 'placed' | 'unplaceable';
  winner: PlacedOffer | null;
  /** Where to go next if the winner is refused, in order. */
  fallbacks: PlacedOffer[];
  /** The cheapest available offer of each provider that has one, cheapest first: what the others would cost. */
  cheapestByProvider: PlacedOffer[];
  /** Approvals the winner needs before it is made. Absent or empty: none. */
  approvals?: { policy: string; rule: string; by: string[]; expiresHours: number; message: string | null }[];
  /** The life a `ttl` rule gives a request that names none, hours. */
  ttlHours?: number;
  /** Each preference and egress price, and what it adds to the winner's score. */
  preferences?: { policy: string; rule: string; effect: Effect; met: boolean; addsPerHour: number }[];
  /** Each budget and quota that has a say over the winner: used before it, and what it takes of it. `key` names the group. */
  limits?: {
    policy: string;
    rule: string;
    effect: 'budget' | 'quota';
    key: string;
    unit: string;
    limit: number;
    used: number;
    takes: number;
  }[];
  /** Exceptions that set a rule aside for this request. */
  exceptions?: { policy: string; rule: string; owner: string; reason: string; expires: string }[];
  /** All offers looked at (the funnel's first number). */
  considered: number;
  /** Offers that fit and that every enforced rule lets through, before capacity and set-asides. */
  compliant: number;
  funnel: { stage: string; remaining: number }[];
  rules: RuleRecord[];
  /** For a person: why unplaceable, what would change it; and notices about the prices used. */
  reasons: string[];
  catalogue: {
    version: string;
    date: string;
    sources: { name: string; date: string; offers: number; notice?: string }[];
  };
  policies: { name: string; version: string }[];
  /** The search is exhaustive, so the bound is the winner's own score (or price) and the gap 0. */
  certificate: { method: 'exact'; bound: number | null; gap: 0 };
  /** What else was near and what would change the answer. Absent for a request that cannot be read. */
  explanation?: Explanation;
}
