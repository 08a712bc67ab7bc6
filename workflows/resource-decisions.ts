import type { Details, Kind, Present } from '@landfall/adapters';
import {
  alignInstances,
  type Db,
  holdsFor,
  moveResourceIntent,
  openResourceIntent,
  type ResourceIntent,
  type ResourceRow,
  settleResourceAdoption,
  usersOf,
  wakeNeighbours,
  wordsOf,
} from '@landfall/store';
import { adapterKinds } from '@landfall/store/resource-kinds.ts';
import { type Referred, referredTo } from '@landfall/store/resource-references.ts';
import { recordRelease, refuseAdoption } from './resource-letting-go.ts';
import { resourcePlace } from './resource-place.ts';
import { ResourceTurn } from './resource-turn.ts';
import type { Outcome, Step } from './steps.ts';

export interface ResourceDecisions {
  /** As `decide` is for instances: records the outcome of the last step and decides the next, in one transaction. */
  decideResource(input: { resource: string; outcome?: Outcome }): Promise<Step>;
}

/** What it waits for is looked at again this often; a signal comes sooner where there is one. */
const lookAgainMs = 3_000;
/** It waits so long for what is in its way (another change of the same instance) before it fails with the provider's words. */
const conflictForMs = 5 * 60_000;
/** One that was ready counts as gone when no look in this time has shown it: lists flicker (R6). */
const absenceConfirmedMs = 10_000;

export function resourceDecisions(db: Db, broker: string): ResourceDecisions {
  return {
    decideResource: ({ resource, outcome }) =>
      db.transaction().execute(async (tx) => {
        const turn = await ResourceTurn.begin(tx, broker, resource);
        if (!turn) return { do: 'done' };
        return (outcome && (await record(turn, outcome))) ?? next(turn);
      }),
  };
}

/** Writes down what the last step came to. Repeating an outcome changes nothing: the intent it speaks of has moved on. */
async function record(turn: ResourceTurn, outcome: Outcome): Promise<Step | undefined> {
  const { intent } = turn;
  if (!intent || intent.attempt !== outcome.attempt) return undefined;
  if (outcome.of === 'remove') return recordRemoval(turn, intent, outcome);
  if (outcome.of === 'release') return recordRelease(turn, intent, outcome);
  if (intent.state === 'removing') return undefined;
  if (turn.row.releasing || turn.isGivenUp || (turn.isAdopting && turn.row.deleted_at)) return undefined;
  if (turn.row.deleted_at) return recordLettingGo(turn, intent, outcome);
  if ('failed' in outcome) return recordFailure(turn, intent, outcome);
  if (!('seen' in outcome)) return undefined;
  const { seen } = outcome;
  if (seen.presence === 'unsettled') return { do: 'wait', ms: seen.retryAfterMs };
  if (seen.presence === 'absent') return recordAbsence(turn, intent);
  return recordPresence(turn, intent, outcome.of, outcome.generation, seen);
}

async function recordRemoval(
  turn: ResourceTurn,
  intent: ResourceIntent,
  outcome: Outcome,
): Promise<Step | undefined> {
  if ('failed' in outcome) {
    const { code, message } = outcome.failed;
    await turn.report(`cannot be removed at ${intent.site} yet (${code}): ${message}`);
    return { do: 'wait', ms: code === 'Denied' ? 60_000 : lookAgainMs };
  }
  if (!('removal' in outcome)) return undefined;
  if (!outcome.removal.done) return { do: 'wait', ms: outcome.removal.retryAfterMs };
  await moveResourceIntent(turn.tx, intent, { state: 'removed' });
  turn.intent = undefined;
  const { attempt, site, ref } = intent;
  await turn.event('removed', `attempt ${attempt} of ${turn.words} is gone from ${site}`, {
    attempt,
    site,
    ref,
  });
  return undefined;
}

/** It is to go and was attached: it has been let go of, or the removal will say what is in its way. */
async function recordLettingGo(
  turn: ResourceTurn,
  intent: ResourceIntent,
  outcome: Outcome,
): Promise<Step | undefined> {
  if ('failed' in outcome) {
    const { code, message } = outcome.failed;
    if (['Throttled', 'Unavailable', 'Conflict', 'OutcomeUnknown'].includes(code)) {
      await turn.report(`cannot be detached at ${intent.site} yet (${code}): ${message}`);
      return { do: 'wait', ms: lookAgainMs };
    }
  }
  const seen = 'seen' in outcome && outcome.seen.presence === 'present' ? outcome.seen : undefined;
  if (seen && (seen.state !== 'ready' || seen.diff.length > 0)) return { do: 'wait', ms: 1_000 };
  await turn.writeStatus({ attachedTo: undefined, device: undefined });
  return undefined;
}

