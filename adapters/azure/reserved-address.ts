import type { NetworkInterface, PublicIPAddress } from '@azure/arm-network';
import type { KindAdapter } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere } from './clients.ts';
import { reserved } from './create.ts';
import { changeInterface, readInterface } from './interface.ts';
import { idOf, machineRef, needMachine, placeOf } from './objects.ts';
import { type Adopted, kindAdapter } from './resource.ts';
import { groupName, stampTags, tagsToWrite } from './stamp.ts';

/**
 * A standard public address, which leads to the one configuration of an instance's interface. An interface's configuration
 * has one public address: while a reserved one is attached, the instance's own (where it has one) leads nowhere, and takes
 * its place again when the reserved one is detached. A second configuration would need setting up inside the guest.
 */
export function addresses(account: Account): KindAdapter<'Address'> & Adopted<'Address', PublicIPAddress> {
  const { publicIPAddresses } = account.network;
  /** The interface that an address is at. */
  const holderOf = async ({ ipConfiguration }: PublicIPAddress) => {
    const place = placeOf(ipConfiguration?.id);
    return place && readInterface(account, place.group, place.name);
  };

  const machineAt = ({ virtualMachine }: NetworkInterface) =>
    virtualMachine?.id && machineRef(account, virtualMachine.id);
  /** One that we made carries the stamp, as does the machine where that was adopted. */
  const isOurs = async ({ tags, virtualMachine }: NetworkInterface, broker: string): Promise<boolean> => {
    if (tags?.[stampTags.broker] === broker) return true;
    const place = placeOf(virtualMachine?.id);
    const machine = place && (await ifThere(account.compute.virtualMachines.get(place.group, place.name)));
    return machine?.tags?.[stampTags.broker] === broker;
  };

  return kindAdapter<'Address', PublicIPAddress>(account, {
    kind: 'Address',
    came: ({ ipAddress }) => ipAddress !== undefined,
    check: async () => {},
    create: ({ location }, { group, name }, tags, make) =>
      make(
        ['publicIPAddress'],
        () => publicIPAddresses.createOrUpdate(group, name, { location: location.region, tags, ...reserved }),
        true,
      ),

    async step(address, { spec, stamp }, { region, group, name }, run) {
      const tags = tagsToWrite(address.tags, spec);
      if (tags) return run(() => publicIPAddresses.updateTags(group, name, { tags }));
      const holder = await holderOf(address);
      if (holder ? machineAt(holder) === spec.attachedTo : !spec.attachedTo) return true;
      if (holder) {
        if (!(await isOurs(holder, stamp.broker)))
          throw new ProviderError('Conflict', `the address is at ${holder.id}, which is not ours`, {
            providerCode: 'NotOurs',
          });
        const own = await ifThere(publicIPAddresses.get(groupName(stamp.broker, region), holder.name ?? ''));
        const publicIPAddress = own && { id: own.id };
        return run(() => changeInterface(account, holder, (config) => ({ ...config, publicIPAddress })));
      }
      const { machine, place } = await needMachine(account, stamp.broker, spec.attachedTo ?? '');
      const at = placeOf(machine.networkProfile?.networkInterfaces?.[0]?.id);
      const nic = at && (await readInterface(account, at.group, at.name));
      if (!nic)
        throw new ProviderError('Invalid', `the instance ${place.name} has no interface`, {
          field: '/attachedTo',
        });
      const other = placeOf(nic.ipConfigurations?.[0]?.publicIPAddress?.id);
      const ours = groupName(stamp.broker, region);
      // Of a machine that we made, its own is named like it and comes back when the reserved one is detached.
      if (other && (other.name !== place.name || place.group.toLowerCase() !== ours))
        throw new ProviderError('Conflict', `the instance has the public address ${other.name} already`, {
          providerCode: 'PublicIPAddressInUse',
        });
      const publicIPAddress = { id: idOf(account, group, 'publicIPAddress', name) };
      return run(() => changeInterface(account, nic, (config) => ({ ...config, publicIPAddress })));
    },

    async details(address) {
      const holder = await holderOf(address);
      const machine = holder?.virtualMachine?.id;
      return {
        address: address.ipAddress ?? '',
        attachedTo: machine && machineRef(account, machine),
        children: [],
      };
    },
    differences: (details, spec) => (details.attachedTo === spec.attachedTo ? [] : ['attachedTo']),
  });
}
