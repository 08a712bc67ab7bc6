import type { VirtualMachine } from '@azure/arm-compute';
import type { CallContext, InstanceWant, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { imageOf } from '../kinds.ts';
import type { Account } from './clients.ts';
import { type ImageReference, resolveImage } from './image.ts';
import { checkNetwork, refsOfFirewalls } from './interface.ts';
import { readSizes } from './machine.ts';
import { ensureGroup, ensureNetwork } from './network.ts';
import { idOf, making, type ObjectKind } from './objects.ts';
import { groupName, mutableTags, objectName, stampAsTags, stampTags } from './stamp.ts';

/** Azure's limit on custom data before base64. */
const mostUserDataBytes = 65_535;

/**
 * Makes the attempt's security group, address, interface and machine; the disk comes with the machine. Every name is made of
 * the stamp, so that repeating meets what is there.
 * @throws ProviderError with `made`: what exists after the failure (A9).
 */
export async function createMachine(
  account: Account,
  want: Want<'Instance'>,
  context: CallContext,
): Promise<void> {
  const { stamp, spec, location } = want;
  const { compute, network } = account;
  const group = groupName(stamp.broker, location.region);
  const name = objectName(stamp);
  const id = (kind: ObjectKind) => idOf(account, group, kind, name);
  await making(account, want, context, async (make) => {
    const image = await resolveImage(account, location.region, stamp.broker, imageOf(want));
    const machine = machineBody(want, image, { nic: id('networkInterface'), disk: name });
    const isHeld = await checkNetwork(account, want);
    context.signal.throwIfAborted();
    await ensureGroup(account, stamp, location.region);
    const subnet = spec.network
      ? spec.network.subnet
      : await ensureNetwork(account, stamp, location.region, context);
    const common = { location: location.region, tags: stampAsTags(stamp) };
    // In a Network that we made the network's own security group holds, for all that is in it.
    if (!isHeld)
      await make(['networkSecurityGroup'], () =>
        network.networkSecurityGroups.createOrUpdate(group, name, {
          ...common,
          securityRules: spec.publicAddress ? [sshRule] : [],
        }),
      );
    if (spec.publicAddress)
      await make(['publicIPAddress'], () =>
        network.publicIPAddresses.createOrUpdate(group, name, { ...common, ...reserved }),
      );
    await make(['networkInterface'], () =>
      network.networkInterfaces.createOrUpdate(group, name, {
        ...common,
        networkSecurityGroup: isHeld ? undefined : { id: id('networkSecurityGroup') },
        ipConfigurations: [
          {
            name: 'primary',
            subnet: { id: subnet },
            publicIPAddress: spec.publicAddress ? { id: id('publicIPAddress') } : undefined,
            applicationSecurityGroups: refsOfFirewalls(account, group, spec).map((ref) => ({ id: ref })),
          },
        ],
      }),
    );
    await make(
      ['virtualMachine', 'disk'],
      () => compute.virtualMachines.createOrUpdate(group, name, machine, { ifNoneMatch: '*' }),
      true,
    );
  });
}

/** A public address that keeps its number. */
export const reserved = { sku: { name: 'Standard' }, publicIPAllocationMethod: 'Static' } as const;

const sshRule = {
  name: 'ssh',
  priority: 100,
  direction: 'Inbound',
  access: 'Allow',
  protocol: 'Tcp',
  sourceAddressPrefix: '*',
  sourcePortRange: '*',
  destinationAddressPrefix: '*',
  destinationPortRange: '22',
} as const;

function machineBody(
  { spec, stamp, location }: Want<'Instance'>,
  imageReference: ImageReference,
  made: { nic: string; disk: string },
): VirtualMachine {
  const { user } = imageOf({ spec });
  if (spec.sshKeys.length === 0)
    throw new ProviderError('Invalid', 'Azure makes no machine without an SSH key', { field: '/sshKeys' });
  return {
    location: location.region,
    zones: location.zone ? [location.zone] : undefined,
    tags: { ...stampAsTags(stamp), [stampTags.reboots]: String(spec.reboots), ...mutableTags(spec) },
    hardwareProfile: { vmSize: spec.instanceType },
    storageProfile: {
      imageReference,
      osDisk: {
        name: made.disk,
        createOption: 'FromImage',
        deleteOption: 'Delete',
        diskSizeGB: spec.diskGiB,
        managedDisk: { storageAccountType: 'StandardSSD_LRS' },
      },
    },
    osProfile: {
      computerName: spec.name.slice(0, 64),
      adminUsername: user,
      customData: userData(spec),
      linuxConfiguration: {
        disablePasswordAuthentication: true,
        ssh: {
          publicKeys: spec.sshKeys.map((keyData) => ({
            path: `/home/${user}/.ssh/authorized_keys`,
            keyData,
          })),
        },
      },
    },
    networkProfile: { networkInterfaces: [{ id: made.nic, primary: true }] },
    diagnosticsProfile: { bootDiagnostics: { enabled: true } },
    // Gone when evicted, and at no price of its own: another place is the broker's to choose.
    ...(spec.market === 'spot'
      ? { priority: 'Spot', evictionPolicy: 'Delete', billingProfile: { maxPrice: -1 } }
      : {}),
  };
}

function userData({ userData: text }: InstanceWant): string | undefined {
  if (text === undefined) return undefined;
  if (Buffer.byteLength(text) > mostUserDataBytes)
    throw new ProviderError('Invalid', `user data is larger than Azure's ${mostUserDataBytes} bytes`, {
      field: '/userData',
    });
  return Buffer.from(text).toString('base64');
}

/** Azure has no dry run of a machine: what can be checked without making anything is checked. */
export async function checkWant(account: Account, want: Want): Promise<void> {
  const { spec, stamp, location } = want;
  account.checkRegion(location.region);
  const image = await resolveImage(account, location.region, stamp.broker, imageOf(want));
  machineBody(want, image, { nic: '', disk: '' });
  await checkNetwork(account, want);
  const sizes = await readSizes(account, location.region);
  if (!sizes.some(({ name }) => name === spec.instanceType))
    throw new ProviderError('Invalid', `Azure has no size ${spec.instanceType} in ${location.region}`, {
      field: '/instanceType',
    });
}
