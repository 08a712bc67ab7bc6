import type { protos } from '@google-cloud/compute';
import type { Listed, Location, Stamp, Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, finding } from './clients.ts';
import { type Answer, type OperationRef, operationOf } from './operation.ts';
import { regionOf, zonesOf } from './places.ts';
import {
  type Described,
  isOf,
  type Labels,
  nameFilter,
  objectName,
  readDescription,
  stampFilter,
  stampLabels,
  stampOf,
} from './stamp.ts';

/** Compute Engine's collections that we make things in, and the shape of an object in each. */
export interface Bodies {
  instances: protos.google.cloud.compute.v1.IInstance;
  disks: protos.google.cloud.compute.v1.IDisk;
  snapshots: protos.google.cloud.compute.v1.ISnapshot;
  images: protos.google.cloud.compute.v1.IImage;
  networks: protos.google.cloud.compute.v1.INetwork;
  subnetworks: protos.google.cloud.compute.v1.ISubnetwork;
  firewalls: protos.google.cloud.compute.v1.IFirewall;
  addresses: protos.google.cloud.compute.v1.IAddress;
}

export type Collection = keyof Bodies;

/** Where a collection's objects are, and what Google's requests call one of them. */
const kinds: Record<Collection, { level: 'zones' | 'regions' | 'global'; word: string }> = {
  instances: { level: 'zones', word: 'instance' },
  disks: { level: 'zones', word: 'disk' },
  snapshots: { level: 'global', word: 'snapshot' },
  images: { level: 'global', word: 'image' },
  networks: { level: 'global', word: 'network' },
  subnetworks: { level: 'regions', word: 'subnetwork' },
  firewalls: { level: 'global', word: 'firewall' },
  addresses: { level: 'regions', word: 'address' },
};

export const wordOf = (collection: Collection): string => kinds[collection].word;

/** Where something is and what it is called there. */
export interface Named {
  collection: Collection;
  /** `zones/…`, `regions/…` or `global`. */
  scope: string;
  name: string;
}

/** One of Google's objects with what we always read of it. */
export interface Thing<C extends Collection = Collection> extends Named {
  collection: C;
  ref: string;
  stamp?: Stamp & Described;
  labels: Labels;
  state: Listed['state'];
  location: Location;
  createdAt?: string;
  body: Bodies[C];
}

/** External reference: unique in the project. */
export const refOf = ({ scope, collection, name }: Named): string => `${scope}/${collection}/${name}`;

/** The parts of a reference of this collection; nothing when it is of another. */
export function parseRef(collection: Collection, ref: string | undefined): Named | undefined {
  const [, scope, of, name] = /^((?:zones|regions)\/[^/]+|global)\/([a-z]+)\/([^/]+)$/.exec(ref ?? '') ?? [];
  return scope && name && of === collection ? { collection, scope, name } : undefined;
}