async function recordFailure(
  turn: ResourceTurn,
  intent: ResourceIntent,
  outcome: Extract<Outcome, { failed: unknown }>,
): Promise<Step | undefined> {
  const { code, message, providerCode, field } = outcome.failed;
  const open = turn.operations.at(-1);
  if (turn.isAdopting && !passing.has(code)) return refuseAdoption(turn, outcome.failed);
  if (code === 'OutcomeUnknown')
    return outcome.of === 'observe'
      ? { do: 'wait', ms: 2_000 }
      : { do: 'observe', ...turn.address(intent), want: turn.want(intent) };
  if (code === 'Throttled' || code === 'Unavailable') {
    await turn.report(`${intent.site} is not answering (${message}); trying again`);
    return { do: 'wait', ms: 10_000 };
  }
  if (code === 'Conflict' && open && Date.now() - open.created_at.getTime() < conflictForMs) {
    await turn.report(`something is in its way at ${intent.site} (${message}); trying again`);
    return { do: 'wait', ms: lookAgainMs };
  }
  if (!turn.isInUse) await turn.condemn(`${intent.site} refused: ${message}`);
  await turn.fail(`${providerCode ?? code}: ${message}`, { code, field });
  return undefined;
}

/** After these the same is tried again. */
const passing = new Set(['OutcomeUnknown', 'Throttled', 'Unavailable']);

async function recordAbsence(turn: ResourceTurn, intent: ResourceIntent): Promise<Step | undefined> {
  // Nothing came of it: ensure again with the same token, or adopt again what does not carry our stamp yet.
  if (!turn.isInUse) return undefined;
  const since = turn.row.absent_since ?? new Date();
  if (!turn.row.absent_since) await turn.writeStatus({}, { absent_since: since });
  if (Date.now() - since.getTime() < absenceConfirmedMs) {
    await turn.report(`${intent.ref} is not to be seen at ${intent.site}; looking again`);
    return { do: 'wait', ms: 2_000 };
  }
  const word = wordsOf[turn.row.kind];
  const message = `${intent.ref} is gone from ${intent.site}: delete the ${word} and create it again`;
  await turn.fail(message, { code: 'NotFound' }, 'Lost');
  return undefined;
}

async function recordPresence(
  turn: ResourceTurn,
  intent: ResourceIntent,
  by: 'ensure' | 'observe',
  generation: number,
  seen: Present<Kind>,
): Promise<Step | undefined> {
  await moveResourceIntent(turn.tx, intent, { state: 'adopted', ref: seen.ref });
  turn.isSeen = true;
  if (seen.state === 'failed' && !turn.isInUse) {
    await turn.condemn(`it failed at ${intent.site} while it was made`);
    await turn.fail(`it failed at ${intent.site} while it was made`, { code: 'Unavailable' });
    return undefined;
  }
  const isSettled = by === 'ensure' && seen.state === 'ready' && seen.diff.length === 0;
  const wasReady = turn.row.status.readyAt !== undefined;
  if (isSettled && turn.isAdopting) {
    const { sizeGiB, attachedTo } = seen.details as { sizeGiB?: number; attachedTo?: string };
    turn.row = await settleResourceAdoption(turn.tx, turn.row, { sizeGiB, attachedTo });
  }
  // What is detached has no attachment any more: a field that is absent now replaces the one of before.
  await turn.writeStatus(
    {
      attachedTo: undefined,
      device: undefined,
      ...seen.details,
      ...subnetsAsNamed(turn.row, seen.details),
      zone: seen.location.zone ?? turn.row.status.zone,
      externalReference: seen.ref,
      ...(isSettled
        ? {
            state: 'Ready',
            message: '',
            observedGeneration: generation,
            readyAt: turn.row.status.readyAt ?? new Date().toISOString(),
          }
        : {}),
    },
    { absent_since: null },
  );
  if (!isSettled) {
    if (by === 'observe') return undefined;
    await turn.report(seen.diff.length > 0 ? `still to change: ${seen.diff.join(', ')}` : 'not ready yet');
    return { do: 'wait', ms: 1_000 };
  }
  const served = turn.operations.filter(
    (operation) => operation.generation <= generation && !operation.cancel_requested_at && !operation.error,
  );
  const message = `Ready at ${intent.site}${intent.host ? ` on ${intent.host}` : ''}`;
  await turn.finish(served, { state: 'Succeeded', message });
  await wakeNeighbours(turn.tx, turn.row.id);
  await turn.event(
    'ready',
    `${turn.words} is ${message}`,
    { attempt: intent.attempt, ref: seen.ref },
    served[0],
  );
  if (turn.row.kind === 'Firewall' && (served.length > 0 || !wasReady)) await alignWith(turn);
  return undefined;
}

