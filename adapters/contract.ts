/**
 * The adapter contract: eleven verbs (and one reader, `console`) over resource kinds. Time, retries, policy and
 * leaks belong to the workflows; an adapter observes, ensures, removes and lists, and keeps no state between
 * calls (A12). The rules A1–A13 in docs/architecture.md are the promises; `adapters/conformance` tests each.
 *
 * Everything here crosses process borders as JSON: no class instances, no Dates, no bigints.
 */

import type { Adopted, DiscoveryPage, DiscoveryQuery } from './discovery.ts';

/**
 * Kinds an adapter can be asked for. Widened by adding a kind to `Specs` and `Details`. Types with a kind parameter mean an
 * Instance where none is given; what serves every kind says `<Kind>`.
 */
export type Kind = keyof Specs;

/** Our stamp: on every resource we create and on every child of it (A3), and what `remove` checks (A5). */
export interface Stamp {
  /** Id of the broker's installation: two brokers on one account never touch each other's machines (R19). */
  broker: string;
  project: string;
  /** Resource id (UUID). */
  resource: string;
  /** 1, 2, …; one attempt = one (offer, token). A new attempt never reuses a token (A2). */
  attempt: number;
}

/** Where in a site. `host` only on-prem. */
export interface Location {
  region: string;
  zone?: string;
  host?: string;
}

export interface Specs {
  Instance: InstanceWant;
  Volume: VolumeWant;
  Snapshot: SnapshotWant;
  Image: CustomImageWant;
  Network: NetworkWant;
  Firewall: FirewallWant;
  Address: AddressWant;
}

export interface Details {
  Instance: InstanceDetails;
  Volume: VolumeDetails;
  Snapshot: SnapshotDetails;
  Image: CustomImageDetails;
  Network: NetworkDetails;
  Firewall: FirewallDetails;
  Address: AddressDetails;
}

/** What every kind is told: a name for people and labels, both of which may change later. */
interface Named {
  name: string;
  labels: Record<string, string>;
}

/** A block volume apart from any instance's root disk. It outlives the instances it is attached to. */
export interface VolumeWant extends Named {
  /** Only grows. */
  sizeGiB: number;
  type: 'standard' | 'ssd';
  /** External reference of the snapshot that it is made from; without one it is empty. Read only when it is created. */
  snapshot?: string;
  /** External reference of the instance that it is attached to, in the same zone (on-prem: on the same host); absent = of none. */
  attachedTo?: string;
}

export interface VolumeDetails {
  sizeGiB: number;
  type: string;
  /** External reference of the instance it is attached to now, ours or not. */
  attachedTo?: string;
  /** Where the guest finds it, e.g. `/dev/disk/by-id/…`, where the provider knows. */
  device?: string;
  children: string[];
}

/** The contents of a volume at one time. Independent of the volume afterwards: that may be deleted. */
export interface SnapshotWant extends Named {
  /** External reference of the volume. Read only when it is created: one that was adopted may be of a volume that is gone. */
  volume: string;
}

export interface SnapshotDetails {
  sizeGiB: number;
  children: string[];
}

/** A disk that is imported. What of it a provider takes: `@landfall/model/image-sources.ts`. */
export interface ImageUrl {
  url: string;
  /** On-prem only, and there always: hexadecimal. */
  sha256?: string;
  format: 'raw' | 'qcow2' | 'vhd' | 'vmdk';
}

/** An image of the user's own, in one region (on-prem: on one host). */
export interface CustomImageWant extends Named {
  /** Read only when it is created; absent of one that was adopted, which is never made. */
  source?: { instance: string } | { snapshot: string } | ImageUrl;
  architecture: 'x86_64' | 'arm64';
}

export interface CustomImageDetails {
  sizeGiB?: number;
  children: string[];
}

/** A private network. Machines in it reach each other only as its firewalls allow. */
export interface NetworkWant extends Named {
  /** IPv4, e.g. `10.20.0.0/16`. */
  cidr: string;
  /** At least one; each inside `cidr`, none overlapping. `zone` only where the provider's subnets have one (AWS). */
  subnets: { name: string; cidr: string; zone?: string }[];
}

export interface NetworkDetails {
  cidr: string;
  subnets: { name: string; cidr: string; zone?: string; ref: string }[];
  children: string[];
}

