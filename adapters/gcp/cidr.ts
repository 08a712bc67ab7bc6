import { ProviderError } from '../errors.ts';

/** The first and the last address of an IPv4 range, as numbers. @throws ProviderError `Invalid` at `field`. */
export function rangeOf(cidr: string, field: string): { first: number; last: number } {
  const [, address = '', bits] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr) ?? [];
  const parts = address.split('.').map(Number);
  const size = 2 ** (32 - Number(bits));
  const first = parts.reduce((sum, part) => sum * 256 + part, 0);
  if (!bits || Number(bits) > 32 || parts.some((part) => part > 255) || first % size !== 0)
    throw new ProviderError('Invalid', `'${cidr}' is no IPv4 range like 10.20.0.0/16`, { field });
  return { first, last: first + size - 1 };
}
