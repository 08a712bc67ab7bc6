import type { Role, Schemas } from '@landfall/model';
import type { ColumnType, Generated } from 'kysely';

/** Row types of every table, for Kysely. Times are Dates; bigints are numbers (they stay far below 2^53). */

type Json<T> = ColumnType<T, string, string>;
type JsonDefault<T> = ColumnType<T, string | undefined, string>;
type Time = ColumnType<Date, Date | string, Date | string>;
type TimeNow = ColumnType<Date, Date | string | undefined, Date | string>;
type NullableTime = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
type Labels = Record<string, string>;

interface Named {
  id: string;
  name: string;
  revision: Generated<number>;
  created_at: TimeNow;
}

export interface Organizations extends Named {
  labels: Json<Labels>;
  updated_at: TimeNow;
}

export interface Projects extends Named {
  organization: string;
  labels: Json<Labels>;
  limits: Json<Schemas['ProjectLimits']>;
  updated_at: TimeNow;
}

export interface Tokens extends Named {
  organization: string;
  project: string | null;
  site: string | null;
  role: Role;
  hash: Buffer;
  expires_at: NullableTime;
  last_used_at: NullableTime;
}

export interface Sites extends Named {
  organization: string;
  provider: Schemas['Provider'];
  labels: Json<Labels>;
  spec: Json<Schemas['SiteSpec']>;
  state: Generated<string>;
  message: Generated<string>;
  last_inventory_at: NullableTime;
  offers_run: string | null;
  capabilities: JsonDefault<Schemas['Capability'][]>;
  facts: JsonDefault<Record<string, string>>;
  generation: Generated<number>;
  updated_at: TimeNow;
}

export interface Hosts extends Named {
  site: string;
  zone: string;
  vcpus: number;
  memory_gib: number;
  disk_gib: number;
  /** Whole GPUs that it can hand over to guests. */
  gpus: Generated<number>;
  /** Their one model; null where it has none. */
  gpu_name: string | null;
  accel: 'kvm' | 'tcg';
  architecture: Schemas['Architecture'];
  agent_version: Generated<string>;
  facts: Json<Record<string, string>>;
  images: Json<string[]>;
  capabilities: JsonDefault<Schemas['Capability'][]>;
  last_seen_at: TimeNow;
  /** As the last event told it; whether it lives is said by `last_seen_at`. */
  state: Generated<'Ready' | 'Unreachable'>;
  ledger_generation: Generated<number>;
  updated_at: TimeNow;
}

/** What an image's input says beyond its name. */
export type ImageSpec = Omit<Schemas['ImageInput'], 'name' | 'organization' | 'labels'>;

export interface Images extends Named {
  organization: string | null;
  labels: Json<Labels>;
  spec: Json<ImageSpec>;
}

export interface SshKeys extends Named {
  project: string;
  labels: Json<Labels>;
  public_key: string;
  fingerprint: string;
}

export interface Instances extends Named {
  project: string;
  labels: Json<Labels>;
  spec: Json<Schemas['InstanceSpec']>;
  user_data: string | null;
  status: Json<Schemas['InstanceStatus']>;
  state: Generated<string>;
  site: string | null;
  generation: Generated<number>;
  observed_generation: Generated<number>;
  attempt: Generated<number>;
  expires_at: NullableTime;
  changed: Generated<string>;
  absent_since: NullableTime;
  network: string | null;
  /** The provider's reference of a machine that existed before it was ours. */
  adopted: ColumnType<string | null, string | null | undefined, string | null>;
  /** It goes (`deleted_at`) by being let go of: its machine stays. */
  releasing: Generated<boolean>;
  deleted_at: NullableTime;
  gone_at: NullableTime;
  updated_at: TimeNow;
}

export type ResourceKind = 'Volume' | 'Snapshot' | 'Network' | 'Firewall' | 'Address' | 'CustomImage';

/** Every field that the spec of some kind has; which a kind has is the API document's to say. */
export type ResourceSpec = Partial<
  Schemas['VolumeSpec'] &
    Schemas['SnapshotSpec'] &
    Schemas['NetworkSpec'] &
    Schemas['FirewallSpec'] &
    Schemas['AddressSpec'] &
    Schemas['CustomImageSpec']
>;

/** What every kind's status has, and what some kind's has. */
export type ResourceStatus = Schemas['ResourceStatus'] &
  Partial<
    Schemas['Volume']['status'] &
      Schemas['Network']['status'] &
      Schemas['Firewall']['status'] &
      Schemas['Address']['status']
  >;

