import { randomBytes } from 'node:crypto';
import { type FaultPlan, isDryRun, type Refusal } from './faults.ts';
import type { Existing, MotoCaller } from './moto-calls.ts';
import { refuse } from './storage.ts';
import { numbered, type Part, type Request } from './world.ts';
import { type Element, parseXml, textAt } from './xml.ts';

/** One import of a disk into a snapshot. */
interface Task {
  region: string;
  bucket: string;
  key: string;
  format: string;
  status: 'active' | 'completed' | 'deleting' | 'deleted';
  /** When it is through, or gone; of one that is neither yet. */
  endsAt: number;
  /** Why it comes to nothing, where it does. */
  failure?: string;
  snapshot?: string;
  tags: Map<string, string>;
  /** Looks that do not see it yet. */
  hidden: number;
}

/** What every disk that is imported holds: the simulator has no S3, and takes every object as one that can be read. */
const sizeGiB = 8;
/** Tasks on one page. */
const pageSize = 100;

export interface Imports extends Part {
  /** Tasks that will make something, or whose snapshot has not got their tags yet. */
  existing(): Existing[];
}

/** Imports of disks into snapshots, which moto does not know. */
export function createImports(
  faults: FaultPlan,
  moto: MotoCaller,
  sizes: Map<string, string>,
  now: () => number = Date.now,
): Imports {
  const tasks = new Map<string, Task>();
  let settling: Promise<void> = Promise.resolve();

  const inRegion = (region: string) => [...tasks].filter(([, task]) => task.region === region);

  function start({ region, parameters }: Request): Element {
    const id = `import-snap-${randomBytes(8).toString('hex')}0`;
    const container = (name: string) => parameters.get(`DiskContainer.${name}`) ?? '';
    const task: Task = {
      region,
      bucket: container('UserBucket.S3Bucket'),
      key: container('UserBucket.S3Key'),
      format: container('Format'),
      status: 'active',
      endsAt: now() + faults.transitions().createMs,
      tags: new Map(tagsIn(parameters, 'TagSpecification.1.Tag')),
      hidden: faults.lag('ImportSnapshot'),
    };
    if (faults.findsNoDisk())
      task.failure = 'ClientError: Disk validation failed [Unsupported specified file format]';
    tasks.set(id, task);
    return answer('ImportSnapshot', shownTask(id, task));
  }

  function list({ region, parameters }: Request): Element {
    const ids = numbered(parameters, 'ImportTaskId');
    const from = Number(parameters.get('NextToken') ?? 0);
    const visible = inRegion(region).filter(([id, task]) => {
      if (ids.length > 0) return ids.includes(id);
      if (task.hidden > 0) task.hidden -= 1;
      else return true;
      return false;
    });
    const page = visible
      .slice(from, from + pageSize)
      .map(([id, task]) => `<item>${shownTask(id, task)}</item>`);
    const next = from + pageSize < visible.length ? `<nextToken>${from + pageSize}</nextToken>` : '';
    return answer(
      'DescribeImportSnapshotTasks',
      `<importSnapshotTaskSet>${page.join('')}</importSnapshotTaskSet>${next}`,
    );
  }

  function cancel({ parameters }: Request): Element {
    const id = parameters.get('ImportTaskId') ?? '';
    const task = tasks.get(id);
    if (task) Object.assign(task, { status: 'deleting', endsAt: now() + faults.transitions().deleteMs });
    return answer(
      'CancelImportTask',
      `<importTaskId>${id}</importTaskId><previousState>active</previousState><state>deleting</state>`,
    );
  }

  function retag({ action, parameters }: Request): Element {
    for (const id of numbered(parameters, 'ResourceId'))
      for (const [key, value] of tagsIn(parameters, 'Tag')) {
        const tags = tasks.get(id)?.tags;
        if (action === 'CreateTags') tags?.set(key, value);
        // Only where its value is still that.
        else if (tags?.get(key) === value) tags.delete(key);
      }
    return answer(action, '<return>true</return>');
  }

  async function finish(task: Task): Promise<void> {
    if (task.status === 'deleting' || task.failure) {
      task.status = 'deleted';
      return;
    }
    // moto makes snapshots of volumes alone.
    const volume = await moto.call(task.region, 'CreateVolume', {
      AvailabilityZone: `${task.region}a`,
      Size: String(sizeGiB),
    });
    const VolumeId = textAt(volume, 'volumeId') ?? '';
    const made = await moto.call(task.region, 'CreateSnapshot', { VolumeId });
    const snapshot = textAt(made, 'snapshotId') ?? '';
    await moto.call(task.region, 'DeleteVolume', { VolumeId });
    sizes.set(snapshot, String(sizeGiB));
    Object.assign(task, { status: 'completed', snapshot });
  }

  return {
    refuse({ region, action, parameters }): Refusal | undefined {
      if (action === 'ImportSnapshot') return isDryRun(parameters) ? undefined : importRefusal(parameters);
      const ids = numbered(parameters, 'ImportTaskId');
      const own = parameters.get('ImportTaskId');
      const asked =
        action === 'DescribeImportSnapshotTasks' ? ids : action === 'CancelImportTask' && own ? [own] : [];
      for (const id of asked) {
        const task = tasks.get(id);
        if (task?.region !== region || task.hidden-- > 0)
          return refuse('InvalidConversionTaskId', `The import task id ${id} does not exist`);
        task.hidden = 0;
        if (action === 'CancelImportTask' && task.status !== 'active')
          return refuse('IncorrectState', `The import task ${id} is ${task.status} and cannot be cancelled`);
      }
      return undefined;
    },
    async instead(request) {
      const { action, parameters } = request;
      if (action === 'ImportSnapshot') return start(request);
      if (action === 'DescribeImportSnapshotTasks') return list(request);
      if (action === 'CancelImportTask') return cancel(request);
      const tagging = action === 'CreateTags' || action === 'DeleteTags';
      return tagging && tasks.has(parameters.get('ResourceId.1') ?? '') ? retag(request) : undefined;
    },
    learn() {},
    show: () => undefined,
    settle() {
      settling = settling.then(async () => {
        for (const task of tasks.values())
          if ((task.status === 'active' || task.status === 'deleting') && task.endsAt <= now())
            await finish(task);
      });
      return settling;
    },
    existing: () =>
      [...tasks].flatMap(([ref, { region, status, tags }]): Existing[] =>
        status === 'deleted' || (status === 'completed' && tags.size === 0)
          ? []
          : [{ ref, providerKind: 'importTask', region, tags: Object.fromEntries(tags) }],
      ),
    clear: () => tasks.clear(),
  };

  function importRefusal(parameters: URLSearchParams): Refusal | undefined {
    const format = parameters.get('DiskContainer.Format') ?? '';
    if (!['RAW', 'VHD', 'VHDX', 'VMDK'].includes(format))
      return refuse('InvalidParameter', `The format ${format} of the disk container is not supported.`);
    const [bucket, key] = ['S3Bucket', 'S3Key'].map((name) =>
      parameters.get(`DiskContainer.UserBucket.${name}`),
    );
    if (!bucket || !key)
      return refuse('InvalidParameter', 'The simulator imports from a bucket and a key alone.');
    switch (faults.importRefusal()) {
      case 'unreadable':
        return refuse('InvalidParameter', `User does not have access to the S3 object (${bucket}/${key}).`);
      case 'noImportRole':
        return refuse(
          'InvalidParameter',
          'The service role vmimport provided does not exist or does not have sufficient permissions',
        );
      default:
        return undefined;
    }
  }
}

