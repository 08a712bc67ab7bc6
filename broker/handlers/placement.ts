import { getDecision } from '@landfall/store';
import { listDecisions } from '@landfall/store/lists.ts';
import { planPlacement } from '@landfall/workflows/placement.ts';
import type { Handlers } from '../handler.ts';
import { checkInstanceSpec } from '../instance-checks.ts';
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
    return { status: 200, body: await planPlacement(db, subject, { includeUnconfigured: true }) };
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
