/**
 * What a store call refuses, and why. The broker turns each code into one problem type.
 *
 * notFound           | no such thing, or not in this scope
 * conflict           | it exists already, is being deleted, or is in use
 * preconditionFailed | the revision in If-Match is not the current one
 * limitExceeded      | a project limit would be exceeded
 * invalid            | the value cannot be (pointer says which)
 */
export type StoreErrorCode = 'notFound' | 'conflict' | 'preconditionFailed' | 'limitExceeded' | 'invalid';

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  /** JSON pointer into the request body. */
  readonly pointer?: string;

  constructor(code: StoreErrorCode, message: string, pointer?: string) {
    super(message);
    this.name = 'StoreError';
    this.code = code;
    this.pointer = pointer;
  }
}

/** PostgreSQL's unique_violation. */
export function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: string }).code === '23505';
}

/** True when `error` is a StoreError, of `code` where one is given. */
export function isStoreError(error: unknown, code?: StoreErrorCode): error is StoreError {
  return error instanceof StoreError && (code === undefined || error.code === code);
}