function shownTask(id: string, { bucket, key, format, status, failure, snapshot, tags }: Task): string {
  const ended = status === 'completed' || status === 'deleted';
  const message = status === 'deleted' ? failure : status === 'active' ? 'pending' : undefined;
  const detail = [
    `<diskImageSize>${status === 'completed' ? sizeGiB * 2 ** 30 : 0}.0</diskImageSize>`,
    `<format>${escaped(format)}</format>`,
    ended ? '' : '<progress>3</progress>',
    snapshot ? `<snapshotId>${snapshot}</snapshotId>` : '',
    `<status>${status}</status>`,
    message ? `<statusMessage>${escaped(message)}</statusMessage>` : '',
    `<userBucket><s3Bucket>${escaped(bucket)}</s3Bucket><s3Key>${escaped(key)}</s3Key></userBucket>`,
  ];
  const shown = [...tags].map(
    ([tag, value]) => `<item><key>${escaped(tag)}</key><value>${escaped(value)}</value></item>`,
  );
  return `<importTaskId>${id}</importTaskId><snapshotTaskDetail>${detail.join('')}</snapshotTaskDetail><tagSet>${shown.join('')}</tagSet>`;
}

function answer(action: string, inside: string): Element {
  return parseXml(`<${action}Response><requestId>r</requestId>${inside}</${action}Response>`);
}

function tagsIn(parameters: URLSearchParams, name: string): [string, string][] {
  const tags: [string, string][] = [];
  for (let n = 1; parameters.has(`${name}.${n}.Key`); n += 1)
    tags.push([parameters.get(`${name}.${n}.Key`) ?? '', parameters.get(`${name}.${n}.Value`) ?? '']);
  return tags;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
