import {
  type ApprovalRow,
  type Intent,
  placeOfAttached,
  supersedeApprovals,
  wakeNeighbours,
} from '@landfall/store';
import { untilExpiry, waitingMessage } from './approvals.ts';
import type { Placer } from './place.ts';
import { narrowedTo } from './place-input.ts';
import { isOlder, replacementOf } from './replaced.ts';
import type { Step } from './steps.ts';
import { type OpenOperation, placeOf, type Turn } from './turn.ts';

/** Attempts at one operation before it fails with the reasons of the last. */
const maxAttempts = 10;
/** A request that only a silent host could take waits this long for its agent to be heard of again. */
const silentHostMs = 5 * 60_000;

/** What brings what is closer to what is wanted. Removals come first: what is condemned may still cost money. */
export async function nextStep(turn: Turn, placer: Placer): Promise<Step> {
  const cancelled = turn.operations.filter((operation) => operation.cancel_requested_at);
  if (turn.row.releasing) return release(turn);
  if (turn.row.deleted_at)
    await turn.condemnAll(turn.isAdopting ? 'giving its adoption up' : 'removing the machine');
  else if (turn.isGivenUp) await turn.condemnAll("cancelling: taking Landfall's marks off");
  else if (cancelled.length > 0)
    await turn.condemnAll('cancelling: removing what was made', (intent) =>
      cancelled.some((operation) => operation.verb === 'replace' && isOlder(intent, operation)),
    );
  const condemned = turn.intents.find((intent) => intent.state === 'removing');
  if (condemned) {
    if (turn.row.deleted_at && turn.row.status.state !== 'Deleting')
      await turn.writeStatus({ state: 'Deleting' });
    // What is not ours yet may be somebody's work: only the stamp goes.
    return turn.isAdopting
      ? turn.letGo(condemned)
      : { do: 'remove', attempt: condemned.attempt, ...turn.address(condemned) };
  }
  if (turn.row.deleted_at) return finish(turn, 'Deleted', ['delete', 'expire']);
  if (cancelled.length > 0) await finishCancellation(turn, cancelled);
  await finishFailed(turn);
  const open = turn.operations.at(-1);
  if (!open) return { do: 'done' };
  const intent = turn.intents.at(-1);
  return intent ? converge(turn, placer, intent, open) : place(turn, placer, open);
}

/** Ends what failed, now that nothing of it is left. */
async function finishFailed(turn: Turn): Promise<void> {
  const failed = turn.operations.filter((operation) => operation.error);
  for (const operation of failed) {
    const error = operation.error!;
    await turn.finish([operation], { state: 'Failed', message: error.detail ?? error.title, error });
  }
}

async function finishCancellation(turn: Turn, cancelled: OpenOperation[]): Promise<void> {
  const isReplacement = cancelled.some(({ verb }) => verb === 'replace');
  const isAdoption = turn.isGivenUp;
  const what = isReplacement ? 'replacement' : isAdoption ? 'adoption' : 'create';
  await supersedeApprovals(turn.tx, turn.row.id, `the ${what} was cancelled`);
  const message = isAdoption
    ? `cancelled; ${turn.row.adopted} is not Landfall's`
    : 'cancelled; what was made is removed';
  await turn.finish(turn.operations, { state: 'Cancelled', message });
  await turn.writeStatus({
    state: isReplacement ? 'Lost' : 'Failed',
    message: `the ${what} was cancelled`,
    observedGeneration: turn.row.generation,
  });
  await turn.event(
    'instance.cancelled',
    `the ${what} of instance ${turn.row.name} was cancelled`,
    {},
    cancelled[0],
  );
}

/** What the instance is made of goes on without us, and the instance ends. */
async function release(turn: Turn): Promise<Step> {
  const intent = turn.intents[0];
  if (!intent) return finish(turn, 'Released', ['release']);
  if (turn.row.status.state !== 'Releasing') await turn.writeStatus({ state: 'Releasing' });
  await turn.progress(`taking Landfall's marks off ${intent.ref} at ${intent.site}`);
  return { do: 'release', attempt: intent.attempt, ...turn.address(intent) };
}

/** The instance has nothing any more: it ends. */
async function finish(
  turn: Turn,
  state: 'Deleted' | 'Released',
  verbs: OpenOperation['verb'][],
): Promise<Step> {
  const word = state.toLowerCase();
  const asked = turn.operations.filter(({ verb }) => verbs.includes(verb));
  await supersedeApprovals(turn.tx, turn.row.id, `the instance was ${word}`);
  await turn.finish(asked, { state: 'Succeeded', message: word });
  await turn.finish(turn.operations, { state: 'Cancelled', message: `the instance was ${word}` });
  await turn.writeStatus({
    state,
    message: '',
    observedGeneration: turn.row.generation,
    addresses: [],
    ssh: undefined,
  });
  await turn.tx
    .updateTable('instances')
    .set({ gone_at: new Date(), user_data: null })
    .where('id', '=', turn.row.id)
    .execute();
  await wakeNeighbours(turn.tx, turn.row.id);
  const { externalReference: ref, site } = turn.row.status;
  const which = state === 'Released' ? { ref, site } : {};
  await turn.event(`instance.${word}`, `instance ${turn.row.name} is ${word}`, which, asked[0]);
  return { do: 'done' };
}