/** What may come in to the instances that it holds for. Outgoing traffic and its answers are allowed. */
export interface FirewallWant extends Named {
  /** External reference of its network. */
  network: string;
  rules: FirewallRule[];
}

export interface FirewallRule {
  protocol: 'tcp' | 'udp' | 'icmp' | 'all';
  /** Both ends included; absent = all ports; never with `icmp` or `all`. */
  ports?: { from: number; to: number };
  /** IPv4 CIDRs. */
  sources: string[];
}

export interface FirewallDetails {
  rules: FirewallRule[];
  children: string[];
}

/** A public IPv4 address that stays ours until it is deleted. */
export interface AddressWant extends Named {
  /** External reference of the instance that it leads to; absent = to none. */
  attachedTo?: string;
}

export interface AddressDetails {
  address: string;
  attachedTo?: string;
  children: string[];
}

/** What an instance must be. Sizes are exact: placement has chosen the instance type already. */
export interface InstanceWant {
  name: string;
  /** The provider's instance type; on-prem the word `custom` with vcpus and memoryGiB free. */
  instanceType: string;
  market: 'onDemand' | 'spot';
  vcpus: number;
  memoryGiB: number;
  /** Root disk in GiB. */
  diskGiB: number;
  /** On-prem: whole GPUs of its host, of one model, handed over to it. Of a cloud the instance type brings its own. */
  gpu?: { name: string; count: number };
  architecture: 'x86_64' | 'arm64';
  /** What it is made from; absent of a machine that was adopted, which is never made. See `imageOf`. */
  image?: ImageWant;
  /** Public keys in OpenSSH's one-line form. */
  sshKeys: string[];
  /** cloud-init user data as written by the user; no encoding. */
  userData?: string;
  labels: Record<string, string>;
  /** Should it have an address reachable from outside the site? */
  publicAddress: boolean;
  /** External references of the Network it is in and the subnet of it; absent = the site's default network. Read only when it is created. */
  network?: { ref: string; subnet: string };
  /**
   * External references of the Firewalls that hold for it. In a Network of ours only they let anything in; in the site's
   * default network SSH comes in as well where `publicAddress` is asked for.
   */
  firewalls?: string[];
  power: 'running' | 'stopped';
  /** How many reboots were asked for so far; one below → the adapter reboots once and records the number. */
  reboots: number;
}

/** One logical image, resolved by the adapter in its own region. */
export interface ImageWant {
  /** Logical name, e.g. `debian-12`. */
  name: string;
  architecture: 'x86_64' | 'arm64';
  /** aws: newest image of `owner` whose name matches `nameFilter` (EC2 wildcard syntax). */
  aws?: { owner: string; nameFilter: string };
  /** azure: newest version of a marketplace image that is offered in the region. */
  azure?: { publisher: string; offer: string; sku: string };
  /** gcp: newest image of a family of a project. */
  gcp?: { project: string; family: string };
  /** onprem: a built-in image of the agent, or a URL with its checksum. */
  onprem?: { builtin: string } | { url: string; sha256: string };
  /** External reference of an Image of ours in this region; then the fields above are absent. */
  custom?: string;
  /** User to log in as. */
  user: string;
}

export interface InstanceDetails {
  power: 'running' | 'stopped' | 'pending' | 'stopping';
  vcpus: number;
  memoryGiB: number;
  /** On-prem: GPUs of the host that are handed over to it; absent = none. */
  gpus?: number;
  instanceType: string;
  addresses: Address[];
  /** Where SSH answers once the guest is up. */
  ssh?: { host: string; port: number; user: string };
  reboots: number;
  /** External references of children (NIC, disk, security group, …). */
  children: string[];
  /** It is stopped, or going, because the provider took it away. Absent of one that somebody stopped. */
  interrupted?: Interruption;
  /** Guest counters at the time of observing, where the provider has them cheaply. */
  metrics?: {
    cpuSeconds?: number;
    memoryMiB?: number;
    diskReadBytes?: number;
    diskWriteBytes?: number;
    netRxBytes?: number;
    netTxBytes?: number;
  };
}

export interface Address {
  type: 'internal' | 'external';
  address: string;
}

/** A resource as wanted: kind, spec, stamp, place. */
export type Want<K extends Kind = 'Instance'> = {
  [P in K]: { kind: P; spec: Specs[P]; stamp: Stamp; location: Location; adopted?: Adopted };
}[K];

