import type { Stamp, Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, readingAll } from './clients.ts';
import { kindOf, look, type ObjectKind, type Place, placeOf, refAt } from './objects.ts';
import { carries, stampOf, stampTags, type Tags } from './stamp.ts';

/** An object of one attempt, found by its tags. */
export interface Tagged {
  id: string;
  place: Place;
  kind: ObjectKind;
  tags: Tags;
  region: string;
  provisioningState?: string;
  createdAt?: string;
}

/** A list's answer, and where it goes on. */
interface Answer<T> {
  value?: T[];
  nextLink?: string;
}

/** The pages of a list, as Azure wrote them. @throws ProviderError `Unavailable` where it goes on at an address that gets no token of ours. */
export async function* readPages<T>(account: Account, first: string): AsyncGenerator<T[]> {
  let address: string | undefined = first;
  while (address) {
    const { value = [], nextLink } = (await account.read(address)) as Answer<T>;
    yield value;
    if (nextLink && !account.isOwnAddress(nextLink))
      throw new ProviderError(
        'Unavailable',
        `a list goes on at ${nextLink}, which is not of the subscription`,
      );
    address = nextLink;
  }
}

/** What a list says of an object, as far as it is read here. */
interface Item {
  id?: string;
  type?: string;
  location?: string;
  tags?: Tags;
  provisioningState?: string;
  /** ISO time. */
  createdTime?: string;
}

/** A page of everything in the subscription, of the types that this adapter knows: what was adopted stays in its own group. */
export async function readPage(
  account: Account,
  address = `/subscriptions/${account.subscription}/resources?api-version=2025-04-01&$expand=createdTime,provisioningState`,
): Promise<{ found: Tagged[]; next?: string }> {
  const { value = [], nextLink } = (await account.read(address)) as Answer<Item>;
  return { found: value.flatMap((item) => toTagged(account, item) ?? []), next: nextLink || undefined };
}

function toTagged(account: Account, item: Item): Tagged | undefined {
  const kind = kindOf(item.type);
  const place = placeOf(item.id);
  if (!kind || !place) return undefined;
  const { tags = {}, location = '', provisioningState, createdTime: createdAt } = item;
  const region = regionOf(location);
  return { id: refAt(account, kind, place), place, kind, tags, region, provisioningState, createdAt };
}

/** Azure writes a region as `westeurope` or as `West Europe`. */
export function regionOf(location: string): string {
  return location.replaceAll(' ', '').toLowerCase();
}

/**
 * Everything with the target's stamp, in whatever group. Azure answers what has a tag without saying its tags, and its index comes
 * after the objects themselves: each is read.
 */
export async function findStamped(account: Account, { stamp }: Pick<Target, 'stamp'>): Promise<Tagged[]> {
  const filter = `tagName eq '${stampTags.resource}' and tagValue eq '${stamp.resource}'`;
  const named = await readingAll(account.resources.resources.list({ filter }));
  const all = named.flatMap(
    (item) => toTagged(account, { ...item, createdTime: item.createdTime?.toISOString() }) ?? [],
  );
  const seen = await Promise.all(
    all.map(async (one): Promise<Tagged> => {
      const object = await look(account, one.place.group, one.kind, one.place.name);
      return { ...one, tags: object?.tags ?? {} };
    }),
  );
  return seen.filter(({ tags }) => carries(tags, stamp));
}

/** The attempts that a target means: the one it names, else every one that something carries the stamp of. Newest first. */
export async function attemptsOf(account: Account, target: Pick<Target, 'stamp'>): Promise<Stamp[]> {
  const { stamp } = target;
  if (stamp.attempt !== undefined) return [{ ...stamp, attempt: stamp.attempt }];
  const found = await findStamped(account, target);
  const attempts = new Set(found.map(({ tags }) => stampOf(tags)?.attempt ?? 0));
  return [...attempts].sort((one, other) => other - one).map((attempt) => ({ ...stamp, attempt }));
}
