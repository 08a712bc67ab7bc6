import { randomUUID } from 'node:crypto';
import type { Kind } from '../../../adapters/contract.ts';
import type { MotoCaller } from './moto-calls.ts';
import { items, textAt } from './xml.ts';

/** Makes something of the kind, as somebody else would; answers its id. */
export async function plant(
  moto: MotoCaller,
  region: string,
  tags: Record<string, string>,
  kind: Kind = 'Instance',
): Promise<string> {
  const make = async (action: string, parameters: Record<string, string>, ...path: string[]) =>
    textAt(await moto.call(region, action, parameters), ...path) ?? '';
  const volume = { AvailabilityZone: `${region}a`, Size: '1', VolumeType: 'gp3' };
  /** What belongs to it, and carries the same tags. */
  const parts: string[] = [];
  const plants: Record<Kind, () => Promise<string>> = {
    async Instance() {
      const image = items(await moto.call(region, 'DescribeImages'), 'imagesSet')[0];
      const answer = await moto.call(region, 'RunInstances', {
        ImageId: textAt(image, 'imageId') ?? '',
        InstanceType: 't3.micro',
        // moto itself always calls the root disk /dev/sda1, whatever the image calls it.
        'BlockDeviceMapping.1.DeviceName': textAt(image, 'rootDeviceName') ?? '/dev/sda1',
        'BlockDeviceMapping.1.Ebs.VolumeSize': '8',
        'BlockDeviceMapping.1.Ebs.DeleteOnTermination': 'true',
        MinCount: '1',
        MaxCount: '1',
      });
      return textAt(items(answer, 'instancesSet')[0], 'instanceId') ?? '';
    },
    Volume: () => make('CreateVolume', volume, 'volumeId'),
    async Snapshot() {
      const VolumeId = await make('CreateVolume', volume, 'volumeId');
      return make('CreateSnapshot', { VolumeId }, 'snapshotId');
    },
    async Image() {
      // moto's images know their architecture by the machine that they are of.
      const machine = await plants.Instance();
      const image = await make('CreateImage', { InstanceId: machine, Name: randomUUID() }, 'imageId');
      await moto.call(region, 'TerminateInstances', { 'InstanceId.1': machine });
      return image;
    },
    async Network() {
      const VpcId = await make('CreateVpc', { CidrBlock: '10.200.0.0/16' }, 'vpc', 'vpcId');
      const AvailabilityZone = `${region}b`;
      const subnet = { VpcId, CidrBlock: '10.200.1.0/24', AvailabilityZone };
      parts.push(await make('CreateSubnet', subnet, 'subnet', 'subnetId'));
      return VpcId;
    },
    Firewall: () =>
      make('CreateSecurityGroup', { GroupName: randomUUID(), GroupDescription: 'theirs' }, 'groupId'),
    Address: () => make('AllocateAddress', { Domain: 'vpc' }, 'allocationId'),
  };
  const id = await plants[kind]();
  const entries = Object.entries(tags).flatMap(([key, value], index) => [
    [`Tag.${index + 1}.Key`, key],
    [`Tag.${index + 1}.Value`, value],
  ]);
  if (entries.length > 0)
    for (const each of [id, ...parts])
      await moto.call(region, 'CreateTags', { 'ResourceId.1': each, ...Object.fromEntries(entries) });
  return id;
}
