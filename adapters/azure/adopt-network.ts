import type { VirtualNetwork } from '@azure/arm-network';
import { type FoundSubnet, networkFound } from '../discovery.ts';
import type { Look } from './adopt-other.ts';
import { hash, stampTags } from './stamp.ts';

/** Azure's own names for subnets of its gateways and the like, in which no machine may be. */
const reserved = /^(GatewaySubnet|AzureBastionSubnet|AzureFirewall(Management)?Subnet|RouteServerSubnet)$/i;

const isIpv4 = (prefix: string | undefined): prefix is string =>
  prefix !== undefined && !prefix.includes(':');

export function rangesOf({ addressSpace }: VirtualNetwork): string[] {
  return (addressSpace?.addressPrefixes ?? []).filter(isIpv4);
}

/** The subnets that machines can be in, and the name of each at Azure by the one that it has with us. */
export function subnetsOf({ subnets = [] }: VirtualNetwork): FoundSubnet[] {
  return subnets.flatMap(({ name = '', addressPrefix, addressPrefixes = [], delegations = [] }) => {
    if (reserved.test(name) || delegations.length > 0) return [];
    const cidrs = [...new Set([addressPrefix, ...addressPrefixes])].filter(isIpv4);
    return [{ id: idOfSubnet(name), name: name.toLowerCase().replaceAll(/[._]/g, '-'), cidrs }];
  });
}

/** For a name that cannot be ours, and that nobody can change at Azure. */
function idOfSubnet(name: string): string {
  return `subnet-${hash(name.toLowerCase()).slice(0, 8)}`;
}

/** A virtual network with its subnets, which have no tags of their own. Its security groups and routes stay its owner's. */
export const virtualNetworks: Look<VirtualNetwork> = {
  pages: (account, continuationToken) =>
    account.network.virtualNetworks.listAll().byPage({ continuationToken }),
  async shown(_account, network) {
    const found = networkFound(rangesOf(network), subnetsOf(network));
    return typeof found === 'string' ? {} : found;
  },
  async bound(_account, network) {
    if (network.tags?.[stampTags.broker] !== undefined)
      return { why: 'it is the network that the machines of another Landfall installation share' };
    const found = networkFound(rangesOf(network), subnetsOf(network));
    return typeof found === 'string' ? { why: found } : undefined;
  },
};
