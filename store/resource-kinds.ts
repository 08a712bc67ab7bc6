import type { ResourceKind, ResourceSpec } from './database.ts';

/** A field of a spec that names another resource of the project. */
export interface Reference {
  /** JSON pointer into the request. */
  pointer: string;
  kind: ResourceKind | 'Instance';
  name: string;
  /** Only its contents are read, once: it may go when this is ready. */
  source: boolean;
}

/** How people write a kind in a sentence. */
export const wordsOf: Record<ResourceKind, string> = {
  Volume: 'volume',
  Snapshot: 'snapshot',
  Network: 'network',
  Firewall: 'firewall',
  Address: 'address',
  CustomImage: 'custom image',
};

/** The adapters' word for each kind. */
export const adapterKinds = {
  Volume: 'Volume',
  Snapshot: 'Snapshot',
  Network: 'Network',
  Firewall: 'Firewall',
  Address: 'Address',
  CustomImage: 'Image',
} as const;

/** What a spec names, in the order of its fields. */
export function referencesOf(spec: ResourceSpec): Reference[] {
  const found: Reference[] = [];
  const add = (pointer: string, kind: Reference['kind'], name: string | undefined, source: boolean): void => {
    if (name !== undefined) found.push({ pointer, kind, name, source });
  };
  add('/spec/snapshot', 'Snapshot', spec.snapshot, true);
  add('/spec/volume', 'Volume', spec.volume, true);
  add('/spec/network', 'Network', spec.network, false);
  add('/spec/attachedTo', 'Instance', spec.attachedTo, false);
  add('/spec/from/instance', 'Instance', spec.from?.instance, true);
  add('/spec/from/snapshot', 'Snapshot', spec.from?.snapshot, true);
  return found;
}
