import type { CallContext, Stamp } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { type Account, changing, ifThere } from './clients.ts';
import { settle } from './objects.ts';
import { groupName, stampTags } from './stamp.ts';

const networkName = 'landfall';
const subnetName = 'default';

/** The broker's resource group in the region: made when first needed, kept afterwards (it costs nothing). */
export async function ensureGroup(account: Account, stamp: Stamp, region: string): Promise<void> {
  const { resourceGroups } = account.resources;
  const group = groupName(stamp.broker, region);
  const tags = { [stampTags.broker]: stamp.broker };
  if (!(await ifThere(resourceGroups.get(group))))
    await changing(resourceGroups.createOrUpdate(group, { location: region, tags }));
}

/**
 * The network that machines share which are in no Network of ours: made when first needed, kept afterwards, never one
 * machine's child.
 * @returns the subnet's id.
 */
export async function ensureNetwork(
  account: Account,
  stamp: Stamp,
  region: string,
  context: CallContext,
): Promise<string> {
  const { network } = account;
  const group = groupName(stamp.broker, region);
  const tags = { [stampTags.broker]: stamp.broker };
  const found = await ifThere(network.virtualNetworks.get(group, networkName));
  // Never written over: a network that exists may have got other subnets, and a full body would remove them.
  if (!found) {
    const body = {
      location: region,
      tags,
      addressSpace: { addressPrefixes: ['10.64.0.0/16'] },
      subnets: [{ name: subnetName, addressPrefix: '10.64.0.0/16' }],
    };
    const poller = network.virtualNetworks.createOrUpdate(group, networkName, body);
    try {
      await changing(poller.submitted());
      await settle(account, poller, context);
    } catch (error) {
      // Somebody else is making the very same.
      if (!isProviderError(error, 'Conflict')) throw error;
    }
  }
  return `/subscriptions/${account.subscription}/resourceGroups/${group}/providers/Microsoft.Network/virtualNetworks/${networkName}/subnets/${subnetName}`;
}
