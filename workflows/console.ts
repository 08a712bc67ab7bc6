import type { AdapterActivities, Target } from '@landfall/adapters';
import { proxyActivities } from '@temporalio/workflow';

/** Reads the end of a serial console through the site's own queue. Short-lived; its caller waits for it. */
export async function readConsole(input: {
  queue: string;
  target: Target<'Instance'>;
  maxBytes: number;
}): Promise<{ text: string }> {
  const adapter = proxyActivities<AdapterActivities>({
    taskQueue: input.queue,
    priority: { fairnessKey: input.target.stamp.project },
    startToCloseTimeout: '20s',
    scheduleToCloseTimeout: '25s',
    retry: { maximumAttempts: 2 },
  });
  return adapter.readConsole({ target: input.target, maxBytes: input.maxBytes });
}
