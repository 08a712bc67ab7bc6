import type { Interruption, Present } from '@landfall/adapters';
import {
  adoptIntent,
  closeIntent,
  closeReleased,
  forgetReference,
  type Intent,
  keepInstance,
  reattachTo,
  wakeNeighbours,
} from '@landfall/store';
import { asideFor } from './aside.ts';
import { stillFits } from './place.ts';
import { keepFound, replaceLost, replacementOf } from './replaced.ts';
import type { Failure, Outcome, Step } from './steps.ts';
import { isReplaceable, replaceTaken } from './taken.ts';
import { placeOf, type Turn } from './turn.ts';

/** A machine that is not ready by then is given up and made elsewhere. */
const readyWithinMs = 15 * 60_000;
/** A machine in use counts as gone when no look in this time has shown it: lists flicker (R6). */
const absenceConfirmedMs = 10_000;

/**
 * Writes down what the last step came to. Answers a step only where the outcome itself says what comes next. Repeating an
 * outcome changes nothing: the intent it speaks of has moved on.
 */
export async function recordOutcome(turn: Turn, outcome: Outcome): Promise<Step | undefined> {
  const intent = turn.intents.find((candidate) => candidate.attempt === outcome.attempt);
  if (!intent) return undefined;
  if (outcome.of === 'remove') return recordRemoval(turn, intent, outcome);
  if (outcome.of === 'release') return recordRelease(turn, intent, outcome);
  // What was seen is to go anyway, or is not to be ours.
  if (intent.state === 'removing' || turn.row.deleted_at || turn.isGivenUp) return undefined;
  if ('failed' in outcome) return recordFailure(turn, intent, outcome);
  if (!('seen' in outcome)) return undefined;
  if (outcome.seen.presence === 'unsettled') return { do: 'wait', ms: outcome.seen.retryAfterMs };
  if (outcome.seen.presence === 'absent') return recordAbsence(turn, intent, outcome.seen.interrupted);
  return recordPresence(turn, intent, outcome.generation, outcome.of, outcome.seen as Present);
}

async function recordRemoval(turn: Turn, intent: Intent, outcome: Outcome): Promise<Step | undefined> {
  if ('failed' in outcome) {
    const { code, message } = outcome.failed;
    if (isAnothers(outcome.failed) && intent.ref !== null) {
      await forgetReference(turn.tx, turn.row.id, intent.attempt);
      intent.ref = null;
      return undefined;
    }
    await turn.report(`cannot remove attempt ${intent.attempt} at ${intent.site} yet (${code}): ${message}`);
    return { do: 'wait', ms: code === 'Denied' || code === 'Conflict' ? 60_000 : 5_000 };
  }
  if (!('removal' in outcome)) return undefined;
  if (!outcome.removal.done) return { do: 'wait', ms: outcome.removal.retryAfterMs };
  await closeIntent(turn.tx, turn.row.id, intent.attempt);
  turn.intents = turn.intents.filter((other) => other !== intent);
  const { attempt, site, ref } = intent;
  await turn.event('instance.removed', `attempt ${attempt} is gone from ${site}`, { attempt, site, ref });
  return undefined;
}

async function recordRelease(turn: Turn, intent: Intent, outcome: Outcome): Promise<Step | undefined> {
  const isLetGo = turn.isAdopting && intent.state === 'removing';
  if (!turn.row.releasing && !isLetGo) return undefined;
  const { attempt, site } = intent;
  const ref = intent.ref ?? turn.row.adopted;
  if ('failed' in outcome) {
    const { code, message } = outcome.failed;
    if (code === 'Invalid' || code === 'NotFound') {
      if (isLetGo) return notAdopted(turn, intent, message);
      await keepInstance(turn.tx, turn.row.id);
      turn.row = { ...turn.row, releasing: false, deleted_at: null };
      await turn.fail(`not released: ${message}; it is Landfall's as before`, outcome.failed);
      return undefined;
    }
    await turn.report(`cannot release ${ref} at ${site} yet (${code}): ${message}`);
    return { do: 'wait', ms: code === 'Denied' || code === 'Conflict' ? 60_000 : 5_000 };
  }
  if (!('removal' in outcome)) return undefined;
  if (!outcome.removal.done) return { do: 'wait', ms: outcome.removal.retryAfterMs };
  if (isLetGo) return notAdopted(turn, intent);
  await closeReleased(turn.tx, turn.row.id, attempt);
  turn.intents = turn.intents.filter((other) => other !== intent);
  return undefined;
}

