import type { OfferSet } from './fit.ts';

/** Gives, from a row on, the next offer that is in two sets and allowed; -1: none. `allows` is asked last. */
export function scan(
  one: OfferSet,
  other: OfferSet,
  allows: ((row: number) => boolean) | null,
): (from: number) => number {
  const [a, b] = [one.bits, other.bits];
  const [anyA, anyB] = [one.any, other.any];
  return (from) => {
    let w = from >>> 5;
    let mask = 0xffffffff << (from & 31);
    while (w < a.length) {
      const block = w >>> 5;
      const end = Math.min((block + 1) << 5, a.length);
      if ((anyA[block]! & anyB[block]!) === 0) w = end;
      for (; w < end; w++) {
        let x = a[w]! & b[w]! & mask;
        mask = 0xffffffff;
        for (; x !== 0; x &= x - 1) {
          const row = (w << 5) + 31 - Math.clz32(x & -x);
          if (allows === null || allows(row)) return row;
        }
      }
      mask = 0xffffffff;
    }
    return -1;
  };
}
