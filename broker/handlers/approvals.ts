import { type Approver, decideApproval, getApproval, listApprovals } from '@landfall/store';
import type { Handlers } from '../handler.ts';
import type { Principal } from '../principal.ts';
import { scopeOf } from './operations.ts';

function approver(principal: Principal, requestId: string): Approver {
  const { organization, name, project, role } = principal;
  const isOrganizationWide = project === null;
  return {
    organization,
    requestedBy: name,
    requestId,
    isOrganizationWide,
    isOrganizationAdmin: isOrganizationWide && role === 'admin',
  };
}

export const approvalHandlers = {
  async listApprovals({ principal, query }, { db }) {
    return { status: 200, body: await listApprovals(db, scopeOf(principal), query) };
  },
  async getApproval({ principal, params }, { db }) {
    return { status: 200, body: await getApproval(db, scopeOf(principal), params.approval) };
  },
  async approveApproval({ principal, params, body, query, requestId }, { db }) {
    const grant = { state: 'Approved', reason: body.reason ?? null } as const;
    const by = approver(principal, requestId);
    return {
      status: 200,
      body: await decideApproval(db, scopeOf(principal), params.approval, grant, by, query.validateOnly),
    };
  },
  async rejectApproval({ principal, params, body, query, requestId }, { db }) {
    const rejection = { state: 'Rejected', reason: body.reason } as const;
    const by = approver(principal, requestId);
    return {
      status: 200,
      body: await decideApproval(db, scopeOf(principal), params.approval, rejection, by, query.validateOnly),
    };
  },
} satisfies Partial<Handlers>;