/** An adoption that was given up is over. `left`: why our stamp may still be on the machine; nobody removes it for that. */
async function notAdopted(turn: Turn, intent: Intent, left?: string): Promise<undefined> {
  const { attempt, site } = intent;
  await (left === undefined ? closeReleased : closeIntent)(turn.tx, turn.row.id, attempt);
  turn.intents = turn.intents.filter((other) => other !== intent);
  const marks = left === undefined ? '' : `; Landfall's marks may still be on it (${left})`;
  const { name, adopted: ref } = turn.row;
  const message = `instance ${name} is not adopted: ${ref} at ${site} is as it was${marks}`;
  await turn.event('instance.notAdopted', message, { attempt, site, ref });
  for (const operation of turn.operations)
    if (operation.error) {
      operation.error = { ...operation.error, detail: `${operation.error.detail}${marks}` };
      await turn.writeStatus({ message: operation.error.detail });
    }
}

async function recordFailure(
  turn: Turn,
  intent: Intent,
  outcome: Extract<Outcome, { failed: unknown }>,
): Promise<Step | undefined> {
  const { code, message, providerCode, field } = outcome.failed;
  const where = `${intent.site}${intent.zone ? ` ${intent.zone}` : ''}`;
  if (turn.isAdopting && !passing.has(code)) return refuseAdoption(turn, outcome.failed);
  // Somebody took our stamp off, or made another machine where it was: ours is not there.
  if (isAnothers(outcome.failed) && turn.isInUse(intent)) return recordAbsence(turn, intent);
  switch (code) {
    case 'OutcomeUnknown':
      if (outcome.of === 'observe') return { do: 'wait', ms: 2_000 };
      return { do: 'observe', ...turn.address(intent), want: turn.want(intent) };
    case 'Throttled':
    case 'Unavailable':
      await turn.report(`${where} is not answering (${message}); trying again`);
      return { do: 'wait', ms: 10_000 };
    case 'CapacityExhausted':
    case 'QuotaExceeded':
      if (turn.isInUse(intent)) break; // a user's machine is kept, whatever the provider is short of
      await asideFor(turn, intent, code, `${providerCode ?? code}: ${message}`);
      await turn.condemn(
        intent,
        `${where} refused ${intent.offer.instanceType} (${providerCode ?? code}); the next compliant offer is tried`,
      );
      return undefined;
    case 'Conflict':
    case 'NotFound':
      if (turn.isInUse(intent)) break;
      await turn.condemn(
        intent,
        `attempt ${intent.attempt} at ${where} cannot be used (${message}); a new one is made`,
      );
      return undefined;
    default:
      break;
  }
  if (!turn.isInUse(intent)) await turn.condemn(intent, `${where} refused: ${message}`);
  await turn.fail(`${providerCode ?? code}: ${message}`, { code, field });
  return undefined;
}

/** The reference leads to what does not carry our stamp. */
const isAnothers = ({ providerCode }: Failure): boolean => providerCode === 'NotOurs';

/** After these the same is tried again. */
const passing = new Set(['OutcomeUnknown', 'Throttled', 'Unavailable']);

/** The provider said no: the machine stays as it is, and nothing is removed but our stamp, which may have got on before. */
async function refuseAdoption(turn: Turn, failed: Failure): Promise<undefined> {
  await turn.condemnAll("taking Landfall's marks off");
  await turn.fail(`not adopted: ${failed.message}; the machine is as it was`, failed);
  return undefined;
}

async function recordAbsence(
  turn: Turn,
  intent: Intent,
  interrupted?: Interruption,
): Promise<Step | undefined> {
  if (interrupted && isReplaceable(turn, intent)) {
    await replaceTaken(turn, intent, interrupted);
    return undefined;
  }
  // Nothing came of it: ensure again with the same token, or adopt again what does not carry our stamp yet.
  if (!turn.isInUse(intent) || turn.isAdopting) return undefined;
  const since = turn.row.absent_since ?? new Date();
  if (!turn.row.absent_since) await turn.noteAbsence(since);
  if (Date.now() - since.getTime() < absenceConfirmedMs) {
    await turn.report(`${intent.ref} is not to be seen at ${intent.site}; looking again`);
    return { do: 'wait', ms: 2_000 };
  }
  const asked = replacementOf(turn, intent);
  if (asked) {
    await replaceLost(turn, intent, asked);
    return undefined;
  }
  if (isReplaceable(turn, intent)) {
    await replaceTaken(turn, intent);
    return undefined;
  }
  const isSpot = intent.offer.market === 'spot' && !turn.row.adopted;
  const advice = isSpot
    ? 'start it to have another made'
    : `have another made in its place (landfall replace instance ${turn.row.name}), or delete the instance`;
  await turn.fail(
    `the machine ${intent.ref} is gone from ${intent.site}: ${advice}`,
    { code: 'NotFound' },
    'Lost',
  );
  return undefined;
}

