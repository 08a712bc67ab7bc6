import type { CatalogueRow } from '@landfall/policies';
import { invalidRow } from '@landfall/policies/catalogue/catalogue.ts';
import { type LeftOut, leaveOut, type PricePage } from './price-source.ts';

/** Why no price list was made of what an API answered. */
export class UnusablePrices extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'UnusablePrices';
  }
}

/**
 * The price list that all pages of a refresh give together. An offer given twice at one price counts once; one given at two
 * prices is left out, because which holds is not told; so is a row that the catalogue would refuse. Throws
 * {@link UnusablePrices} when nothing is left: an empty list must not replace a good one.
 */
export function priceList(pages: Iterable<PricePage>): { rows: CatalogueRow[]; leftOut: LeftOut } {
  const leftOut: LeftOut = {};
  const kept = new Map<string, CatalogueRow | null>();
  for (const page of pages) {
    for (const [reason, count] of Object.entries(page.leftOut)) leaveOut(leftOut, reason, count);
    for (const row of page.rows) {
      const wrong = invalidRow(row);
      if (wrong !== null) {
        leaveOut(leftOut, wrong.replace(/-?\d[\d.e+-]*/gi, 'n'));
        continue;
      }
      const key = JSON.stringify([row.region, row.zone, row.instanceType, row.market]);
      const known = kept.get(key);
      if (known === undefined) kept.set(key, row);
      else if (known === null || known.pricePerHour !== row.pricePerHour) {
        leaveOut(leftOut, 'two prices for one offer', known === null ? 1 : 2);
        kept.set(key, null);
      } else leaveOut(leftOut, 'given twice');
    }
  }
  const rows = [...kept.values()].filter((row) => row !== null);
  if (rows.length === 0) {
    const reasons = Object.entries(leftOut).sort(([, a], [, b]) => b - a);
    const most = reasons.slice(0, 3).map(([reason, count]) => `${count}: ${reason}`);
    throw new UnusablePrices(
      `the API gave no price that can be used${most.length > 0 ? ` (left out: ${most.join('; ')})` : ''}`,
    );
  }
  return { rows, leftOut };
}
