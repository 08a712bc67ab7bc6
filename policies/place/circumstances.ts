import type { CelRequest } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import type { OfferTable } from './offers.ts';
import type { EstateMachine, PlacementRequest, SiteView } from './types.ts';

/** What rules look at beside the offers. */
export interface Circumstances {
  request: PlacementRequest;
  cel: CelRequest;
  now: Date;
  estate: readonly EstateMachine[];
  sites: readonly SiteView[];
}

/** What a rule about other machines says of the offer of a row: CEL's three values, for one row. */
export type RowVerdict = (row: number) => 'true' | 'false' | 'error';

/** A verdict that depends on the offer by its code only, computed once for each code. */
export function byCode(codes: Uint32Array, judge: (code: number) => ReturnType<RowVerdict>): RowVerdict {
  const known = new Map<number, ReturnType<RowVerdict>>();
  return (row) => memo(known, codes[row]!, () => judge(codes[row]!));
}

/** Reads attributes of one row of a table, as CEL values; undefined = missing. */
export function rowReader(
  table: OfferTable,
  row: number,
): (attribute: Parameters<OfferTable['column']>[0]) => unknown {
  return (attribute) => {
    const { codes, values } = table.column(attribute);
    return values[codes[row]!];
  };
}
