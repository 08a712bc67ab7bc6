import type { NetworkInterface, NetworkInterfaceIPConfiguration } from '@azure/arm-network';
import type { InstanceWant, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere, reading } from './clients.ts';
import { idOf, isMade, look, madeAt, nameOf, type Poller, placeOf, refAt, refOf } from './objects.ts';
import { groupName, stampOf, stampTags } from './stamp.ts';

/** A machine's interface carries the machine's name. */
export function readInterface(
  account: Account,
  group: string,
  name: string,
): Promise<NetworkInterface | undefined> {
  return ifThere(account.network.networkInterfaces.get(group, name));
}

/**
 * Writes an interface with its one configuration changed. Azure takes interfaces only whole: what somebody else wrote since
 * it was read is `Conflict`, by its ETag, and read again.
 */
export function changeInterface(
  account: Account,
  nic: NetworkInterface,
  change: (config: NetworkInterfaceIPConfiguration) => NetworkInterfaceIPConfiguration,
): Poller {
  const [config = {}, ...others] = nic.ipConfigurations ?? [];
  const body = { ...nic, ipConfigurations: [change(config), ...others] };
  const requestOptions = nic.etag ? { headers: { 'if-match': nic.etag } } : undefined;
  const { group = '', name = '' } = placeOf(nic.id) ?? {};
  return account.network.networkInterfaces.createOrUpdate(group, name, body, { requestOptions });
}

/** The references of the firewalls that hold for an interface, sorted. */
export function firewallsOf(account: Account, group: string, nic: NetworkInterface | undefined): string[] {
  return (nic?.ipConfigurations ?? [])
    .flatMap(({ applicationSecurityGroups = [] }) => applicationSecurityGroups)
    .map(({ id = '' }) => refOf(account, group, 'applicationSecurityGroup', id))
    .sort();
}

/** The wanted firewalls' references, sorted. @throws ProviderError `Invalid` for what is no firewall of ours. */
export function refsOfFirewalls(account: Account, group: string, spec: InstanceWant): string[] {
  return (spec.firewalls ?? [])
    .map((ref, at) => {
      const name = nameOf(account, group, 'applicationSecurityGroup', ref, `/firewalls/${at}`);
      return idOf(account, group, 'applicationSecurityGroup', name);
    })
    .sort();
}

/**
 * Sees that the wanted subnet and firewalls are of the machine's network: Azure would take other firewalls,
 * and their rules would not hold.
 * @returns whether the security group of its network holds for it: of one that Landfall made. @throws ProviderError `Invalid`
 */
export async function checkNetwork(
  account: Account,
  want: Pick<Want, 'spec' | 'stamp' | 'location'>,
): Promise<boolean> {
  const { spec, stamp, location } = want;
  const group = groupName(stamp.broker, location.region);
  refsOfFirewalls(account, group, spec);
  const network = spec.network && (await madeNetwork(account, want, spec.network.ref, '/network/ref'));
  if (spec.network && !spec.network.subnet.startsWith(`${spec.network.ref}/subnets/`))
    throw new ProviderError('Invalid', `${spec.network.subnet} is no subnet of the network`, {
      field: '/network/subnet',
    });
  for (const [at, ref] of (spec.firewalls ?? []).entries()) {
    const field = `/firewalls/${at}`;
    const name = nameOf(account, group, 'applicationSecurityGroup', ref, field);
    const found = await reading(account.network.applicationSecurityGroups.get(group, name));
    if (network === undefined || found.tags?.[stampTags.network] !== network)
      throw new ProviderError('Invalid', `the firewall ${name} is not of the instance's network`, { field });
  }
  return network !== undefined;
}

/**
 * The name of a network that Landfall made, whose security group holds for all in it; undefined of one that was adopted.
 * @throws ProviderError `Invalid` at `field` where it is none of Landfall's.
 */
export async function madeNetwork(
  account: Account,
  { stamp, location }: Pick<Want, 'stamp' | 'location'>,
  reference: string,
  field: string,
): Promise<string | undefined> {
  const place = placeOf(reference);
  const isOne = place && refAt(account, 'virtualNetwork', place).toLowerCase() === reference.toLowerCase();
  const network = isOne && (await look(account, place.group, 'virtualNetwork', place.name));
  const owner = network ? stampOf(network.tags) : undefined;
  if (!place || owner?.broker !== stamp.broker)
    throw new ProviderError('Invalid', `${reference} is no virtualNetwork of this site and region`, {
      field,
    });
  return isMade(place, madeAt(owner, location.region)) ? place.name : undefined;
}
