import { isUuid } from './identity.ts';
import type { VirshCalls } from './virsh-calls.ts';
import { child, element, parseXml } from './xml.ts';

export interface Lease {
  mac: string;
  address: string;
}

/** A network as libvirt tells of it. */
export interface VirtualNetwork {
  uuid: string;
  name: string;
  bridge: string;
  gateway: string;
  /** Addresses kept for machines. */
  hosts: Lease[];
}

/** libvirt's verbs for networks, by UUID. */
export interface LibvirtNetworks {
  leases(network: string): Promise<Lease[]>;
  findNetwork(uuid: string): Promise<VirtualNetwork | undefined>;
  networks(): Promise<VirtualNetwork[]>;
  defineNetwork(xml: string): Promise<void>;
  /** Now, and whenever libvirt starts. */
  startNetwork(uuid: string): Promise<void>;
  removeNetwork(uuid: string): Promise<void>;
  /** Keeps an address for a MAC, or no longer. */
  keepAddress(uuid: string, host: Lease): Promise<void>;
  freeAddress(uuid: string, host: Lease): Promise<void>;
}

const noNetwork = /failed to get network|network not found|no network with matching/i;

export function networksOver({ look, change, changeWith }: VirshCalls): LibvirtNetworks {
  async function findNetwork(uuid: string): Promise<VirtualNetwork | undefined> {
    if (!isUuid(uuid)) return undefined;
    const text = await look(['net-dumpxml', uuid], noNetwork);
    return text === undefined ? undefined : readNetwork(text);
  }
  const update = (uuid: string, verb: 'add-last' | 'delete', { mac, address }: Lease, accept: RegExp) => {
    const xml = element('host', { mac, ip: address }).text;
    return change(['net-update', uuid, verb, 'ip-dhcp-host', xml, '--live', '--config'], accept);
  };
  return {
    async leases(network) {
      return readLeases((await look(['net-dhcp-leases', network])) ?? '');
    },
    findNetwork,
    async networks() {
      const uuids = ((await look(['net-list', '--all', '--uuid'])) ?? '')
        .split('\n')
        .map((line) => line.trim());
      const found: VirtualNetwork[] = [];
      for (const uuid of uuids.filter(isUuid)) found.push(...[(await findNetwork(uuid)) ?? []].flat());
      return found;
    },
    defineNetwork: (xml) => changeWith(xml, (file) => ['net-define', file, '--validate']),
    async startNetwork(uuid) {
      await change(['net-start', uuid], /already active/i);
      await change(['net-autostart', uuid]);
    },
    async removeNetwork(uuid) {
      await change(['net-destroy', uuid], new RegExp(`not active|${noNetwork.source}`, 'i'));
      await change(['net-undefine', uuid], noNetwork);
    },
    keepAddress: (uuid, host) => update(uuid, 'add-last', host, /existing dhcp host entry/i),
    freeAddress: (uuid, host) =>
      update(uuid, 'delete', host, new RegExp(`couldn't locate|${noNetwork.source}`, 'i')),
  };
}

/** Reads `virsh net-dumpxml`. Throws SyntaxError for what is not a network. */
export function readNetwork(text: string): VirtualNetwork {
  const [network] = parseXml(text);
  const uuid = network && child(network, 'uuid')?.text;
  if (network?.name !== 'network' || uuid === undefined) throw new SyntaxError('not a network definition');
  const hosts = child(network, 'ip', 'dhcp')?.children ?? [];
  return {
    uuid,
    name: child(network, 'name')?.text ?? '',
    bridge: child(network, 'bridge')?.attributes.name ?? '',
    gateway: child(network, 'ip')?.attributes.address ?? '',
    hosts: hosts.flatMap(({ name, attributes: { mac, ip } }) =>
      name === 'host' && mac && ip ? [{ mac, address: ip }] : [],
    ),
  };
}

/** Reads `virsh net-dhcp-leases`: date, time, MAC, protocol, address/bits, … */
export function readLeases(text: string): Lease[] {
  return text.split('\n').flatMap((line) => {
    const [, , mac, protocol, cidr] = line.trim().split(/\s+/);
    return protocol === 'ipv4' && mac && cidr ? [{ mac, address: cidr.split('/')[0] as string }] : [];
  });
}