/** What to look at or remove: by our stamp (always enough), by the provider's reference where known. */
export interface Target<K extends Kind = Kind> {
  kind: K;
  /** `attempt` absent = every attempt of the resource. */
  stamp: Omit<Stamp, 'attempt'> & { attempt?: number };
  location: Location;
  ref?: string;
  /**
   * ISO time at which the reference or an intent for it came to be; of what is to be removed, after which nothing more was made of
   * it. Within the provider's grace period after it, a target that cannot be seen is `unsettled`, not `absent` (A6).
   */
  since?: string;
}

/** The provider took a spot machine away by itself. Nobody of the account asked for it. */
export interface Interruption {
  /** The provider's own word for it, e.g. `Server.SpotInstanceTermination`. */
  reason: string;
}

export type Observation<K extends Kind = 'Instance'> =
  /** `interrupted` where the provider still says so of a machine that is gone; without it nothing is known of why. */
  | { presence: 'absent'; interrupted?: Interruption }
  /** Cannot be told yet (A6): ask again after `retryAfterMs`. */
  | { presence: 'unsettled'; retryAfterMs: number }
  | {
      presence: 'present';
      /** External reference: EC2 instance id, libvirt domain UUID, … */
      ref: string;
      stamp: Stamp;
      location: Location;
      /** `creating` until it can be used; `failed` needs removing. */
      state: 'creating' | 'ready' | 'failed' | 'removing';
      details: Details[K];
      /** Fields that differ from the wanted spec, where one was given. Empty = up to date. */
      diff: string[];
    };

export type Present<K extends Kind = 'Instance'> = Extract<Observation<K>, { presence: 'present' }>;

export type Removal =
  /** Absence (of a release: of our stamp) was confirmed more than once (A4). */
  | { done: true }
  /** Deletion is under way, or absence seen only once: call again after `retryAfterMs`. */
  | { done: false; retryAfterMs: number };

/** Per call: cancellation (A10), and heartbeats whose details come back after a restart. */
export interface CallContext {
  signal: AbortSignal;
  heartbeat(details?: unknown): void;
  /** Details of the last heartbeat of an earlier try of this same call, if any. */
  resumed?: unknown;
}

export interface Listed {
  ref: string;
  kind: Kind;
  /** A child lists its parent's stamp. */
  stamp: Stamp;
  location: Location;
  state: 'creating' | 'ready' | 'failed' | 'removing';
  /** Kind of the provider's own object, e.g. `instance`, `volume`, `networkInterface`, `domain`. `kind` above is the resource's it is of. */
  providerKind: string;
  /** True for what was made for a parent (NIC, disk, key pair, …). */
  child: boolean;
  createdAt?: string;
  details?: InstanceDetails;
  /** Of a machine whose other details a list would have to ask for one by one. */
  power?: InstanceDetails['power'];
}

/** One page; `complete` is false when anything failed on the way: a reader then draws no conclusion from absence (A11). */
export interface ListPage {
  items: Listed[];
  nextPage?: string;
  complete: boolean;
}

/** One row of a site's live catalogue. Prices in `currency` per hour. */
export interface SiteOffer {
  region: string;
  zone?: string;
  host?: string;
  instanceType: string;
  market: 'onDemand' | 'spot';
  vcpus: number;
  memoryGiB: number;
  architecture: 'x86_64' | 'arm64';
  gpuName?: string;
  gpuCount: number;
  burstable: boolean;
  /** Absent = the catalogue's price for this instance type in this region is used. */
  pricePerHour?: number;
  currency: string;
}

export interface Quota {
  region: string;
  /** e.g. `onDemandStandardVcpus`. */
  resource: string;
  limit: number;
  used: number;
}

/**
 * What can be asked of each kind. `restore`: a volume from a snapshot. `publish`: an image from an instance. `adopt`: what exists
 * without us is found and made ours. `release`: what is ours goes on without us.
 */
