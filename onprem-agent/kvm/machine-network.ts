import type { FirewallRule, InstanceWant } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { runBeside } from '../host/reach.ts';
import { overlap } from '../host/subnets.ts';
import type { Domain } from './domain-xml.ts';
import { readHeld } from './held.ts';
import { requireHeld } from './held-kind.ts';
import { macOf } from './identity.ts';
import type { MachineRecord } from './machine-record.ts';
import { addressesOf, bridgeOf, openNetwork, subnetOf, subnetRef } from './network.ts';
import { applyFilter } from './packet-filter.ts';
import { pause } from './pause.ts';
import { sshAnswers } from './readiness.ts';
import type { Setting } from './setting.ts';
import { invalid } from './wanted-machine.ts';

/** Throws unless the network and the firewalls that a machine names are there, and belong together. */
export async function requireNetworkOf(
  setting: Setting,
  { network, firewalls = [] }: Pick<InstanceWant, 'network' | 'firewalls'>,
  broker: string,
): Promise<void> {
  if (network) {
    const { uuid, record } = await requireHeld(setting, 'Network', network.ref, broker, '/network/ref');
    const subnet = subnetRef(uuid, subnetOf(record.spec));
    if (network.subnet !== subnet)
      throw invalid('/network/subnet', `the network has the subnet ${subnet}, not ${network.subnet}`);
  }
  for (const [index, ref] of firewalls.entries()) {
    const field = `/firewalls/${index}`;
    const { record } = await requireHeld(setting, 'Firewall', ref, broker, field);
    if (record.spec.network !== network?.ref)
      throw invalid(field, `the firewall ${record.spec.name} is of another network than the machine`);
  }
}

/**
 * Keeps an address of its network for a machine, the same one each time. None that a lease still runs for is given anew: the DHCP
 * server would not hand it out. Called while placing: two machines never take one address.
 */
export async function keepAddressFor(setting: Setting, ref: string, uuid: string): Promise<void> {
  const { libvirt, storage } = setting;
  const [held, network] = await Promise.all([readHeld(storage, 'Network', ref), libvirt.findNetwork(ref)]);
  if (!held || !network)
    throw new ProviderError('NotFound', `no Network ${ref} is on this host`, { field: '/network/ref' });
  const mac = macOf(uuid);
  if (network.hosts.some((host) => host.mac === mac)) return;
  // What was kept for machines whose removal was cut short.
  const machines = new Set((await libvirt.all()).map((domain) => macOf(domain.uuid)));
  for (const host of network.hosts) if (!machines.has(host.mac)) await libvirt.freeAddress(ref, host);
  const taken = new Set([...network.hosts, ...(await libvirt.leases(ref))].map(({ address }) => address));
  for (const address of addressesOf(subnetOf(held.record.spec).cidr).machines()) {
    if (!taken.has(address)) return libvirt.keepAddress(ref, { mac, address });
  }
  throw new ProviderError('CapacityExhausted', `the network ${held.record.spec.name} has no address left`);
}

/** Lets the address go of a machine that is no more. */
export async function freeAddressOf({ libvirt }: Setting, ref: string, uuid: string): Promise<void> {
  const mac = macOf(uuid);
  const host = (await libvirt.findNetwork(ref))?.hosts.find((one) => one.mac === mac);
  if (host) await libvirt.freeAddress(ref, host);
}

/** Brings a machine's network to life before it starts: a restart of the host undoes what libvirt does not keep. */
export async function openNetworkOf(setting: Setting, ref: string): Promise<void> {
  const held = await readHeld(setting.storage, 'Network', ref);
  if (!held)
    throw new ProviderError('NotFound', `no Network ${ref} is on this host`, { field: '/network/ref' });
  await applyFilter(setting);
  await openNetwork(setting, held);
}

const sshPort = 22;

/**
 * How a guest shows that it is up. By its SSH server where that may be reached; where its firewalls do not let this host in, by
 * answering for its address on the bridge, which no firewall of ours concerns.
 */
export async function isUp(setting: Setting, domain: Domain, address: string): Promise<boolean> {
  const { network } = domain.record ?? {};
  if (!network || (await letsUsIn(setting, domain.record as MachineRecord, network.ref)))
    return sshAnswers(address);
  const { reach, storage } = setting;
  const ip = (...args: string[]) => runBeside(storage.run, reach, 'ip', args);
  const bridge = bridgeOf(network.ref);
  const mac = domain.mac ?? macOf(domain.uuid);
  // The kernel asks anew whether the neighbour is there, whatever it knew.
  await ip('neigh', 'replace', address, 'lladdr', mac, 'dev', bridge, 'nud', 'probe');
  await pause(arpWaitMs);
  return /REACHABLE/.test(await ip('neigh', 'show', address, 'dev', bridge));
}

/** A guest on a bridge of this host answers in this time, or is not there yet. */
const arpWaitMs = 200;

async function letsUsIn(
  { reach, storage }: Setting,
  { firewalls }: MachineRecord,
  ref: string,
): Promise<boolean> {
  const network = await readHeld(storage, 'Network', ref);
  const us = reach.address ?? (network && addressesOf(subnetOf(network.record.spec).cidr).gateway);
  if (us === undefined) return false;
  for (const one of firewalls) {
    const rules = (await readHeld(storage, 'Firewall', one))?.record.spec.rules ?? [];
    if (rules.some((rule) => admits(rule, sshPort, us))) return true;
  }
  return false;
}

function admits({ protocol, ports, sources }: FirewallRule, port: number, address: string): boolean {
  if (protocol !== 'tcp' && protocol !== 'all') return false;
  if (ports && (port < ports.from || port > ports.to)) return false;
  return sources.some((source) => overlap(source, address));
}
