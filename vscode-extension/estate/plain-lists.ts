/** Where SSH keys, images and policies are read. */
import { type BrokerConnection, body } from '../broker/connection.ts';
import type { Plain, PlainKind } from './kinds.ts';
import type { ListSource } from './paged-list.ts';

interface PlainList {
  source: ListSource<Plain>;
  /** One of them by its name. */
  one(name: string): Promise<{ data?: unknown; error?: unknown; response: Response }>;
}

export function plainList(
  { client, closed: signal, project: current }: BrokerConnection,
  kind: PlainKind,
  project: string | undefined,
): PlainList {
  const orderBy = 'name' as const;
  const order = {
    key: ({ name }: Plain) => name,
    compare: (a: Plain, b: Plain) => (a.name < b.name ? -1 : Number(a.name > b.name)),
  };
  switch (kind) {
    case 'SshKey': {
      const path = { project: project ?? current };
      return {
        one: (sshKey) =>
          client.GET('/v1/projects/{project}/sshKeys/{sshKey}', { params: { path: { ...path, sshKey } } }),
        source: {
          ...order,
          read: (page) => {
            const query = { ...page, orderBy };
            return body(client.GET('/v1/projects/{project}/sshKeys', { params: { path, query }, signal }));
          },
        },
      };
    }
    case 'Image':
      return {
        one: (image) => client.GET('/v1/images/{image}', { params: { path: { image } } }),
        source: {
          ...order,
          read: (page) => body(client.GET('/v1/images', { params: { query: { ...page, orderBy } }, signal })),
        },
      };
    case 'PlacementPolicy': {
      const scope = project === undefined ? undefined : `projects/${project}`;
      const within = scope === undefined ? {} : { filter: `scope=${scope}` };
      return {
        one: (policy) => client.GET('/v1/policies/{policy}', { params: { path: { policy } } }),
        source: {
          ...order,
          holds: (policy) => scope === undefined || ('scope' in policy && policy.scope === scope),
          read: (page) => {
            const query = { ...page, ...within, orderBy };
            return body(client.GET('/v1/policies', { params: { query }, signal }));
          },
        },
      };
    }
  }
}
