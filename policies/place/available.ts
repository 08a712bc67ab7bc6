import type { Codes } from '../catalogue/rows.ts';
import { type Bits, countBits, keepOnly, nextBit } from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import { offersWith } from './fit.ts';
import type { OfferTable } from './offers.ts';
import type { SetAside } from './types.ts';

const PLACE = ['site', 'region', 'zone', 'host', 'instanceType', 'market'] as const;

/** Why an offer cannot be had now; null: it can. */
export type Refusal = (site: string, host: string) => string | null;

/**
 * The offers of a set that can be had now: not set aside, and on a host with room. Counts in `refusals` why the others
 * cannot. The set itself where nothing can stand against an offer of the table: shared, not to be changed.
 */
export function availableOffers(
  table: OfferTable,
  offers: Bits,
  setAside: readonly SetAside[],
  refusal: Refusal,
  refusals: Map<string, number>,
): Bits {
  const matching = setAside.filter((aside) => isSetAside(table, aside) !== null);
  const refused = hostRefusal(table, refusal);
  if (matching.length === 0 && refused === null) return offers;
  const bits = offers.slice();
  const count = (reason: string, n: number): void => {
    if (n > 0) refusals.set(reason, (refusals.get(reason) ?? 0) + n);
  };
  for (const aside of matching) {
    const gone = bits.slice();
    for (const attribute of PLACE) {
      const name = aside[attribute];
      if (name !== null) keepOnly(gone, offersWith(table, attribute, name));
    }
    count(`set aside: ${aside.reason}`, countBits(gone));
    for (let w = 0; w < bits.length; w++) bits[w]! &= ~gone[w]!;
  }
  if (refused !== null)
    for (let i = nextBit(bits, 0); i >= 0; i = nextBit(bits, i + 1)) {
      const reason = refused(i);
      if (reason === null) continue;
      bits[i >>> 5]! &= ~(1 << (i & 31));
      count(reason, 1);
    }
  return bits;
}

/** Why the host of a row cannot take the machine now; null where the table has no hosts. */
export function hostRefusal(table: OfferTable, refusal: Refusal): ((row: number) => string | null) | null {
  const hosts = table.column('host');
  if (hosts.values.every((h) => h === '')) return null;
  const sites = table.column('site');
  return (row) => {
    const host = hosts.values[hosts.codes[row]!] as string;
    return host === '' ? null : refusal(sites.values[sites.codes[row]!] as string, host);
  };
}

/** Compares codes, not names; null when the table has no such offer at all. */
export function isSetAside(table: OfferTable, aside: SetAside): ((i: number) => boolean) | null {
  const tests: { codes: Codes; code: number }[] = [];
  for (const attribute of PLACE) {
    const wanted = aside[attribute];
    if (wanted === null) continue;
    const { codes, values } = table.column(attribute);
    const code = codesOf(values).get(wanted);
    if (code === undefined) return null;
    tests.push({ codes, code });
  }
  return (i) => tests.every((t) => t.codes[i] === t.code);
}

const codesByValue = new WeakMap<readonly unknown[], Map<unknown, number>>();

function codesOf(values: readonly unknown[]): Map<unknown, number> {
  return memo(codesByValue, values, () => new Map(values.map((value, code) => [value, code])));
}
