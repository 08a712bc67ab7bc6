import type { VirtualMachine } from '@azure/arm-compute';
import type { CallContext, Kind, Stamp, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing, ifThere } from './clients.ts';
import { providerCodeOf, toProviderError } from './errors.ts';
import { groupName, objectName, stampTags, type Tags } from './stamp.ts';

/** What is read of any object. */
export interface Seen {
  id?: string;
  name?: string;
  location?: string;
  tags?: Tags;
  zones?: string[];
  provisioningState?: string;
  etag?: string;
}

/** The SDK's operations on objects of one type, as far as all types have them. */
interface Objects {
  get(group: string, name: string): Promise<Seen>;
  delete(group: string, name: string): Poller;
}

const table = {
  virtualMachine: ['Microsoft.Compute/virtualMachines', ({ compute }) => compute.virtualMachines],
  disk: ['Microsoft.Compute/disks', ({ compute }) => compute.disks],
  snapshot: ['Microsoft.Compute/snapshots', ({ compute }) => compute.snapshots],
  image: ['Microsoft.Compute/images', ({ compute }) => compute.images],
  networkInterface: ['Microsoft.Network/networkInterfaces', ({ network }) => network.networkInterfaces],
  publicIPAddress: ['Microsoft.Network/publicIPAddresses', ({ network }) => network.publicIPAddresses],
  virtualNetwork: ['Microsoft.Network/virtualNetworks', ({ network }) => network.virtualNetworks],
  networkSecurityGroup: [
    'Microsoft.Network/networkSecurityGroups',
    ({ network }) => network.networkSecurityGroups,
  ],
  applicationSecurityGroup: [
    'Microsoft.Network/applicationSecurityGroups',
    ({ network }) => network.applicationSecurityGroups,
  ],
} as const satisfies Record<string, [string, (account: Account) => Objects]>;

export type ObjectKind = keyof typeof table;

/**
 * What a resource is made of: first the object that stands for it, then its children, in the order that deleting takes:
 * each is free once those before it are gone.
 */
export const partsOf: Record<Kind, readonly [ObjectKind, ...ObjectKind[]]> = {
  Instance: ['virtualMachine', 'disk', 'networkInterface', 'publicIPAddress', 'networkSecurityGroup'],
  Volume: ['disk'],
  Snapshot: ['snapshot'],
  Image: ['image'],
  Network: ['virtualNetwork', 'networkSecurityGroup'],
  Firewall: ['applicationSecurityGroup'],
  Address: ['publicIPAddress'],
};

const kindsByType = new Map(
  (Object.keys(table) as ObjectKind[]).flatMap((kind) => [
    [table[kind][0], kind],
    [table[kind][0].toLowerCase(), kind],
  ]),
);

/** The kind of one of Azure's types, whose case varies between answers. */
export function kindOf(type: string | undefined): ObjectKind | undefined {
  return kindsByType.get(type ?? '') ?? kindsByType.get(type?.toLowerCase() ?? '');
}

/** The id of an object, always in the same case: Azure's own answers differ in it. */
export function idOf(account: Pick<Account, 'subscription'>, group: string, kind: ObjectKind, name: string) {
  return `/subscriptions/${account.subscription}/resourceGroups/${group}/providers/${table[kind][0]}/${name}`;
}

/** Where an object is, and what it is called there. */
export interface Place {
  group: string;
  name: string;
}

/** Where the main object of an attempt is made, and every child of it. */
export function madeAt(stamp: Stamp, region: string): Place {
  return { group: groupName(stamp.broker, region), name: objectName(stamp) };
}

/** Has Landfall made it? What was adopted is in a group of its own, or has a name of its own. */
export function isMade(place: Place, made: Place): boolean {
  return (
    place.group.toLowerCase() === made.group.toLowerCase() &&
    place.name.toLowerCase() === made.name.toLowerCase()
  );
}

/** The one id of an object of whatever group, as its reference: Azure's answers differ in the case of both words. */
export function refAt(
  account: Pick<Account, 'subscription'>,
  kind: ObjectKind,
  { group, name }: Place,
): string {
  return idOf(account, group.toLowerCase(), kind, name.toLowerCase());
}