export interface Resources extends Named {
  kind: ResourceKind;
  project: string;
  labels: Json<Labels>;
  spec: Json<ResourceSpec>;
  status: Json<ResourceStatus>;
  state: Generated<string>;
  refers_to: ColumnType<string[], string[] | undefined, string[]>;
  /** By what its provider knew it before it was ours. */
  adopted: ColumnType<string | null, string | null | undefined, string | null>;
  releasing: Generated<boolean>;
  site: string | null;
  generation: Generated<number>;
  observed_generation: Generated<number>;
  attempt: Generated<number>;
  absent_since: NullableTime;
  deleted_at: NullableTime;
  gone_at: NullableTime;
  updated_at: TimeNow;
}

export interface ResourceIntents {
  resource: string;
  attempt: number;
  kind: string;
  site: string;
  region: string;
  zone: string | null;
  host: string | null;
  state: Generated<'open' | 'adopted' | 'removing' | 'removed'>;
  released: Generated<boolean>;
  ref: string | null;
  created_at: TimeNow;
  settled_at: NullableTime;
  removing_at: NullableTime;
}

export interface Operations {
  id: string;
  organization: string;
  project: string | null;
  verb: Schemas['Operation']['verb'];
  resource_kind: string | null;
  resource_id: string | null;
  resource_name: string | null;
  generation: Generated<number>;
  state: Generated<Schemas['Operation']['state']>;
  message: Generated<string>;
  error: Json<Schemas['Problem']> | null;
  result: Json<Schemas['AuditReport']> | null;
  requested_by: string;
  request_id: string | null;
  cancel_requested_at: NullableTime;
  replacement: Json<Schemas['InstanceReplacement']> | null;
  created_at: TimeNow;
  started_at: NullableTime;
  finished_at: NullableTime;
}

/** What an instance asks for: vCPUs, GiB of memory, GiB of root disk, whole GPUs. */
export interface Size {
  vcpus: number;
  memoryGiB: number;
  diskGiB: number;
  gpus: number;
}

export interface Intents {
  resource: string;
  attempt: number;
  operation: string | null;
  site: string;
  region: string;
  zone: string | null;
  host: string | null;
  offer: Json<Schemas['Offer']>;
  sized_for: Json<Size>;
  state: Generated<'open' | 'adopted' | 'removing' | 'removed'>;
  ref: string | null;
  created_at: TimeNow;
  settled_at: NullableTime;
  /** Since when it is to be removed: nothing more is made under it. */
  removing_at: NullableTime;
  /** It is closed since its machine was let go of. */
  released: Generated<boolean>;
  changed: Generated<string>;
}

export interface Claims {
  resource: string;
  attempt: number;
  site: string;
  host: string;
  vcpus: number;
  memory_gib: number;
  disk_gib: number;
  gpus: number;
  created_at: TimeNow;
}

export interface SetAsides {
  id: Generated<number>;
  site: string;
  region: string;
  zone: string | null;
  host: string | null;
  instance_type: string | null;
  market: string | null;
  reason: string;
  until: Time;
}

export interface Decisions {
  id: string;
  project: string;
  resource: string | null;
  resource_name: string | null;
  attempt: number | null;
  record: Json<Schemas['Decision']>;
  created_at: TimeNow;
}

export interface Policies extends Named {
  organization: string;
  scope: string;
  mode: 'enforce' | 'audit' | 'dryRun';
  version: string;
  source: string;
  rules: Json<string[]>;
  updated_at: TimeNow;
  deleted_at: NullableTime;
}

export interface PolicyVersions {
  organization: string;
  name: string;
  version: string;
  source: string;
  created_at: TimeNow;
}

export interface Events {
  xid: Generated<string>;
  id: Generated<number>;
  time: TimeNow;
  type: string;
  organization: string;
  project: string | null;
  resource_kind: string | null;
  resource_id: string | null;
  resource_name: string | null;
  operation: string | null;
  actor: string;
  message: string;
  data: Json<Record<string, unknown>>;
}

export interface Outbox {
  id: Generated<number>;
  workflow: 'instance' | 'resource' | 'audit' | 'compliance' | 'priceRefresh';
  resource: string;
  /** '' for what is of no project. */
  project: Generated<string>;
  leased_until: NullableTime;
  created_at: TimeNow;
}

/** When an account may be asked next (site-calls.ts). */
export interface AccountCalls {
  account: string;
  next_at: Time;
}

export interface Inventory {
  site: string;
  host: Generated<string>;
  ref: string;
  run: string;
  item: Json<InventoryItem>;
  resource: string | null;
  attempt: number | null;
  first_seen_at: TimeNow;
  seen_at: TimeNow;
}

/** An adapter's `Listed`, as kept: the store knows its shape, not the adapters. */
export interface InventoryItem {
  ref: string;
  kind: string;
  stamp: { broker: string; project: string; resource: string; attempt: number };
  location: { region: string; zone?: string; host?: string };
  state: string;
  providerKind: string;
  child: boolean;
  createdAt?: string;
  power?: string;
  details?: { power?: string; interrupted?: { reason: string }; metrics?: Record<string, number> };
}

