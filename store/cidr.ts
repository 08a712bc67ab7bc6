/** IPv4 networks as ranges of numbers. */
export interface Range {
  first: number;
  last: number;
  /** Bits of the prefix. */
  bits: number;
}

/** The range of a CIDR, or why it is none. A host part that is not zero is refused: it is most often a slip. */
export function rangeOf(cidr: string): Range | string {
  const [address = '', prefix = ''] = cidr.split('/');
  const bits = Number(prefix);
  const parts = address.split('.').map(Number);
  if (parts.some((part) => part > 255) || bits > 32)
    return 'is no IPv4 network: four numbers up to 255 and a prefix up to 32';
  const first = parts.reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - bits);
  if (first % size !== 0) {
    const start = first - (first % size);
    const right = [24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.');
    return `has bits beyond its prefix: ${right}/${bits} is the network`;
  }
  return { first, last: first + size - 1, bits };
}

export const contains = (outer: Range, inner: Range): boolean =>
  outer.first <= inner.first && inner.last <= outer.last;

export const overlap = (a: Range, b: Range): boolean => a.first <= b.last && b.first <= a.last;