async function recordPresence(
  turn: Turn,
  intent: Intent,
  generation: number,
  by: 'ensure' | 'observe',
  seen: Present,
): Promise<Step | undefined> {
  await adoptIntent(turn.tx, turn.row.id, intent.attempt, seen.ref);
  Object.assign(intent, { state: 'adopted', ref: seen.ref });
  turn.isSeen = true;
  if (turn.row.absent_since) await turn.noteAbsence(null);
  if (seen.state === 'failed' && !turn.isInUse(intent)) {
    await turn.condemn(
      intent,
      `the machine at ${intent.site} failed while it was made; the next offer is tried`,
    );
    return undefined;
  }
  const { details } = seen;
  if (details.interrupted && isReplaceable(turn, intent)) {
    await replaceTaken(turn, intent, details.interrupted);
    return undefined;
  }
  const asked = replacementOf(turn, intent);
  if (asked) await keepFound(turn, intent, asked);
  if (by === 'observe' && turn.isInUse(intent) && turn.isRepair) await noteDriftedPower(turn, seen);
  const isSettled = by === 'ensure' && seen.state === 'ready' && seen.diff.length === 0;
  // What it is becomes what is wanted of it: adopting changes nothing.
  if (isSettled && turn.isAdopting) await turn.settleAdoption(intent, details);
  const isAnother = isSettled && intent.attempt > 1 && turn.row.status.readyAt === undefined;
  await turn.writeStatus({
    ...placeOf(intent),
    // Placed in a region, it is in one of its zones now: what is attached to it goes there too.
    ...(seen.location.zone ? { zone: seen.location.zone } : {}),
    externalReference: seen.ref,
    children: details.children,
    addresses: details.addresses,
    ssh: details.ssh,
    vcpus: details.vcpus,
    memoryGiB: details.memoryGiB,
    gpus: details.gpus,
    reboots: details.reboots,
    ...(isSettled
      ? {
          state: details.power === 'running' ? 'Running' : 'Stopped',
          message: '',
          observedGeneration: generation,
          readyAt: turn.row.status.readyAt ?? new Date().toISOString(),
        }
      : {}),
  });
  if (!isSettled) return by === 'observe' ? undefined : stillConverging(turn, intent, seen);
  // A resize asked for before the machine was seen is not in its offer yet: it stays open, and comes next.
  const isSized = stillFits(turn.row, intent);
  const served = turn.operations.filter(
    (operation) =>
      operation.generation <= generation &&
      !operation.cancel_requested_at &&
      !operation.error &&
      (isSized || (operation.verb !== 'resize' && operation.verb !== 'update')),
  );
  const state = turn.row.status.state;
  const address = details.addresses[0]?.address;
  const message = `${state} at ${intent.site}${intent.host ? ` on ${intent.host}` : ''}${address ? `, ${address}` : ''}`;
  await turn.finish(served, { state: 'Succeeded', message });
  if (isAnother) await reattachTo(turn.tx, turn.row, turn.organization);
  await wakeNeighbours(turn.tx, turn.row.id);
  await turn.event(
    `instance.${state.toLowerCase()}`,
    `instance ${turn.row.name} is ${message}`,
    { attempt: intent.attempt, ref: seen.ref },
    served[0],
  );
  return undefined;
}

/** Somebody else stopped or started it: what is wanted wins. */
async function noteDriftedPower(turn: Turn, { ref, details, diff }: Present): Promise<void> {
  if (!diff.includes('power')) return;
  const [seen, todo] = details.power === 'running' ? ['running', 'stopped'] : ['stopped', 'started'];
  const what = `the machine ${ref} was found ${seen}, which nobody asked Landfall for`;
  await turn.event('instance.drifted', `${what}; it is ${todo} again`, { ref });
  await turn.noteRepair(`${what}; it was ${todo} again`);
}

async function stillConverging(turn: Turn, intent: Intent, seen: Present): Promise<Step | undefined> {
  if (
    !turn.isInUse(intent) &&
    !turn.row.status.readyAt &&
    Date.now() - intent.created_at.getTime() > readyWithinMs
  ) {
    const minutes = readyWithinMs / 60_000;
    await turn.condemn(
      intent,
      `the machine at ${intent.site} was not ready within ${minutes} minutes; the next offer is tried`,
    );
    return undefined;
  }
  await turn.report(
    seen.diff.length > 0 ? `still to change: ${seen.diff.join(', ')}` : 'the guest is not answering yet',
  );
  return { do: 'wait', ms: 1_000 };
}
