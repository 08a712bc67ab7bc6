import type { ServerResponse } from 'node:http';
import type { operations } from '@landfall/model';
import type { Requester } from '@landfall/store';
import type { IfMatch } from '@landfall/store/identity.ts';
import type { Logger } from 'pino';
import type { PublicOperation } from './authorization.ts';
import type { BrokerParts } from './broker.ts';
import type { OperationId } from './openapi.ts';
import type { Principal } from './principal.ts';
import type { Problem } from './problems.ts';

type Parameters<Id extends OperationId> = operations[Id]['parameters'];
type In<P, Where extends string> = P extends { [K in Where]?: infer T }
  ? [NonNullable<T>] extends [never]
    ? Record<string, never>
    : NonNullable<T>
  : Record<string, never>;
type ContentOf<T> = T extends { content: infer C } ? C[keyof C] : undefined;
type BodyOf<Id extends OperationId> = operations[Id] extends { requestBody: infer B }
  ? ContentOf<NonNullable<B>>
  : undefined;

/** One call of an operation: authenticated, authorized, and valid by the API document. */
export interface Call<Id extends OperationId> {
  params: In<Parameters<Id>, 'path'>;
  query: In<Parameters<Id>, 'query'>;
  body: BodyOf<Id>;
  /** From If-Match; null for `*`, undefined without one. */
  ifMatch: IfMatch | undefined;
  /** From Last-Event-ID. */
  lastEventId: string | undefined;
  principal: Id extends PublicOperation ? null : Principal;
  /** Who asks, for the store. */
  requester: Requester;
  requestId: string;
  /** Throws `unauthenticated` once the token was revoked or has expired: what goes on for long asks again. */
  authenticateAgain(): Promise<void>;
  /** Ends when the caller has gone or the broker stops. */
  signal: AbortSignal;
  log: Logger;
}

type Responses<Id extends OperationId> = operations[Id]['responses'];
type StatusOf<Id extends OperationId> = Extract<keyof Responses<Id>, number>;

/** What a handler answers: one of the statuses that the document declares, with its body. */
export type Answer<Id extends OperationId> = {
  [S in StatusOf<Id>]: {
    status: S;
    headers?: Record<string, string> /** Revision for the ETag, where the body has none. */;
    revision?: number /** What a repeat with the same Idempotency-Key gets, where the answer holds a secret. */;
    onRepeat?: Problem;
  } & (Responses<Id>[S] extends { content: Record<string, infer B> } ? { body: B } : { body?: undefined });
}[StatusOf<Id>];

/** An answer written as it comes, such as an event stream. Resolves when it has ended. */
export interface StreamAnswer {
  status: 200;
  contentType: string;
  stream(response: ServerResponse): Promise<void>;
}

export type Handler<Id extends OperationId> = (
  call: Call<Id>,
  broker: BrokerParts,
) => Promise<Id extends 'watchEvents' ? StreamAnswer : Answer<Id>>;

/** A handler for every operation of the document; the compiler and the start both insist. */
export type Handlers = { [Id in OperationId]: Handler<Id> };
