/** What the adapter contract says of what exists without us. */
import type { Address, InstanceDetails, Kind, Location } from './contract.ts';
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
}

/** Which tool manages what carries these marks, for a person; undefined where none of these does. `word`: the provider's for a mark. */
export function managedBy(
  tools: readonly Tool[],
  marks: Record<string, string>,
  word: string,
): string | undefined {
  for (const { mark, by } of tools)
    for (const [key, value] of Object.entries(marks))
      if (mark.test(key)) return `it is managed by ${by(value)} (${word} ${key})`;
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
