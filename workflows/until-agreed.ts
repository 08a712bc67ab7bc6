/** The loop that every resource's workflow is; see instance.ts and resource.ts for what each step is undone by. */
import type { AdapterActivities } from '@landfall/adapters';
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineSignal,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Failure, Outcome, Step } from './steps.ts';

/** Something about the resource changed: look again. */
export const changed = defineSignal('changed');

/** How decisions are called: a worker that is killed in the middle costs ten seconds; a decision takes milliseconds. */
export const deciding = {
  startToCloseTimeout: '10s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
  // Not past the queue to the worker that asks, where a project with many would have its next ones before another's first.
  allowEagerDispatch: false,
} as const;

/** A provider that does not answer is tried this often; then the resource says so, and it goes on after a pause. */
const triesBeforeReporting = 4;
/** Past this the history is cut by continuing as new; a create takes about 20 events. */
const longHistory = 2_000;

/**
 * Decides, takes the step, and decides again with its outcome, until there is nothing to do.
 * @returns the last outcome where the history is long and the workflow should go on as a new run with it.
 */
export async function untilAgreed(
  decide: (outcome: Outcome | undefined) => Promise<Step>,
  first: Outcome | undefined,
): Promise<{ goOnWith: Outcome | undefined } | undefined> {
  let isChanged = false;
  let interruptible: CancellationScope | undefined;
  setHandler(changed, () => {
    isChanged = true;
    interruptible?.cancel();
  });
  let outcome = first;
  for (;;) {
    isChanged = false;
    const step = await decide(outcome);
    outcome = undefined;
    if (step.do === 'done') {
      if (isChanged) continue;
      return undefined;
    }
    if (step.do === 'wait') {
      await condition(() => isChanged, step.ms);
    } else if (step.do === 'remove' || step.do === 'release') {
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
    if (workflowInfo().historyLength > longHistory) return { goOnWith: outcome };
  }
}

/** Calls that wait for a site are served by turns of the projects they are for: a long queue of one delays no other. */
function site(queue: string, project: string): AdapterActivities {
  return proxyActivities<AdapterActivities>({
    taskQueue: queue,
    priority: { fairnessKey: project },
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

async function take(
  step: Extract<Step, { do: 'ensure' | 'observe' | 'remove' | 'release' }>,
): Promise<Outcome> {
  const activities = site(step.queue, step.target.stamp.project);
  try {
    if (step.do === 'remove' || step.do === 'release') {
      const { target, attempt } = step;
      const removal =
        step.do === 'remove'
          ? await activities.removeResource({ target })
          : await activities.releaseResource({ target });
      return { of: step.do, attempt, removal };
    }
    const seen =
      step.do === 'ensure'
        ? await activities.ensureResource(step.want)
        : await activities.observeResource({ target: step.target, want: step.want });
    return { of: step.do, attempt: step.want.attempt, generation: step.want.generation, seen };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const attempt = 'want' in step ? step.want.attempt : step.attempt;
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
