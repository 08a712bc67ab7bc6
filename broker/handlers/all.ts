import type { Handlers } from '../handler.ts';
import { adoptionHandlers } from './adoptions.ts';
import { approvalHandlers } from './approvals.ts';
import { catalogueHandlers } from './catalogues.ts';
import { eventHandlers } from './events.ts';
import { healthHandlers } from './health.ts';
import { identityHandlers } from './identity.ts';
import { imageAndKeyHandlers } from './images-and-keys.ts';
import { instanceHandlers } from './instances.ts';
import { operationHandlers } from './operations.ts';
import { placementHandlers } from './placement.ts';
import { policyHandlers } from './policies.ts';
import { resourceHandlers } from './resources.ts';
import { agentHandlers, siteHandlers } from './sites.ts';
import { spendHandlers } from './spend.ts';
import { violationHandlers } from './violations.ts';
import { whatIfHandlers } from './what-if.ts';

/** Every operation's handler; a missing one does not compile, and does not start. */
export const handlers: Handlers = {
  ...healthHandlers,
  ...identityHandlers,
  ...siteHandlers,
  ...agentHandlers,
  ...imageAndKeyHandlers,
  ...instanceHandlers,
  ...adoptionHandlers,
  ...resourceHandlers,
  ...operationHandlers,
  ...placementHandlers,
  ...policyHandlers,
  ...catalogueHandlers,
  ...whatIfHandlers,
  ...violationHandlers,
  ...approvalHandlers,
  ...spendHandlers,
  ...eventHandlers,
};
