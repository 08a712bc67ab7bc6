/**
 * The workflow of one instance: `instance/<id>`. The only writer of its state; level-triggered: it asks what is wanted and
 * what is there, takes one step, and asks again, until the two agree. Then it ends; the next change starts it again.
 *
 *   step      | done by                          | undone by
 *   ----------|----------------------------------|---------------------------------------------------------------
 *   decide    | claims capacity, writes intent   | closing the intent gives the claim back (with `remove`)
 *   ensure    | the site's adapter               | `remove` by stamp; known from the intent before ensure is called
 *   observe   | the site's adapter               | not needed: it changes nothing
 *   remove    | the site's adapter               | not undone: repeated until absence is confirmed
 */

import type { AdapterActivities } from '@landfall/adapters';
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Decisions } from './decide.ts';
import { type Failure, mainQueue, type Outcome, type Step } from './steps.ts';

/** Something about the instance changed: look again. */
export const changed = defineSignal('changed');

const { decide } = proxyActivities<Decisions>({
  taskQueue: mainQueue,
  // A worker that is killed in the middle costs this long; a decision takes milliseconds.
  startToCloseTimeout: '10s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
});

/** A provider that does not answer is tried this often; then the instance says so, and it goes on after a pause. */
const triesBeforeReporting = 4;
/** Past this the history is cut by continuing as new; a create takes about 20 events. */
const longHistory = 2_000;

export async function instance(input: { id: string; outcome?: Outcome }): Promise<void> {
  let isChanged = false;
  let interruptible: CancellationScope | undefined;
  setHandler(changed, () => {
    isChanged = true;
    interruptible?.cancel();
  });
  let outcome: Outcome | undefined = input.outcome;
  for (;;) {
    isChanged = false;
    const step: Step = await decide({ instance: input.id, outcome });
    outcome = undefined;
    if (step.do === 'done') {
      if (isChanged) continue;
      return;
    }
    if (step.do === 'wait') {
      await condition(() => isChanged, step.ms);
    } else if (step.do === 'remove') {
      outcome = await take(step);
    } else if (!isChanged) {
      interruptible = new CancellationScope({ cancellable: true });
      try {
        outcome = await interruptible.run(() => take(step));
      } catch (error) {
        if (!isCancellation(error)) throw error;
      } finally {
        interruptible = undefined;
      }
    }
    if (workflowInfo().historyLength > longHistory)
      await continueAsNew<typeof instance>({ id: input.id, outcome });
  }
}

function site(queue: string): AdapterActivities {
  return proxyActivities<AdapterActivities>({
    taskQueue: queue,
    startToCloseTimeout: '15m',
    heartbeatTimeout: '12s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: {
      initialInterval: '1s',
      backoffCoefficient: 2,
      maximumInterval: '15s',
      maximumAttempts: triesBeforeReporting,
    },
  });
}

async function take(step: Extract<Step, { do: 'ensure' | 'observe' | 'remove' }>): Promise<Outcome> {
  const activities = site(step.queue);
  try {
    if (step.do === 'remove') {
      return {
        of: 'remove',
        attempt: step.attempt,
        removal: await activities.removeResource({ target: step.target }),
      };
    }
    const seen =
      step.do === 'ensure'
        ? await activities.ensureResource(step.want)
        : await activities.observeResource({ target: step.target, want: step.want });
    return { of: step.do, attempt: step.want.attempt, generation: step.want.generation, seen };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const attempt = step.do === 'remove' ? step.attempt : step.want.attempt;
    return { of: step.do, attempt, failed: toFailure(error) };
  }
}

/** Timeouts and crashes leave the outcome unknown: the look-up by stamp decides (A8). */
function toFailure(error: unknown): Failure {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const details = (cause.details?.[0] ?? {}) as { providerCode?: string; field?: string };
    return {
      code: cause.type ?? 'Unavailable',
      message: cause.message,
      providerCode: details.providerCode,
      field: details.field,
    };
  }
  return { code: 'OutcomeUnknown', message: cause instanceof Error ? cause.message : String(cause) };
}
