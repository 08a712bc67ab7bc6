/** The names that completion offers, as the connected broker has them. */
import type { Event } from '@landfall/model';
import { type BrokerConnection, body, ProblemError } from '../broker/connection.ts';
import type { EstateNames } from '../language/protocol.ts';

/** More names than these are not read of a list: nobody looks through them. */
const most = { pageSize: 500 };

/** Kinds whose coming and going changes names. */
const named = new Set([
  'Organization',
  'Project',
  'Site',
  'Host',
  'Image',
  'CustomImage',
  'SshKey',
  'Network',
]);

/** Kinds whose changes move machines: where there is room and for how much, which images are there, and what is allowed. */
const decisive = new Set(['Site', 'Host', 'Image', 'PriceList', 'PlacementPolicy']);

/**
 * Whether the broker may answer otherwise after it where an instance lands, or what a policy changes. Machines that come and go take
 * room too, but a busy estate would never be done asking.
 */
export function changesAnswers({ resource, type }: Event): boolean {
  return (
    resource !== null &&
    resource !== undefined &&
    decisive.has(resource.kind) &&
    type !== 'catalogue.refreshFailed'
  );
}

/** Whether names may be others after it: a machine has only labels. */
export function changesNames({ resource, type }: Event): boolean {
  if (!resource) return false;
  return resource.kind === 'Instance' ? /Requested$|deleted$/.test(type) : named.has(resource.kind);
}

/** Reads them; throws what the broker says, except that a list is not for this token. */
export async function readNames({ client, context, closed: signal }: BrokerConnection): Promise<EstateNames> {
  const inProject = { params: { path: { project: context.project }, query: most }, signal };
  const [organizations, projects, sites, hosts, offers, images, ownImages, networks, sshKeys, instances] =
    await Promise.all([
      allowed(body(client.GET('/v1/organizations', { params: { query: most }, signal }))),
      allowed(body(client.GET('/v1/projects', { params: { query: most }, signal }))),
      allowed(body(client.GET('/v1/sites', { params: { query: most }, signal }))),
      allowed(body(client.GET('/v1/hosts', { params: { query: most }, signal }))),
      // What no shipped catalogue knows; the providers' own are in it.
      allowed(
        body(client.GET('/v1/offers', { params: { query: { ...most, filter: 'provider=onprem' } }, signal })),
      ),
      allowed(body(client.GET('/v1/images', { params: { query: most }, signal }))),
      allowed(body(client.GET('/v1/projects/{project}/customImages', inProject))),
      allowed(body(client.GET('/v1/projects/{project}/networks', inProject))),
      allowed(body(client.GET('/v1/projects/{project}/sshKeys', inProject))),
      allowed(body(client.GET('/v1/projects/{project}/instances', inProject))),
    ]);
  return {
    connected: true,
    organizations: sorted(organizations.map(({ name }) => name)),
    projects: sorted(projects.map(({ name }) => name)),
    sites: sorted(sites.map(({ name }) => name)),
    hosts: sorted(hosts.map(({ name }) => name)),
    regions: sorted([
      ...sites.flatMap(({ spec }) => spec.regions ?? []),
      ...offers.map(({ region }) => region),
    ]),
    zones: sorted(offers.map(({ zone }) => zone)),
    instanceTypes: sorted(offers.map(({ instanceType }) => instanceType)),
    gpuNames: sorted(offers.map(({ gpuName }) => gpuName)),
    images: sorted([...images, ...ownImages].map(({ name }) => name)),
    networks: sorted(networks.map(({ name }) => name)),
    sshKeys: sorted(sshKeys.map(({ name }) => name)),
    labels: valuesOf(instances.map(({ labels }) => labels)),
  };
}

/** A token need not see every list. */
async function allowed<T>(page: Promise<{ items: T[] }>): Promise<T[]> {
  try {
    return (await page).items;
  } catch (error) {
    if (error instanceof ProblemError && (error.problem.status === 403 || error.problem.status === 404))
      return [];
    throw error;
  }
}

function sorted(names: readonly (string | null | undefined)[]): string[] {
  return [
    ...new Set(names.filter((name) => name !== null && name !== undefined && name !== '')),
  ].sort() as string[];
}

function valuesOf(labels: readonly (Record<string, string> | undefined)[]): Record<string, string[]> {
  const found = Map.groupBy(
    labels.flatMap((each) => Object.entries(each ?? {})),
    ([key]) => key,
  );
  return Object.fromEntries([...found].map(([key, pairs]) => [key, sorted(pairs.map(([, value]) => value))]));
}
