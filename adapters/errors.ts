/**
 * The one table of what can go wrong at a provider (rule A7). An adapter throws nothing else; the SDK's own
 * error is the `cause`, for the log, and its words are the message, for the user.
 */

/**
 * code | what it means to the caller | what the workflow does
 * ---- | --------------------------- | ----------------------
 * NotFound          | what was asked for is not there                     | observe decides; for `remove` it is success
 * CapacityExhausted | the provider has none of this offer here and now    | set the offer aside, place again
 * QuotaExceeded     | the account may not have more of it in this region  | set the (site, region, family) aside, place again
 * Throttled         | too many calls; `retryAfterMs` says when            | wait, then the same attempt again
 * Denied            | the credentials do not allow it                     | fail, with compensation
 * Invalid           | the request itself is wrong; `field` says where     | fail, with compensation
 * Conflict          | what exists contradicts what is wanted              | observe, then decide
 * Unavailable       | the provider or the host is not answering           | retry with back-off; nothing was done
 * OutcomeUnknown    | the call may or may not have taken effect (A8)      | look up by stamp, adopt, only then try again
 */
export const providerErrorCodes = [
  'NotFound',
  'CapacityExhausted',
  'QuotaExceeded',
  'Throttled',
  'Denied',
  'Invalid',
  'Conflict',
  'Unavailable',
  'OutcomeUnknown',
] as const;

export type ProviderErrorCode = (typeof providerErrorCodes)[number];

/** Facts that travel with an error: JSON, no secrets. */
export interface ProviderErrorDetails {
  /** JSON pointer into the wanted spec, for `Invalid`. */
  field?: string;
  /** Milliseconds to wait, for `Throttled`. */
  retryAfterMs?: number;
  /** The provider's own code, e.g. `InsufficientInstanceCapacity`. */
  providerCode?: string;
  /** External references of what was made before the failure (A9). */
  made?: string[];
}

export class ProviderError extends Error {
  readonly code: ProviderErrorCode;
  readonly details: ProviderErrorDetails;

  constructor(code: ProviderErrorCode, message: string, details: ProviderErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ProviderError';
    this.code = code;
    this.details = details;
  }
}

/** True when `error` is a ProviderError, of `code` where one is given. */
export function isProviderError(error: unknown, code?: ProviderErrorCode): error is ProviderError {
  return error instanceof ProviderError && (code === undefined || error.code === code);
}

/** The reference leads to what does not carry our stamp. */
export function isNotOurs(error: unknown): boolean {
  return providerCodeOf(error) === 'NotOurs';
}

/** The provider's own code of an error; undefined where there is none. */
export function providerCodeOf(error: unknown): string | undefined {
  return error instanceof ProviderError ? error.details.providerCode : undefined;
}