export const verbsOfKinds = {
  Instance: ['create', 'start', 'stop', 'reboot', 'resize', 'delete', 'console', 'spot', 'adopt', 'release'],
  Volume: ['create', 'restore', 'attach', 'detach', 'grow', 'delete', 'adopt', 'release'],
  Snapshot: ['create', 'delete', 'adopt', 'release'],
  Image: ['publish', 'fromSnapshot', 'import', 'delete', 'adopt', 'release'],
  Network: ['create', 'delete', 'adopt', 'release'],
  Firewall: ['create', 'update', 'delete', 'adopt', 'release'],
  Address: ['create', 'attach', 'detach', 'delete', 'adopt', 'release'],
} as const satisfies Record<Kind, readonly string[]>;

export type Verb<K extends Kind = Kind> = (typeof verbsOfKinds)[K][number];

/** Every verb of the kind: true, or why not, for the person who asked. */
export interface Capability<K extends Kind = Kind> {
  kind: K;
  verbs: Record<Verb<K>, true | { reason: string }>;
}

export interface Description {
  provider: 'aws' | 'azure' | 'gcp' | 'onprem';
  /** How long after creation a resource may be invisible (A6). */
  visibilityGraceMs: number;
  /** Every kind once. */
  capabilities: { [K in Kind]: Capability<K> }[Kind][];
  /** Facts for people: accelerator in use, endpoint, account. No secrets. */
  facts: Record<string, string>;
}

/** What an adapter does with resources of one kind. */
export interface KindAdapter<K extends Kind> {
  /** The provider's own dry run where it has one. Resolves when it would be accepted, throws `Invalid`, `Denied`, … */
  validate(want: Want<K>): Promise<void>;
  observe(target: Target<K>, want?: Want<K>): Promise<Observation<K>>;
  /**
   * Creates or converges to `want` and waits until it is ready or `signal` fires. Same stamp, same attempt: same resource,
   * whatever happened to the first answer (A1). May return a `creating` observation: call again.
   */
  ensure(want: Want<K>, context: CallContext): Promise<Present<K>>;
  /** Removes the resource and its children; never what lacks this broker's stamp (A5). Absent is success (A4). `Conflict` while something else uses it. */
  remove(target: Target<K>, context: CallContext): Promise<Removal>;
}

/** How what exists without us becomes ours, and goes on without us: what `Adapter` says of these verbs, for one kind. */
export interface Adopting<K extends Kind> {
  discover(query: DiscoveryQuery, context: CallContext): Promise<DiscoveryPage>;
  adopt(want: Want<K>, context: CallContext): Promise<Present<K>>;
  release(target: Target<K>, context: CallContext): Promise<Removal>;
}

export interface Adapter {
  describe(): Promise<Description>;
  /** Instance types × regions × zones × markets, streamed. */
  offers(context: CallContext): AsyncIterable<SiteOffer>;
  quota(region: string): Promise<Quota[]>;
  validate<K extends Kind>(want: Want<K>): Promise<void>;
  observe<K extends Kind>(target: Target<K>, want?: Want<K>): Promise<Observation<K>>;
  ensure<K extends Kind>(want: Want<K>, context: CallContext): Promise<Present<K>>;
  remove<K extends Kind>(target: Target<K>, context: CallContext): Promise<Removal>;
  /** Everything in the site that carries the broker's stamp, children too. `page` from the previous answer. */
  list(broker: string, page?: string): Promise<ListPage>;
  /** What exists at the site without our stamp, a page at a time. Changes nothing. `Invalid` where the kind cannot be adopted. */
  discover(query: DiscoveryQuery, context: CallContext): Promise<DiscoveryPage>;
  /**
   * Puts our stamp on what `want.adopted` names, and changes nothing else of it. Repeated, it is one adoption. `Conflict` where it
   * carries another's stamp, is being adopted by another, or another tool manages it; `NotFound` where it is gone. Of two who
   * adopt at once, one gets it.
   */
  adopt<K extends Kind>(want: Want<K>, context: CallContext): Promise<Present<K>>;
  /**
   * Takes our stamp off the target and every child of it, the target itself last, and changes nothing else: they go on without us,
   * and can be adopted again. Done once two looks saw nothing with the stamp, whether or not anything ever had it. What does not
   * carry the stamp is never touched (A5). `Invalid` where the kind cannot be released.
   */
  release<K extends Kind>(target: Target<K>, context: CallContext): Promise<Removal>;
  /** The last `maxBytes` of the serial console. */
  console(target: Target<'Instance'>, maxBytes: number): Promise<string>;
}
