import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  DescribeAvailabilityZonesCommand,
  DescribeVolumesModificationsCommand,
  DetachVolumeCommand,
  type EC2Client,
  ModifyVolumeCommand,
} from '@aws-sdk/client-ec2';
import type { VolumeDetails, VolumeWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { changing, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { findById } from './machine.ts';
import type { Found } from './objects.ts';
import type { Shape, Step } from './resource.ts';
import { clientToken } from './stamp.ts';

/**
 * A Volume is an EBS volume. Both types are gp3: it is EBS's general SSD, and EBS has none that is slower, current, and to be
 * had in every size (st1 begins at 125 GiB, `standard` is of the previous generation).
 */
export const volumeShape: Shape<'Volume', 'volume'> = {
  kind: 'Volume',
  main: 'volume',
  removal: ['volume'],
  once: true,
  async create(ec2, { spec, stamp, location }, Tags, DryRun) {
    const answer = await changing(
      ec2.send(
        new CreateVolumeCommand({
          AvailabilityZone: location.zone ?? (await firstZone(ec2)),
          Size: spec.sizeGiB,
          SnapshotId: spec.snapshot,
          VolumeType: 'gp3',
          ClientToken: clientToken(stamp),
          TagSpecifications: [{ ResourceType: 'volume', Tags }],
          DryRun,
        }),
      ),
    );
    return answer.VolumeId;
  },
  view(_, { ref, raw, state }) {
    const attachedTo = attachmentOf(raw)?.InstanceId;
    const details: VolumeDetails = {
      sizeGiB: raw.Size ?? 0,
      type: raw.VolumeType ?? '',
      attachedTo,
      // Where Linux on a Nitro type has it; EC2's own device name is known only to the older Xen types.
      device: attachedTo && `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${ref.replace('-', '')}`,
      children: [],
    };
    return { details, state };
  },
  diff({ details }, spec) {
    const diff: string[] = [];
    if (details.sizeGiB !== spec.sizeGiB) diff.push('sizeGiB');
    if (details.attachedTo !== spec.attachedTo) diff.push('attachedTo');
    return diff;
  },
  async step(step, { ref, raw }, { details }) {
    const { ec2, want, done } = step;
    const { spec } = want;
    if (spec.sizeGiB < details.sizeGiB)
      throw new ProviderError('Invalid', `a volume of ${details.sizeGiB} GiB cannot become smaller`, {
        field: '/sizeGiB',
      });
    if (spec.sizeGiB > details.sizeGiB) {
      if (!done.has('grow')) await grow(ec2, ref, spec.sizeGiB);
      done.add('grow');
      return false;
    }
    const attachment = attachmentOf(raw);
    if (attachment?.State === 'attaching' || attachment?.State === 'detaching') return false;
    if (attachment && attachment.InstanceId !== spec.attachedTo) {
      await changing(ec2.send(new DetachVolumeCommand({ VolumeId: ref, InstanceId: attachment.InstanceId })));
      return false;
    }
    if (attachment || !spec.attachedTo) return true;
    await attach(step, ref, spec.attachedTo);
    return false;
  },
};

function attachmentOf({ Attachments }: Found<'volume'>['raw']) {
  return Attachments?.find(({ State }) => State !== 'detached');
}

/**
 * Asks for more room. The volume is of its new size while EC2 still optimizes it.
 * @throws ProviderError `Conflict` with EC2's words when it changed less than six hours ago, or still changes.
 */
async function grow(ec2: EC2Client, VolumeId: string, Size: VolumeWant['sizeGiB']): Promise<void> {
  if (await isGrowing(ec2, VolumeId, Size)) return;
  await changing(ec2.send(new ModifyVolumeCommand({ VolumeId, Size })));
}

/** Did an earlier try ask for this size already? */
async function isGrowing(ec2: EC2Client, id: string, size: number): Promise<boolean> {
  try {
    const answer = await reading(ec2.send(new DescribeVolumesModificationsCommand({ VolumeIds: [id] })));
    return (answer.VolumesModifications ?? []).some(
      ({ ModificationState, TargetSize }) => ModificationState === 'modifying' && TargetSize === size,
    );
  } catch (error) {
    // It was never changed before.
    if (providerCodeOf(error) !== 'InvalidVolumeModification.NotFound') throw error;
    return false;
  }
}

/** Names that EC2 recommends for data volumes come first. */
const deviceNames = [...'fghijklmnopqrstuvwxyz'].map((letter) => `/dev/sd${letter}`);

async function attach({ ec2, done }: Step<'Volume'>, VolumeId: string, InstanceId: string): Promise<void> {
  const machine = await findById(ec2, InstanceId);
  if (!machine)
    throw new ProviderError('NotFound', `there is no instance ${InstanceId}`, {
      providerCode: 'InvalidInstanceID.NotFound',
    });
  const taken = machine.BlockDeviceMappings?.map(({ DeviceName }) => DeviceName) ?? [];
  const Device = deviceNames.find((name) => !taken.includes(name) && !done.has(name));
  if (!Device)
    throw new ProviderError('Conflict', `all device names of ${InstanceId} are taken`, {
      field: '/attachedTo',
    });
  try {
    await changing(ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device })));
  } catch (error) {
    // Another volume came first, and the machine does not show it yet: the next name.
    const inUse = error instanceof ProviderError && /already in use/.test(error.message);
    if (!inUse || providerCodeOf(error) !== 'InvalidParameterValue') throw error;
    done.add(Device);
  }
}

/** A volume is in one zone; without one, in the region's first by name: a repeated request must be the same request (A1). */
async function firstZone(ec2: EC2Client): Promise<string | undefined> {
  const answer = await reading(
    ec2.send(new DescribeAvailabilityZonesCommand({ Filters: [{ Name: 'state', Values: ['available'] }] })),
  );
  return (answer.AvailabilityZones ?? []).map(({ ZoneName }) => ZoneName ?? '').sort()[0];
}
