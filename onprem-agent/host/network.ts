import { element } from '../kvm/xml.ts';
import type { Subnets } from './subnets.ts';

/** Name of the libvirt network guests are on. */
export const networkName = 'landfall';

/**
 * The guests' network. `open`: no firewall rule at all, for the private namespace whose only door is our link. `nat`: on the
 * host itself, with libvirt's masquerading, where the system's libvirt is used.
 */
export function networkXml(subnets: Subnets, forward: 'open' | 'nat'): string {
  return element('network', { 'xmlns:dnsmasq': 'http://libvirt.org/schemas/network/dnsmasq/1.0' }, [
    element('name', {}, networkName),
    element('forward', { mode: forward }),
    element('bridge', { name: subnets.bridge, stp: 'off', delay: '0' }),
    element('ip', { address: subnets.gateway, netmask: subnets.netmask }, [
      element('dhcp', {}, [element('range', { start: subnets.leases.first, end: subnets.leases.last })]),
    ]),
    // dnsmasq pings an address for three seconds before it offers it, to find squatters. This subnet is ours alone, and a
    // guest that boots in four seconds would wait for nothing.
    element('dnsmasq:options', {}, [element('dnsmasq:option', { value: 'no-ping' })]),
  ]).text;
}
