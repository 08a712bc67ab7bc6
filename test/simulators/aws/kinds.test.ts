import {
  AllocateAddressCommand,
  AttachVolumeCommand,
  CancelImportTaskCommand,
  CreateImageCommand,
  CreateSnapshotCommand,
  CreateSubnetCommand,
  CreateVolumeCommand,
  CreateVpcCommand,
  DeleteSnapshotCommand,
  DeleteSubnetCommand,
  DeleteTagsCommand,
  DeleteVolumeCommand,
  DeleteVpcCommand,
  DeregisterImageCommand,
  DescribeImagesCommand,
  DescribeImportSnapshotTasksCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  EC2Client,
  ImportSnapshotCommand,
  type ImportSnapshotCommandInput,
  ModifyVolumeCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { type AwsSimulator, startAwsSimulator } from './index.ts';

let aws: AwsSimulator;
let ec2: EC2Client;

beforeAll(async () => {
  aws = await startAwsSimulator();
  ec2 = new EC2Client({
    region: 'us-east-1',
    endpoint: aws.endpoint,
    credentials: { accessKeyId: 'simulated', secretAccessKey: 'simulated' },
    maxAttempts: 1,
  });
}, 300_000);
beforeEach(() => aws.reset());
afterAll(async () => {
  ec2?.destroy();
  await aws?.close();
});

const AvailabilityZone = 'us-east-1a';
const instant = () =>
  aws.faults.set({ kind: 'transitions', startMs: 0, createMs: 0, attachMs: 0, deleteMs: 0 });
const volume = async (size = 4): Promise<string> =>
  (await ec2.send(new CreateVolumeCommand({ AvailabilityZone, Size: size, VolumeType: 'gp3' }))).VolumeId ??
  '';
const see = async (id: string) =>
  (await ec2.send(new DescribeVolumesCommand({ VolumeIds: [id] }))).Volumes?.[0];
const run = async (SubnetId?: string): Promise<string> => {
  const answer = await ec2.send(
    new RunInstancesCommand({
      ImageId: 'ami-01a2b3c4d5e000001',
      InstanceType: 't3.micro',
      MinCount: 1,
      MaxCount: 1,
      Placement: SubnetId ? undefined : { AvailabilityZone },
      NetworkInterfaces: SubnetId ? [{ DeviceIndex: 0, SubnetId }] : undefined,
    }),
  );
  return answer.Instances?.[0]?.InstanceId ?? '';
};
const until = async (check: () => Promise<boolean>): Promise<void> => {
  for (let looks = 0; looks < 300; looks += 1) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it never came to that');
};

describe('volumes', () => {
  test('a volume is creating, then available; deleting it takes time, in which it is still there', async () => {
    aws.faults.set({ kind: 'transitions', createMs: 2000, deleteMs: 2000 });
    const id = await volume();
    expect((await see(id))?.State).toBe('creating');
    await expect(ec2.send(new DeleteVolumeCommand({ VolumeId: id }))).rejects.toMatchObject({
      name: 'IncorrectState',
    });
    await until(async () => (await see(id))?.State === 'available');
    await ec2.send(new DeleteVolumeCommand({ VolumeId: id }));
    expect((await see(id))?.State).toBe('deleting');
    expect((await aws.truth()).map(({ ref }) => ref)).toContain(id);
    await until(async () => !(await aws.truth()).some(({ ref }) => ref === id));
    await expect(see(id)).rejects.toMatchObject({ name: 'InvalidVolume.NotFound' });
  });

  test('attaching and detaching take time, and an attached volume cannot be deleted or attached again', async () => {
    instant();
    const [id, machine] = [await volume(), await run()];
    aws.faults.set({ kind: 'transitions', attachMs: 2000 });
    const attach = { VolumeId: id, InstanceId: machine, Device: '/dev/sdf' };
    await ec2.send(new AttachVolumeCommand(attach));
    expect((await see(id))?.Attachments?.[0]?.State).toBe('attaching');
    await until(async () => (await see(id))?.Attachments?.[0]?.State === 'attached');
    for (const call of [
      ec2.send(new DeleteVolumeCommand({ VolumeId: id })),
      ec2.send(new AttachVolumeCommand(attach)),
    ])
      await expect(call).rejects.toMatchObject({ name: 'VolumeInUse' });
    await expect(
      ec2.send(new AttachVolumeCommand({ ...attach, VolumeId: await volume() })),
    ).rejects.toMatchObject({ name: expect.stringMatching(/IncorrectState|InvalidParameterValue/) });
    await ec2.send(new DetachVolumeCommand({ VolumeId: id }));
    expect((await see(id))?.Attachments?.[0]?.State).toBe('detaching');
    await until(async () => (await see(id))?.State === 'available');
  });

  test('a larger volume is larger only after a while', async () => {
    instant();
    const id = await volume(4);
    aws.faults.set({ kind: 'transitions', attachMs: 2000 });
    await ec2.send(new ModifyVolumeCommand({ VolumeId: id, Size: 6 }));
    expect((await see(id))?.Size).toBe(4);
    await until(async () => (await see(id))?.Size === 6);
  });

  test('one token makes one volume', async () => {
    const input = { AvailabilityZone, Size: 4, ClientToken: 'a' };
    const both = await Promise.all([1, 2].map(() => ec2.send(new CreateVolumeCommand(input))));
    expect(new Set(both.map(({ VolumeId }) => VolumeId)).size).toBe(1);
    await expect(ec2.send(new CreateVolumeCommand({ ...input, Size: 5 }))).rejects.toMatchObject({
      name: 'IdempotentParameterMismatch',
    });
  });
});

describe('snapshots and images', () => {
  test('a snapshot is pending, then completed, and keeps the size that the volume had', async () => {
    instant();
    const id = await volume(4);
    aws.faults.set({ kind: 'transitions', createMs: 2000 });
    const { SnapshotId = '' } = await ec2.send(new CreateSnapshotCommand({ VolumeId: id }));
    const snapshot = async () =>
      (await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }))).Snapshots?.[0];
    expect((await snapshot())?.State).toBe('pending');
    await until(async () => (await snapshot())?.State === 'completed');
    await ec2.send(new ModifyVolumeCommand({ VolumeId: id, Size: 9 }));
    expect((await snapshot())?.VolumeSize).toBe(4);
    await expect(
      ec2.send(new CreateVolumeCommand({ AvailabilityZone, SnapshotId, Size: 3 })),
    ).rejects.toMatchObject({ name: 'InvalidParameterValue' });
  });

  test('an image holds every disk that is not left out; its name is unique and its snapshots are held', async () => {
    instant();
    const [id, machine] = [await volume(), await run()];
    await ec2.send(new AttachVolumeCommand({ VolumeId: id, InstanceId: machine, Device: '/dev/sdf' }));
    const disks = async (ImageId = '') =>
      (await ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] }))).Images?.[0]?.BlockDeviceMappings;
    const whole = await ec2.send(new CreateImageCommand({ InstanceId: machine, Name: 'whole' }));
    expect(await disks(whole.ImageId)).toHaveLength(2);
    await expect(
      ec2.send(new CreateImageCommand({ InstanceId: machine, Name: 'whole' })),
    ).rejects.toMatchObject({ name: 'InvalidAMIName.Duplicate' });
    const root = await ec2.send(
      new CreateImageCommand({
        InstanceId: machine,
        Name: 'root',
        BlockDeviceMappings: [{ DeviceName: '/dev/sdf', NoDevice: '' }],
        TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'of', Value: 'root' }] }],
      }),
    );
    const [disk, ...others] = (await disks(root.ImageId)) ?? [];
    expect(others).toEqual([]);
    const SnapshotId = disk?.Ebs?.SnapshotId ?? '';
    expect((await aws.truth()).find(({ ref }) => ref === SnapshotId)?.tags).toEqual({ of: 'root' });
    await expect(ec2.send(new DeleteSnapshotCommand({ SnapshotId }))).rejects.toMatchObject({
      name: 'InvalidSnapshot.InUse',
    });
    await ec2.send(new DeregisterImageCommand({ ImageId: root.ImageId }));
    await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
  });
});

