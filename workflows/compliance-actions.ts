import { describeOffer, type PlacedOffer } from '@landfall/policies';
import { appendEvent, changeInstance, type Db, isStoreError, requestApproval } from '@landfall/store';
import {
  endReplacementApprovals,
  noteAction,
  noteActionIn,
  stoppedViolations,
  stopsUnderWay,
  type Violator,
  violationsToReplace,
  violatorsToStop,
} from '@landfall/store/violation-actions.ts';
import { planPlacement } from './placement.ts';

/** What was done about violations. */
export interface Acted {
  /** Machines whose stop was asked for now. */
  stopped: number;
  /** Machines that were to be stopped and are not, because they are too many. */
  held: number;
}

/**
 * At most this many machines are being stopped at a time, or a tenth of all, whichever is more; beyond that none is: so many
 * violations mean that the policy, not the machines, is wrong.
 */
const capFloor = 5;
const capShare = 0.1;

/** By what name compliance asks. */
const actor = 'landfall (compliance)';

/** Does what the rules say about the violations that stand: each once. Safe to repeat. */
export async function actOnViolations(db: Db, organization: string, machines: number): Promise<Acted> {
  await noteAction(db, await stoppedViolations(db, organization), {
    state: 'Done',
    message: 'the machine has stopped',
  });
  await askToReplace(db, organization);
  const violators = await violatorsToStop(db, organization);
  if (violators.length === 0) return { stopped: 0, held: 0 };
  const underWay = await stopsUnderWay(db, organization);
  const cap = Math.max(capFloor, Math.ceil(machines * capShare));
  if (violators.length + underWay > cap) {
    await hold(db, organization, violators, underWay, cap);
    return { stopped: 0, held: violators.length };
  }
  let stopped = 0;
  for (const violator of violators) if (await stop(db, organization, violator)) stopped++;
  return { stopped, held: 0 };
}

/** Places looked for in one look; the others wait for the next. */
const placesAtOnce = 50;
/** An unanswered approval ends after so long, and is asked for again. */
const answerHours = 30 * 24;

/** Asks for the approval to re-place machines, and says where placement would put them now. */
async function askToReplace(db: Db, organization: string): Promise<void> {
  await endReplacementApprovals(db, organization);
  for (const violation of await violationsToReplace(db, organization, placesAtOnce)) {
    const { id, resource, name, project, labels, spec, owner } = violation;
    if (spec.image === undefined) {
      const message =
        'it was adopted: what it is made from is not known, so it cannot be re-placed; move it by hand';
      await noteAction(db, [id], { state: 'Pending', message });
      continue;
    }
    const { winner, reasons } = await planPlacement(
      db,
      { name, project, labels, spec, organization },
      { includeUnconfigured: false },
    );
    if (!winner) {
      const why = reasons[0] ?? 'no offer complies';
      await noteAction(db, [id], { state: 'Pending', message: `placement knows no other place now: ${why}` });
      continue;
    }
    const place = describeOffer(winner as PlacedOffer);
    await db.transaction().execute(async (tx) => {
      const message = `waits for the approval to re-place it; placement would now choose ${place}`;
      if ((await noteActionIn(tx, [id], { state: 'Pending', message })) === 0) return;
      await requestApproval(tx, {
        organization,
        project,
        resource,
        resourceName: name,
        generation: violation.generation,
        operation: null,
        decision: null,
        requestedBy: [actor],
        policy: violation.policy,
        rule: violation.rule,
        violation: id,
        approvers: owner.includes('/') ? [] : [owner],
        message: `to re-place it: ${violation.message}`,
        offer: winner,
        expiresHours: answerHours,
      });
    });
  }
}

async function hold(
  db: Db,
  organization: string,
  violators: Violator[],
  underWay: number,
  cap: number,
): Promise<void> {
  const beside = underWay > 0 ? `, beside ${underWay} that are being stopped,` : '';
  const message = `${violators.length} machines to stop${beside} are more than the ${cap} that may be stopped at a time: none of them was; check the policy, then narrow it or stop them by hand`;
  const ids = violators.flatMap(({ violations }) => violations);
  if ((await noteAction(db, ids, { state: 'Held', message })) === 0) return;
  await db.transaction().execute((tx) =>
    appendEvent(tx, {
      type: 'compliance.stopsHeld',
      organization,
      actor: 'landfall',
      message,
      data: { machines: violators.length, underWay, cap },
    }),
  );
}

/** Asks for the stop, then notes it: a crash between the two asks again, which a machine that stops already does not mind. */
async function stop(db: Db, organization: string, violator: Violator): Promise<boolean> {
  try {
    const { operation } = await changeInstance(db, {
      organization,
      requestedBy: actor,
      project: violator.project,
      instance: violator.resource,
      verb: 'stop',
      ifMatch: null,
    });
    const message = `asked to stop it, as ${violator.rules.join(' and ')} says`;
    await noteAction(db, violator.violations, {
      state: 'Requested',
      message,
      operation: operation?.id ?? null,
    });
    return true;
  } catch (error) {
    // It is being deleted, or gone: the next look finds nothing left to stop.
    if (isStoreError(error, 'notFound') || isStoreError(error, 'conflict')) return false;
    throw error;
  }
}
