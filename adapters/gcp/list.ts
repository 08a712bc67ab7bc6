import type { Listed, ListPage } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, reading } from './clients.ts';
import { zonesOf } from './create.ts';
import { diskOf } from './disks.ts';
import {
  addSize,
  detailsOf,
  instanceState,
  locationOf,
  machineOf,
  machineRef,
  regionOf,
  type Sizes,
} from './machine.ts';
import { stampFilter, stampOf } from './stamp.ts';

/** Where a list goes on: one zone, one kind, one of Google's pages at a time. */
interface Cursor {
  /** Zones not yet read; the first is being read. */
  zones: string[];
  kind: 'instances' | 'disks';
  token?: string;
}

/**
 * One page of everything with the broker's stamp. What could not be read is skipped with `complete: false`, so that a zone
 * that is down does not hide the others, and nobody concludes anything from its silence (A11).
 * @throws ProviderError `Invalid` for a page that no list gave.
 */
export async function listPage(account: Account, broker: string, page?: string): Promise<ListPage> {
  if (page === undefined) {
    const zones = await Promise.all(account.regions.map((region) => zonesOf(account, region)));
    return readPage(account, broker, { zones: zones.flat(), kind: 'instances' });
  }
  return readPage(account, broker, readCursor(page));
}

async function readPage(account: Account, broker: string, cursor: Cursor): Promise<ListPage> {
  const [zone, ...others] = cursor.zones;
  if (zone === undefined) return { items: [], complete: true };
  const after: Cursor | undefined =
    cursor.kind === 'instances'
      ? { zones: cursor.zones, kind: 'disks' }
      : others.length > 0
        ? { zones: others, kind: 'instances' }
        : undefined;
  try {
    const { items, token } = await read(account, zone, cursor, stampFilter({ broker }));
    const following = token ? { ...cursor, token } : after;
    return { items, nextPage: following && writeCursor(following), complete: true };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    account.warn(`the list of ${cursor.kind} in ${zone} failed: ${error.message}`, error);
    return { items: [], nextPage: after && writeCursor(after), complete: false };
  }
}

async function read(
  account: Account,
  zone: string,
  { kind, token }: Cursor,
  filter: string,
): Promise<{ items: Listed[]; token?: string }> {
  const request = { project: await account.project(), zone, filter, pageToken: token };
  if (kind === 'disks') {
    const [disks, , answer] = await reading(account.clients.disks.list(request, account.call));
    const items = disks.map(diskOf).flatMap(({ ref, labels, state, createdAt }): Listed[] => {
      const stamp = stampOf(labels);
      const location = { region: regionOf(zone), zone };
      return stamp
        ? [{ ref, kind: 'Instance', stamp, location, state, providerKind: 'disk', child: true, createdAt }]
        : [];
    });
    return { items, token: answer?.nextPageToken || undefined };
  }
  const [instances, , answer] = await reading(account.clients.instances.list(request, account.call));
  const machines = instances.map(machineOf);
  const sizes: Sizes = new Map();
  for (const machine of machines) await addSize(account, sizes, machine);
  const items = machines.flatMap((machine): Listed[] => {
    const stamp = stampOf(machine.labels);
    if (!stamp) return [];
    return [
      {
        ref: machineRef(machine),
        kind: 'Instance',
        stamp,
        location: locationOf(machine),
        state: instanceState(machine),
        providerKind: 'instance',
        child: false,
        createdAt: machine.creationTimestamp ?? undefined,
        details: detailsOf(machine, sizes),
      },
    ];
  });
  return { items, token: answer?.nextPageToken || undefined };
}

function writeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

function readCursor(page: string): Cursor {
  try {
    const cursor = JSON.parse(Buffer.from(page, 'base64url').toString('utf8')) as Cursor;
    if (Array.isArray(cursor.zones) && (cursor.kind === 'instances' || cursor.kind === 'disks'))
      return cursor;
  } catch (error) {
    throw new ProviderError('Invalid', 'the page is not one of this list', {}, error);
  }
  throw new ProviderError('Invalid', 'the page is not one of this list');
}
