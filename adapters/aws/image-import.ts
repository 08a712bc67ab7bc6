import type { EC2Client } from '@aws-sdk/client-ec2';
import type { CallContext, ImageUrl, KindAdapter, Present, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { fromSnapshot, imageShape } from './custom-image.ts';
import { providerCodeOf } from './errors.ts';
import { importedBy, startImport, taskOf } from './import-task.ts';
import { describeAll, describeStamped, type Found } from './objects.ts';
import { resourceAdapter } from './resource.ts';
import { mutableTags, stampAsTags, stampFilters, stampOf } from './stamp.ts';

/**
 * Images, those from a URL too: a disk in S3 becomes a snapshot by a task of EC2's, which takes minutes, and the image is registered
 * from that. Until there is an image, the task stands for it; the snapshot is the image's own and goes with it.
 */
export function imageAdapter(account: Account): KindAdapter<'Image'> {
  const usual = resourceAdapter(account, imageShape);
  return {
    ...usual,

    async validate(want) {
      const source = urlOf(want);
      if (!source) return usual.validate(want);
      account.checkRegion(want.location.region);
      checkWant(want);
      try {
        await startImport(account.ec2(want.location.region), source, want, true);
      } catch (error) {
        // EC2 says by this error that the request would have succeeded.
        if (providerCodeOf(error) !== 'DryRunOperation') throw error;
      }
    },

    async observe(target, want) {
      const seen = await usual.observe(target, want);
      if (seen.presence === 'present') return seen;
      const tasks = await describeStamped(account.ec2(target.location.region), 'importTask', target.stamp);
      const newest = tasks.sort((a, b) => attemptOf(b) - attemptOf(a))[0];
      return newest ? importing(newest, target.location.region) : seen;
    },

    async ensure(want, context) {
      const source = urlOf(want);
      if (!source) return usual.ensure(want, context);
      const { stamp, location } = want;
      account.checkRegion(location.region);
      checkWant(want);
      const ec2 = account.ec2(location.region);
      const isThere =
        isNamed(context.resumed, 'ref') || (await describeAll(ec2, 'image', stampFilters(stamp))).length > 0;
      const snapshot = isThere ? undefined : await imported(account, ec2, source, want, context);
      if (typeof snapshot === 'object') return snapshot;
      const shape: typeof imageShape = {
        ...imageShape,
        async create(_ec2, _want, Tags, DryRun) {
          if (snapshot) return fromSnapshot(ec2, snapshot, want, Tags, DryRun);
          throw new ProviderError('OutcomeUnknown', 'the image was there, and cannot be seen now');
        },
      };
      return naming(snapshot, resourceAdapter(account, shape).ensure(want, context));
    },
  };
}

/** What the image itself would be refused for is found out before its snapshot is made. */
function checkWant(want: Want<'Image'>): void {
  imageShape.check?.(want);
  mutableTags(want.spec);
}

/** The snapshot that EC2 imports, or has imported, for the want, or the import where it takes longer than one call of `ensure`. */
async function imported(
  account: Account,
  ec2: EC2Client,
  source: ImageUrl,
  want: Want<'Image'>,
  context: CallContext,
): Promise<string | Present<'Image'>> {
  const { stamp, location } = want;
  // By stamp before anything is asked for: an earlier try may have succeeded without our hearing of it (R1). The task before its
  // snapshot: both may carry the stamp, and one of them alone is to.
  const stamped = async (kind: 'importTask' | 'snapshot') =>
    (await describeAll(ec2, kind, stampFilters(stamp)))[0]?.ref;
  const known = isNamed(context.resumed, 'task') ? context.resumed.task : await stamped('importTask');
  const made = known ? undefined : await stamped('snapshot');
  if (made) return made;
  context.signal.throwIfAborted();
  const id = known ?? (await startImport(ec2, source, want));
  const started = Date.now();
  const look = async (): Promise<string | undefined> => {
    const task = await taskOf(ec2, id);
    if (task) return importedBy(ec2, task);
    if (Date.now() - started < account.visibilityGraceMs) return undefined;
    throw new ProviderError('Conflict', `EC2 no longer knows ${id}, which was made for this attempt`);
  };
  const wait = { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs, details: { task: id } };
  const snapshot = await naming(id, waitFor(look, wait));
  return snapshot ?? importing({ ref: id, tags: stampAsTags(stamp, 'Image') }, location.region);
}

/** An image of which there is only the import yet. */
function importing({ ref, tags }: Pick<Found, 'ref' | 'tags'>, region: string): Present<'Image'> {
  const stamp = stampOf(tags);
  if (!stamp) throw new ProviderError('Conflict', `${ref} carries no stamp`, { providerCode: 'NotOurs' });
  return {
    presence: 'present',
    ref,
    stamp,
    location: { region },
    state: 'creating',
    details: { children: [] },
    diff: [],
  };
}

/** What exists belongs to what an error says (A9). */
async function naming<T>(made: string | undefined, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!made || !(error instanceof ProviderError) || error.details.made) throw error;
    const details = { ...error.details, made: [made] };
    throw new ProviderError(error.code, error.message, details, error.cause ?? error);
  }
}

const attemptOf = ({ tags }: Found): number => stampOf(tags)?.attempt ?? 0;

const urlOf = ({ spec: { source } }: Want<'Image'>): ImageUrl | undefined =>
  source && 'url' in source ? source : undefined;

/** Whether the heartbeat of an earlier try of this call named something by this word. */
function isNamed<W extends string>(resumed: unknown, word: W): resumed is Record<W, string> {
  return typeof (resumed as Record<string, unknown> | null | undefined)?.[word] === 'string';
}
