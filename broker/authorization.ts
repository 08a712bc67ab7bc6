import type { Db } from '@landfall/store';
import { findProject, type IdentityScope } from '@landfall/store/identity.ts';
import type { OperationId } from './openapi.ts';
import type { Principal } from './principal.ts';
import { Problem } from './problems.ts';

/** Operations that need no token. */
export type PublicOperation = 'getHealth' | 'getReadiness';

/**
 * Who may call what, in one place. viewer < operator < admin; `agent` stands beside them and is for a site's own agents;
 * `any` is every token. `organizationAdmin` is an admin whose token is not bound to one project.
 */
const requirement = {
  getHealth: 'public',
  getReadiness: 'public',
  whoAmI: 'any',
  listOrganizations: 'viewer',
  createOrganization: 'organizationAdmin',
  getOrganization: 'viewer',
  deleteOrganization: 'organizationAdmin',
  listProjects: 'viewer',
  createProject: 'organizationAdmin',
  getProject: 'viewer',
  deleteProject: 'organizationAdmin',
  listTokens: 'admin',
  createToken: 'admin',
  getToken: 'admin',
  deleteToken: 'admin',
  listSites: 'viewer',
  createSite: 'organizationAdmin',
  getSite: 'viewer',
  listUnmanaged: 'viewer',
  updateSite: 'organizationAdmin',
  deleteSite: 'organizationAdmin',
  listHosts: 'viewer',
  getHost: 'viewer',
  registerHost: 'agent',
  deleteHost: 'organizationAdmin',
  getWant: 'agent',
  writeInventory: 'agent',
  writeOffers: 'agent',
  writeStep: 'agent',
  listOffers: 'viewer',
  listImages: 'viewer',
  createImage: 'organizationAdmin',
  getImage: 'viewer',
  deleteImage: 'organizationAdmin',
  listSshKeys: 'viewer',
  createSshKey: 'operator',
  getSshKey: 'viewer',
  deleteSshKey: 'operator',
  listInstances: 'viewer',
  createInstance: 'operator',
  adoptResource: 'operator',
  releaseVolume: 'operator',
  releaseSnapshot: 'operator',
  releaseNetwork: 'operator',
  releaseAddress: 'operator',
  releaseCustomImage: 'operator',
  getInstance: 'viewer',
  updateInstance: 'operator',
  deleteInstance: 'operator',
  releaseInstance: 'operator',
  startInstance: 'operator',
  stopInstance: 'operator',
  rebootInstance: 'operator',
  replaceInstance: 'operator',
  resizeInstance: 'operator',
  getInstanceConsole: 'operator',
  listVolumes: 'viewer',
  createVolume: 'operator',
  getVolume: 'viewer',
  updateVolume: 'operator',
  deleteVolume: 'operator',
  listSnapshots: 'viewer',
  createSnapshot: 'operator',
  getSnapshot: 'viewer',
  updateSnapshot: 'operator',
  deleteSnapshot: 'operator',
  listNetworks: 'viewer',
  createNetwork: 'operator',
  getNetwork: 'viewer',
  updateNetwork: 'operator',
  deleteNetwork: 'operator',
  listFirewalls: 'viewer',
  createFirewall: 'operator',
  getFirewall: 'viewer',
  updateFirewall: 'operator',
  deleteFirewall: 'operator',
  listAddresses: 'viewer',
  createAddress: 'operator',
  getAddress: 'viewer',
  updateAddress: 'operator',
  deleteAddress: 'operator',
  listCustomImages: 'viewer',
  createCustomImage: 'operator',
  getCustomImage: 'viewer',
  updateCustomImage: 'operator',
  deleteCustomImage: 'operator',
  listOperations: 'viewer',
  getOperation: 'viewer',
  listOperationSteps: 'viewer',
  cancelOperation: 'operator',
  planPlacement: 'viewer',
  planPlacementBatch: 'viewer',
  listDecisions: 'viewer',
  getDecision: 'viewer',
  listPolicies: 'viewer',
  validatePolicy: 'viewer',
  testPolicy: 'viewer',
  whatIfPolicies: 'viewer',
  explainWhatIf: 'viewer',
  getPolicy: 'viewer',
  putPolicy: 'organizationAdmin',
  deletePolicy: 'organizationAdmin',
  startAudit: 'organizationOperator',
  listCatalogues: 'viewer',
  startCatalogueRefresh: 'organizationOperator',
  listPriceLists: 'viewer',
  getPriceList: 'viewer',
  importPriceList: 'organizationAdmin',
  deletePriceList: 'organizationAdmin',
  listApprovals: 'viewer',
  getApproval: 'viewer',
  // The rule names who decides, whatever the role of their token.
  approveApproval: 'viewer',
  rejectApproval: 'viewer',
  listViolations: 'viewer',
  getViolation: 'viewer',
  acknowledgeViolation: 'operator',
  startComplianceRun: 'organizationOperator',
  getSpend: 'viewer',
  listEvents: 'viewer',
  watchEvents: 'viewer',
} as const satisfies Record<OperationId, Requirement>;