describe('imports', () => {
  const disk = (Format = 'VMDK') => ({
    DiskContainer: { Format, UserBucket: { S3Bucket: 'disks', S3Key: 'golden.vmdk' } },
  });
  const start = async (input: ImportSnapshotCommandInput = disk()) =>
    (await ec2.send(new ImportSnapshotCommand(input))).ImportTaskId ?? '';
  const task = async (id: string) =>
    (await ec2.send(new DescribeImportSnapshotTasksCommand({ ImportTaskIds: [id] })))
      .ImportSnapshotTasks?.[0];

  test('an import is active, then completed, with a snapshot that has no tags; one token makes one', async () => {
    aws.faults.set({ kind: 'transitions', createMs: 1000 });
    const tags = [{ Key: 'of', Value: 'golden' }];
    const input = {
      ...disk(),
      ClientToken: 'a',
      TagSpecifications: [{ ResourceType: 'import-snapshot-task' as const, Tags: tags }],
    };
    const [id = '', again] = await Promise.all([start(input), start(input)]);
    expect(again).toBe(id);
    expect(await task(id)).toMatchObject({ SnapshotTaskDetail: { Status: 'active' }, Tags: tags });
    await until(async () => (await task(id))?.SnapshotTaskDetail?.Status === 'completed');
    const SnapshotId = (await task(id))?.SnapshotTaskDetail?.SnapshotId ?? '';
    const truth = await aws.truth();
    expect(truth.find(({ ref }) => ref === SnapshotId)).toMatchObject({ tags: {} });
    expect(truth.find(({ ref }) => ref === id)).toMatchObject({ tags: { of: 'golden' } });
    await ec2.send(new DeleteTagsCommand({ Resources: [id], Tags: tags }));
    expect((await aws.truth()).map(({ ref }) => ref)).toEqual([SnapshotId]);
    await expect(ec2.send(new CancelImportTaskCommand({ ImportTaskId: id }))).rejects.toMatchObject({
      name: 'IncorrectState',
    });
  });

  test('one that is cancelled goes and makes nothing', async () => {
    aws.faults.set({ kind: 'transitions', createMs: 60_000, deleteMs: 300 });
    const id = await start();
    await ec2.send(new CancelImportTaskCommand({ ImportTaskId: id }));
    expect((await task(id))?.SnapshotTaskDetail?.Status).toBe('deleting');
    await until(async () => (await task(id))?.SnapshotTaskDetail?.Status === 'deleted');
    expect(await aws.truth()).toEqual([]);
  });

  test('an object that cannot be read, a missing role and another format are refused; what is no disk fails later', async () => {
    const refused = { name: 'InvalidParameter' };
    for (const kind of ['unreadable', 'noImportRole'] as const) {
      aws.faults.set({ kind });
      await expect(start()).rejects.toMatchObject(refused);
    }
    await expect(start(disk('QCOW2'))).rejects.toMatchObject(refused);
    aws.faults.set({ kind: 'noDisk' });
    const id = await start();
    await until(async () => (await task(id))?.SnapshotTaskDetail?.Status === 'deleted');
    expect((await task(id))?.SnapshotTaskDetail?.StatusMessage).toContain(
      'ClientError: Disk validation failed',
    );
    expect(await aws.truth()).toEqual([]);
  });
});

