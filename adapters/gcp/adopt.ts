import type { CallContext, Present, Want } from '../contract.ts';
import { cannotBeAdopted } from '../discovery.ts';
import { ProviderError } from '../errors.ts';
import { namesNothing } from '../kinds.ts';
import type { Account } from './clients.ts';
import { parseRef } from './collections.ts';
import { whyRefused } from './discover.ts';
import { drive, type Next } from './drive.ts';
import { findByName, isGoing, type Machine, toPresent } from './machine.ts';
import { operationOf } from './operation.ts';
import { lastOf } from './places.ts';
import { carries, stampAsLabels } from './stamp.ts';

/**
 * Labels an existing machine with our stamp, and changes nothing else of it. Labels are written on the condition that nobody wrote
 * any since they were read: of two adopters the second is refused, looks again, and sees the first's stamp.
 * @throws ProviderError `NotFound` where it is gone; `Conflict` where it is another's or another tool manages it.
 */
export async function adoptMachine(account: Account, want: Want, context: CallContext): Promise<Present> {
  const { location, stamp, adopted } = want;
  if (!adopted) throw namesNothing();
  account.checkRegion(location.region);
  const labels = stampAsLabels(stamp);
  const { ref } = adopted;
  const at = parseRef('instances', ref);
  const gone = () => new ProviderError('NotFound', `there is no machine ${ref} any more`);
  const { seen, converged } = await drive<Machine>(account, context, undefined, {
    async look() {
      const machine = at && (await findByName(account, lastOf(at.scope), at.name));
      // It was there before us: not to see it is no matter of time.
      if (!machine || isGoing(machine)) throw gone();
      return machine;
    },
    async step(machine): Promise<Next> {
      if (carries(machine.labels, stamp)) return 'converged';
      const refused = whyRefused(machine);
      if (refused) throw cannotBeAdopted(ref, refused);
      const { name, zone, labelFingerprint } = machine;
      const request = {
        project: await account.project(),
        zone,
        instance: name,
        instancesSetLabelsRequestResource: { labels: { ...machine.labels, ...labels }, labelFingerprint },
      };
      return operationOf(account.clients.instances.setLabels(request, account.call));
    },
    gone,
  });
  if (!seen || !converged)
    throw new ProviderError('OutcomeUnknown', `${ref} was labelled, and does not show it yet`, {
      providerCode: 'notVisible',
    });
  return toPresent(account, seen);
}
