import type { Listed, ListPage } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import type { Account } from './clients.ts';
import { powerIn, type Resting, readMachine, readResting, stateOf } from './machine.ts';
import { partsOf } from './objects.ts';
import { kindOfTags, stampOf, stampTags } from './stamp.ts';
import { readPage, type Tagged } from './tagged.ts';

/** Where a list goes on. */
interface Cursor {
  /** Azure's way to the next page is an address. */
  next: string;
  powers?: Powers;
}

/** What rests, and how a page says it. */
interface Powers {
  readonly resting: Resting;
  readonly written: string;
}

/**
 * One page of everything with the broker's stamp, in whatever group. What could not be read is told by `complete: false`, so that
 * nobody concludes anything from its silence (A11).
 * @throws ProviderError `Invalid` for a page that no list gave.
 */
export async function listPage(account: Account, broker: string, page?: string): Promise<ListPage> {
  const cursor = page === undefined ? undefined : readCursor(account, page);
  try {
    const { found, next } = await readPage(account, cursor?.next);
    const ours = found.filter(
      ({ tags, region }) => tags[stampTags.broker] === broker && account.regions.includes(region),
    );
    const hasMachine = ours.some(({ kind }) => kind === 'virtualMachine');
    // Azure tells the power of all machines at once: asked on every page, it would be read as often as there are pages.
    const powers = cursor?.powers ?? (hasMachine ? writePowers(await readResting(account)) : undefined);
    const items: Listed[] = [];
    for (const one of ours) {
      const item = listed(one);
      if (!item) continue;
      items.push(item);
      if (one.kind !== 'virtualMachine') continue;
      // One that came after the powers were read was just made.
      item.power = powerIn(powers?.resting, one.place);
      if (one.provisioningState !== 'Failed') continue;
      // Only the machine itself tells whether it ever ran (R11).
      const machine = await readMachine(account, one.place);
      item.state = machine ? stateOf(machine) : 'removing';
    }
    return { items, nextPage: next && writeCursor({ next, powers }), complete: true };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    account.warn(`the list failed: ${error.message}`, error);
    return { items: [], complete: false };
  }
}

function listed(one: Tagged): Listed | undefined {
  const stamp = stampOf(one.tags);
  // The network that machines share carries the broker alone.
  if (!stamp) return undefined;
  const kind = kindOfTags(one.tags);
  const child = one.kind !== partsOf[kind][0];
  const state = states[one.provisioningState ?? ''] ?? 'ready';
  const { id: ref, kind: providerKind, createdAt, region } = one;
  return { ref, kind, stamp, location: { region }, state, providerKind, child, createdAt };
}

const states: Record<string, Listed['state']> = {
  Creating: 'creating',
  Failed: 'failed',
  Deleting: 'removing',
};

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const decode = (text: string): string => Buffer.from(text, 'base64url').toString('utf8');

/** It may be a thousand machines and goes from page to page: what was written or read last is not read again from the same text. */
let last: Powers | undefined;

function writePowers(resting: Resting): Powers {
  last = { resting, written: encode(JSON.stringify(resting)) };
  return last;
}

/** @throws SyntaxError for what `writePowers` did not write. */
function readPowers(written: string): Powers {
  if (last?.written === written) return last;
  const resting: unknown = JSON.parse(decode(written));
  if (resting === null || typeof resting !== 'object') throw new SyntaxError('no powers');
  last = { resting: resting as Resting, written };
  return last;
}

function writeCursor({ next, powers }: Cursor): string {
  return powers ? `${encode(next)}.${powers.written}` : encode(next);
}

function readCursor(account: Account, page: string): Cursor {
  try {
    const [next = '', written] = page.split('.');
    const address = decode(next);
    if (account.isOwnAddress(address))
      return { next: address, powers: written === undefined ? undefined : readPowers(written) };
  } catch (error) {
    throw new ProviderError('Invalid', 'the page is not one of this list', {}, error);
  }
  throw new ProviderError('Invalid', 'the page is not one of this list');
}
