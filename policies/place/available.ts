import type { Codes } from '../catalogue/rows.ts';
import { type Bits, nextBit } from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import type { OfferTable } from './offers.ts';
import type { SetAside } from './types.ts';

/** Why an offer cannot be had now; null: it can. */
export type Refusal = (site: string, host: string) => string | null;

/**
 * The offers of a set that can be had now: not set aside, and on a host with room. Counts in `refusals` why the others
 * cannot.
 */
export function availableOffers(
  table: OfferTable,
  offers: Bits,
  setAside: readonly SetAside[],
  refusal: Refusal,
  refusals: Map<string, number>,
): Bits {
  const bits = offers.slice();
  const drop = (i: number, reason: string): void => {
    bits[i >>> 5]! &= ~(1 << (i & 31));
    refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
  };
  for (const aside of setAside) {
    const matches = isSetAside(table, aside);
    if (matches === null) continue;
    for (let i = nextBit(bits, 0); i >= 0; i = nextBit(bits, i + 1))
      if (matches(i)) drop(i, `set aside: ${aside.reason}`);
  }
  const refused = hostRefusal(table, refusal);
  if (refused !== null)
    for (let i = nextBit(bits, 0); i >= 0; i = nextBit(bits, i + 1)) {
      const reason = refused(i);
      if (reason !== null) drop(i, reason);
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
  for (const attribute of ['site', 'region', 'zone', 'host', 'instanceType', 'market'] as const) {
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
