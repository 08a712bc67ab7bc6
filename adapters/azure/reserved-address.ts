import type { PublicIPAddress } from '@azure/arm-network';
import type { KindAdapter } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere } from './clients.ts';
import { reserved } from './create.ts';
import { changeInterface, readInterface } from './interface.ts';
import { idOf, nameOf, placeOf, refOf } from './objects.ts';
import { kindAdapter } from './resource.ts';
import { stampTags, tagsToWrite } from './stamp.ts';

/**
 * A standard public address, which leads to the one configuration of an instance's interface. An interface's configuration
 * has one public address: while a reserved one is attached, the instance's own (where it has one) leads nowhere, and takes
 * its place again when the reserved one is detached. A second configuration would need setting up inside the guest.
 */
export function addresses(account: Account): KindAdapter<'Address'> {
  const { publicIPAddresses } = account.network;
  /** The interface that an address is at. */
  const holderOf = async ({ ipConfiguration }: PublicIPAddress) => {
    const place = placeOf(ipConfiguration?.id);
    return place && readInterface(account, place.group, place.name);
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

    async step(address, { spec, stamp }, { group, name }, run) {
      const tags = tagsToWrite(address.tags, spec);
      if (tags) return run(() => publicIPAddresses.updateTags(group, name, { tags }));
      const wanted =
        spec.attachedTo && nameOf(account, group, 'virtualMachine', spec.attachedTo, '/attachedTo');
      const holder = await holderOf(address);
      if (holder?.name === wanted) return true;
      if (holder) {
        if (holder.tags?.[stampTags.broker] !== stamp.broker)
          throw new ProviderError('Conflict', `the address is at ${holder.id}, which is not ours`, {
            providerCode: 'NotOurs',
          });
        const own = await ifThere(publicIPAddresses.get(group, holder.name ?? ''));
        const publicIPAddress = own && { id: own.id };
        return run(() =>
          changeInterface(account, group, holder, (config) => ({ ...config, publicIPAddress })),
        );
      }
      const nic = await readInterface(account, group, wanted ?? '');
      if (!nic)
        throw new ProviderError('Invalid', `there is no instance ${wanted}`, { field: '/attachedTo' });
      const other = placeOf(nic.ipConfigurations?.[0]?.publicIPAddress?.id)?.name;
      if (other && other !== wanted)
        throw new ProviderError('Conflict', `the instance has the reserved address ${other} already`, {
          providerCode: 'PublicIPAddressInUse',
        });
      const publicIPAddress = { id: idOf(account, group, 'publicIPAddress', name) };
      return run(() => changeInterface(account, group, nic, (config) => ({ ...config, publicIPAddress })));
    },

    async details(address, { group }) {
      const holder = await holderOf(address);
      const machine = holder?.virtualMachine?.id;
      return {
        address: address.ipAddress ?? '',
        attachedTo: machine && refOf(account, group, 'virtualMachine', machine),
        children: [],
      };
    },
    differences: (details, spec) => (details.attachedTo === spec.attachedTo ? [] : ['attachedTo']),
  });
}
