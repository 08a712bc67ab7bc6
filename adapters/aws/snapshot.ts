import { CreateSnapshotCommand } from '@aws-sdk/client-ec2';
import { changing } from './clients.ts';
import type { Shape } from './resource.ts';

/** A Snapshot is an EBS snapshot. One of a volume in use is what the disk would be after a power cut. */
export const snapshotShape: Shape<'Snapshot', 'snapshot'> = {
  kind: 'Snapshot',
  main: 'snapshot',
  removal: ['snapshot'],
  once: false,
  async create(ec2, { spec }, Tags, DryRun) {
    const answer = await changing(
      ec2.send(
        new CreateSnapshotCommand({
          VolumeId: spec.volume,
          Description: `Landfall: ${spec.name}`.slice(0, 255),
          TagSpecifications: [{ ResourceType: 'snapshot', Tags }],
          DryRun,
        }),
      ),
    );
    return answer.SnapshotId;
  },
  view: (_, { raw, state }) => ({ details: { sizeGiB: raw.VolumeSize ?? 0, children: [] }, state }),
  diff: () => [],
  step: async () => true,
};
