import type { Listed, ListPage } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import type { Account } from './clients.ts';
import { type Collection, readPage, type Thing, wordOf } from './collections.ts';
import { bare } from './life.ts';
import { addSize, detailsOf, instanceState, machineOf, type Size, type Sizes, sizeKey } from './machine.ts';
import { zonesOf } from './places.ts';
import { nameFilter, partOfName, stampFilter, stampLabels } from './stamp.ts';

/** Where a list goes on: one place, one collection, one of Google's pages at a time. */
interface Cursor {
  /** What was not read yet, as `<scope>/<collection>`; the first is being read. */
  left: string[];
  token?: string;
  /** What the pages before of the same zone have asked of machine types: none is asked for on every page. */
  sizes?: [string, Size][];
}

const ofZones: Collection[] = ['instances', 'disks'];
const ofRegions: Collection[] = ['addresses', 'subnetworks'];
const ofAll: Collection[] = ['snapshots', 'images', 'networks', 'firewalls'];
/** Disks of machines are found by their labels, and so is what was adopted: it has kept its name. */
const byLabel: Collection[] = ['instances', 'disks', 'snapshots', 'images'];

/**
 * One page of everything with the broker's stamp. What could not be read is skipped with `complete: false`, so that a zone
 * that is down does not hide the others, and nobody concludes anything from its silence (A11).
 * @throws ProviderError `Invalid` for a page that no list gave.
 */
export async function listPage(account: Account, broker: string, page?: string): Promise<ListPage> {
  const { left, token, sizes: known } = page === undefined ? await begin(account) : readCursor(page);
  const [current = '', ...others] = left;
  const [, scope = '', collection] = /^(.*)\/([a-z]+)$/.exec(current) ?? [];
  const after: Cursor | undefined = others.length > 0 ? { left: others } : undefined;
  try {
    const sizes: Sizes = new Map(known);
    const found = await readOne(account, broker, collection as Collection, scope, sizes, token);
    if (!found.reached) tellUnread(account, current, new Error('Google Cloud could not reach it'));
    const following = found.token ? { left, token: found.token, sizes: [...sizes] } : after;
    return {
      items: found.items,
      nextPage: following && writeCursor(following),
      complete: found.reached,
    };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    tellUnread(account, current, error);
    return { items: [], nextPage: after && writeCursor(after), complete: false };
  }
}

function tellUnread(account: Account, what: string, error: Error): void {
  account.warn(`the list of ${what} failed: ${error.message}`, error);
}

async function begin(account: Account): Promise<Cursor> {
  const zones = (await Promise.all(account.regions.map((region) => zonesOf(account, region)))).flat();
  const each = (scopes: string[], collections: Collection[]) =>
    scopes.flatMap((scope) => collections.map((collection) => `${scope}/${collection}`));
  return {
    left: [
      ...each(
        zones.map((zone) => `zones/${zone}`),
        ofZones,
      ),
      ...each(
        account.regions.map((region) => `regions/${region}`),
        ofRegions,
      ),
      ...each(['global'], ofAll),
    ],
  };
}

async function readOne(
  account: Account,
  broker: string,
  collection: Collection,
  scope: string,
  sizes: Sizes,
  token?: string,
): Promise<{ items: Listed[]; token?: string; reached: boolean }> {
  const filter = filterFor(collection, broker);
  const page = await readPage(account, collection, scope, filter, token);
  const ours = page.things.filter(
    ({ stamp, location }) => stamp?.broker === broker && account.regions.includes(location.region),
  );
  const details = collection === 'instances' ? await detailsOfAll(account, ours, sizes) : new Map();
  const items = ours.map(
    (thing): Listed => ({
      ref: thing.ref,
      ...kindOf(thing),
      stamp: bare(thing),
      location: thing.location,
      state: thing.state,
      providerKind: wordOf(collection),
      createdAt: thing.createdAt,
      ...details.get(thing.ref),
    }),
  );
  return { items, token: page.token, reached: page.reached };
}

/** An address has labels only some time after it was made: all are read, of which a region has few. */
function filterFor(collection: Collection, broker: string): string | undefined {
  if (collection === 'addresses') return undefined;
  return byLabel.includes(collection) ? stampFilter({ broker }) : nameFilter({ broker });
}

async function detailsOfAll(
  account: Account,
  things: Thing[],
  sizes: Sizes,
): Promise<Map<string, Pick<Listed, 'state' | 'details'>>> {
  const machines = (things as Thing<'instances'>[]).map(({ ref, body }) => ({
    ref,
    machine: machineOf(body),
  }));
  const ofSizes = new Map(machines.map(({ machine }) => [sizeKey(machine), machine]));
  await Promise.all([...ofSizes.values()].map((machine) => addSize(account, sizes, machine)));
  return new Map(
    machines.map(({ ref, machine }) => [
      ref,
      { state: instanceState(machine), details: detailsOf(machine, sizes) },
    ]),
  );
}

/** The kind that a main object stands for. A disk or a firewall rule may be an instance's instead. */
const kinds: Record<Collection, Listed['kind']> = {
  instances: 'Instance',
  disks: 'Volume',
  snapshots: 'Snapshot',
  images: 'Image',
  networks: 'Network',
  subnetworks: 'Network',
  firewalls: 'Firewall',
  addresses: 'Address',
};

function kindOf({ collection, name, labels }: Thing): Pick<Listed, 'kind' | 'child'> {
  if (collection === 'instances') return { kind: 'Instance', child: false };
  if (labels[stampLabels.kind]) return { kind: kinds[collection], child: false };
  const part = partOfName(name);
  if (part === 'ssh' || part === undefined) return { kind: 'Instance', child: true };
  return { kind: kinds[collection], child: part !== '' };
}

function writeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

function readCursor(page: string): Cursor {
  try {
    const cursor = JSON.parse(Buffer.from(page, 'base64url').toString('utf8')) as Cursor;
    if (Array.isArray(cursor.left) && cursor.left.length > 0) return cursor;
  } catch (error) {
    throw new ProviderError('Invalid', 'the page is not one of this list', {}, error);
  }
  throw new ProviderError('Invalid', 'the page is not one of this list');
}