export interface InventoryRuns {
  run: string;
  site: string;
  host: Generated<string>;
  items: Generated<number>;
  complete: Generated<boolean>;
  finished: Generated<boolean>;
  started_at: TimeNow;
  finished_at: NullableTime;
}

export interface SiteOffers {
  site: string;
  run: string;
  offer: Json<Record<string, unknown>>;
}

export interface IdempotencyKeys {
  principal: string;
  key: string;
  digest: string;
  status: number | null;
  headers: Json<Record<string, string>> | null;
  body: Json<unknown> | null;
  created_at: TimeNow;
}

export interface Installation {
  id: string;
  created_at: TimeNow;
}

export interface UsageIntervals {
  id: Generated<number>;
  instance: string;
  project: string;
  site: string;
  provider: Schemas['Provider'];
  region: string;
  instance_type: string;
  /** A decimal number, exactly. */
  price_per_hour: string;
  currency: string;
  started_at: Time;
  ended_at: NullableTime;
}

export interface Violations {
  id: string;
  organization: string;
  project: string;
  resource: string;
  resource_kind: Generated<ResourceKind | 'Instance'>;
  resource_name: string;
  policy: string;
  rule: string;
  policy_version: string;
  line: number;
  mode: Schemas['Violation']['mode'];
  effect: string;
  message: string;
  owner: string;
  state: Schemas['Violation']['state'];
  exception: Json<NonNullable<Schemas['Violation']['exception']>> | null;
  acknowledged: Json<NonNullable<Schemas['Violation']['acknowledged']>> | null;
  action: Schemas['Violation']['action'];
  action_state: Generated<Schemas['Violation']['actionState']>;
  action_message: Generated<string>;
  operation: string | null;
  first_seen_at: TimeNow;
  last_seen_at: TimeNow;
  resolved_at: NullableTime;
}

export interface Approvals {
  id: string;
  organization: string;
  project: string;
  resource: string;
  resource_name: string;
  generation: number;
  operation: string | null;
  requested_by: Json<string[]>;
  policy: string;
  rule: string;
  /** Set: it is asked to re-place the machine, and not for a request. */
  violation: Generated<string | null>;
  approvers: Json<string[]>;
  message: string | null;
  offer: Json<Schemas['Offer']>;
  decision: string | null;
  state: Generated<Schemas['Approval']['state']>;
  reason: string | null;
  decided_by: string | null;
  requested_at: TimeNow;
  expires_at: Time;
  decided_at: NullableTime;
}

export interface LedgerGroups {
  organization: string;
  key: string;
  xid: string;
}

export interface PriceLists extends Named {
  organization: string;
  provider: 'aws' | 'azure' | 'gcp';
  origin: 'import' | 'live';
  date: Generated<string>;
  offers: Generated<number>;
  left_out: Json<{ reason: string; count: number }[]>;
  run: string | null;
  content: Buffer | null;
  failure: string | null;
  failed_at: NullableTime;
  updated_at: TimeNow;
}

export interface PriceRefreshes {
  operation: string;
  organization: string;
  providers: Json<('aws' | 'azure' | 'gcp')[]>;
  regions: Json<string[]>;
}

export interface PricePages {
  operation: string;
  provider: string;
  number: number;
  content: Buffer;
  resume: string | null;
}

export interface Catalogues {
  id: string;
  organization: string;
  version: string;
  date: string;
  offers: number;
  sources: Json<{ name: string; date: string; offers: number; notice?: string }[]>;
  content: Buffer;
  created_at: TimeNow;
  in_force_at: TimeNow;
}

export interface Database {
  installation: Installation;
  organizations: Organizations;
  projects: Projects;
  tokens: Tokens;
  sites: Sites;
  hosts: Hosts;
  images: Images;
  ssh_keys: SshKeys;
  instances: Instances;
  resources: Resources;
  resource_intents: ResourceIntents;
  operations: Operations;
  intents: Intents;
  claims: Claims;
  set_asides: SetAsides;
  decisions: Decisions;
  policies: Policies;
  policy_versions: PolicyVersions;
  events: Events;
  outbox: Outbox;
  account_calls: AccountCalls;
  inventory: Inventory;
  inventory_runs: InventoryRuns;
  site_offers: SiteOffers;
  idempotency_keys: IdempotencyKeys;
  usage_intervals: UsageIntervals;
  violations: Violations;
  approvals: Approvals;
  ledger_groups: LedgerGroups;
  price_lists: PriceLists;
  price_refreshes: PriceRefreshes;
  price_pages: PricePages;
  catalogues: Catalogues;
}
