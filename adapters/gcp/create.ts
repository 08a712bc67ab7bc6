import type { protos } from '@google-cloud/compute';
import type { CallContext, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { imageOf } from '../kinds.ts';
import { untilVisible } from '../wait.ts';
import { accessConfig } from './address.ts';
import { type Account, finding } from './clients.ts';
import { wantedRef } from './collections.ts';
import { tagsOf } from './firewall.ts';
import { guestMetadata } from './guest.ts';
import { resolveImage } from './image.ts';
import { insertOnce, type OperationRef } from './operation.ts';
import { zoneFor } from './places.ts';
import { defaultNetwork, sshTag, wantsSsh } from './ssh.ts';
import { machineLabels, machineName, stampAsLabels } from './stamp.ts';

/**
 * Asks for the attempt's machine; its disk comes with it, both stamped by the same call.
 * @returns the operation, or nothing when the machine is there already and only could not be seen.
 */
export async function startCreate(
  account: Account,
  want: Want,
  zone: string,
  context: CallContext,
): Promise<OperationRef | undefined> {
  const instanceResource = instanceOf(want, zone, await read(account, want));
  const project = await account.project();
  const name = machineName(want.stamp);
  const insert = (requestId: string) =>
    account.clients.instances.insert({ project, zone, requestId, instanceResource }, account.call);
  try {
    context.signal.throwIfAborted();
    // The network that it joins may have been made a moment ago.
    return await untilVisible(() => insertOnce(account, want.stamp, insert), {
      context,
      pollMs: account.pollMs,
      limitMs: account.visibilityGraceMs,
      codes: ['resourceNotReady'],
    });
  } catch (error) {
    if (isProviderError(error, 'Conflict') && error.message.includes(`instances/${name}'`)) return undefined;
    // Something that the request names is not there: the network, or the machine type.
    if (isProviderError(error, 'NotFound'))
      throw new ProviderError('Invalid', error.message, error.details, error.cause);
    throw error;
  }
}

/** What the request needs to know of other things. */
async function read(account: Account, want: Want): Promise<{ image: string; tags: string[] }> {
  const { spec, stamp } = want;
  const network = spec.network?.ref ?? defaultNetwork;
  const [image, tags] = await Promise.all([
    resolveImage(account, imageOf(want)),
    tagsOf(account, spec.firewalls ?? [], network),
  ]);
  return { image, tags: [...tags, ...(wantsSsh(spec) ? [sshTag(stamp)] : [])] };
}

function instanceOf(
  want: Want,
  zone: string,
  { image, tags }: { image: string; tags: string[] },
): protos.google.cloud.compute.v1.IInstance {
  const { spec, stamp } = want;
  return {
    name: machineName(stamp),
    labels: machineLabels(want),
    machineType: `zones/${zone}/machineTypes/${spec.instanceType}`,
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: {
          diskName: machineName(stamp),
          diskSizeGb: spec.diskGiB,
          diskType: `zones/${zone}/diskTypes/pd-balanced`,
          sourceImage: image,
          labels: stampAsLabels(stamp),
        },
      },
    ],
    networkInterfaces: [
      {
        ...networkOf(spec),
        accessConfigs: spec.publicAddress ? [accessConfig] : [],
      },
    ],
    tags: { items: tags },
    metadata: { items: guestMetadata(spec) },
    // A spot machine that is interrupted goes: one that stays stopped would cost its disk, and the policy decides on another.
    scheduling:
      spec.market === 'spot'
        ? {
            provisioningModel: 'SPOT',
            instanceTerminationAction: 'DELETE',
            automaticRestart: false,
            onHostMaintenance: 'TERMINATE',
          }
        : undefined,
  };
}

/** @throws ProviderError `Invalid` for references of something else. */
function networkOf({ network }: Want['spec']): { network: string; subnetwork?: string } {
  if (!network) return { network: defaultNetwork };
  wantedRef('networks', network.ref, '/network/ref');
  wantedRef('subnetworks', network.subnet, '/network/subnet');
  return { network: network.ref, subnetwork: network.subnet };
}

/** Compute Engine has no dry run: place, machine type, image, labels and user data are looked up or checked. */
export async function checkWant(account: Account, want: Want): Promise<void> {
  account.checkRegion(want.location.region);
  const zone = await zoneFor(account, want.location);
  const project = await account.project();
  const machineType = want.spec.instanceType;
  const type = await finding(account.clients.machineTypes.get({ project, zone, machineType }, account.call));
  if (!type)
    throw new ProviderError('Invalid', `the zone ${zone} has no machine type ${machineType}`, {
      field: '/instanceType',
    });
  instanceOf(want, zone, await read(account, want));
}
