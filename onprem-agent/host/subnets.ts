import { run } from './command.ts';

/** Addresses of one installation on a host, derived from its index (1–200). */
export interface Subnets {
  index: number;
  /** Guests' network in CIDR form, and its parts. */
  guests: string;
  gateway: string;
  netmask: string;
  leases: { first: string; last: string };
  /** Point-to-point link between the host and the private network namespace. */
  linkHost: string;
  linkNamespace: string;
  link: string;
  /** Interface names (at most 15 characters). */
  bridge: string;
  linkHostDevice: string;
  linkNamespaceDevice: string;
  namespace: string;
}

export const highestIndex = 200;

export function subnetsOf(index: number): Subnets {
  return {
    index,
    guests: `10.213.${index}.0/24`,
    gateway: `10.213.${index}.1`,
    netmask: '255.255.255.0',
    leases: { first: `10.213.${index}.10`, last: `10.213.${index}.250` },
    linkHost: `10.214.${index}.1`,
    linkNamespace: `10.214.${index}.2`,
    link: `10.214.${index}.0/30`,
    bridge: `lfbr${index}`,
    linkHostDevice: `lf${index}h`,
    linkNamespaceDevice: `lf${index}g`,
    namespace: `landfall-${index}`,
  };
}

/** Destinations the host routes already (IPv4, CIDR), without the devices named in `except`. */
export async function routedDestinations(except: readonly string[] = []): Promise<string[]> {
  const text = await run('ip', ['-4', '-json', 'route', 'show', 'table', 'all']);
  const routes = JSON.parse(text || '[]') as Array<{ dst?: string; dev?: string }>;
  return routes.flatMap(({ dst, dev }) =>
    dst && dst !== 'default' && !except.includes(dev ?? '') ? [dst] : [],
  );
}

/** Do two IPv4 networks in CIDR form (a bare address is /32) share an address? */
export function overlap(a: string, b: string): boolean {
  const [first, second] = [parseCidr(a), parseCidr(b)];
  const bits = Math.min(first.bits, second.bits);
  const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
  return (first.address & mask) >>> 0 === (second.address & mask) >>> 0;
}

export interface Cidr {
  /** As a number. */
  address: number;
  bits: number;
}

/** Reads an IPv4 network in CIDR form, as lenient as `ip route` writes it. */
export function parseCidr(text: string): Cidr {
  const [address = '', bits = '32'] = text.split('/');
  const parts = address.split('.').map(Number);
  // `ip route` shortens trailing zeros of a network: 10.1/16.
  while (parts.length < 4) parts.push(0);
  return { address: parts.reduce((sum, part) => sum * 256 + part, 0) >>> 0, bits: Number(bits) };
}
