import type { Listed, ListPage } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import type { Account } from './clients.ts';
import { findMachine, stateOf } from './machine.ts';
import { partsOf } from './objects.ts';
import { kindOfTags, stampOf, stampTags } from './stamp.ts';
import { findTagged, type Tagged } from './tagged.ts';

/** Where a list goes on: one region, one of Azure's pages at a time. */
interface Cursor {
  region: number;
  token?: string;
}

/**
 * One page of everything with the broker's stamp. What could not be read is skipped with `complete: false`, so that a
 * region that is down does not hide the others, and nobody concludes anything from its silence (A11).
 * @throws ProviderError `Invalid` for a page that no list gave.
 */
export async function listPage(account: Account, broker: string, page?: string): Promise<ListPage> {
  const cursor = page === undefined ? { region: 0 } : readCursor(page);
  const region = account.regions[cursor.region];
  if (region === undefined) {
    if (page === undefined) return { items: [], complete: true };
    throw new ProviderError('Invalid', 'the page is not one of this list');
  }
  const after = cursor.region + 1 < account.regions.length ? { region: cursor.region + 1 } : undefined;
  try {
    const tag = { name: stampTags.broker, value: broker };
    const { found, next } = await findTagged(account, broker, region, tag, cursor.token);
    const items: Listed[] = [];
    for (const one of found) items.push(...(await listed(account, region, one)));
    const following = next ? { ...cursor, token: next } : after;
    return { items, nextPage: following && writeCursor(following), complete: true };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    account.warn(`the list of ${region} failed: ${error.message}`, error);
    return { items: [], nextPage: after && writeCursor(after), complete: false };
  }
}

async function listed(account: Account, region: string, one: Tagged): Promise<Listed[]> {
  const stamp = stampOf(one.tags);
  // The network that machines share carries the broker alone.
  if (!stamp) return [];
  const kind = kindOfTags(one.tags);
  const child = one.kind !== partsOf[kind][0];
  let state = states[one.provisioningState ?? ''] ?? 'ready';
  // Only the machine itself tells whether it ever ran (R11).
  if (one.kind === 'virtualMachine' && one.provisioningState === 'Failed') {
    const machine = await findMachine(account, region, stamp);
    state = machine ? stateOf(machine) : 'removing';
  }
  const { id: ref, kind: providerKind, createdAt } = one;
  return [{ ref, kind, stamp, location: { region }, state, providerKind, child, createdAt }];
}

const states: Record<string, Listed['state']> = {
  Creating: 'creating',
  Failed: 'failed',
  Deleting: 'removing',
};

function writeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

function readCursor(page: string): Cursor {
  try {
    const cursor = JSON.parse(Buffer.from(page, 'base64url').toString('utf8')) as Cursor;
    if (Number.isInteger(cursor.region)) return cursor;
  } catch (error) {
    throw new ProviderError('Invalid', 'the page is not one of this list', {}, error);
  }
  throw new ProviderError('Invalid', 'the page is not one of this list');
}
