import { proxyActivities } from '@temporalio/workflow';

const { nothing } = proxyActivities<{ nothing(): Promise<void> }>({
  taskQueue: 'bare',
  startToCloseTimeout: '10s',
});

/** The alternative that creates are measured against: a workflow that does nothing, with as many activities as a create. */
export async function bare(activities: number): Promise<void> {
  for (let n = 0; n < activities; n++) await nothing();
}