/** The reference in one of Google's links. */
export function refOfLink(link: string): string {
  return link.replace(/^.*?projects\/[^/]+\//, '');
}

/**
 * The name that a reference of the wanted spec leads to.
 * @throws ProviderError `Invalid` at `field` when it is no reference into this collection.
 */
export function wantedRef(collection: Collection, ref: string, field: string): Named {
  const found = parseRef(collection, ref);
  if (!found)
    throw new ProviderError('Invalid', `'${ref}' is no reference of a Google Cloud ${wordOf(collection)}`, {
      field,
    });
  return found;
}

const states: Record<string, Listed['state']> = {
  CREATING: 'creating',
  RESTORING: 'creating',
  UPLOADING: 'creating',
  PENDING: 'creating',
  RESERVING: 'creating',
  FAILED: 'failed',
  DELETING: 'removing',
};

export function thingOf<C extends Collection>(collection: C, scope: string, body: Bodies[C]): Thing<C> {
  const fields: { name?: string | null; status?: unknown; labels?: unknown; description?: string | null } =
    body;
  const labels = (fields.labels ?? {}) as Labels;
  const named = { collection, scope, name: fields.name ?? '' };
  const said = labels[stampLabels.released] === undefined ? readDescription(fields.description) : undefined;
  const stamp: Thing['stamp'] = stampOf(labels) ?? said;
  return {
    ...named,
    ref: refOf(named),
    stamp,
    labels,
    state: states[String(fields.status)] ?? 'ready',
    location: locationOf(scope, stamp, body),
    createdAt: body.creationTimestamp ?? undefined,
    body,
  };
}

/**
 * What is global is still of one region: its description says which, or where its contents are kept; where these are in several
 * regions (`us`), the disk that it is of.
 */
function locationOf(scope: string, stamp: Described | undefined, body: object): Location {
  const [level, place = ''] = scope.split('/');
  if (level === 'zones') return { region: regionOf(place), zone: place };
  if (level === 'regions') return { region: place };
  const { storageLocations, sourceDisk } = body as Pick<
    Bodies['snapshots'],
    'storageLocations' | 'sourceDisk'
  >;
  const kept = storageLocations?.[0];
  const [, diskZone] = /\/zones\/([^/]+)\//.exec(sourceDisk ?? '') ?? [];
  const ofDisk = diskZone && regionOf(diskZone);
  return { region: stamp?.region ?? (kept?.includes('-') ? kept : (ofDisk ?? kept ?? 'global')) };
}

/** What every client of Google's library has, whatever its collection. */
interface Client<B> {
  get(request: object, options: object): Promise<[B]>;
  delete(request: object, options: object): Answer;
  setLabels(request: object, options: object): Answer;
}

const clientOf = <C extends Collection>(account: Account, collection: C): Client<Bodies[C]> =>
  account.clients[collection] as unknown as Client<Bodies[C]>;

/** The request's fields for the place. */
async function placed(account: Account, scope: string): Promise<Record<string, string>> {
  const [level, place] = scope.split('/');
  return {
    project: await account.project(),
    ...(level !== 'global' && place ? { [level === 'zones' ? 'zone' : 'region']: place } : {}),
  };
}

export async function read<C extends Collection>(
  account: Account,
  { collection, scope, name }: Named & { collection: C },
): Promise<Thing<C> | undefined> {
  const request = { ...(await placed(account, scope)), [wordOf(collection)]: name };
  const body = await finding(clientOf(account, collection).get(request, account.call));
  return body && thingOf(collection, scope, body);
}

/** A list's answer. */
interface Page<B> {
  items?: B[];
  nextPageToken?: string;
  warning?: { code?: string };
}

/** One of Google's pages. A place that cannot be reached is told inside a 200 answer: then silence means nothing (A11). */
export async function readPage<C extends Collection>(
  account: Account,
  collection: C,
  scope: string,
  filter: string | undefined,
  pageToken?: string,
  maxResults?: number,
): Promise<{ things: Thing<C>[]; token?: string; reached: boolean }> {
  const query = { filter, pageToken, maxResults };
  const page = (await account.read(`${scope}/${collection}`, query)) as Page<Bodies[C]>;
  return {
    things: (page.items ?? []).map((body) => thingOf(collection, scope, body)),
    token: page.nextPageToken || undefined,
    reached: page.warning?.code !== 'UNREACHABLE',
  };
}

/** The places in which a collection may have something of this location. */
export async function scopesOf(
  account: Account,
  collection: Collection,
  { region, zone }: Location,
): Promise<string[]> {
  const { level } = kinds[collection];
  if (level === 'global') return ['global'];
  if (level === 'regions') return [`regions/${region}`];
  const zones = zone ? [zone] : await zonesOf(account, region);
  return zones.map((one) => `zones/${one}`);
}

/**
 * Everything in the collection that `objectName` names for the target and that carries its stamp: by name where the attempt is
 * known, because that is seen at once, by reference where one is given, and by a list. Newest attempt first.
 * @throws ProviderError `Conflict` when the reference is something that does not carry the stamp (A5); `Unavailable` when nothing
 * was found and a place could not be reached.
 */
export async function find<C extends Collection>(
  account: Account,
  collection: C,
  target: Pick<Target, 'stamp' | 'location' | 'ref'>,
): Promise<Thing<C>[]> {
  const { attempt, ...stamp } = target.stamp;
  const scopes = await scopesOf(account, collection, target.location);
  const name = attempt === undefined ? undefined : objectName({ ...stamp, attempt });
  const named = parseRef(collection, target.ref);
  const [byName, referred, listed] = await Promise.all([
    Promise.all(name ? scopes.map((scope) => read(account, { collection, scope, name })) : []),
    named && read(account, { ...named, collection }),
    Promise.all(scopes.map((scope) => readAll(account, collection, scope, nameFilter(target.stamp)))),
  ]);
  if (referred && !isOf(referred.stamp, target.stamp)) throw notOurs(referred.ref);
  const ours = [...byName, referred, ...listed.flatMap(({ things }) => things)].filter(
    (thing): thing is Thing<C> => thing !== undefined && isOf(thing.stamp, target.stamp),
  );
  const away = scopes.filter((_, index) => listed[index]?.reached === false);
  if (ours.length === 0 && away.length > 0) throw unreachable(away);
  return [...new Map(ours.map((thing) => [thing.ref, thing])).values()].sort(
    (a, b) => (b.stamp?.attempt ?? 0) - (a.stamp?.attempt ?? 0),
  );
}

/**
 * The same for what was adopted, which has kept its name: by the labels of its kind.
 * @throws ProviderError `Unavailable` when nothing was found and a place could not be reached.
 */
export async function findAdopted<C extends Collection>(
  account: Account,
  collection: C,
  { kind, stamp, location }: Pick<Target, 'kind' | 'stamp' | 'location'>,
): Promise<Thing<C>[]> {
  const scopes = await scopesOf(account, collection, location);
  const filter = `${stampFilter(stamp)} AND labels.${stampLabels.kind} = "${kind.toLowerCase()}"`;
  const listed = await Promise.all(scopes.map((scope) => readAll(account, collection, scope, filter)));
  const found = listed.flatMap(({ things }) => things).filter((thing) => isOf(thing.stamp, stamp));
  const away = scopes.filter((_, index) => listed[index]?.reached === false);
  if (found.length === 0 && away.length > 0) throw unreachable(away);
  return found;
}

async function readAll<C extends Collection>(
  account: Account,
  collection: C,
  scope: string,
  filter: string,
): Promise<{ things: Thing<C>[]; reached: boolean }> {
  const things: Thing<C>[] = [];
  let reached = true;
  let token: string | undefined;
  do {
    const page = await readPage(account, collection, scope, filter, token);
    things.push(...page.things);
    reached &&= page.reached;
    token = page.token;
  } while (token !== undefined);
  return { things, reached };
}

/** The zones out of reach in which the target could be: an attempt is in its own zone, a resource somewhere in the site. */
export function hiding(
  { regions }: Account,
  { stamp, location }: { stamp: { attempt?: number }; location?: Location },
  away: string[],
): string[] {
  const own = stamp.attempt !== undefined && location?.zone;
  return away.filter((scope) =>
    own ? scope === `zones/${location.zone}` : regions.includes(regionOf(scope.replace('zones/', ''))),
  );
}

export function unreachable(scopes: string[]): ProviderError {
  return new ProviderError('Unavailable', `Google Cloud could not reach ${scopes.join(', ')}`, {
    providerCode: 'UNREACHABLE',
  });
}

export function notOurs(ref: string): ProviderError {
  return new ProviderError('Conflict', `${ref} does not carry the stamp of the resource`, {
    providerCode: 'NotOurs',
  });
}

/** What this attempt made was there and is not: its token can never make another one (R4). */
export function deathOf(ref: string): ProviderError {
  return new ProviderError(
    'Conflict',
    `${ref} of this attempt is deleted: only a new attempt can make another`,
    { providerCode: 'InstanceTerminated', made: [ref] },
  );
}

/** Asks for the deletion. */
export async function drop(account: Account, { collection, scope, name }: Named): Promise<OperationRef> {
  const request = { ...(await placed(account, scope)), [wordOf(collection)]: name };
  return operationOf(clientOf(account, collection).delete(request, account.call));
}

/** Writes all labels. @throws ProviderError `Conflict` when somebody else wrote them since they were read. */
export async function writeLabels(
  account: Account,
  thing: Thing<'disks' | 'snapshots' | 'images' | 'addresses'>,
  labels: Labels,
): Promise<OperationRef> {
  const level = thing.scope.startsWith('zones/') ? 'zone' : thing.scope === 'global' ? 'global' : 'region';
  const request = {
    ...(await placed(account, thing.scope)),
    resource: thing.name,
    [`${level}SetLabelsRequestResource`]: { labels, labelFingerprint: thing.body.labelFingerprint },
  };
  return operationOf(clientOf(account, thing.collection).setLabels(request, account.call));
}