type Requirement =
  | 'public'
  | 'any'
  | 'viewer'
  | 'operator'
  | 'organizationOperator'
  | 'admin'
  | 'organizationAdmin'
  | 'agent';

const rank = { viewer: 1, operator: 2, admin: 3 };
const needs = {
  viewer: 'viewer',
  operator: 'operator',
  organizationOperator: 'operator',
  admin: 'admin',
  organizationAdmin: 'admin',
} as const;

/** The organization whose admins also keep organizations, projects and tokens of the others. */
export const homeOrganization = 'default';

/** Whether the operation is one of the public ones. */
export function isPublic(id: OperationId): boolean {
  return requirement[id] === 'public';
}

/** Throws `forbidden` unless the principal's role and reach are enough for the operation. */
export function checkRole(principal: Principal, id: OperationId, params: Record<string, unknown>): void {
  const need = requirement[id] as Requirement;
  if (need === 'public' || need === 'any') return;
  if (need === 'agent') {
    if (principal.role !== 'agent')
      throw forbidden(`Only an agent's token may call ${id}; this one has role ${principal.role}.`);
    if (principal.site !== params.site)
      throw forbidden(`This token speaks for site ${principal.site ?? '(none)'} only.`);
    return;
  }
  if (principal.role === 'agent')
    throw forbidden(`An agent's token may only call what agents call, which ${id} is not.`);
  const least = needs[need];
  if (rank[principal.role] < rank[least])
    throw forbidden(`${id} needs role ${least}; this token has role ${principal.role}.`);
  if (need.startsWith('organization') && principal.project !== null) {
    throw forbidden(
      `${id} concerns the whole organization; this token is for project ${principal.project} only.`,
    );
  }
}

/** Throws `not-found` unless the project exists and the principal may see it: what it may not see, it is not told of. */
export async function checkProject(
  db: Db,
  principal: Principal,
  id: OperationId,
  project: string,
): Promise<void> {
  const hidden = new Problem('not-found', `There is no project ${project}.`);
  if (principal.project !== null) {
    // The token's own project exists as long as the token does.
    if (principal.project !== project) throw hidden;
    return;
  }
  const found = await findProject(db, project);
  if (!found) throw hidden;
  const keepsProjects = id === 'getProject' || id === 'deleteProject';
  if (
    found.organization !== principal.organization &&
    !(keepsProjects && identityScope(principal).organization === null)
  )
    throw hidden;
}

/** Whose organizations, projects and tokens the principal sees. */
export function identityScope(principal: Principal): IdentityScope {
  const everyone =
    principal.organization === homeOrganization && principal.project === null && principal.role === 'admin';
  return { organization: everyone ? null : principal.organization, project: principal.project };
}

/** The organization a new thing goes to: the one named, if the principal may, else its own. */
export function targetOrganization(principal: Principal, named: string | undefined): string {
  if (named === undefined || named === principal.organization) return principal.organization;
  if (identityScope(principal).organization !== null) {
    throw forbidden(
      `This token belongs to organization ${principal.organization} and cannot add to organization ${named}.`,
    );
  }
  return named;
}

/** As targetOrganization, for what only the organization's own tokens may add. */
export function ownOrganization(principal: Principal, named: string | undefined): string {
  if (named !== undefined && named !== principal.organization) {
    throw forbidden(
      `This token belongs to organization ${principal.organization}; use one of organization ${named} for this.`,
    );
  }
  return principal.organization;
}

function forbidden(detail: string): Problem {
  return new Problem('forbidden', detail);
}
