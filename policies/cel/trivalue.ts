/**
 * CEL's three values over many offers at once. A bit is true, or false, or an error; `&&` and `||` absorb an
 * error where the other side decides (CEL specification, "Logical Operators"), everything else passes it on.
 */

/** A set of offers, one bit each, 32 to a word; bits past the last offer are 0. */
export type Bits = Uint32Array;

/** One value for all offers, or a bit per offer. `error` null = nowhere; a bit is in at most one of the two. */
export type TriValue = { all: 'true' | 'false' | 'error' } | { all: null; true: Bits; error: Bits | null };

export const TRUE: TriValue = { all: 'true' };
export const FALSE: TriValue = { all: 'false' };
export const ERROR: TriValue = { all: 'error' };

/** All `n` bits set. */
export function fullBits(n: number): Bits {
  const bits = new Uint32Array((n + 31) >>> 5).fill(0xffffffff);
  if (n & 31) bits[bits.length - 1] = ((1 << (n & 31)) >>> 0) - 1;
  return bits;
}

/** How many bits are set. */
export function countBits(bits: Bits): number {
  let total = 0;
  for (let i = 0; i < bits.length; i++) total += popcount(bits[i]!);
  return total;
}

/** Bits set in one word (Hacker's Delight, 5-2). */
export function popcount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return (((x + (x >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/** First set bit at or after `from`, or -1. */
export function nextBit(bits: Bits, from: number): number {
  let word = from >>> 5;
  if (word >= bits.length) return -1;
  let x = (bits[word]! & (0xffffffff << (from & 31))) >>> 0;
  while (x === 0) {
    if (++word >= bits.length) return -1;
    x = bits[word]!;
  }
  return word * 32 + 31 - Math.clz32(x & -x);
}

/** Clears the bits of a set that are not in another, which is at least as long. */
export function keepOnly(bits: Bits, others: Bits): void {
  for (let w = 0; w < bits.length; w++) bits[w]! &= others[w]!;
}

/** How many bits are set in both sets. */
export function countBoth(a: Bits, b: Bits): number {
  let total = 0;
  for (let w = 0; w < a.length; w++) total += popcount(a[w]! & b[w]!);
  return total;
}

/** How many bits of a set are not in another. */
export function countOutside(bits: Bits, other: Bits): number {
  let total = 0;
  for (let w = 0; w < bits.length; w++) {
    const x = bits[w]! & ~other[w]!;
    if (x !== 0) total += popcount(x);
  }
  return total;
}

/** First bit at or after `from`, and before `end`, that is in both sets, or -1. */
export function nextInBoth(a: Bits, b: Bits, from: number, end = a.length * 32): number {
  if (from >= end) return -1;
  const words = Math.min(a.length, (end + 31) >>> 5);
  let word = from >>> 5;
  if (word >= words) return -1;
  let x = a[word]! & b[word]! & (0xffffffff << (from & 31));
  while (x === 0) {
    if (++word >= words) return -1;
    x = a[word]! & b[word]!;
  }
  const found = word * 32 + 31 - Math.clz32(x & -x);
  return found < end ? found : -1;
}

/** First bit of a set at or after `from` that is not in another, or -1. */
export function nextOutside(bits: Bits, other: Bits, from: number): number {
  let word = from >>> 5;
  if (word >= bits.length) return -1;
  let x = bits[word]! & ~other[word]! & (0xffffffff << (from & 31));
  while (x === 0) {
    if (++word >= bits.length) return -1;
    x = bits[word]! & ~other[word]!;
  }
  return word * 32 + 31 - Math.clz32(x & -x);
}

/** Whether the offer's bit is set. */
export function hasBit(bits: Bits, i: number): boolean {
  return ((bits[i >>> 5]! >>> (i & 31)) & 1) === 1;
}

/** Collapses to one value where every bit agrees, so that later steps can skip work. */
export function triFrom(trueBits: Bits, error: Bits | null, n: number): TriValue {
  const errors = error === null ? 0 : countBits(error);
  if (errors === n && n > 0) return ERROR;
  if (errors > 0) return { all: null, true: trueBits, error };
  const trues = countBits(trueBits);
  if (trues === 0) return FALSE;
  if (trues === n) return TRUE;
  return { all: null, true: trueBits, error: null };
}

/** The bits that are true, as a set of its own the caller may change. */
export function trueBits(value: TriValue, n: number): Bits {
  if (value.all === null) return value.true.slice();
  return value.all === 'true' ? fullBits(n) : new Uint32Array((n + 31) >>> 5);
}

/** The bits that are errors. */
export function errorBits(value: TriValue, n: number): Bits {
  if (value.all === null) return value.error?.slice() ?? new Uint32Array((n + 31) >>> 5);
  return value.all === 'error' ? fullBits(n) : new Uint32Array((n + 31) >>> 5);
}

/** CEL `!`. */
export function not(value: TriValue, n: number): TriValue {
  if (value.all !== null) return value.all === 'true' ? FALSE : value.all === 'false' ? TRUE : ERROR;
  const out = fullBits(n);
  for (let i = 0; i < out.length; i++) out[i]! &= ~(value.true[i]! | (value.error?.[i] ?? 0));
  return { all: null, true: out, error: value.error };
}

/** CEL `&&`: false wins over an error, an error over true. */
export function and(left: TriValue, right: TriValue, n: number): TriValue {
  if (left.all === 'false' || right.all === 'false') return FALSE;
  if (left.all === 'true') return right;
  if (right.all === 'true') return left;
  const t = trueBits(left, n);
  const rt = trueBits(right, n);
  if (!hasErrors(left) && !hasErrors(right)) {
    for (let i = 0; i < t.length; i++) t[i]! &= rt[i]!;
    return triFrom(t, null, n);
  }
  const e = errorBits(left, n);
  const re = errorBits(right, n);
  for (let i = 0; i < t.length; i++) {
    const notFalse = (t[i]! | e[i]!) & (rt[i]! | re[i]!);
    e[i] = (e[i]! | re[i]!) & notFalse;
    t[i]! &= rt[i]!;
  }
  return triFrom(t, e, n);
}

/** CEL `||`: true wins over an error, an error over false. */
export function or(left: TriValue, right: TriValue, n: number): TriValue {
  if (left.all === 'true' || right.all === 'true') return TRUE;
  if (left.all === 'false') return right;
  if (right.all === 'false') return left;
  const t = trueBits(left, n);
  const rt = trueBits(right, n);
  for (let i = 0; i < t.length; i++) t[i]! |= rt[i]!;
  if (!hasErrors(left) && !hasErrors(right)) return triFrom(t, null, n);
  const e = errorBits(left, n);
  const re = errorBits(right, n);
  for (let i = 0; i < t.length; i++) e[i] = (e[i]! | re[i]!) & ~t[i]!;
  return triFrom(t, e, n);
}

/** CEL `c ? a : b` over booleans: only the branch taken counts, an error in the condition is the result. */
export function choose(condition: TriValue, a: () => TriValue, b: () => TriValue, n: number): TriValue {
  if (condition.all !== null) return condition.all === 'true' ? a() : condition.all === 'false' ? b() : ERROR;
  const ct = condition.true;
  const ce = errorBits(condition, n);
  const [x, y] = [a(), b()];
  const [at, ae, bt, be] = [trueBits(x, n), errorBits(x, n), trueBits(y, n), errorBits(y, n)];
  for (let i = 0; i < at.length; i++) {
    const otherwise = ~(ct[i]! | ce[i]!);
    at[i] = (ct[i]! & at[i]!) | (otherwise & bt[i]!);
    ce[i] = ce[i]! | (ct[i]! & ae[i]!) | (otherwise & be[i]!);
  }
  return triFrom(at, ce, n);
}

function hasErrors(value: TriValue): boolean {
  return value.all === 'error' || (value.all === null && value.error !== null);
}
