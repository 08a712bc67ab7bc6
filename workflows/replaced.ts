/** What a person's word does for a machine that is Lost: another takes its place. */
import type { Intent } from '@landfall/store';
import type { OpenOperation, Turn } from './turn.ts';

/**
 * Who asked for another machine in the place of this one: for one that was there before the asking, and not for the one that
 * was made since.
 */
export function replacementOf({ operations }: Turn, intent: Intent): OpenOperation | undefined {
  return operations.find(
    (operation) =>
      operation.verb === 'replace' &&
      !operation.error &&
      !operation.cancel_requested_at &&
      isOlder(intent, operation),
  );
}

/** The lost machine itself, which a cancelled replacement leaves as it is: it may come back. */
export const isOlder = (intent: Intent, { created_at }: OpenOperation): boolean =>
  intent.created_at < created_at;

/**
 * What is left of it goes first, with what it claimed; then the instance is placed as if it were new. Who asked knows that the
 * boot disk's data is gone; volumes and addresses follow.
 */
export async function replaceLost(turn: Turn, intent: Intent, asked: OpenOperation): Promise<void> {
  const machine = `${intent.ref ?? `attempt ${intent.attempt}`} at ${intent.site}`;
  const what = `${asked.requested_by} has another machine made in the place of ${machine}, which is lost with its boot disk`;
  if (turn.row.adopted !== null) await turn.startAnew(asked.replacement ?? {});
  await turn.noteAbsence(null);
  await turn.writeStatus({
    state: 'Provisioning',
    externalReference: undefined,
    addresses: [],
    ssh: undefined,
  });
  await turn.condemn(intent, what, 'instance.replaced');
  await turn.noteRepair(what);
}

/** The machine is there after all, and with it its data: it is kept, and nothing is replaced. */
export async function keepFound(turn: Turn, intent: Intent, asked: OpenOperation): Promise<void> {
  const message = `${intent.ref} is to be seen at ${intent.site} again and was kept: nothing was replaced`;
  await turn.refuse(asked, message, { code: 'Conflict' });
}
