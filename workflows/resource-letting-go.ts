/** What is let go of: a resource that is released, and one whose adoption is given up. It stays as it is, without our stamp. */
import {
  closeReleasedResource,
  keepResource,
  moveResourceIntent,
  type ResourceIntent,
  wordsOf,
} from '@landfall/store';
import type { ResourceTurn } from './resource-turn.ts';
import type { Failure, Outcome, Step } from './steps.ts';

/** The site is tried again after so long. */
const againMs = 3_000;

export async function recordRelease(
  turn: ResourceTurn,
  intent: ResourceIntent,
  outcome: Outcome,
): Promise<Step | undefined> {
  const isLetGo = turn.isAdopting && intent.state === 'removing';
  if (!turn.row.releasing && !isLetGo) return undefined;
  if ('failed' in outcome) {
    const { code, message } = outcome.failed;
    if (code === 'Invalid' || code === 'NotFound') {
      if (isLetGo) return notAdopted(turn, intent, message);
      await keepResource(turn.tx, turn.row.id);
      turn.row = { ...turn.row, releasing: false, deleted_at: null };
      await turn.fail(`not released: ${message}; it is Landfall's as before`, outcome.failed);
      return undefined;
    }
    await turn.report(
      `cannot release ${intent.ref ?? turn.row.adopted} at ${intent.site} yet (${code}): ${message}`,
    );
    return { do: 'wait', ms: code === 'Denied' ? 60_000 : againMs };
  }
  if (!('removal' in outcome)) return undefined;
  if (!outcome.removal.done) return { do: 'wait', ms: outcome.removal.retryAfterMs };
  if (isLetGo) return notAdopted(turn, intent);
  await closeReleasedResource(turn.tx, intent);
  turn.intent = undefined;
  return undefined;
}

/** As of an instance: an adoption that was given up is over. */
async function notAdopted(turn: ResourceTurn, intent: ResourceIntent, left?: string): Promise<undefined> {
  if (left === undefined) await closeReleasedResource(turn.tx, intent);
  else await moveResourceIntent(turn.tx, intent, { state: 'removed' });
  turn.intent = undefined;
  const marks = left === undefined ? '' : `; Landfall's marks may still be on it (${left})`;
  const { attempt, site } = intent;
  const ref = turn.row.adopted;
  const message = `${turn.words} is not adopted: ${ref} at ${site} is as it was${marks}`;
  await turn.event('notAdopted', message, { attempt, site, ref });
  for (const operation of turn.operations)
    if (operation.error) {
      operation.error = { ...operation.error, detail: `${operation.error.detail}${marks}` };
      await turn.writeStatus({ message: operation.error.detail });
    }
}

/** The provider said no: it stays as it is, and nothing is removed but our stamp, which may have got on before. */
export async function refuseAdoption(
  turn: ResourceTurn,
  { code, message, field }: Failure,
): Promise<undefined> {
  await turn.condemn("taking Landfall's marks off");
  await turn.fail(`not adopted: ${message}; the ${wordsOf[turn.row.kind]} is as it was`, { code, field });
  return undefined;
}
