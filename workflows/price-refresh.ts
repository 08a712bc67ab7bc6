/**
 * Reads the providers' price APIs for an operation, each provider by itself: one that fails changes nothing of its own
 * prices, nor of the others'.
 *
 *   step   | done by                                       | undone by
 *   -------|-----------------------------------------------|-----------------------------------------------
 *   read   | pages, kept in the store until all are there  | not needed: pages are in force nowhere
 *   commit | one transaction                               | the next refresh, or deleting the price list
 */
import { ActivityFailure, proxyActivities } from '@temporalio/workflow';
import type { PriceActivities } from './price-activities.ts';
import { mainQueue } from './steps.ts';

const store = proxyActivities<PriceActivities>({
  taskQueue: mainQueue,
  startToCloseTimeout: '60s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 20 },
});

/** A page may take minutes: the APIs say how long to wait. */
const reader = proxyActivities<PriceActivities>({
  taskQueue: mainQueue,
  startToCloseTimeout: '2h',
  heartbeatTimeout: '15m',
  retry: {
    initialInterval: '5s',
    backoffCoefficient: 3,
    maximumAttempts: 4,
    nonRetryableErrorTypes: [
      'UnusablePrices',
      'PriceSettingMissing',
      'PriceApiRefusal',
      // Only before the first page: what breaks later may come back.
      'PriceApiUnreachable',
      // The AWS SDK's: no credentials, wrong ones, or not allowed.
      'CredentialsProviderError',
      'UnrecognizedClientException',
      'AccessDeniedException',
    ],
  },
});

/** One refresh. */
export async function priceRefresh(input: { operation: string }): Promise<void> {
  const { operation } = input;
  const { providers } = await store.beginPriceRefresh({ operation });
  const failures = await Promise.all(
    providers.map(async (provider) => {
      try {
        await reader.refreshPrices({ operation, provider });
        return null;
      } catch (error) {
        const cause = error instanceof ActivityFailure ? error.cause : error;
        const reason = cause instanceof Error ? cause.message : String(cause);
        await store.failPrices({ operation, provider, reason });
        return `${provider}: ${reason}`;
      }
    }),
  );
  await store.finishPriceRefresh({ operation, failures: failures.filter((failure) => failure !== null) });
}

/** On a schedule: asks for the daily refreshes that are switched on, and forgets old catalogues. */
export async function catalogueUpkeep(): Promise<void> {
  await store.keepCatalogueUp();
}
