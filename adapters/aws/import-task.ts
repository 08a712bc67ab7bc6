import {
  CancelImportTaskCommand,
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeImportSnapshotTasksCommand,
  DescribeSnapshotsCommand,
  type EC2Client,
  ImportSnapshotCommand,
  type ImportSnapshotTask,
  type Snapshot,
} from '@aws-sdk/client-ec2';
import { s3Object } from '@landfall/model/image-sources.ts';
import type { ImageUrl, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { changing, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { clientToken, stampAsTags, stampTags } from './stamp.ts';

/**
 * Asks EC2 to make a snapshot of a disk in S3; answers the task's id, the same for every call of an attempt. EC2 tags no snapshot
 * that it imports: until that is done (`handOver`), its task carries the stamp.
 */
export async function startImport(
  ec2: EC2Client,
  source: ImageUrl,
  { spec, stamp }: Want<'Image'>,
  DryRun = false,
): Promise<string> {
  const object = s3Object(source.url);
  if (!object) throw new Error('the URL was checked before');
  const asked = ec2.send(
    new ImportSnapshotCommand({
      ClientToken: clientToken(stamp),
      Description: `Landfall: ${stamp.resource}`,
      DiskContainer: {
        Format: source.format.toUpperCase(),
        UserBucket: { S3Bucket: object.bucket, S3Key: object.key },
      },
      TagSpecifications: [
        {
          ResourceType: 'import-snapshot-task',
          Tags: [...stampAsTags(stamp, 'Image'), { Key: 'Name', Value: spec.name }],
        },
      ],
      DryRun,
    }),
  );
  const { ImportTaskId } = await changing(asked).catch((error: unknown) => {
    // EC2 says so of the object, and of the role `vmimport` that has to read it.
    if (!isProviderError(error, 'Invalid') || error.details.field) throw error;
    throw new ProviderError(
      'Invalid',
      error.message,
      { ...error.details, field: '/source/url' },
      error.cause,
    );
  });
  if (!ImportTaskId) throw new ProviderError('OutcomeUnknown', 'EC2 answered an import without its task');
  return ImportTaskId;
}

/** A task in whatever state it is; nothing when EC2 does not know it (yet). */
export async function taskOf(ec2: EC2Client, id: string): Promise<ImportSnapshotTask | undefined> {
  try {
    const asked = new DescribeImportSnapshotTasksCommand({ ImportTaskIds: [id] });
    return (await reading(ec2.send(asked))).ImportSnapshotTasks?.[0];
  } catch (error) {
    if (/^InvalidConversionTaskId|\.NotFound$/.test(providerCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/**
 * The snapshot that a task has made, once it carries the stamp in the task's place; nothing while the task is under way.
 * @throws ProviderError with EC2's words when the task came to nothing.
 */
export async function importedBy(ec2: EC2Client, task: ImportSnapshotTask): Promise<string | undefined> {
  const { Status, StatusMessage, SnapshotId } = task.SnapshotTaskDetail ?? {};
  if (Status === 'completed' && SnapshotId) {
    await handOver(ec2, task, SnapshotId);
    return SnapshotId;
  }
  if (Status !== 'deleting' && Status !== 'deleted') return undefined;
  const words = StatusMessage ?? `the task is ${Status}`;
  const [, providerCode = 'ImportSnapshotTask'] = /^(\w+): /.exec(words) ?? [];
  // What is wrong with the disk stays so; what went wrong at EC2 does so for a new attempt only, whose token is another.
  const said = `EC2 could not import the disk (${task.ImportTaskId}): ${words}`;
  throw providerCode === 'ClientError'
    ? new ProviderError('Invalid', said, { providerCode, field: '/source/url', made: [] })
    : new ProviderError('Conflict', said, { providerCode, made: [] });
}

/** The snapshot first: at every moment one of the two carries the stamp. */
async function handOver(ec2: EC2Client, task: ImportSnapshotTask, snapshot: string): Promise<void> {
  const { ImportTaskId = '', Tags = [] } = task;
  const ours = Tags.filter(({ Key = '' }) => ourTags.includes(Key));
  if (ours.length === 0) return;
  await changing(ec2.send(new CreateTagsCommand({ Resources: [snapshot], Tags: ours })));
  await changing(ec2.send(new DeleteTagsCommand({ Resources: [ImportTaskId], Tags: ours })));
}

const ourTags: string[] = [...Object.values(stampTags), 'Name'];

/**
 * Ends an import that is not wanted any more. Of one that is through already, the snapshot gets the stamp by which it is then
 * deleted.
 */
export async function endImport(ec2: EC2Client, id: string): Promise<void> {
  const task = await taskOf(ec2, id);
  const { Status, SnapshotId } = task?.SnapshotTaskDetail ?? {};
  if (task && Status === 'active') await ec2.send(new CancelImportTaskCommand({ ImportTaskId: id }));
  if (!task || Status !== 'completed') return;
  const [snapshot] = SnapshotId ? await snapshotsOf(ec2, SnapshotId) : [];
  if (snapshot) return handOver(ec2, task, SnapshotId!);
  await ec2.send(new DeleteTagsCommand({ Resources: [id], Tags: task.Tags }));
}

/** By a filter: an id that is gone would be an error. */
async function snapshotsOf(ec2: EC2Client, id: string): Promise<Snapshot[]> {
  const Filters = [{ Name: 'snapshot-id', Values: [id] }];
  return (await reading(ec2.send(new DescribeSnapshotsCommand({ Filters })))).Snapshots ?? [];
}
