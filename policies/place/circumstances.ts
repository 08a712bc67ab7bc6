import type { CelRequest } from '../cel/schema.ts';
import type { Bits } from '../cel/trivalue.ts';
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

/** What a rule about other machines says of the offers of a table, of one or of many. */
export interface MachinesVerdict {
  at: RowVerdict;
  /** The offers of a set that it lets through, and those of them it has no value for. */
  over: (among: Bits) => { passes: Bits; errors: Bits };
}

/** A verdict that depends on the offer by its code only, of which there are `count`; computed once for each. */
export function byCode(
  codes: Uint32Array,
  count: number,
  judge: (code: number) => ReturnType<RowVerdict>,
): MachinesVerdict {
  const known = new Map<number, ReturnType<RowVerdict>>();
  const of = (code: number): ReturnType<RowVerdict> => memo(known, code, () => judge(code));
  return {
    at: (row) => of(codes[row]!),
    over: (among) => {
      const words = (codes.length + 31) >>> 5;
      const [passes, errors] = [new Uint32Array(words), new Uint32Array(words)];
      const said = new Uint8Array(count);
      for (let w = 0; w < among.length; w++)
        for (let left = among[w]!; left !== 0; left &= left - 1) {
          const bit = left & -left;
          const code = codes[(w << 5) + 31 - Math.clz32(bit)]!;
          if (said[code] === 0) said[code] = SAID[of(code)];
          if (said[code] === SAID.true) passes[w]! |= bit;
          else if (said[code] === SAID.error) errors[w]! |= bit;
        }
      return { passes, errors };
    },
  };
}

const SAID = { true: 1, false: 2, error: 3 } as const;

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
