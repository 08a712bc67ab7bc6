import type { Operation } from '@landfall/model';
import { cancelOperation, createAudit, getOperation, type OperationScope } from '@landfall/store';
import { listOperations } from '@landfall/store/lists.ts';
import { listSteps } from '@landfall/store/operation-steps.ts';
import type { BrokerParts } from '../broker.ts';
import type { Handlers } from '../handler.ts';
import type { Principal } from '../principal.ts';
import { accepted } from './instances.ts';

/** What of the organization a principal sees. */
export function scopeOf(principal: Principal): OperationScope {
  return {
    organization: principal.organization,
    ...(principal.project === null ? {} : { project: principal.project }),
  };
}

const ended = (operation: Operation): boolean =>
  operation.state !== 'Pending' && operation.state !== 'Running';

/** The operation when it has ended, or as it is when `seconds` are over or the caller has gone. */
async function waitOperation(
  { db, feed }: BrokerParts,
  scope: OperationScope,
  id: string,
  seconds: number,
  signal: AbortSignal,
): Promise<Operation> {
  const until = Date.now() + seconds * 1_000;
  for (;;) {
    // Asked for before the look, so that what happens in between wakes it.
    const news = new AbortController();
    const left = until - Date.now();
    const next = left > 0 ? feed.next(AbortSignal.any([signal, news.signal]), left) : undefined;
    const operation = await getOperation(db, scope, id);
    if (ended(operation) || !next || signal.aborted) {
      news.abort();
      return operation;
    }
    await next;
  }
}

export const operationHandlers = {
  async listOperations({ principal, query }, { db }) {
    return { status: 200, body: await listOperations(db, scopeOf(principal), query) };
  },
  async getOperation({ principal, params, query, signal }, broker) {
    return {
      status: 200,
      body: await waitOperation(broker, scopeOf(principal), params.operation, query.wait ?? 0, signal),
    };
  },
  async listOperationSteps({ principal, params }, { db }) {
    return { status: 200, body: await listSteps(db, scopeOf(principal), params.operation) };
  },
  async cancelOperation({ principal, params, query, requester }, { db }) {
    const operation = await cancelOperation(
      db,
      scopeOf(principal),
      params.operation,
      requester,
      query.validateOnly,
    );
    return query.validateOnly ? { status: 204 } : accepted(operation);
  },
  async startAudit({ query, requester }, { db }) {
    return query.validateOnly ? { status: 204 } : accepted(await createAudit(db, requester));
  },
} satisfies Partial<Handlers>;
