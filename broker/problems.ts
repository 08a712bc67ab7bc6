import type { Problem as ProblemDocument } from '@landfall/model';

/** Every problem type: its code ends the stable `type` URI. */
export const problemTypes = {
  invalid: { status: 400, title: 'The request is not valid' },
  unauthenticated: { status: 401, title: 'A valid token is needed' },
  forbidden: { status: 403, title: 'The token may not do this' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'method-not-allowed': { status: 405, title: 'The path has no such method' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  conflict: { status: 409, title: 'The request conflicts with the present state' },
  gone: { status: 410, title: 'That is no longer kept' },
  'precondition-failed': { status: 412, title: 'It has changed since it was read' },
  'too-large': { status: 413, title: 'The request body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body has the wrong media type' },
  unprocessable: { status: 422, title: 'The request is well-formed and cannot be carried out' },
  'policy-refused': { status: 422, title: 'A policy refuses the request' },
  'limit-exceeded': { status: 422, title: 'A limit of the project would be exceeded' },
  'precondition-required': { status: 428, title: 'If-Match is needed' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  'headers-too-large': { status: 431, title: 'The request headers are too large' },
  internal: { status: 500, title: 'The broker failed' },
  unavailable: { status: 503, title: 'Something the broker needs is away for now' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof problemTypes;

/** One thing that is wrong with a request. */
export type ProblemError = NonNullable<ProblemDocument['errors']>[number];

/** The URI of a problem type; it never changes and need not resolve. */
export function problemUri(code: ProblemCode): string {
  return `https://landfall.dev/problems/${code}`;
}

/** Thrown by anything that serves a request; becomes an RFC 9457 document. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly errors: ProblemError[];
  readonly headers: Record<string, string>;

  constructor(
    code: ProblemCode,
    detail: string,
    more: { errors?: ProblemError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause: more.cause });
    this.name = 'Problem';
    this.code = code;
    this.errors = more.errors ?? [];
    this.headers = more.headers ?? {};
  }

  get status(): number {
    return problemTypes[this.code].status;
  }

  /** The document that is sent. */
  document(requestId: string, path: string): ProblemDocument {
    const { status, title } = problemTypes[this.code];
    return {
      type: problemUri(this.code),
      title,
      status,
      detail: this.message,
      instance: path,
      requestId,
      ...(this.errors.length > 0 ? { errors: this.errors } : {}),
    };
  }
}
