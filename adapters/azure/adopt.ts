import type { VirtualMachine } from '@azure/arm-compute';
import type { CallContext, Present, Want } from '../contract.ts';
import { cannotBeAdopted } from '../discovery.ts';
import { ProviderError } from '../errors.ts';
import { namesNothing } from '../kinds.ts';
import { waitFor } from '../wait.ts';
import type { Account } from './clients.ts';
import { whyRefused } from './discover.ts';
import { readMachine, stateOf, toPresent } from './machine.ts';
import { placeOf } from './objects.ts';
import { isPassing } from './remove.ts';
import { carries, stampAsTags } from './stamp.ts';
import { writeTags } from './write-tags.ts';

/**
 * Tags an existing machine with our stamp, and changes nothing else of it. Azure writes tags all at once, here on the condition that
 * the machine is as it was read (its ETag): of two adopters the second is refused, looks again, and sees the first's stamp.
 * @throws ProviderError `NotFound` where it is gone; `Conflict` where it is another's or another tool manages it.
 */
export async function adoptMachine(account: Account, want: Want, context: CallContext): Promise<Present> {
  const { location, stamp, adopted } = want;
  if (!adopted) throw namesNothing();
  account.checkRegion(location.region);
  const { ref } = adopted;
  const place = placeOf(ref);
  const look = async (): Promise<VirtualMachine | undefined> => {
    const machine = place && (await readMachine(account, place));
    // It was there before us: not to see it is no matter of time.
    if (!machine || stateOf(machine) === 'removing')
      throw new ProviderError('NotFound', `there is no machine ${ref} any more`);
    if (carries(machine.tags, stamp)) return machine;
    const refused = whyRefused(machine);
    if (refused) throw cannotBeAdopted(ref, refused);
    const tags = { ...machine.tags, ...stampAsTags(stamp) };
    try {
      await writeTags(account, 'virtualMachine', place, machine, tags, context);
    } catch (error) {
      // It is not as it was read, or something is under way with it: another look tells.
      if (!isPassing(error)) throw error;
    }
    return undefined;
  };
  const machine = await waitFor(look, { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs });
  if (!machine || !place)
    throw new ProviderError('OutcomeUnknown', `${ref} was tagged, and does not show it yet`, {
      providerCode: 'notVisible',
    });
  return toPresent(account, { machine, place });
}
