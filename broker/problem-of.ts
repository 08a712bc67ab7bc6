import { isConnectionError, NotAnApprover, StoreError, type StoreErrorCode } from '@landfall/store';
import { PageError } from '@landfall/store/pages.ts';
import { RevisionNeeded } from '@landfall/store/policies.ts';
import { Problem, type ProblemCode, problemTypes } from './problems.ts';
import { closest } from './suggestion.ts';

const ofStore: Record<StoreErrorCode, ProblemCode> = {
  notFound: 'not-found',
  conflict: 'conflict',
  preconditionFailed: 'precondition-failed',
  limitExceeded: 'limit-exceeded',
  invalid: 'unprocessable',
};

/** What Fastify itself refuses, by the code of its error. */
const ofFastify: Record<string, { code: ProblemCode; detail: string }> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'too-large',
    detail: 'A request body may have 1 MiB; a price list 40 MB, a batch of placements 20 MB.',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported-media-type',
    detail: 'The body must be application/json.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'invalid',
    detail: 'The body is not as long as Content-Length says.',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'invalid', detail: 'A JSON body is needed; this one is empty.' },
  FST_ERR_BAD_URL: { code: 'invalid', detail: 'The path is not a valid URL path.' },
  FST_ERR_MAX_PARAM_LENGTH: {
    code: 'not-found',
    detail: 'A name in the path is longer than any name can be.',
  },
};

/** Turns whatever was thrown into a problem: the one place that knows both. What it does not know is `internal`. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreError) {
    const errors = error.pointer === undefined ? [] : [{ pointer: error.pointer, message: error.message }];
    return new Problem(ofStore[error.code], sentence(error.message), { errors, cause: error });
  }
  if (error instanceof PageError) {
    const suggestion = closest(error.value, error.allowed);
    const told = {
      parameter: error.parameter,
      message: error.message,
      value: error.value,
      ...(suggestion ? { suggestion } : {}),
    };
    return new Problem('invalid', `Query parameter \`${error.parameter}\` ${error.message}.`, {
      errors: [told],
      cause: error,
    });
  }
  if (error instanceof NotAnApprover)
    return new Problem('forbidden', sentence(error.message), { cause: error });
  if (error instanceof RevisionNeeded)
    return new Problem('precondition-required', sentence(error.message), { cause: error });
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && Object.hasOwn(ofFastify, code)) {
    const known = ofFastify[code]!;
    return new Problem(known.code, known.detail, { cause: error });
  }
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  if (
    typeof code === 'string' &&
    code.startsWith('FST_') &&
    typeof statusCode === 'number' &&
    statusCode < 500
  ) {
    return new Problem('invalid', sentence(String(message)), { cause: error });
  }
  if (typeof error === 'object' && error !== null && isConnectionError(error)) {
    return new Problem(
      'unavailable',
      'The database is away for now; nothing was changed unless an earlier answer said so. Try again.',
      {
        headers: { 'retry-after': '2' },
        cause: error,
      },
    );
  }
  return new Problem(
    'internal',
    'The broker failed at this request. Its log has the cause under the request id.',
    { cause: error },
  );
}

/** Headers every answer to a problem carries besides those of its own. */
export function problemHeaders(problem: Problem): Record<string, string> {
  return {
    'cache-control': 'no-store',
    ...(problemTypes[problem.code].status === 401 ? { 'www-authenticate': 'Bearer realm="landfall"' } : {}),
    ...problem.headers,
  };
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
