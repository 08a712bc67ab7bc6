/** Volumes, snapshots, networks, firewalls, addresses and images of one's own: kinds that the API serves alike. */
import type { LandfallClient, Operation, Schemas } from '@landfall/model';
import { type Broker, body, bodyIfFound, pages } from './connection/broker.ts';
import type { Kind, Narrowing } from './kinds.ts';
import { resourceColumns } from './resource-columns.ts';

/** The kinds' names in paths. */
export const resourcePaths = {
  Network: 'networks',
  Firewall: 'firewalls',
  Volume: 'volumes',
  Snapshot: 'snapshots',
  Address: 'addresses',
  CustomImage: 'customImages',
} as const;

export type ResourceKind = keyof typeof resourcePaths;

/** A resource of any of these kinds. */
export type Resource = {
  [K in ResourceKind]: Schemas[K];
}[ResourceKind];

/** The calls about one kind, each as the one about volumes: the paths differ, and what the broker checks. */
export function callsOf(client: LandfallClient, kind: ResourceKind) {
  const list = `/v1/projects/{project}/${resourcePaths[kind]}` as '/v1/projects/{project}/volumes';
  const one = `${list}/{resource}` as '/v1/projects/{project}/volumes/{resource}';
  return {
    list: (params: { path: { project: string }; query: object }) => client.GET(list, { params }),
    get: (path: { project: string; resource: string }) => client.GET(one, { params: { path } }),
    create: (
      params: {
        path: { project: string };
        header: { 'Idempotency-Key': string };
        query: { validateOnly: boolean };
      },
      body: unknown,
    ) => client.POST(list, { params, body: body as Schemas['VolumeInput'] }),
    change: (
      params: {
        path: { project: string; resource: string };
        header: { 'If-Match': string };
        query: { validateOnly: boolean };
      },
      body: unknown,
    ) =>
      client.PATCH(one, {
        params,
        body: body as Schemas['VolumePatch'],
        headers: { 'Content-Type': 'application/merge-patch+json' },
      }),
    remove: (params: {
      path: { project: string; resource: string };
      header: { 'If-Match': string };
      query: { validateOnly: boolean };
    }) => client.DELETE(one, { params }),
  };
}

function resourceKind<K extends ResourceKind>(
  kind: K,
  words: { singular: string; plural: string; short: string[] },
): Kind<Schemas[K]> {
  return {
    kind,
    ...words,
    columns: resourceColumns[kind] as unknown as Kind<Schemas[K]>['columns'],
    inProject: true,
    name: (item) => item.name,
    list: ({ client, project }: Broker, { filter, limit }: Narrowing) =>
      pages(
        (page) => body(callsOf(client, kind).list({ path: { project }, query: { ...page, filter } })),
        limit,
      ) as unknown as Promise<Schemas[K][]>,
    async get({ client, project }, resource) {
      const found = await bodyIfFound(callsOf(client, kind).get({ project, resource }));
      return found?.body as unknown as Schemas[K] | undefined;
    },
    async remove({ client, project }, resource, validateOnly): Promise<Operation | boolean> {
      const params = { path: { project, resource }, query: { validateOnly }, header: { 'If-Match': '*' } };
      const result = await bodyIfFound(callsOf(client, kind).remove(params));
      if (result === undefined) return false;
      return result.body ? (result.body as Operation) : true;
    },
  };
}

/** In the order help shows them. */
export const resourceKinds: readonly Kind<unknown>[] = [
  resourceKind('Network', { singular: 'network', plural: 'networks', short: ['net', 'nets'] }),
  resourceKind('Firewall', { singular: 'firewall', plural: 'firewalls', short: ['fw'] }),
  resourceKind('Volume', { singular: 'volume', plural: 'volumes', short: ['vol', 'vols'] }),
  resourceKind('Snapshot', { singular: 'snapshot', plural: 'snapshots', short: ['snap', 'snaps'] }),
  resourceKind('Address', { singular: 'address', plural: 'addresses', short: ['addr', 'ip', 'ips'] }),
  resourceKind('CustomImage', {
    singular: 'customimage',
    plural: 'customimages',
    short: ['cimg', 'custom-image', 'custom-images'],
  }),
] as readonly Kind<unknown>[];
