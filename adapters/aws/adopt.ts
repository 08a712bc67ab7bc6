import { CreateTagsCommand, DeleteTagsCommand, type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import type { CallContext, Present, Stamp, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { adoptedKind } from '../kinds.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing } from './clients.ts';
import { whyRefused } from './discover.ts';
import { findById, isDead, type Machine, toPresent } from './machine.ts';
import { carries, stampAsTags, stampTags, tagValue } from './stamp.ts';

/** An adopter that has not come to an end in this time has died: the others go on without it. */
const adopterLastsMs = 20 * 60_000;
/** One that goes on for longer shows itself anew, well before the others would take it for dead. */
const showAgainMs = adopterLastsMs / 4;

/**
 * Tags an existing machine with our stamp, and changes nothing else of it.
 *
 * EC2 writes tags without conditions, so two adopters could each write their stamp over the other's. Each therefore first writes
 * a tag of its own, by which the others see it, and looks again. Who then sees nobody else has the machine: whoever comes later
 * sees it. Where several see each other, all but the first by name give up, and the first waits until they have.
 * @throws ProviderError `NotFound` where it is gone; `Conflict` where it is another's or another tool manages it.
 */
export async function adoptMachine(account: Account, want: Want, context: CallContext): Promise<Present> {
  const { location, stamp, adopted } = want as Want<'Instance'>;
  adoptedKind(want.kind, ['Instance']);
  if (!adopted) throw new ProviderError('Invalid', 'the want names nothing to adopt', { field: '/adopted' });
  account.checkRegion(location.region);
  const ec2 = account.ec2(location.region);
  const mine = adopterTag(stamp);
  let known: Machine | undefined;
  const withdraw = () => withdrawFrom(ec2, known, mine);
  try {
    const machine = await waitFor(
      async () => {
        known = await findById(ec2, adopted.ref);
        return step(ec2, known, adopted.ref, stamp, mine);
      },
      { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs },
    );
    if (!machine)
      throw new ProviderError('Conflict', `${adopted.ref} is being adopted by somebody else`, {
        providerCode: 'NotOurs',
      });
    await withdraw();
    return await toPresent(ec2, location.region, machine);
  } catch (error) {
    if (isProviderError(error, 'Conflict')) await withdraw();
    throw error;
  }
}

/** The next step; the machine once it carries our stamp. */
async function step(
  ec2: EC2Client,
  machine: Machine | undefined,
  ref: string,
  stamp: Stamp,
  mine: string,
): Promise<Machine | undefined> {
  if (!machine || isDead(machine)) throw new ProviderError('NotFound', `there is no machine ${ref} any more`);
  if (carries(machine.Tags, stamp)) return machine;
  const refused = whyRefused(machine);
  if (refused)
    throw new ProviderError('Conflict', `${ref} cannot be adopted: ${refused}`, { providerCode: 'NotOurs' });
  const shownAt = Date.parse(tagValue(machine.Tags, mine) ?? '');
  if (!(Date.now() - shownAt < showAgainMs)) {
    await write(ec2, ref, [{ Key: mine, Value: new Date().toISOString() }]);
    return undefined;
  }
  const others = adoptersOf(machine).filter((key) => key !== mine);
  if (others.length === 0) await write(ec2, ref, stampAsTags(stamp, 'Instance'));
  else if (others.some((key) => key < mine))
    throw new ProviderError('Conflict', `${ref} is being adopted by somebody else`, {
      providerCode: 'NotOurs',
    });
  return undefined;
}

/** The tag by which an adopter shows itself. Its value is when. */
function adopterTag({ broker, resource }: Stamp): string {
  return `${stampTags.adopter}${broker}/${resource}`;
}

function adoptersOf({ Tags = [] }: Machine): string[] {
  const since = Date.now() - adopterLastsMs;
  return Tags.flatMap(({ Key = '', Value = '' }) =>
    Key.startsWith(stampTags.adopter) && Date.parse(Value) >= since ? [Key] : [],
  );
}

async function write(ec2: EC2Client, ref: string, Tags: Tag[]): Promise<void> {
  await changing(ec2.send(new CreateTagsCommand({ Resources: [ref], Tags })));
}

/** Takes the adopter's tag away, if it is there. Left behind, it only says who adopted, or is passed over after a while. */
async function withdrawFrom(ec2: EC2Client, machine: Machine | undefined, mine: string): Promise<void> {
  if (!machine || tagValue(machine.Tags, mine) === undefined) return;
  await changing(
    ec2.send(new DeleteTagsCommand({ Resources: [machine.InstanceId], Tags: [{ Key: mine }] })),
  ).catch((error: unknown) => {
    if (!(error instanceof ProviderError)) throw error;
  });
}
