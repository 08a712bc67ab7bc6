import type { FirewallRule } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { CommandFailed } from '../host/command.ts';
import { runBeside } from '../host/reach.ts';
import { exclusively } from './exclusive.ts';
import { allHeld } from './held.ts';
import { addressesOf, bridgeOf, subnetOf } from './network.ts';
import type { Setting } from './setting.ts';

/** What is filtered: per network its machines, each with the rules that hold for it. */
export interface FilteredNetwork {
  bridge: string;
  gateway: string;
  machines: { uuid: string; address: string; rules: FirewallRule[] }[];
}

const table = 'inet landfall';

/**
 * The whole table for nft, replacing itself in one transaction. It stands behind routing, so that it sees what comes from outside,
 * from the host and from the neighbours alike; what belongs to a connection that a machine began passes, and what DHCP answers.
 */
export function renderFilter(networks: readonly FilteredNetwork[]): string {
  const machines = networks.flatMap((network) => network.machines);
  const bridges = networks.map(({ bridge }) => `oifname "${bridge}" goto guard`);
  const leases = networks.map(
    ({ bridge, gateway }) => `oifname "${bridge}" ip saddr ${gateway} udp sport 67 udp dport 68 accept`,
  );
  const chains = machines.map(({ uuid, rules }) => chain(chainOf(uuid), rules.flatMap(renderRule)));
  return [
    `table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    ...chains,
    chain('guard', [
      'icmp type redirect drop',
      'ct state established,related accept',
      ...leases,
      ...machines.map(({ uuid, address }) => `ip daddr ${address} jump ${chainOf(uuid)}`),
      'drop',
    ]),
    chain('leaving', ['type filter hook postrouting priority filter; policy accept;', ...bridges]),
    '}',
    '',
  ].join('\n');
}

function chainOf(uuid: string): string {
  return `machine-${uuid}`;
}

function chain(name: string, lines: readonly string[]): string {
  return [`  chain ${name} {`, ...lines.map((line) => `    ${line}`), '  }'].join('\n');
}

function renderRule({ protocol, ports, sources }: FirewallRule): string[] {
  return sources.map((source) => {
    const words = [`ip saddr ${source}`];
    if (ports) words.push(`${protocol} dport ${ports.from}-${ports.to}`);
    else if (protocol !== 'all') words.push(`meta l4proto ${protocol}`);
    return [...words, 'accept'].join(' ');
  });
}

/** Puts the filter in force as the records have it now, without the network `except`. Idempotent; one call at a time. */
export async function applyFilter(setting: Setting, except?: string): Promise<void> {
  const { reach, storage } = setting;
  await exclusively(`filter:${storage.here}`, async () => {
    const input = renderFilter(await filtered(setting, except));
    try {
      await runBeside(storage.run, reach, 'nft', ['-f', '-'], { input });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw new ProviderError('Unavailable', `this host cannot filter packets: ${wordsOf(error)}`, {}, error);
    }
  });
}

async function filtered({ libvirt, storage }: Setting, except?: string): Promise<FilteredNetwork[]> {
  const networks = (await allHeld(storage, 'Network')).filter(({ uuid }) => uuid !== except);
  if (networks.length === 0) return [];
  const firewalls = new Map(
    (await allHeld(storage, 'Firewall')).map(({ uuid, record }) => [uuid, record.spec]),
  );
  const domains = await libvirt.all();
  const found: FilteredNetwork[] = [];
  for (const { uuid: ref, record } of networks) {
    const kept = new Map((await libvirt.findNetwork(ref))?.hosts.map(({ mac, address }) => [mac, address]));
    const machines = domains.flatMap((domain) => {
      const address = kept.get(domain.mac ?? '');
      if (domain.record?.network?.ref !== ref || address === undefined) return [];
      const rules = domain.record.firewalls.flatMap((one) => firewalls.get(one)?.rules ?? []);
      return [{ uuid: domain.uuid, address, rules }];
    });
    found.push({ bridge: bridgeOf(ref), gateway: addressesOf(subnetOf(record.spec).cidr).gateway, machines });
  }
  return found;
}

/** Undefined where this host can filter packets; else why not. Nothing is changed. */
export async function whyUnfiltered({ reach, storage }: Setting): Promise<string | undefined> {
  const rules: FirewallRule[] = [{ protocol: 'tcp', ports: { from: 22, to: 22 }, sources: ['10.0.0.0/8'] }];
  const machines = [{ uuid: 'probe', address: '10.0.0.2', rules }];
  const input = renderFilter([{ bridge: 'probe', gateway: '10.0.0.1', machines }]);
  try {
    await runBeside(storage.run, reach, 'nft', ['--check', '-f', '-'], { input });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return `this host cannot filter packets: ${wordsOf(error)}`;
  }
}

function wordsOf(error: CommandFailed): string {
  return error.stderr.trim().split('\n')[0] || error.message;
}
