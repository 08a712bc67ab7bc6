import type { Operation } from '@landfall/model';
import {
  changeResource,
  createResource,
  deleteResource,
  getResource,
  listResources,
  type ResourceKind,
  type ResourcePatch,
  type ResourceSpec,
  releaseResource,
} from '@landfall/store';
import type { BrokerParts } from '../broker.ts';
import type { Call, Handlers } from '../handler.ts';
import { checkLabelPolicies, checkResourcePolicies } from '../resource-checks.ts';
import { accepted } from './instances.ts';

/** What the calls about every kind have in common: which fields a kind's spec has, the API document has checked already. */
type AnyCall = Pick<Call<'updateVolume'>, 'requester' | 'ifMatch'> & {
  params: { project: string; resource: string };
  query: { validateOnly?: boolean };
};

const input = (call: unknown) =>
  call as AnyCall & { body: { name: string; labels?: Record<string, string>; spec: ResourceSpec } };
const patched = (call: unknown) => call as AnyCall & { body: ResourcePatch };

/** The five handlers of one kind. */
function handlersOf<K extends ResourceKind, P extends string>(kind: K, plural: P) {
  return {
    [`list${plural}`]: async ({ params, query }: Call<'listVolumes'>, { db }: BrokerParts) => ({
      status: 200,
      body: await listResources(db, kind, params.project, query),
    }),
    [`create${kind}`]: async (call: unknown, { db }: BrokerParts) => {
      const { params, query, body, requester } = input(call);
      const made = await createResource(db, kind, {
        ...requester,
        ...body,
        project: params.project,
        validateOnly: query.validateOnly,
        admit: checkResourcePolicies({ ...requester, ...params, ...body, kind }),
      });
      return made ? accepted(made.operation, made.resource.revision) : { status: 204 };
    },
    [`get${kind}`]: async (call: unknown, { db }: BrokerParts) => {
      const { project, resource } = input(call).params;
      return { status: 200, body: await getResource(db, kind, project, resource) };
    },
    [`update${kind}`]: async (call: unknown, { db }: BrokerParts) => {
      const { params, query, body, ifMatch, requester } = patched(call);
      const { resource, operation } = await changeResource(db, kind, {
        ...requester,
        ...params,
        patch: body,
        ifMatch: ifMatch!,
        validateOnly: query.validateOnly,
        ...(body.labels && { admit: checkLabelPolicies({ ...requester, ...params, kind }) }),
      });
      return operation ? accepted(operation, resource.revision) : { status: 200, body: resource };
    },
    [`delete${kind}`]: async (call: unknown, { db }: BrokerParts) => {
      const { params, query, ifMatch, requester } = input(call);
      const { resource, operation } = await deleteResource(db, kind, {
        ...requester,
        ...params,
        ifMatch: ifMatch!,
        validateOnly: query.validateOnly,
      });
      return operation && !query.validateOnly
        ? accepted(operation as Operation, resource.revision)
        : { status: 204 };
    },
  } as unknown as Pick<
    Handlers,
    Extract<`list${P}` | `create${K}` | `get${K}` | `update${K}` | `delete${K}`, keyof Handlers>
  >;
}

/** Letting go of one, of the kinds that can go on without Landfall. */
function releaseOf<K extends 'Volume' | 'Snapshot' | 'Network' | 'Address' | 'CustomImage'>(kind: K) {
  return {
    [`release${kind}`]: async (call: unknown, { db }: BrokerParts) => {
      const { params, query, ifMatch, requester } = input(call);
      const { resource, operation } = await releaseResource(db, kind, {
        ...requester,
        ...params,
        ifMatch: ifMatch ?? null,
        validateOnly: query.validateOnly,
      });
      return operation && !query.validateOnly ? accepted(operation, resource.revision) : { status: 204 };
    },
  } as unknown as Pick<Handlers, `release${K}`>;
}

/** Volumes, snapshots, networks, firewalls, addresses and images of one's own: alike but for their specs. */
export const resourceHandlers = {
  ...handlersOf('Volume', 'Volumes'),
  ...handlersOf('Snapshot', 'Snapshots'),
  ...handlersOf('Network', 'Networks'),
  ...handlersOf('Firewall', 'Firewalls'),
  ...handlersOf('Address', 'Addresses'),
  ...handlersOf('CustomImage', 'CustomImages'),
  ...releaseOf('Volume'),
  ...releaseOf('Snapshot'),
  ...releaseOf('Network'),
  ...releaseOf('Address'),
  ...releaseOf('CustomImage'),
};
