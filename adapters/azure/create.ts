import { restorePoller, type VirtualMachine } from '@azure/arm-compute';
import type { CallContext, InstanceWant, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { type Account, changing } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { type ImageReference, resolveImage } from './image.ts';
import { readSizes } from './machine.ts';
import { ensureNetwork } from './network.ts';
import { idOf, type ObjectKind, type Poller, settle } from './objects.ts';
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
  const made: string[] = [];
  const id = (kind: ObjectKind) => idOf(account, group, kind, name);

  async function make(kinds: ObjectKind[], start: () => Poller, serialized = false): Promise<void> {
    context.signal.throwIfAborted();
    context.heartbeat();
    const poller = start();
    try {
      await changing(poller.submitted());
      made.push(...kinds.map(id));
    } catch (error) {
      if (isProviderError(error, 'OutcomeUnknown')) made.push(...kinds.map(id));
      throw error;
    }
    await settle(account, poller, context, serialized);
  }

  try {
    const image = await resolveImage(account, location.region, spec.image);
    const machine = machineBody(want, image, { nic: id('networkInterface'), disk: name });
    context.signal.throwIfAborted();
    const subnet = await ensureNetwork(account, stamp, location.region, context);
    const common = { location: location.region, tags: stampAsTags(stamp) };
    await make(['networkSecurityGroup'], () =>
      network.networkSecurityGroups.createOrUpdate(group, name, {
        ...common,
        securityRules: spec.publicAddress ? [sshRule] : [],
      }),
    );
    if (spec.publicAddress)
      await make(['publicIPAddress'], () =>
        network.publicIPAddresses.createOrUpdate(group, name, {
          ...common,
          sku: { name: 'Standard' },
          publicIPAllocationMethod: 'Static',
        }),
      );
    await make(['networkInterface'], () =>
      network.networkInterfaces.createOrUpdate(group, name, {
        ...common,
        networkSecurityGroup: { id: id('networkSecurityGroup') },
        ipConfigurations: [
          {
            name: 'primary',
            subnet: { id: subnet },
            publicIPAddress: spec.publicAddress ? { id: id('publicIPAddress') } : undefined,
          },
        ],
      }),
    );
    await make(
      ['virtualMachine', 'disk'],
      () => compute.virtualMachines.createOrUpdate(group, name, machine, { ifNoneMatch: '*' }),
      true,
    );
  } catch (error) {
    // The name is taken: an earlier try of this attempt made it, and it only cannot be seen yet.
    if (providerCodeOf(error) === 'PreconditionFailed') return;
    if (!(error instanceof ProviderError)) throw error;
    throw new ProviderError(error.code, error.message, { ...error.details, made }, error.cause ?? error);
  }
}

/** Waits for the create that an earlier try of this call had begun, when its heartbeat tells of one. */
export async function resumeCreate(account: Account, context: CallContext): Promise<void> {
  const details = context.resumed;
  const operation =
    typeof details === 'object' && details && 'operation' in details ? details.operation : undefined;
  if (typeof operation !== 'string') return;
  const { compute } = account;
  await settle(
    account,
    restorePoller(compute, operation, compute.virtualMachines.createOrUpdate),
    context,
    true,
  );
}

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
  const { user } = spec.image;
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
  const { spec, location } = want;
  account.checkRegion(location.region);
  const image = await resolveImage(account, location.region, spec.image);
  machineBody(want, image, { nic: '', disk: '' });
  const sizes = await readSizes(account, location.region);
  if (!sizes.some(({ name }) => name === spec.instanceType))
    throw new ProviderError('Invalid', `Azure has no size ${spec.instanceType} in ${location.region}`, {
      field: '/instanceType',
    });
}
