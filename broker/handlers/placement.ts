import { getDecision } from '@landfall/store';
import { listDecisions } from '@landfall/store/lists.ts';
import { planBatch, planPlacement } from '@landfall/workflows/placement.ts';
import type { Handlers } from '../handler.ts';
import { checkAdmission, checkBatch, checkInstanceSpec } from '../instance-checks.ts';
import { listOffers } from '../offers.ts';

export const placementHandlers = {
  async planPlacement({ principal, params, body }, { db }) {
    const { organization } = principal;
    const { project } = params;
    await checkInstanceSpec(db, organization, project, body.spec);
    const subject = {
      organization,
      project,
      name: body.name ?? '',
      labels: body.labels ?? {},
      spec: body.spec,
    };
    await checkAdmission(db, subject);
    return { status: 200, body: await planPlacement(db, subject, { includeUnconfigured: true }) };
  },
  async planPlacementBatch({ principal, params, body, signal }, { db }) {
    const { organization } = principal;
    const { project } = params;
    const wanted = body.requests.map(({ name = '', labels = {}, spec, count = 1 }) => ({
      subject: { organization, project, name, labels, spec },
      count,
    }));
    await checkBatch(db, organization, project, wanted);
    return { status: 200, body: await planBatch(db, organization, wanted, { gap: body.gap, signal }) };
  },
  async listDecisions({ params, query }, { db }) {
    return { status: 200, body: await listDecisions(db, params.project, query) };
  },
  async getDecision({ params }, { db }) {
    return { status: 200, body: await getDecision(db, params.project, params.decision) };
  },
  async listOffers({ principal, query }, { db }) {
    return { status: 200, body: await listOffers(db, principal.organization, query) };
  },
} satisfies Partial<Handlers>;
