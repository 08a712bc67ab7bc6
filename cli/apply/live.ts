/** A manifest beside what there is. */
import { type Broker, bodyIfFound } from '../connection/broker.ts';
import type { Manifest } from '../manifests/manifest.ts';
import { callsOf, type Resource } from '../resource-kinds.ts';
import { compareInstance, type Difference } from './compare.ts';
import { createdDifferences, siteDifferences } from './others.ts';
import { compareResource } from './resource.ts';

/** What there is: of a policy its text, of all else the fields in which it differs from the manifest. */
export type Live = { source: string } | { differences: Difference[] };

/** What there is under a manifest's kind and name; undefined where there is nothing. */
export async function liveOf(broker: Broker, manifest: Manifest): Promise<Live | undefined> {
  const { client, project } = broker;
  const { kind, name } = manifest;
  switch (kind) {
    case 'Instance': {
      const params = { path: { project, instance: name } };
      const found = await bodyIfFound(client.GET('/v1/projects/{project}/instances/{instance}', { params }));
      if (found === undefined || found.body.status.state === 'Deleted') return undefined;
      return { differences: compareInstance(manifest, found.body).differences };
    }
    case 'Site': {
      const found = await bodyIfFound(client.GET('/v1/sites/{site}', { params: { path: { site: name } } }));
      return found && { differences: siteDifferences(manifest, found.body) };
    }
    case 'PlacementPolicy': {
      const params = { path: { policy: name } };
      const found = await bodyIfFound(client.GET('/v1/policies/{policy}', { params }));
      return found && { source: found.body.source };
    }
    case 'Network':
    case 'Firewall':
    case 'Volume':
    case 'Snapshot':
    case 'Address':
    case 'CustomImage': {
      const found = await bodyIfFound(callsOf(client, kind).get({ project, resource: name }));
      return found && { differences: compareResource({ ...manifest, kind }, found.body as Resource).changed };
    }
    default: {
      const differences = await createdDifferences(broker, manifest);
      return differences && { differences };
    }
  }
}
