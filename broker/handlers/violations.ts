import { createComplianceRun } from '@landfall/store';
import { acknowledgeViolation, getViolation, listViolations } from '@landfall/store/violations.ts';
import type { Handlers } from '../handler.ts';
import { accepted } from './instances.ts';
import { scopeOf } from './operations.ts';

export const violationHandlers = {
  async listViolations({ principal, query }, { db }) {
    return { status: 200, body: await listViolations(db, scopeOf(principal), query) };
  },
  async getViolation({ principal, params }, { db }) {
    return { status: 200, body: await getViolation(db, scopeOf(principal), params.violation) };
  },
  async acknowledgeViolation({ principal, params, body, query, requester }, { db }) {
    const { reason } = body;
    const scope = scopeOf(principal);
    const { validateOnly } = query;
    return {
      status: 200,
      body: await acknowledgeViolation(db, scope, params.violation, reason, requester, validateOnly),
    };
  },
  async startComplianceRun({ query, requester }, { db }) {
    return query.validateOnly ? { status: 204 } : accepted(await createComplianceRun(db, requester));
  },
} satisfies Partial<Handlers>;
