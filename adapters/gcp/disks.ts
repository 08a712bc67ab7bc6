import type { Target } from '../contract.ts';
import { aggregated } from './aggregated.ts';
import type { Account } from './clients.ts';
import { hiding, type Thing, thingOf, unreachable } from './collections.ts';
import { carries, partOfName, stampFilter } from './stamp.ts';

/** The disks that were made with machines of the stamp, in every zone: a volume of ours is none of them. */
export async function findDisks(
  account: Account,
  target: Pick<Target, 'stamp' | 'location'>,
): Promise<(Thing<'disks'> & { zone: string })[]> {
  const { stamp } = target;
  const { scopes, away } = await aggregated(account, 'disks', stampFilter(stamp));
  const found = scopes.flatMap(([scope, { disks }]) =>
    (disks ?? []).map((disk) => ({ ...thingOf('disks', scope, disk), zone: scope.replace('zones/', '') })),
  );
  const ours = found.filter(({ labels, name }) => carries(labels, stamp) && partOfName(name) === undefined);
  const hidden = hiding(account, target, away);
  if (ours.length === 0 && hidden.length > 0) throw unreachable(hidden);
  return ours;
}