/** Group and name of what an id leads to, one of a part of it (an address's configuration) too. */
export function placeOf(id: string | undefined): Place | undefined {
  const [, group, name] = /\/resourceGroups\/([^/]+)\/providers\/[^/]+\/[^/]+\/([^/]+)/i.exec(id ?? '') ?? [];
  return group && name ? { group, name } : undefined;
}

/** The reference in the form that this adapter gives, where it is of the group; else as Azure wrote it. */
export function refOf(account: Account, group: string, kind: ObjectKind, id: string): string {
  const place = placeOf(id);
  const ours = place && idOf(account, group, kind, place.name);
  return ours?.toLowerCase() === id.toLowerCase() ? ours : id;
}

/** The reference of a machine as its own adapter gives it, in whatever group it is. */
export function machineRef(account: Account, id: string): string {
  const place = placeOf(id);
  return place ? refAt(account, 'virtualMachine', place) : id;
}

/**
 * The machine that a reference leads to and where it is, in whatever group.
 * @throws ProviderError `Invalid` at `/attachedTo` where it is none of the broker's.
 */
export async function needMachine(
  account: Account,
  broker: string,
  reference: string,
): Promise<{ machine: VirtualMachine; place: Place }> {
  const field = '/attachedTo';
  const place = placeOf(reference);
  const isMachine =
    place &&
    idOf(account, place.group, 'virtualMachine', place.name).toLowerCase() === reference.toLowerCase();
  const machine = isMachine && (await ifThere(account.compute.virtualMachines.get(place.group, place.name)));
  if (!machine) throw new ProviderError('Invalid', `there is no instance ${reference}`, { field });
  if (machine.tags?.[stampTags.broker] !== broker)
    throw new ProviderError('Invalid', `the machine ${reference} is not Landfall's`, { field });
  return { machine, place };
}

/**
 * The name of the object that a reference of ours leads to.
 * @throws ProviderError `Invalid` at `field` for one of another kind, broker, region or subscription.
 */
export function nameOf(
  account: Account,
  group: string,
  kind: ObjectKind,
  reference: string,
  field: string,
): string {
  const name = placeOf(reference)?.name ?? '';
  if (idOf(account, group, kind, name).toLowerCase() !== reference.toLowerCase())
    throw new ProviderError('Invalid', `${reference} is no ${kind} of this site and region`, { field });
  return name;
}

/** The object as it is now, or undefined where there is none. */
export function look(account: Account, group: string, kind: ObjectKind, name: string) {
  const objects: Objects = table[kind][1](account);
  return ifThere(objects.get(group, name));
}

/**
 * What a reference leads to that one is made of, and where it is: what was adopted is in a group of somebody else's.
 * @throws ProviderError `Invalid` at `field` where it is none of the broker's, or in another region.
 */
export async function needSource(
  account: Account,
  { stamp, location }: { stamp: Pick<Stamp, 'broker'>; location: { region: string } },
  kind: ObjectKind,
  reference: string,
  field: string,
): Promise<Place> {
  const place = placeOf(reference);
  const isOne = place && refAt(account, kind, place).toLowerCase() === reference.toLowerCase();
  const object = isOne && (await look(account, place.group, kind, place.name));
  if (!object) throw new ProviderError('Invalid', `there is no ${kind} ${reference}`, { field });
  const region = object.location?.replaceAll(' ', '').toLowerCase();
  if (object.tags?.[stampTags.broker] !== stamp.broker || region !== location.region)
    throw new ProviderError('Invalid', `${reference} is no ${kind} of Landfall's in ${location.region}`, {
      field,
    });
  return place;
}

/**
 * Sees that there is what a reference of ours leads to. @returns its name.
 * @throws ProviderError `Invalid` at `field`
 */
export async function needObject(
  account: Account,
  group: string,
  kind: ObjectKind,
  reference: string,
  field: string,
): Promise<string> {
  const name = nameOf(account, group, kind, reference, field);
  if (!(await look(account, group, kind, name)))
    throw new ProviderError('Invalid', `there is no ${kind} ${name}`, { field });
  return name;
}

