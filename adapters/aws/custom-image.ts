import { CreateImageCommand, type EC2Client, RegisterImageCommand, type Tag } from '@aws-sdk/client-ec2';
import type { Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { checkImport, sourceOf } from '../kinds.ts';
import { changing } from './clients.ts';
import { findById, type Machine } from './machine.ts';
import { describeStamped } from './objects.ts';
import type { Shape } from './resource.ts';
import { attemptName, stampAsTags, stampOf } from './stamp.ts';

/**
 * An Image is an AMI. From an instance it holds the root disk as it would be after a power cut, like a snapshot: EC2 would
 * otherwise restart the user's machine. The snapshot behind it carries its stamp and goes with it; an image that is
 * registered from a Snapshot stands on that one, which cannot go first. One from a URL: `image-import.ts`.
 */
export const imageShape: Shape<'Image', 'image'> = {
  kind: 'Image',
  main: 'image',
  removal: ['image', 'importTask', 'snapshot'],
  once: true,
  check({ spec }) {
    if (spec.source && 'url' in spec.source) checkImport('aws', spec.source);
  },
  async create(ec2, want, Tags, DryRun) {
    const source = sourceOf(want);
    if ('instance' in source) return fromInstance(ec2, source.instance, want, Tags, DryRun);
    if ('snapshot' in source) return fromSnapshot(ec2, source.snapshot, want, Tags, DryRun);
    throw new Error('what is imported is registered from its snapshot');
  },
  async view(ec2, { raw, tags, state }) {
    const root = raw.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === raw.RootDeviceName);
    // Only what was made with the image is its own: a snapshot that it was registered from is another resource, and those of one that
    // was adopted stay when it goes, as at EC2 itself.
    const stamp = stampOf(tags);
    const isOurs = stamp && raw.Name === attemptName(stamp);
    const disks = isOurs ? (raw.BlockDeviceMappings ?? []).flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []) : [];
    const stamped =
      isOurs && !raw.SourceInstanceId
        ? (await describeStamped(ec2, 'snapshot', stamp)).map(({ ref }) => ref)
        : disks;
    return {
      details: {
        sizeGiB: root?.Ebs?.VolumeSize,
        children: disks.filter((ref) => stamped.includes(ref)),
      },
      state,
    };
  },
  diff: () => [],
  step: async () => true,
};

async function fromInstance(
  ec2: EC2Client,
  id: string,
  { spec, stamp }: Want<'Image'>,
  Tags: Tag[],
  DryRun: boolean,
): Promise<string | undefined> {
  const machine = await findById(ec2, id);
  if (!machine)
    throw new ProviderError('NotFound', `there is no instance ${id}`, {
      providerCode: 'InvalidInstanceID.NotFound',
    });
  if (machine.Architecture !== spec.architecture)
    throw new ProviderError('Invalid', `${id} is ${machine.Architecture}, not ${spec.architecture}`, {
      field: '/architecture',
    });
  const answer = await changing(
    ec2.send(
      new CreateImageCommand({
        InstanceId: id,
        Name: attemptName(stamp),
        NoReboot: true,
        // Attached volumes are resources of their own.
        BlockDeviceMappings: dataDisksOf(machine).map((DeviceName) => ({ DeviceName, NoDevice: '' })),
        TagSpecifications: [
          { ResourceType: 'image', Tags },
          {
            ResourceType: 'snapshot',
            Tags: [...stampAsTags(stamp, 'Image'), { Key: 'Name', Value: spec.name }],
          },
        ],
        DryRun,
      }),
    ),
  );
  return answer.ImageId;
}

function dataDisksOf({ BlockDeviceMappings = [], RootDeviceName }: Machine): string[] {
  return BlockDeviceMappings.flatMap(({ DeviceName }) => DeviceName ?? []).filter(
    (name) => name !== RootDeviceName,
  );
}

export async function fromSnapshot(
  ec2: EC2Client,
  SnapshotId: string,
  { spec, stamp }: Want<'Image'>,
  Tags: Tag[],
  DryRun: boolean,
): Promise<string | undefined> {
  const root = '/dev/sda1';
  const answer = await changing(
    ec2.send(
      new RegisterImageCommand({
        Name: attemptName(stamp),
        Architecture: spec.architecture,
        VirtualizationType: 'hvm',
        EnaSupport: true,
        RootDeviceName: root,
        BlockDeviceMappings: [
          { DeviceName: root, Ebs: { SnapshotId, VolumeType: 'gp3', DeleteOnTermination: true } },
        ],
        TagSpecifications: [{ ResourceType: 'image', Tags }],
        DryRun,
      }),
    ),
  );
  return answer.ImageId;
}
