import type { VirtualNetwork } from '@azure/arm-network';
import type { KindAdapter } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { rangesAreKept } from '../kinds.ts';
import { type Account, ifThere, readingAll } from './clients.ts';
import { idOf } from './objects.ts';
import { kindAdapter } from './resource.ts';
import { stampAsTags, stampTags, tagsToWrite } from './stamp.ts';

/** Lets nothing in, from inside the network neither: what firewalls allow stands before it. */
const denyRule = {
  name: 'deny',
  priority: 4096,
  direction: 'Inbound',
  access: 'Deny',
  protocol: '*',
  sourceAddressPrefix: '*',
  sourcePortRange: '*',
  destinationAddressPrefix: '*',
  destinationPortRange: '*',
} as const;

/**
 * A virtual network with its subnets, all of which have one security group, the network's child: the rules of every firewall
 * of the network stand in it (see `firewall.ts`).
 */
export function networks(account: Account): KindAdapter<'Network'> {
  const { virtualNetworks, networkSecurityGroups, applicationSecurityGroups } = account.network;
  const rangeOf = (network: VirtualNetwork) => network.addressSpace?.addressPrefixes?.[0] ?? '';
  const subnetsOf = ({ id, subnets = [] }: VirtualNetwork) =>
    subnets.map((subnet) => ({
      name: subnet.name ?? '',
      cidr: subnet.addressPrefix ?? subnet.addressPrefixes?.[0] ?? '',
      ref: `${id}/subnets/${subnet.name}`,
    }));
  return kindAdapter<'Network', VirtualNetwork>(account, {
    kind: 'Network',
    came: () => false,
    check: async () => {},

    async create({ spec, stamp, location }, { group, name }, tags, make) {
      const common = { location: location.region };
      // Never written over: the rules of the network's firewalls stand in it.
      const there = await ifThere(networkSecurityGroups.get(group, name));
      await make(['networkSecurityGroup'], () =>
        there
          ? undefined
          : networkSecurityGroups.createOrUpdate(group, name, {
              ...common,
              tags: stampAsTags(stamp, 'Network'),
              securityRules: [denyRule],
            }),
      );
      const networkSecurityGroup = { id: idOf(account, group, 'networkSecurityGroup', name) };
      await make(
        ['virtualNetwork'],
        () =>
          virtualNetworks.createOrUpdate(group, name, {
            ...common,
            tags,
            addressSpace: { addressPrefixes: [spec.cidr] },
            subnets: spec.subnets.map((subnet) => ({
              name: subnet.name,
              addressPrefix: subnet.cidr,
              networkSecurityGroup,
            })),
          }),
        true,
      );
    },

    async step(network, { spec }, { group, name }, run) {
      const subnets = subnetsOf(network);
      rangesAreKept({ cidr: rangeOf(network), subnets }, spec);
      const none = spec.subnets.findIndex((wanted) => !subnets.some((subnet) => subnet.name === wanted.name));
      if (none >= 0)
        throw new ProviderError(
          'Invalid',
          `the network has no subnet ${spec.subnets[none]?.name}, and gets none later: ask for a network of another name`,
          { field: `/subnets/${none}` },
        );
      const tags = tagsToWrite(network.tags, spec);
      return tags ? run(() => virtualNetworks.updateTags(group, name, { tags })) : true;
    },

    details: async (network, { group, name }) => ({
      cidr: rangeOf(network),
      subnets: subnetsOf(network),
      children: [idOf(account, group, 'networkSecurityGroup', name)],
    }),
    differences: () => [],

    async release(_network, { group, name }) {
      // Azure would let the network go from under its firewalls: only interfaces hold it.
      for (const firewall of await readingAll(applicationSecurityGroups.list(group)))
        if (firewall.tags?.[stampTags.network] === name)
          throw new ProviderError('Conflict', `the firewall ${firewall.name} is of this network`, {
            providerCode: 'NetworkInUse',
          });
    },
  });
}
