/** A range of IPv4 addresses: its first address as a number, and how many bits of it are fixed. */
export interface Cidr {
  first: number;
  bits: number;
}

/** Reads `10.20.0.0/16`; undefined when it is none. Bits below the prefix are dropped, as EC2 does. */
export function parseCidr(text: string): Cidr | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text)?.slice(1).map(Number);
  if (!parts) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, bits = 0] = parts;
  if ([a, b, c, d].some((byte) => byte > 255) || bits > 32) return undefined;
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  return { first: address - (address % sizeOf(bits)), bits };
}

export function writeCidr({ first, bits }: Cidr): string {
  const bytes = [2 ** 24, 2 ** 16, 2 ** 8, 1].map((unit) => Math.floor(first / unit) % 256);
  return `${bytes.join('.')}/${bits}`;
}

export function contains(outer: Cidr, inner: Cidr): boolean {
  return inner.bits >= outer.bits && inner.first - (inner.first % sizeOf(outer.bits)) === outer.first;
}

export function overlap(one: Cidr, other: Cidr): boolean {
  return contains(one, other) || contains(other, one);
}

const sizeOf = (bits: number) => 2 ** (32 - bits);