/** Under the names that they are wanted by: at some providers anybody may change a subnet's name later. */
function subnetsAsNamed({ spec }: ResourceRow, details: Details[Kind]): Partial<Details['Network']> {
  if (!('subnets' in details)) return {};
  const names = new Map(spec.subnets?.map(({ cidr, name }) => [cidr, name]));
  return {
    subnets: details.subnets.map((subnet) => ({ ...subnet, name: names.get(subnet.cidr) ?? subnet.name })),
  };
}

/** The instances of the firewall's network are brought in line with it. */
async function alignWith(turn: ResourceTurn): Promise<void> {
  const { spec, refers_to, name, deleted_at } = turn.row;
  const requestedBy = `landfall (firewall ${name})`;
  // A change may have taken instances out of it, so all of the network are looked at then.
  const isNew = turn.row.generation === 1 || deleted_at !== null;
  await alignInstances(turn.tx, refers_to[0]!, {
    organization: turn.organization,
    requestedBy,
    concerns: (labels) => !isNew || holdsFor(spec, labels),
  });
}

/** What brings what is closer to what is wanted. */
async function next(turn: ResourceTurn): Promise<Step> {
  const { row } = turn;
  if (row.releasing) return release(turn);
  const cancelled = turn.operations.filter(({ cancel_requested_at }) => cancel_requested_at);
  if (row.deleted_at) {
    if (row.status.state !== 'Deleting') {
      await turn.writeStatus({ state: 'Deleting' });
      if (row.kind === 'Firewall') await alignWith(turn);
    }
    const users = await usersOf(turn.tx, row.id);
    if (turn.intent && users.length > 0) {
      const [first] = users;
      await turn.report(`waiting for ${first!.kind.toLowerCase()}/${first!.name} to go`);
      return { do: 'wait', ms: lookAgainMs };
    }
    if (turn.intent?.state === 'adopted' && !turn.isAdopting && row.status.attachedTo !== undefined) {
      await turn.report('detaching it');
      return { do: 'ensure', ...turn.address(turn.intent), want: turn.want(turn.intent) };
    }
    await turn.condemn(turn.isAdopting ? 'giving its adoption up' : 'removing it');
  } else if (turn.isGivenUp) await turn.condemn("cancelling: taking Landfall's marks off");
  else if (cancelled.length > 0) await turn.condemn('cancelling: removing what was made');
  if (turn.intent?.state === 'removing')
    return turn.isAdopting
      ? turn.letGo(turn.intent)
      : { do: 'remove', attempt: turn.intent.attempt, ...turn.address(turn.intent) };
  if (row.deleted_at) return finish(turn, 'Deleted', 'delete');
  if (cancelled.length > 0) {
    const [what, message] = turn.isAdopting
      ? ['adoption', `cancelled; ${row.adopted} is not Landfall's`]
      : ['create', 'cancelled; what was made is removed'];
    await turn.finish(turn.operations, { state: 'Cancelled', message });
    await turn.writeStatus({
      state: 'Failed',
      message: `the ${what} was cancelled`,
      observedGeneration: row.generation,
    });
    return { do: 'done' };
  }
  for (const operation of turn.operations.filter(({ error }) => error)) {
    const error = operation.error!;
    await turn.finish([operation], { state: 'Failed', message: error.detail ?? error.title, error });
  }
  if (turn.operations.length === 0) return { do: 'done' };
  return converge(turn);
}

/** What it is goes on without us, and the resource ends. */
async function release(turn: ResourceTurn): Promise<Step> {
  const { intent } = turn;
  if (!intent) return finish(turn, 'Released', 'release');
  if (turn.row.status.state !== 'Releasing') await turn.writeStatus({ state: 'Releasing' });
  await turn.report(`taking Landfall's marks off ${intent.ref} at ${intent.site}`);
  return { do: 'release', attempt: intent.attempt, ...turn.address(intent) };
}

