import { element } from '../kvm/xml.ts';
import type { Subnets } from './subnets.ts';

/** Name of the libvirt network guests are on where they are in none of their own. */
export const networkName = 'landfall';

/** A network of guests as libvirt is told of it. */
export interface NetworkSpec {
  name: string;
  uuid?: string;
  bridge: string;
  gateway: string;
  netmask: string;
  /** Addresses for anyone who asks; absent = for those only that an address is kept for. */
  leases?: { first: string; last: string };
}

/** The site's default network. */
export function defaultNetwork({ bridge, gateway, netmask, leases }: Subnets): NetworkSpec {
  return { name: networkName, bridge, gateway, netmask, leases };
}

/**
 * A guests' network. `open`: no firewall rule at all, for the private namespace whose only door is our link. `nat`: on the
 * host itself, with libvirt's masquerading, where the system's libvirt is used.
 */
export function networkXml(spec: NetworkSpec, forward: 'open' | 'nat'): string {
  const { name, uuid, bridge, gateway, netmask, leases } = spec;
  return element('network', { 'xmlns:dnsmasq': 'http://libvirt.org/schemas/network/dnsmasq/1.0' }, [
    element('name', {}, name),
    ...(uuid === undefined ? [] : [element('uuid', {}, uuid)]),
    element('forward', { mode: forward }),
    element('bridge', { name: bridge, stp: 'off', delay: '0' }),
    element('ip', { address: gateway, netmask }, [
      element('dhcp', {}, leases ? [element('range', { start: leases.first, end: leases.last })] : []),
    ]),
    // dnsmasq pings an address for three seconds before it offers it, to find squatters. This subnet is ours alone, and a
    // guest that boots in four seconds would wait for nothing.
    element('dnsmasq:options', {}, [element('dnsmasq:option', { value: 'no-ping' })]),
  ]).text;
}
