import type { protos } from '@google-cloud/compute';
import type { Location, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { type Account, changing, finding } from './clients.ts';
import { operationFailed } from './errors.ts';
import { guestMetadata } from './guest.ts';
import { resolveImage } from './image.ts';
import { lastOf } from './machine.ts';
import { nameOf, readOperation } from './operation.ts';
import { machineLabels, machineName, requestId, stampAsLabels } from './stamp.ts';

/** The zones of a region, in their order. @throws ProviderError `Invalid` when there is no such region. */
export async function zonesOf(account: Account, region: string): Promise<string[]> {
  const project = await account.project();
  const found = await finding(account.clients.regions.get({ project, region }, account.call));
  if (!found)
    throw new ProviderError('Invalid', `Google Cloud has no region ${region}`, { field: '/location/region' });
  return (found.zones ?? []).map(lastOf).sort();
}

/** The zone to create in: the one wanted, else the region's first, which is the same for every call. */
export async function zoneFor(account: Account, location: Location): Promise<string> {
  const zones = await zonesOf(account, location.region);
  const zone = location.zone ?? zones[0];
  if (!zone || !zones.includes(zone))
    throw new ProviderError('Invalid', `the region ${location.region} has no zone ${zone ?? ''}`, {
      field: '/location/zone',
    });
  return zone;
}

/** How many failed operations of one attempt are stepped over before the last one's failure is told as it is. */
const mostTries = 10;

/**
 * Asks for the attempt's machine; its disk comes with it, both stamped by the same call. Compute Engine answers a repeated
 * request id with the first operation, for about an hour and even when that failed: one that failed for no reason of ours
 * would fail every repetition. The next id is made from that operation, and the name still lets only one machine be.
 * @returns the operation's name, or nothing when the machine is there already and only could not be seen.
 */
export async function startCreate(account: Account, want: Want, zone: string): Promise<string | undefined> {
  const instanceResource = instanceOf(want, zone, await resolveImage(account, want.spec.image));
  const project = await account.project();
  const name = machineName(want.stamp);
  try {
    let operation: string | undefined;
    for (let tries = 0; tries < mostTries; tries += 1) {
      const request = { project, zone, requestId: requestId(want.stamp, operation), instanceResource };
      const [answer] = await changing(account.clients.instances.insert(request, account.call));
      operation = nameOf(answer);
      const { error } = await readOperation(account, { zone, operation });
      if (!error || operationFailed(error).code !== 'Unavailable') break;
    }
    return operation;
  } catch (error) {
    if (isProviderError(error, 'Conflict') && error.message.includes(`instances/${name}'`)) return undefined;
    // Something that the request names is not there: the network, or the machine type.
    if (isProviderError(error, 'NotFound'))
      throw new ProviderError('Invalid', error.message, error.details, error.cause);
    throw error;
  }
}

function instanceOf(want: Want, zone: string, image: string): protos.google.cloud.compute.v1.IInstance {
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
        network: 'global/networks/default',
        accessConfigs: spec.publicAddress ? [{ type: 'ONE_TO_ONE_NAT', name: 'External NAT' }] : [],
      },
    ],
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
  instanceOf(want, zone, await resolveImage(account, want.spec.image));
}
