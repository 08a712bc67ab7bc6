import type { AdapterActivities, DiscoveryPage, DiscoveryQuery } from '@landfall/adapters';
import { proxyActivities } from '@temporalio/workflow';

/**
 * Reads one page of what exists at a site and is not ours, through the site's own queue. Short-lived; its caller waits for it.
 * A page is small: see the adapters' page sizes.
 */
export async function discoverUnmanaged(input: {
  queue: string;
  query: DiscoveryQuery;
}): Promise<DiscoveryPage> {
  const adapter = proxyActivities<AdapterActivities>({
    taskQueue: input.queue,
    scheduleToStartTimeout: '15s',
    startToCloseTimeout: '60s',
    heartbeatTimeout: '12s',
    retry: { maximumAttempts: 2, initialInterval: '1s' },
  });
  return adapter.discoverUnmanaged(input.query);
}
