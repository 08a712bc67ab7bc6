/** The kinds of resources of a project besides its instances. */
import type { Schemas } from '@landfall/model';

/** How each is called in paths, and by people. */
export const resourceKinds = {
  Volume: { path: 'volumes', plural: 'Volumes', icon: 'database' },
  Snapshot: { path: 'snapshots', plural: 'Snapshots', icon: 'history' },
  Network: { path: 'networks', plural: 'Networks', icon: 'type-hierarchy-sub' },
  Firewall: { path: 'firewalls', plural: 'Firewalls', icon: 'shield' },
  Address: { path: 'addresses', plural: 'Addresses', icon: 'globe' },
  CustomImage: { path: 'customImages', plural: 'Custom Images', icon: 'file-media' },
} as const;

/** Kinds without a state: what machines are made with and judged by. */
export const plainKinds = {
  SshKey: { plural: 'SSH Keys', icon: 'key' },
  Image: { plural: 'Images', icon: 'package' },
  PlacementPolicy: { plural: 'Policies', icon: 'law' },
} as const;

export type PlainKind = keyof typeof plainKinds;

/** A thing of any of these kinds. */
export type Plain = Schemas['SshKey'] | Schemas['Image'] | Schemas['Policy'];

export const isPlainKind = (kind: string): kind is PlainKind => Object.hasOwn(plainKinds, kind);

export type ResourceKind = keyof typeof resourceKinds;

/** A resource of any of these kinds. */
export type Resource = { [K in ResourceKind]: Schemas[K] }[ResourceKind];

export function isResourceKind(kind: string): kind is ResourceKind {
  return Object.hasOwn(resourceKinds, kind);
}

const list = (kind: ResourceKind) => `/v1/projects/{project}/${resourceKinds[kind].path}`;

/** Paths of a kind, typed as those of volumes: the API serves all these kinds alike. */
export const listPath = (kind: ResourceKind) => list(kind) as '/v1/projects/{project}/volumes';
export const resourcePath = (kind: ResourceKind) =>
  `${list(kind)}/{resource}` as '/v1/projects/{project}/volumes/{resource}';
