/** What the adapter contract says of what exists without us. */
import type { Address, InstanceDetails, Kind, Location, NetworkWant } from './contract.ts';
import { ProviderError } from './errors.ts';

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
  /** The provider's word for what a volume is, e.g. `gp3`. */
  type?: string;
  /** External reference of the machine that a volume or an address is attached to, ours or not. */
  attachedTo?: string;
  /** External reference of the volume that a snapshot is of, which may be gone. */
  volume?: string;
  /** Of a network, as `NetworkWant` has them; absent of one that cannot be adopted. */
  cidr?: string;
  subnets?: NetworkWant['subnets'];
  /** Of a machine, or the one that an address is. */
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

/** A tool that replaces or removes machines by itself, known by what it leaves on them. */
export interface Tool {
  /** Matches the key of its tag or label. */
  mark: RegExp;
  /** What to call it, given the value. */
  by: (value: string) => string;
  /** The value by which it says that it only uses what carries the mark. */
  uses?: string;
}

/** Which tool manages what carries these marks, for a person; undefined where none of these does. `word`: the provider's for a mark. */
export function managedBy(
  tools: readonly Tool[],
  marks: Record<string, string>,
  word: string,
): string | undefined {
  for (const { mark, by, uses } of tools)
    for (const [key, value] of Object.entries(marks))
      if (mark.test(key) && value !== uses) return `it is managed by ${by(value)} (${word} ${key})`;
  return undefined;
}

/** Why what carries another installation's stamp cannot be adopted. */
export const ofAnotherInstallation = 'it carries the stamp of another Landfall installation';

export function cannotBeAdopted(ref: string, reason: string): ProviderError {
  return new ProviderError('Conflict', `${ref} cannot be adopted: ${reason}`, { providerCode: 'NotOurs' });
}

export function adoptedByAnother(ref: string): ProviderError {
  return new ProviderError('Conflict', `${ref} is being adopted by somebody else`, {
    providerCode: 'NotOurs',
  });
}

/** More subnets than this a network of ours cannot have: the API's own limit. */
const mostSubnets = 64;

/** What a provider says of the subnets of a network, by its own names of them. */
export interface FoundSubnet {
  /** By which it is known where its name cannot be one of ours. */
  id: string;
  name?: string;
  /** Its ranges of IPv4. */
  cidrs: string[];
  zone?: string;
}

/**
 * A network in our words, or why it has none, for a person. A subnet keeps its name where that can be one of ours and is no other's in
 * the network; else it goes by its id.
 */
export function networkFound(
  cidrs: string[],
  subnets: readonly FoundSubnet[],
): Required<Pick<Unmanaged, 'cidr' | 'subnets'>> | string {
  const [cidr] = cidrs;
  if (!cidr || cidrs.length > 1)
    return `it has ${cidr ? `several ranges of IPv4 addresses (${cidrs.join(', ')})` : 'no range of IPv4 addresses'}, and a network of Landfall has one`;
  if (subnets.length === 0) return 'it has no subnet, and nothing can be put in it';
  if (subnets.length > mostSubnets)
    return `it has ${subnets.length} subnets, and a network of Landfall at most ${mostSubnets}`;
  const odd = subnets.find(({ cidrs: own }) => own.length !== 1);
  if (odd)
    return `its subnet ${odd.id} has ${odd.cidrs.length === 0 ? 'no range' : 'several ranges'} of IPv4 addresses`;
  return { cidr, subnets: namedSubnets(subnets) };
}

/** Subnets under names that can be ours. */
export function namedSubnets(subnets: readonly FoundSubnet[]): NetworkWant['subnets'] {
  const bearers = Map.groupBy(subnets, ({ name }) => name);
  return subnets
    .map(({ id, name, cidrs: [cidr = ''], zone }) => ({
      name: name !== undefined && canBeOurs(name) && bearers.get(name)?.length === 1 ? name : id,
      cidr,
      ...known('zone', zone),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const canBeOurs = (name: string): boolean => /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);

/** The field, where its value is known. */
export function known<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]?: V });
}

/** Where a discovery goes on, as `nextPage`. */
export function writePage(cursor: object): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

/** @throws ProviderError `Invalid` unless the page is one that `writePage` made of such a cursor. */
export function readPage<C extends object>(page: string, isCursor: (value: Partial<C>) => boolean): C {
  try {
    const cursor = JSON.parse(Buffer.from(page, 'base64url').toString('utf8')) as C | null;
    if (typeof cursor === 'object' && cursor !== null && isCursor(cursor)) return cursor;
  } catch {
    // not even JSON
  }
  throw notAPage();
}

export function notAPage(): ProviderError {
  return new ProviderError('Invalid', 'the page is not one of this discovery');
}
