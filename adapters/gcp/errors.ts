import { ProviderError, type ProviderErrorCode, type ProviderErrorDetails } from '../errors.ts';

/** Codes inside a finished operation's `error` by what they mean to us (A7). */
const operationMeanings: Partial<Record<ProviderErrorCode, string>> = {
  CapacityExhausted:
    'ZONE_RESOURCE_POOL_EXHAUSTED ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS REGION_RESOURCE_POOL_EXHAUSTED RESOURCE_POOL_EXHAUSTED IP_SPACE_EXHAUSTED IP_SPACE_EXHAUSTED_WITH_DETAILS',
  QuotaExceeded: 'QUOTA_EXCEEDED LIMIT_EXCEEDED',
  Throttled: 'RATE_LIMIT_EXCEEDED RESOURCE_OPERATION_RATE_EXCEEDED',
  Denied: 'PERMISSIONS_ERROR FORBIDDEN',
  Conflict:
    'RESOURCE_ALREADY_EXISTS RESOURCE_IN_USE_BY_ANOTHER_RESOURCE IP_IN_USE_BY_ANOTHER_RESOURCE RESOURCE_NOT_READY CONDITION_NOT_MET',
  Invalid: 'INVALID_USAGE INVALID_FIELD_VALUE UNSUPPORTED_OPERATION RESOURCE_NOT_FOUND',
};

const byOperationCode = new Map<string, ProviderErrorCode>(
  Object.entries(operationMeanings).flatMap(([meaning, codes]) =>
    codes.split(' ').map((code): [string, ProviderErrorCode] => [code, meaning as ProviderErrorCode]),
  ),
);

/**
 * Messages that tell what the status leaves open: Google's library drops `errors[].reason`. First match wins. A rate limit
 * comes as 403 or 429 like a quota does, and names a metric of queries.
 */
const byMessage: [RegExp, ProviderErrorCode, Pick<ProviderErrorDetails, 'field' | 'providerCode'>][] = [
  [
    /quota metric|rate ?limit|queries per|too many requests|operation rate exceeded/i,
    'Throttled',
    { providerCode: 'rateLimitExceeded' },
  ],
  [/^quota .* exceeded/i, 'QuotaExceeded', { providerCode: 'quotaExceeded' }],
  [/does not have enough resources/i, 'CapacityExhausted', { providerCode: 'ZONE_RESOURCE_POOL_EXHAUSTED' }],
  [/machine type .* does not exist/i, 'Invalid', { field: '/instanceType', providerCode: 'invalid' }],
  [/is not ready/i, 'Conflict', { providerCode: 'resourceNotReady' }],
  [/already being used/i, 'Conflict', { providerCode: 'resourceInUseByAnotherResource' }],
  [/at most one access config/i, 'Conflict', { providerCode: 'oneAccessConfig' }],
  // An answer of 400 that means what 404 does: something that the request names.
  [/referenced .*cannot be found/i, 'NotFound', { providerCode: 'notFound' }],
  [/no attached disk found/i, 'Conflict', { providerCode: 'notAttached' }],
  [/must be stopped|is not running/i, 'Conflict', { providerCode: 'invalid' }],
];

const byStatus: Record<number, ProviderErrorCode> = {
  401: 'Denied',
  403: 'Denied',
  404: 'NotFound',
  409: 'Conflict',
  412: 'Conflict',
  429: 'Throttled',
};

const reasons: Record<number, string> = {
  401: 'authError',
  403: 'forbidden',
  404: 'notFound',
  409: 'alreadyExists',
  412: 'conditionNotMet',
  429: 'rateLimitExceeded',
  503: 'backendError',
};

/** The connection was never made: nothing can have happened. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Waited after a throttle that names no time. */
const defaultRetryAfterMs = 2000;

/** What Google's library throws, as far as it is read here. */
interface SdkError {
  message?: string;
  reason?: string;
  httpStatusCode?: number;
  cause?: { code?: unknown; response?: { headers?: Headers } };
}

/** What the library's calls throw where its authorized fetch throws this: a refusal's status and words, all else as the cause. */
export function refusalOf(thrown: unknown): Error {
  const { status, message } = (thrown ?? {}) as { status?: unknown; message?: string };
  const error = new Error(message ?? String(thrown), { cause: thrown });
  if (typeof status !== 'number') return error;
  error.message = wordsOf(error.message);
  return Object.assign(error, { httpStatusCode: status });
}

/** Of Google's refusals the words; what is from a proxy between as it is. */
function wordsOf(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: string } };
    return error?.message ?? body;
  } catch {
    return body.slice(0, 1000);
  }
}

/**
 * The library's error as one of the table in `adapters/errors.ts`.
 * @param changing whether the call could have changed something: then no answer means `OutcomeUnknown` (A8).
 */
export function toProviderError(error: unknown, changing: boolean): ProviderError {
  if (error instanceof ProviderError) return error;
  // Of the site's own credentials: the library wraps what its client throws.
  const inner = (error as { cause?: unknown } | null)?.cause;
  if (inner instanceof ProviderError) return inner;
  const sdk = (error ?? {}) as SdkError;
  const message = sdk.message ?? String(error);
  const status = sdk.httpStatusCode;
  const noAnswer = changing ? 'OutcomeUnknown' : 'Unavailable';
  if (status === undefined) {
    const connection = typeof sdk.cause?.code === 'string' ? sdk.cause.code : undefined;
    const details = { providerCode: connection ?? 'noAnswer' };
    // Nothing was sent: there was nothing to sign it with, or nobody to send it to.
    if (/default credentials|project id|invalid_grant|invalid_rapt/i.test(message))
      return new ProviderError('Denied', message, { providerCode: 'credentials' }, error);
    const code = connection && neverSent.has(connection) ? 'Unavailable' : noAnswer;
    return new ProviderError(code, message, details, error);
  }
  const told =
    status < 500 || status === 503 ? byMessage.find(([pattern]) => pattern.test(message)) : undefined;
  const code = told?.[1] ?? byStatus[status] ?? (status >= 500 ? noAnswer : 'Invalid');
  const details: ProviderErrorDetails = {
    providerCode: sdk.reason ?? reasons[status] ?? (status < 500 ? 'invalid' : 'internalError'),
    ...told?.[2],
    ...(code === 'Throttled' ? { retryAfterMs: retryAfterMs(sdk) ?? defaultRetryAfterMs } : {}),
  };
  return new ProviderError(code, message, details, error);
}

/** The header in seconds; its other form, a date, Google does not send. */
function retryAfterMs(error: SdkError): number | undefined {
  const seconds = Number(error.cause?.response?.headers?.get('retry-after'));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** The error of a finished operation, as Compute Engine gives it. */
export interface OperationError {
  errors?: { code?: string | null; message?: string | null }[] | null;
}

/** A finished operation's error: it is known that what was asked for did not happen. */
export function operationFailed(error: OperationError): ProviderError {
  const first = error.errors?.[0];
  const providerCode = first?.code ?? 'UNKNOWN';
  const code = byOperationCode.get(providerCode) ?? 'Unavailable';
  return new ProviderError(code, `${providerCode}: ${first?.message ?? 'the operation failed'}`, {
    providerCode,
    ...(code === 'Throttled' ? { retryAfterMs: defaultRetryAfterMs } : {}),
  });
}

export { providerCodeOf } from '../errors.ts';