/** The resource has nothing any more: it ends. */
async function finish(
  turn: ResourceTurn,
  state: 'Deleted' | 'Released',
  by: 'delete' | 'release',
): Promise<Step> {
  const word = state.toLowerCase();
  const asked = turn.operations.filter(({ verb }) => verb === by);
  await turn.finish(asked, { state: 'Succeeded', message: word });
  await turn.finish(turn.operations, {
    state: 'Cancelled',
    message: `the ${wordsOf[turn.row.kind]} was ${word}`,
  });
  await turn.writeStatus(
    { state, message: '', observedGeneration: turn.row.generation },
    { gone_at: new Date() },
  );
  await wakeNeighbours(turn.tx, turn.row.id);
  const { externalReference: ref, site } = turn.row.status;
  await turn.event(word, `${turn.words} is ${word}`, state === 'Released' ? { ref, site } : {}, asked[0]);
  return { do: 'done' };
}

async function converge(turn: ResourceTurn): Promise<Step> {
  const { row, tx } = turn;
  const referred = await referredTo(tx, row.refers_to);
  const missing = notReady(turn, referred);
  if (missing && 'refused' in missing) {
    await turn.fail(missing.refused, { code: 'Conflict' });
    return next(turn);
  }
  if (missing) {
    await turn.report(`waiting for ${missing.waitsFor}`);
    return { do: 'wait', ms: lookAgainMs };
  }
  if (turn.intent) {
    if (turn.isInUse && row.status.state !== 'Updating') await turn.writeStatus({ state: 'Updating' });
    await turn.report(`converging at ${turn.intent.site}`);
    // One that held data and is gone is Lost, and never quietly replaced by an empty one: look before ensuring.
    const step = turn.isInUse && !turn.isSeen ? 'observe' : 'ensure';
    return { do: step, ...turn.address(turn.intent), want: turn.want(turn.intent) };
  }
  // Lost, and asked to change: there is nothing to change, and nothing is made in its place.
  if (row.status.readyAt) {
    await turn.fail(`it is ${row.state}: delete it and create it again`, { code: 'NotFound' }, 'Lost');
    return next(turn);
  }
  if (row.adopted !== null) {
    const message = `${row.adopted} is not ours: delete the ${wordsOf[row.kind]}, which touches nothing there, and adopt it again`;
    await turn.fail(message, { code: 'NotFound' });
    return next(turn);
  }
  const { organization } = turn;
  const { project, kind, name, labels, spec } = row;
  const place = await resourcePlace(tx, { organization, project, kind, name, labels, spec }, referred);
  if ('refused' in place) {
    await turn.fail(place.refused, { code: place.code, field: `/spec${place.field}` });
    return next(turn);
  }
  const attempt = row.attempt + 1;
  const { site, region, zone, host, provider } = place;
  const there = { kind: adapterKinds[kind], site, region, zone, host };
  turn.intent = await openResourceIntent(tx, { resource: row.id, attempt, ...there });
  const where = `${site} ${host ?? zone ?? region}`;
  await turn.writeStatus(
    {
      state: 'Creating',
      attempt,
      site,
      provider,
      region,
      zone: zone ?? undefined,
      host: host ?? undefined,
    },
    { attempt, site },
  );
  await turn.report(`making it at ${where}`);
  await turn.event('placed', `${turn.words} is made at ${where}`, { attempt, site }, turn.operations.at(-1));
  return { do: 'ensure', ...turn.address(turn.intent), want: turn.want(turn.intent) };
}

/** What the resource names and cannot be used yet, or any more. A source that was read already may be gone. */
function notReady(
  { row, intent }: ResourceTurn,
  referred: readonly Referred[],
): { waitsFor: string } | { refused: string } | undefined {
  const lasting = (each: Referred) => each.kind === 'Network' || row.spec.attachedTo === each.name;
  for (const each of referred) {
    if ((row.status.readyAt || row.adopted !== null) && !lasting(each)) continue;
    const what = `${each.kind === 'Instance' ? 'instance' : wordsOf[each.kind]} ${each.name}`;
    if (each.gone_at || each.deleted_at || ['Failed', 'Lost'].includes(each.state))
      return { refused: `${what} is ${each.gone_at ? 'gone' : each.state}` };
    const isUsable =
      each.ref !== null &&
      (each.kind === 'Instance' ? ['Running', 'Stopped'].includes(each.state) : each.state === 'Ready');
    // One that is under way already goes on while the instance is, say, starting.
    if (!isUsable && !(intent && each.ref !== null)) return { waitsFor: what };
  }
  return undefined;
}
