import type { ApplicationSecurityGroup, NetworkSecurityGroup, SecurityRule } from '@azure/arm-network';
import type { FirewallRule, KindAdapter } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, changing, ifThere, readingAll } from './clients.ts';
import { firewallsOf, madeNetwork } from './interface.ts';
import { idOf, nameOf, settle } from './objects.ts';
import { kindAdapter, type Place } from './resource.ts';
import { hash, stampTags, tagsToWrite } from './stamp.ts';

/**
 * An application security group, which interfaces join, as many as hold for them. What may come in to its members stands
 * as rules in the security group of the network, since an interface or a subnet can have only one of those. Rules carry no
 * tags: a rule is named by its firewall and its content, and changed one by one, so that firewalls do not write over each
 * other. All of them allow, so their order says nothing: a new one takes the lowest free priority and keeps it.
 */
export function firewalls(account: Account): KindAdapter<'Firewall'> {
  const { applicationSecurityGroups, networkInterfaces, networkSecurityGroups, securityRules } =
    account.network;
  /** The network's security group, with the rules that are this firewall's. */
  const readRules = async (tags: ApplicationSecurityGroup['tags'], { group, name }: Place) => {
    const network = tags?.[stampTags.network] ?? '';
    const all = await ifThere<NetworkSecurityGroup>(networkSecurityGroups.get(group, network));
    const own = (all?.securityRules ?? []).filter((rule) => rule.name?.startsWith(`${name}-`));
    return { network, all: all?.securityRules ?? [], own };
  };

  return kindAdapter<'Firewall', ApplicationSecurityGroup>(account, {
    kind: 'Firewall',
    came: () => true,
    async check(want, { group }) {
      const { spec } = want;
      const network = await madeNetwork(account, want, spec.network, '/network');
      if (network === undefined)
        throw new ProviderError(
          'Invalid',
          `the network ${spec.network} was adopted: what may come in there the security groups of its subnets say, which are its owner's`,
          { field: '/network' },
        );
      if (!(await ifThere(networkSecurityGroups.get(group, network))))
        throw new ProviderError('Invalid', `there is no network ${network}`, { field: '/network' });
    },

    create: ({ spec, location }, { group, name }, tags, make) => {
      const network = nameOf(account, group, 'virtualNetwork', spec.network, '/network');
      return make(
        ['applicationSecurityGroup'],
        () =>
          applicationSecurityGroups.createOrUpdate(group, name, {
            location: location.region,
            tags: { ...tags, [stampTags.network]: network },
          }),
        true,
      );
    },

    async step(firewall, { spec }, place, run) {
      const { group, name } = place;
      const tags = tagsToWrite(firewall.tags, spec);
      if (tags) return run(() => applicationSecurityGroups.updateTags(group, name, { tags }));
      const { network, all, own } = await readRules(firewall.tags, place);
      const wanted = new Map(spec.rules.map((rule) => [ruleName(name, rule), rule]));
      const right = own.filter((rule) => ruleName(name, fromAzure(rule)) === rule.name);
      for (const [ruled, rule] of wanted) {
        if (right.some((one) => one.name === ruled)) continue;
        const taken = new Set(all.filter((one) => one.direction === 'Inbound').map((one) => one.priority));
        let priority = own.find((one) => one.name === ruled)?.priority ?? 100;
        while (!own.some((one) => one.name === ruled) && taken.has(priority)) priority += 1;
        const destinationApplicationSecurityGroups = [
          { id: idOf(account, group, 'applicationSecurityGroup', name) },
        ];
        const body = { ...toAzure(rule), priority, destinationApplicationSecurityGroups };
        return run(() => securityRules.createOrUpdate(group, network, ruled, body));
      }
      const extra = own.find((rule) => !wanted.has(rule.name ?? ''));
      return extra ? run(() => securityRules.delete(group, network, extra.name ?? '')) : true;
    },

    async details(firewall, place) {
      const { own } = await readRules(firewall.tags, place);
      return { rules: own.map(fromAzure), children: [] };
    },
    differences(details, spec) {
      const sorted = (rules: FirewallRule[]) => [...new Set(rules.map(contentOf))].sort().join();
      return sorted(details.rules) === sorted(spec.rules) ? [] : ['rules'];
    },

    async release(firewall, place, context) {
      const { group, name } = place;
      const ref = idOf(account, group, 'applicationSecurityGroup', name);
      // Azure would refuse too, but only once the rules are gone: the members would have been closed by then.
      for (const nic of await readingAll(networkInterfaces.list(group)))
        if (firewallsOf(account, group, nic).includes(ref))
          throw new ProviderError('Conflict', `the firewall holds for ${nic.name}`, {
            providerCode: 'ApplicationSecurityGroupInUse',
          });
      const { network, own } = await readRules(firewall.tags, place);
      // One after the other: Azure takes one change of a security group at a time.
      for (const rule of own) {
        const poller = securityRules.delete(group, network, rule.name ?? '');
        await changing(poller.submitted());
        await settle(account, poller, context);
      }
    },
  });
}

const protocols = { tcp: 'Tcp', udp: 'Udp', icmp: 'Icmp', all: '*' } as const;

function toAzure({ protocol, ports, sources }: FirewallRule) {
  const range = ports && (ports.from === ports.to ? `${ports.from}` : `${ports.from}-${ports.to}`);
  return {
    direction: 'Inbound',
    access: 'Allow',
    protocol: protocols[protocol],
    sourceAddressPrefixes: [...sources],
    sourcePortRange: '*',
    destinationPortRange: range ?? '*',
  };
}

function fromAzure(rule: SecurityRule): FirewallRule {
  const named = Object.entries(protocols).find(([, azure]) => azure === rule.protocol)?.[0] ?? 'all';
  const protocol = named as FirewallRule['protocol'];
  const single = rule.sourceAddressPrefix ? [rule.sourceAddressPrefix] : [];
  const sources = rule.sourceAddressPrefixes?.length ? rule.sourceAddressPrefixes : single;
  const [from, to = from] = (rule.destinationPortRange ?? '*').split('-').map(Number);
  const ports = from !== undefined && to !== undefined && !Number.isNaN(from) ? { from, to } : undefined;
  return ports ? { protocol, ports, sources } : { protocol, sources };
}

/** What a rule says, whatever order its sources are in. */
function contentOf({ protocol, ports, sources }: FirewallRule): string {
  return JSON.stringify([protocol, ports?.from, ports?.to, [...sources].sort()]);
}

function ruleName(firewall: string, rule: FirewallRule): string {
  return `${firewall}-${hash(contentOf(rule)).slice(0, 8)}`;
}