async function place(turn: Turn, placer: Placer, open: OpenOperation): Promise<Step> {
  if (turn.row.adopted !== null) {
    const message = `${turn.row.adopted} is not ours: delete the instance, which touches no machine, and adopt it again`;
    await turn.fail(message, { code: 'NotFound' });
    return nextStep(turn, placer);
  }
  const count = await attemptsSince(turn, open.created_at);
  if (count >= maxAttempts) {
    const last = turn.row.status.message || 'unknown';
    await turn.fail(`given up after ${maxAttempts} attempts; the last: ${last}`, {
      code: 'CapacityExhausted',
    });
    return nextStep(turn, placer);
  }
  const tied = await turn.places.of(turn.row);
  if (tied && 'waitsFor' in tied) {
    await turn.report(`waiting for ${tied.waitsFor}`);
    return { do: 'wait', ms: 3_000 };
  }
  if (tied && 'refused' in tied) {
    await turn.fail(tied.refused, { code: 'Conflict' });
    return nextStep(turn, placer);
  }
  // Volumes outlive the machine they were attached to, and the next one has to be where they are.
  const attached = turn.row.attempt > 0 ? await placeOfAttached(turn.tx, turn.row.id) : undefined;
  let spec = tied ? narrowedTo(turn.row.spec, tied) : turn.row.spec;
  if (attached) spec = narrowedTo(spec, attached);
  const attempt = turn.row.attempt + 1;
  const placed = await placer.place(turn, attempt, spec);
  if ('waitsFor' in placed) {
    if (Date.now() - open.created_at.getTime() < silentHostMs) {
      await turn.report(`waiting for ${placed.waitsFor}, which is not answering`);
      return { do: 'wait', ms: 3_000 };
    }
    await turn.fail(
      `${placed.waitsFor} has not answered for ${silentHostMs / 60_000} minutes, and nothing else is compliant and free`,
      {
        code: 'CapacityExhausted',
      },
    );
    return nextStep(turn, placer);
  }
  if ('approvals' in placed) {
    if (placed.decision) await turn.writeStatus({ decision: placed.decision });
    return waitForApprovals(turn, placed.approvals);
  }
  if (!placed.intent) {
    await turn.writeStatus({ decision: placed.decision });
    await turn.fail(placed.reasons.join('; ') || 'no compliant offer fits', { code: placed.code });
    return nextStep(turn, placer);
  }
  const { intent } = placed;
  // An offer for the whole region is taken in the zone of the volumes.
  intent.zone ??= attached?.zones?.[0] ?? null;
  turn.intents.push(intent);
  const expires_at = turn.row.expires_at ?? givenEnd(turn, placed.ttlHours);
  const where = `${intent.site} ${intent.zone ?? intent.region}`;
  await turn.writeStatus(
    {
      ...placeOf(intent),
      state: 'Provisioning',
      attempt,
      decision: placed.decision,
      message: `making it at ${where}`,
      readyAt: undefined,
      externalReference: undefined,
      ssh: undefined,
      addresses: undefined,
      children: undefined,
    },
    { attempt, site: intent.site, expires_at },
  );
  await turn.progress(`placed at ${where}; making it`);
  const { instanceType, pricePerHour, currency } = intent.offer;
  await turn.event(
    'instance.placed',
    `instance ${turn.row.name} is placed at ${where}: ${instanceType} for ${pricePerHour} ${currency} an hour`,
    { attempt, decision: placed.decision, site: intent.site, pricePerHour },
    open,
  );
  return { do: 'ensure', ...turn.address(intent), want: turn.want(intent) };
}

async function attemptsSince(turn: Turn, since: Date): Promise<number> {
  if (turn.row.attempt === 0) return 0;
  const { count } = await turn.tx
    .selectFrom('intents')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('resource', '=', turn.row.id)
    .where('created_at', '>=', since)
    .executeTakeFirstOrThrow();
  return count;
}

/** When an instance without a ttl of its own ends by the `ttl` rule that it is placed under. */
function givenEnd(turn: Turn, ttlHours: number | null): Date | null {
  return ttlHours === null ? null : new Date(turn.row.created_at.getTime() + ttlHours * 3_600_000);
}

/** Nothing is made meanwhile. A decision of an approver wakes the workflow, as every change does. */
async function waitForApprovals(turn: Turn, approvals: ApprovalRow[]): Promise<Step> {
  await turn.report(waitingMessage(approvals));
  return { do: 'wait', ms: untilExpiry(approvals) };
}

const doing: Partial<Record<OpenOperation['verb'], 'Starting' | 'Stopping' | 'Rebooting' | 'Resizing'>> = {
  start: 'Starting',
  stop: 'Stopping',
  reboot: 'Rebooting',
  resize: 'Resizing',
};

async function converge(turn: Turn, placer: Placer, intent: Intent, open: OpenOperation): Promise<Step> {
  // It is lost as far as is known: nothing is replaced before another look.
  if (!turn.isSeen && replacementOf(turn, intent))
    return { do: 'observe', ...turn.address(intent), want: turn.want(intent) };
  if (intent.state === 'adopted') {
    const resized = await placer.resize(turn, intent);
    if ('approvals' in resized) return waitForApprovals(turn, resized.approvals);
    if (!resized.fits) {
      await turn.fail(resized.reasons.join('; '), { code: resized.code });
      return nextStep(turn, placer);
    }
    intent.offer = resized.offer;
    const state = doing[open.verb];
    if (state && state !== turn.row.status.state) {
      await turn.writeStatus({ state });
      await turn.event(
        `instance.${state.toLowerCase()}`,
        `instance ${turn.row.name} is ${state.toLowerCase()}`,
        {},
        open,
      );
    }
    await turn.progress(`${state?.toLowerCase() ?? 'converging'} at ${intent.site}`);
    // A machine that held a user's work and is gone is Lost, and never quietly replaced by an empty one: look before ensuring.
    if (turn.isInUse(intent) && !turn.isSeen)
      return { do: 'observe', ...turn.address(intent), want: turn.want(intent) };
  }
  return { do: 'ensure', ...turn.address(intent), want: turn.want(intent) };
}
