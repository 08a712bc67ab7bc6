/** What becomes of a machine that is gone, or stopped, without anybody having asked Landfall for it. */
import type { Interruption } from '@landfall/adapters';
import type { Intent } from '@landfall/store';
import { asideFor } from './aside.ts';
import type { Turn } from './turn.ts';

/**
 * Spot machines are anybody's to take back, and who asked for one has agreed to that: another is made while it is wanted
 * running. One on demand may hold the only copy of a user's work, and is never replaced by an empty one; nor is what was
 * adopted, since nobody knows what it was made from.
 */
export function isReplaceable({ row }: Turn, intent: Intent): boolean {
  return (
    intent.offer.market === 'spot' && row.adopted === null && (row.spec.power ?? 'running') === 'running'
  );
}

/**
 * The machine is given up: what is left of it goes first, then the instance is placed anew, elsewhere for a while. Without an
 * interruption it is not known who took it, and most often it was the provider.
 */
export async function replaceTaken(turn: Turn, intent: Intent, interrupted?: Interruption): Promise<void> {
  const machine = intent.ref ?? `attempt ${intent.attempt}`;
  const where = `${intent.site} ${intent.host ?? intent.zone ?? intent.region}`;
  const what = interrupted
    ? `${where} took the spot machine ${machine} away (${interrupted.reason})`
    : `the spot machine ${machine} is gone from ${where}`;
  await asideFor(turn, intent, interrupted ? 'Interrupted' : 'Gone', what);
  await turn.noteAbsence(null);
  await turn.writeStatus({
    state: 'Provisioning',
    externalReference: undefined,
    addresses: [],
    ssh: undefined,
  });
  await turn.condemn(
    intent,
    `${what}; another is made`,
    interrupted ? 'instance.interrupted' : 'instance.vanished',
  );
  await turn.noteRepair(`${what}; another was made`);
}
