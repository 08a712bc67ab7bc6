import { CreateTagsCommand, DeleteTagsCommand, type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import { turnOf } from '../adopters.ts';
import type { CallContext, Kind, Present, Stamp, Want } from '../contract.ts';
import { adoptedByAnother, cannotBeAdopted } from '../discovery.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { namesNothing } from '../kinds.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { whyRefused } from './discover.ts';
import { findById, isDead, type Machine, toPresent } from './machine.ts';
import type { Found } from './objects.ts';
import { adopterTag, carries, stampAsTags, stampOf, stampTags, tagValue } from './stamp.ts';

/** What is adopted is to EC2: found by its id, with tags. */
export interface Taggable<T> {
  kind: Kind;
  /** Nothing where it is gone or going. */
  find(ec2: EC2Client, ref: string): Promise<T | undefined>;
  refOf(object: T): string;
  tagsOf(object: T): Tag[] | undefined;
  /** Why it cannot be adopted, for a person. */
  whyRefused(ec2: EC2Client, object: T): Promise<string | undefined>;
  /** What is adopted with it. */
  parts?(ec2: EC2Client, object: T): Promise<Pick<Found, 'ref' | 'tags'>[]>;
}

/** Tags an existing machine with our stamp, and changes nothing else of it; see `adoptTagged`. */
export async function adoptMachine(account: Account, want: Want, context: CallContext): Promise<Present> {
  const ec2 = account.ec2(want.location.region);
  const machine = await adoptTagged(account, want, context, machines);
  return toPresent(ec2, want.location.region, machine);
}

const machines: Taggable<Machine> = {
  kind: 'Instance',
  async find(ec2, ref) {
    const machine = await findById(ec2, ref);
    return machine && !isDead(machine) ? machine : undefined;
  },
  refOf: ({ InstanceId }) => InstanceId,
  tagsOf: ({ Tags }) => Tags,
  whyRefused: async (_, machine) => whyRefused(machine),
};

/**
 * Tags what exists with our stamp, and changes nothing else of it; answers it as it was seen with the stamp.
 *
 * EC2 writes tags without conditions: adopters keep out of each other's way by tags of their own (`turnOf`).
 * @throws ProviderError `NotFound` where it is gone; `Conflict` where it is another's or another tool manages it.
 */
export async function adoptTagged<T>(
  account: Account,
  { location, stamp, adopted }: Pick<Want, 'location' | 'stamp' | 'adopted'>,
  context: CallContext,
  taggable: Taggable<T>,
): Promise<T> {
  if (!adopted) throw namesNothing();
  account.checkRegion(location.region);
  const ec2 = account.ec2(location.region);
  const mine = adopterTag(stamp);
  let known: T | undefined;
  let hasStamped = false;
  const withdraw = async () => {
    if (known) await withdrawFrom(ec2, taggable.refOf(known), taggable.tagsOf(known), mine);
  };
  try {
    const found = await waitFor(
      async () => {
        known = await taggable.find(ec2, adopted.ref);
        const next = await step(ec2, known, adopted.ref, { stamp, mine, hasStamped }, taggable);
        if (next === 'stamped') hasStamped = true;
        return typeof next === 'object' ? next.found : undefined;
      },
      { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs },
    );
    if (!found) throw adoptedByAnother(adopted.ref);
    await withdraw();
    return found;
  } catch (error) {
    if (isProviderError(error, 'Conflict')) await withdraw();
    throw error;
  }
}

/** The next step; what was found once it carries our stamp. */
async function step<T>(
  ec2: EC2Client,
  object: T | undefined,
  ref: string,
  { stamp, mine, hasStamped }: { stamp: Stamp; mine: string; hasStamped: boolean },
  { kind, tagsOf, whyRefused: why, parts }: Taggable<T>,
): Promise<{ found: T } | 'stamped' | undefined> {
  if (!object) throw new ProviderError('NotFound', `there is no ${kind} ${ref} any more`);
  const tags = tagsOf(object);
  const partsNow = async () => (await parts?.(ec2, object)) ?? [];
  if (carries(tags, stamp)) {
    // Written in one call with it; what came in between is written now.
    const late = (await partsNow()).filter((part) => stampOf(part.tags) === undefined);
    if (late.length === 0) return { found: object };
    await write(ec2, refsOf(late), stampAsTags(stamp, kind));
    return undefined;
  }
  const refused = await why(ec2, object);
  if (refused) throw cannotBeAdopted(ref, refused);
  const turn = turnOf(mine, adoptersOf(tags), hasStamped);
  if (turn === 'giveUp') throw adoptedByAnother(ref);
  if (turn === 'show') await write(ec2, [ref], [{ Key: mine, Value: new Date().toISOString() }]);
  if (turn !== 'stamp') return undefined;
  await write(ec2, [ref, ...refsOf(await partsNow())], stampAsTags(stamp, kind));
  return 'stamped';
}

const refsOf = (parts: Pick<Found, 'ref'>[]): string[] => parts.map(({ ref }) => ref);

function adoptersOf(tags: Tag[] = []): Record<string, string> {
  return Object.fromEntries(
    tags.flatMap(({ Key = '', Value = '' }) => (Key.startsWith(stampTags.adopter) ? [[Key, Value]] : [])),
  );
}

async function write(ec2: EC2Client, Resources: string[], Tags: Tag[]): Promise<void> {
  await changing(ec2.send(new CreateTagsCommand({ Resources, Tags })));
}

/** Takes the adopter's tag away, if it is there. Left behind, it only says who adopted, or is passed over after a while. */
async function withdrawFrom(
  ec2: EC2Client,
  ref: string,
  tags: Tag[] | undefined,
  mine: string,
): Promise<void> {
  if (tagValue(tags, mine) === undefined) return;
  await changing(ec2.send(new DeleteTagsCommand({ Resources: [ref], Tags: [{ Key: mine }] }))).catch(
    (error: unknown) => {
      if (!(error instanceof ProviderError)) throw error;
    },
  );
}
