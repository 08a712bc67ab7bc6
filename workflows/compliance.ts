/**
 * Continuous compliance: machines that exist, held against the policies in force. Level-triggered: a run looks at everything
 * there is now, so a run more does no harm and a run less is made up for by the next. What is found stays in the store.
 *
 *   step  | done by                     | undone by
 *   ------|-----------------------------|------------------------------------------------
 *   judge | the store                   | not needed: a violation is resolved by the next run
 *   stop  | an operation of the machine | `start`, by a person; asked for once per violation, capped
 */
import {
  ActivityFailure,
  condition,
  continueAsNew,
  proxyActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import type { ComplianceActivities } from './compliance-activities.ts';
import { mainQueue } from './steps.ts';
import { changed } from './until-agreed.ts';

const { comply, failComplianceRun } = proxyActivities<ComplianceActivities>({
  taskQueue: mainQueue,
  startToCloseTimeout: '5m',
  heartbeatTimeout: '30s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 20 },
});

/** One run: on a schedule, or for the operation that asked for it. */
export async function compliance(input: { operation?: string }): Promise<void> {
  try {
    await comply(input);
  } catch (error) {
    if (!input.operation || !(error instanceof ActivityFailure)) throw error;
    await failComplianceRun({ operation: input.operation, reason: error.cause?.message ?? error.message });
  }
}

/** Runs take a fifth of one processor at most, however much changes. */
const restPerWork = 4;
const leastRestMs = 1_000;
const runsBeforeNewHistory = 200;

/**
 * A run for everything that has changed since the last one began: changes during a run, and during the rest after it, make
 * one more run together. Ends when nothing more has changed.
 */
export async function complianceOnChange(): Promise<void> {
  let isChanged = false;
  setHandler(changed, () => {
    isChanged = true;
  });
  for (let runs = 0; runs < runsBeforeNewHistory; runs++) {
    isChanged = false;
    const { tookMs } = await comply({});
    await sleep(Math.max(leastRestMs, restPerWork * tookMs));
    // Signals of the same moment are handled first.
    await condition(() => isChanged, 1);
    if (!isChanged) return;
  }
  await continueAsNew<typeof complianceOnChange>();
}
