import type { VirtualNetwork } from '@azure/arm-network';
import type { KindAdapter, NetworkWant } from '../contract.ts';
import { namedSubnets } from '../discovery.ts';
import { ProviderError } from '../errors.ts';

import { rangesAreKept } from '../kinds.ts';
import { rangesOf, subnetsOf } from './adopt-network.ts';

import { type Account, ifThere, readingAll } from './clients.ts';
import { idOf, isMade, madeAt, type Place, refAt } from './objects.ts';
import { type Adopted, kindAdapter } from './resource.ts';
import { stampAsTags, stampOf, stampTags, tagsToWrite } from './stamp.ts';

function isOwn({ tags }: VirtualNetwork, place: Place & { region: string }): boolean {
  const stamp = stampOf(tags);
  return stamp !== undefined && isMade(place, madeAt(stamp, place.region));
}

/** @throws ProviderError `Invalid` where a range or a subnet is wanted that the network was not made with. */
function isKept(network: VirtualNetwork, spec: NetworkWant): void {
  const subnets = namedSubnets(subnetsOf(network));
  rangesAreKept({ cidr: rangesOf(network)[0] ?? '', subnets }, spec);
  const none = spec.subnets.findIndex((wanted) => !subnets.some(({ name }) => name === wanted.name));
  if (none >= 0)
    throw new ProviderError(
      'Invalid',
      `the network has no subnet ${spec.subnets[none]?.name}, and gets none later: ask for a network of another name`,
      { field: `/subnets/${none}` },
    );
}

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
export function networks(account: Account): KindAdapter<'Network'> & Adopted<'Network', VirtualNetwork> {
  const { virtualNetworks, networkSecurityGroups, applicationSecurityGroups } = account.network;
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

    async step(network, { spec, location }, place, run) {
      const { group, name } = place;
      if (isOwn(network, { ...place, region: location.region })) isKept(network, spec);
      const tags = tagsToWrite(network.tags, spec);
      return tags ? run(() => virtualNetworks.updateTags(group, name, { tags })) : true;
    },

    async details(network, place) {
      const refs = new Map(
        (network.subnets ?? []).map(({ name = '', addressPrefix, addressPrefixes }) => [
          addressPrefix ?? addressPrefixes?.find((prefix) => !prefix.includes(':')),
          `${refAt(account, 'virtualNetwork', place)}/subnets/${name}`,
        ]),
      );
      const subnets = namedSubnets(subnetsOf(network));
      return {
        cidr: rangesOf(network)[0] ?? '',
        subnets: subnets.map((subnet) => ({ ...subnet, ref: refs.get(subnet.cidr) ?? '' })),
        // The security groups of one that was adopted are its owner's.
        children: isOwn(network, place)
          ? [idOf(account, place.group, 'networkSecurityGroup', place.name)]
          : [],
      };
    },
    differences: () => [],

    async release({ virtualNetworkPeerings = [] }, { group, name }) {
      // Azure would let it go, and leave the other end disconnected.
      const [peering] = virtualNetworkPeerings;
      if (peering)
        throw new ProviderError('Conflict', `${name} is joined to another network by ${peering.name}`, {
          providerCode: 'NetworkInUse',
        });
      // Azure would let the network go from under its firewalls: only interfaces hold it.
      for (const firewall of await readingAll(applicationSecurityGroups.list(group)))
        if (firewall.tags?.[stampTags.network] === name)
          throw new ProviderError('Conflict', `the firewall ${firewall.name} is of this network`, {
            providerCode: 'NetworkInUse',
          });
    },
  });
}