export function notOurs(name: string): ProviderError {
  return new ProviderError('Conflict', `${name} does not carry its stamp`, { providerCode: 'NotOurs' });
}

/** Asks for the deletion, and does not wait for it. Nothing to delete is fine. */
export async function askToDelete(
  account: Account,
  group: string,
  kind: ObjectKind,
  name: string,
): Promise<void> {
  const objects: Objects = table[kind][1](account);
  try {
    await changing(objects.delete(group, name).submitted());
  } catch (error) {
    if (!isProviderError(error, 'NotFound')) throw error;
  }
}

/** A long-running operation as the SDK offers it. It is itself a promise of the end: never await it by accident. */
export interface Poller {
  readonly isDone: boolean;
  poll(): Promise<unknown>;
  submitted(): Promise<void>;
  serialize(): Promise<string>;
}

/**
 * Makes objects by one operation, or by none when they are there. `serialized`: the heartbeat carries the operation, so that a
 * later try of the call goes on with it.
 */
export type Make = (
  kinds: readonly ObjectKind[],
  start: () => Poller | undefined,
  serialized?: boolean,
) => Promise<void>;

/**
 * Makes what an attempt consists of. Every name is made of the stamp, so that repeating meets what is there.
 * @throws ProviderError with `made`: what exists after the failure (A9).
 */
export async function making(
  account: Account,
  { stamp, location }: { stamp: Stamp; location: { region: string } },
  context: CallContext,
  work: (make: Make) => Promise<void>,
): Promise<void> {
  const made: string[] = [];
  const group = groupName(stamp.broker, location.region);
  const id = (kind: ObjectKind) => idOf(account, group, kind, objectName(stamp));
  try {
    await work(async (kinds, start, serialized = false) => {
      context.signal.throwIfAborted();
      context.heartbeat();
      const poller = start();
      try {
        await changing(poller?.submitted() ?? Promise.resolve());
        made.push(...kinds.map(id));
      } catch (error) {
        if (isProviderError(error, 'OutcomeUnknown')) made.push(...kinds.map(id));
        throw error;
      }
      if (poller) await settle(account, poller, context, serialized);
    });
  } catch (error) {
    // The name is taken: an earlier try of this attempt made it, and it only cannot be seen yet.
    if (providerCodeOf(error) === 'PreconditionFailed') return;
    if (!(error instanceof ProviderError)) throw error;
    throw new ProviderError(error.code, error.message, { ...error.details, made }, error.cause ?? error);
  }
}

/** Adds to what an error says exists all that the attempt consists of, where nothing is said yet (A9, R11). */
export async function naming<T>(
  account: Account,
  { kind, stamp, location, adopted }: Pick<Want<Kind>, 'kind' | 'stamp' | 'location' | 'adopted'>,
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ProviderError) || error.details.made) throw error;
    const { group, name } = madeAt(stamp, location.region);
    const made = adopted ? [adopted.ref] : partsOf[kind].map((part) => idOf(account, group, part, name));
    throw new ProviderError(error.code, error.message, { ...error.details, made }, error.cause ?? error);
  }
}

/**
 * Waits for an accepted operation, with a heartbeat before each look.
 * @param serialized whether the heartbeat's details carry the operation, so that a later try goes on with it.
 * @returns whether it ended in the time there was. @throws ProviderError what the operation failed with.
 */
export async function settle(
  account: Account,
  poller: Poller,
  context: CallContext,
  serialized = false,
): Promise<boolean> {
  const details = serialized ? { operation: await poller.serialize() } : undefined;
  const once = async (): Promise<true | undefined> => {
    if (poller.isDone) return true;
    try {
      await poller.poll();
    } catch (error) {
      const failure = toProviderError(error, false);
      // Of the thing itself, read at the end: what was just made may be invisible (A6).
      if (failure.code === 'NotFound') return true;
      throw failure;
    }
    return poller.isDone || undefined;
  };
  const wait = { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs, details };
  return (await waitFor(once, wait)) ?? false;
}
