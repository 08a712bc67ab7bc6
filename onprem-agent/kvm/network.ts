import type { NetworkWant } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { networkXml } from '../host/network.ts';
import { addRoute, dropRoute, runBeside } from '../host/reach.ts';
import { type Cidr, overlap, parseCidr, routedDestinations } from '../host/subnets.ts';
import { allHeld, type Held } from './held.ts';
import type { HeldPlan } from './held-kind.ts';
import { domainName } from './identity.ts';
import { applyFilter } from './packet-filter.ts';
import type { Setting } from './setting.ts';
import { invalid } from './wanted-machine.ts';

/** Where a network may be: the host gets a route to it, which must hide nothing of the internet. */
const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];
const fewestSubnetBits = 8;
const mostSubnetBits = 29;

export const oneSubnet = 'a network on an on-prem host is one bridge: it has exactly one subnet';

/** Reference of the network's one subnet. */
export function subnetRef(uuid: string, { name }: { name: string }): string {
  return `${uuid}/${name}`;
}

/** Name of the bridge (at most 15 characters). */
export function bridgeOf(uuid: string): string {
  return `lfn${uuid.replaceAll('-', '').slice(0, 12)}`;
}

/** The subnet's addresses: the first is the gateway's, the last is broadcast. */
export function addressesOf(cidr: string): {
  gateway: string;
  netmask: string;
  machines: () => Iterable<string>;
} {
  const { address, bits } = parseCidr(cidr);
  const size = 2 ** (32 - bits);
  return {
    gateway: dotted(address + 1),
    netmask: dotted(2 ** 32 - size),
    *machines() {
      for (let at = 2; at < size - 1; at++) yield dotted(address + at);
    },
  };
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** Starts what libvirt has defined, and makes what a restart of the host undoes. Idempotent. */
export async function openNetwork({ libvirt, reach, storage }: Setting, { uuid, record }: Held<'Network'>) {
  await libvirt.startNetwork(uuid);
  // The host answers for the neighbours, whom a machine cannot see, and does not tell it to go to them directly.
  const options = ['proxy_arp_pvlan=1', 'send_redirects=0'];
  const settings = options.map((option) => `net.ipv4.conf.${bridgeOf(uuid)}.${option}`);
  await runBeside(storage.run, reach, 'sysctl', ['-q', '-w', ...settings]);
  await addRoute(storage.run, reach, subnetOf(record.spec).cidr);
}

/**
 * Private networks: a bridge of libvirt's with DHCP for the machines that an address is kept for. Neighbours do not see each
 * other on the bridge (their ports are isolated): all they send goes by the host, where the packet filter is.
 */
export function networkPlan(setting: Setting): HeldPlan<'Network'> {
  const { libvirt, reach, storage } = setting;

  return {
    kind: 'Network',

    check(spec) {
      const cidr = checkedCidr(spec.cidr, '/cidr');
      const [subnet] = spec.subnets;
      if (!subnet || spec.subnets.length !== 1) throw invalid('/subnets', oneSubnet);
      const inner = checkedCidr(subnet.cidr, '/subnets/0/cidr');
      if (inner.bits < cidr.bits || !overlap(subnet.cidr, spec.cidr))
        throw invalid('/subnets/0/cidr', `the subnet ${subnet.cidr} is not inside ${spec.cidr}`);
      if (inner.bits < fewestSubnetBits || inner.bits > mostSubnetBits)
        throw invalid('/subnets/0/cidr', `a subnet is from /${fewestSubnetBits} to /${mostSubnetBits}`);
      if (!/^[\w.-]{1,63}$/.test(subnet.name))
        throw invalid('/subnets/0/name', 'the name of a subnet has 1 to 63 letters, digits, dots, hyphens');
      if (!privateRanges.some((range) => overlap(range, spec.cidr) && cidr.bits >= parseCidr(range).bits))
        throw invalid('/cidr', `a private network is inside one of ${privateRanges.join(', ')}`);
    },

    async admit({ spec }, uuid) {
      const { cidr } = subnetOf(spec);
      for (const other of await allHeld(storage, 'Network')) {
        const theirs = subnetOf(other.record.spec).cidr;
        if (other.uuid !== uuid && overlap(theirs, cidr))
          throw overlapping(cidr, `the network ${other.record.spec.name} (${theirs})`);
      }
      const devices = [bridgeOf(uuid), ...(reach.link ? [reach.link.device] : [])];
      for (const routed of [...reach.taken, ...(await routedDestinations(devices))])
        if (overlap(routed, cidr)) throw overlapping(cidr, `${routed}, which this host uses itself`);
    },

    stands: async ({ uuid }) => (await libvirt.findNetwork(uuid)) !== undefined,

    async make(held) {
      const { uuid, record } = held;
      const { cidr } = subnetOf(record.spec);
      const { gateway, netmask } = addressesOf(cidr);
      const bridge = bridgeOf(uuid);
      // The filter first: it goes by the bridge's name, and nothing passes before it is there.
      await applyFilter(setting);
      const name = domainName(record.spec.name, uuid);
      const kept = (await libvirt.findNetwork(uuid)) !== undefined;
      if (!kept)
        await libvirt.defineNetwork(networkXml({ name, uuid, bridge, gateway, netmask }, reach.forward));
      await openNetwork(setting, held);
      return held;
    },

    async details({ uuid, record: { spec } }) {
      return {
        cidr: spec.cidr,
        subnets: spec.subnets.map(({ name, cidr }) => ({ name, cidr, ref: subnetRef(uuid, { name }) })),
        children: [],
      };
    },

    diff: () => [],

    async users({ uuid }) {
      const name = (await libvirt.findNetwork(uuid))?.name;
      const machines = (await libvirt.all()).filter(
        ({ networks, record }) => record?.network?.ref === uuid || networks.some((one) => one === name),
      );
      const firewalls = (await allHeld(storage, 'Firewall')).filter(
        ({ record }) => record.spec.network === uuid,
      );
      return [
        ...machines.map((machine) => `the machine ${machine.name}`),
        ...firewalls.map(({ record }) => `the firewall ${record.spec.name}`),
      ];
    },

    async undo({ uuid, record }) {
      await libvirt.removeNetwork(uuid);
      if ((await libvirt.findNetwork(uuid)) !== undefined) return false;
      await dropRoute(storage.run, reach, subnetOf(record.spec).cidr);
      await applyFilter(setting, uuid);
      return true;
    },
  };
}

export function subnetOf({ subnets }: NetworkWant): NetworkWant['subnets'][number] {
  return subnets[0] as NetworkWant['subnets'][number];
}

function overlapping(cidr: string, other: string): ProviderError {
  return new ProviderError('Conflict', `${cidr} overlaps ${other}`, { field: '/subnets/0/cidr' });
}

const cidrForm = /^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/;

/** Throws Invalid unless it is a network in CIDR form, no bit set behind its prefix. */
export function checkedCidr(text: string, field: string): Cidr {
  const cidr = parseCidr(text);
  const parts = text.split(/[./]/).slice(0, 4).map(Number);
  const inRange = cidrForm.test(text) && parts.every((part) => part <= 255) && cidr.bits <= 32;
  if (inRange && cidr.address % 2 ** (32 - cidr.bits) === 0) return cidr;
  throw invalid(field, `not an IPv4 network in CIDR form, like 10.20.0.0/16: ${text}`);
}