describe('networks', () => {
  test('a network and its subnet stay while a machine is in them', async () => {
    instant();
    const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.60.0.0/16' }));
    const { Subnet } = await ec2.send(
      new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock: '10.60.1.0/24', AvailabilityZone }),
    );
    await run(Subnet?.SubnetId);
    for (const call of [
      ec2.send(new DeleteSubnetCommand({ SubnetId: Subnet?.SubnetId })),
      ec2.send(new DeleteVpcCommand({ VpcId: Vpc?.VpcId })),
    ])
      await expect(call).rejects.toMatchObject({ name: 'DependencyViolation' });
  });

  test('a dry run makes nothing', async () => {
    await expect(
      ec2.send(new CreateVpcCommand({ CidrBlock: '10.61.0.0/16', DryRun: true })),
    ).rejects.toMatchObject({ name: 'DryRunOperation', $metadata: { httpStatusCode: 412 } });
    expect(await aws.truth()).toEqual([]);
  });
});

test('a fault holds for the creates of the kind it is set for', async () => {
  aws.faults.set({ kind: 'quota' }, 'Address');
  aws.faults.set({ kind: 'lag', lists: 1 }, 'Volume');
  const id = await volume();
  await expect(see(id)).rejects.toMatchObject({ name: 'InvalidVolume.NotFound' });
  expect(await run()).toMatch(/^i-/);
  await expect(ec2.send(new AllocateAddressCommand({}))).rejects.toMatchObject({
    name: 'AddressLimitExceeded',
  });
});
