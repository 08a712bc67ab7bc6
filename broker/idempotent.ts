import { createHash } from 'node:crypto';
import type { Db } from '@landfall/store';
import { claimKey, type KeptAnswer, keepAnswer, releaseKey } from '@landfall/store/idempotency.ts';
import { Problem } from './problems.ts';

/** An answer ready to be sent, and what a repeat gets instead where that must differ. */
export interface ServedAnswer extends KeptAnswer {
  /** For an answer that holds a secret, which is kept nowhere. */
  onRepeat?: KeptAnswer;
}

export interface IdempotentRequest {
  principal: string;
  key: string;
  method: string;
  /** With its query. */
  url: string;
  body: unknown;
}

/** What of a request makes it the same request. */
function digestOf(request: IdempotentRequest): string {
  return createHash('sha256')
    .update(JSON.stringify([request.method, request.url, request.body ?? null]))
    .digest('hex');
}

/**
 * Serves a request once per key: repeats get the first answer. What is guaranteed across crashes is said at `claimKey`.
 * `serve` answers problems too, and throws only what is the broker's own failure.
 */
export async function serveOnce(
  db: Db,
  request: IdempotentRequest,
  serve: () => Promise<ServedAnswer>,
): Promise<ServedAnswer> {
  const { principal, key } = request;
  const claim = await claimKey(db, principal, key, digestOf(request));
  if (claim.outcome === 'kept')
    return { ...claim.answer, headers: { ...claim.answer.headers, 'idempotent-replayed': 'true' } };
  if (claim.outcome === 'otherRequest') {
    throw new Problem(
      'unprocessable',
      `Idempotency-Key ${key} was used for another request within 24 hours. Use a new key for a new request.`,
    );
  }
  if (claim.outcome === 'inProgress') {
    throw new Problem(
      'conflict',
      `A request with Idempotency-Key ${key} is being served. Ask again for its answer.`,
      { headers: { 'retry-after': '1' } },
    );
  }
  let answer: ServedAnswer;
  try {
    answer = await serve();
  } catch (error) {
    await releaseKey(db, principal, key);
    throw error;
  }
  if (answer.status >= 500) await releaseKey(db, principal, key);
  else
    await keepAnswer(
      db,
      principal,
      key,
      answer.onRepeat ?? { status: answer.status, headers: answer.headers, body: answer.body },
    );
  return answer;
}
