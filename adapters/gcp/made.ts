import type { Stamp } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import type { Account } from './clients.ts';

/**
 * The error with what exists (A9): no capacity to start a stopped machine is another thing than none to make one (R11). When
 * even looking fails, the error alone is what is known.
 */
export async function naming(
  account: Account,
  error: unknown,
  { resource }: Stamp,
  whatExists: () => Promise<string[]>,
): Promise<unknown> {
  if (!(error instanceof ProviderError)) return error;
  const found = await whatExists().catch((failure: Error) => {
    account.warn(`what is left of ${resource} could not be read: ${failure.message}`, failure);
    return [];
  });
  const made = [...new Set([...(error.details.made ?? []), ...found])];
  return new ProviderError(error.code, error.message, { ...error.details, made }, error.cause ?? error);
}
