/** What the adapter contract says of what exists without us. */
import type { Address, InstanceDetails, Kind, Location } from './contract.ts';

/** Of a resource that existed before it was ours: it is never made, whatever became of it. */
export interface Adopted {
  /** External reference of what exists. */
  ref: string;
  /** False until it was seen with our stamp: until then it is only stamped (`adopt`), afterwards converged as any other. */
  settled: boolean;
}

/** What to look for among what exists at the site and is not ours. */
export interface DiscoveryQuery {
  kind: Kind;
  /** Whose stamp is ours: what carries it is left out. What carries another's is shown, and refused. */
  broker: string;
  /** Only the object of this external reference. */
  ref?: string;
  /** `nextPage` of the answer before. */
  page?: string;
}

/** Something that exists at the site without our stamp. What the provider does not say is absent. */
export interface Unmanaged {
  kind: Kind;
  ref: string;
  /** Its name at the provider. */
  name?: string;
  location: Location;
  state: 'creating' | 'ready' | 'failed' | 'removing';
  power?: InstanceDetails['power'];
  instanceType?: string;
  market?: 'onDemand' | 'spot';
  architecture?: 'x86_64' | 'arm64';
  vcpus?: number;
  memoryGiB?: number;
  /** The root disk of a machine; the size of anything else that has one. */
  diskGiB?: number;
  /** The provider's own reference of the image it was made from. */
  image?: string;
  addresses: Address[];
  /** Its tags or labels as they are. */
  labels: Record<string, string>;
  /** ISO time. */
  createdAt?: string;
  /** Why it cannot be adopted, for a person: another tool manages it, it carries another's stamp, it is going. */
  refused?: string;
}

/** A page may be empty and not be the last. `complete` as of a `ListPage`. */
export interface DiscoveryPage {
  items: Unmanaged[];
  nextPage?: string;
  complete: boolean;
}
