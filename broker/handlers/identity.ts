import { durationMs } from '@landfall/model';
import {
  createOrganization,
  createProject,
  deleteOrganization,
  deleteProject,
  findProject,
  getOrganization,
  listOrganizations,
  listProjects,
} from '@landfall/store/identity.ts';
import { createToken, deleteToken, getToken, listTokens } from '@landfall/store/tokens.ts';
import { identityScope, targetOrganization } from '../authorization.ts';
import type { Handlers } from '../handler.ts';
import { hashOf, newSecret, type Principal } from '../principal.ts';
import { Problem } from '../problems.ts';

/** Throws `not-found` for an organization that the principal does not see. */
function checkOrganization(principal: Principal, name: string): void {
  const { organization } = identityScope(principal);
  if (organization !== null && organization !== name)
    throw new Problem('not-found', `There is no organization ${name}.`);
}

export const identityHandlers = {
  async whoAmI({ principal }) {
    const { name, role, organization, project, site, expiresAt } = principal;
    return {
      status: 200,
      body: { name, role, organization, project, site, expiresAt: expiresAt?.toISOString() ?? null },
    };
  },

  async listOrganizations({ principal, query }, { db }) {
    return { status: 200, body: await listOrganizations(db, identityScope(principal), query) };
  },
  async createOrganization({ principal, body, query, requester }, { db }) {
    targetOrganization(principal, body.name === principal.organization ? undefined : body.name);
    const created = await createOrganization(db, body, requester, query.validateOnly);
    return { status: query.validateOnly ? 200 : 201, body: created };
  },
  async getOrganization({ principal, params }, { db }) {
    checkOrganization(principal, params.organization);
    return { status: 200, body: await getOrganization(db, params.organization) };
  },
  async deleteOrganization({ principal, params, query, ifMatch, requester }, { db, authenticator }) {
    checkOrganization(principal, params.organization);
    await deleteOrganization(db, params.organization, ifMatch!, requester, query.validateOnly);
    authenticator.forget();
    return { status: 204 };
  },

  async listProjects({ principal, query }, { db }) {
    return { status: 200, body: await listProjects(db, identityScope(principal), query) };
  },
  async createProject({ principal, body, query, requester }, { db }) {
    const organization = targetOrganization(principal, body.organization);
    const created = await createProject(db, { ...body, organization }, requester, query.validateOnly);
    return { status: query.validateOnly ? 200 : 201, body: created };
  },
  async getProject({ params }, { db }) {
    const project = await findProject(db, params.project);
    if (!project) throw new Problem('not-found', `There is no project ${params.project}.`);
    return { status: 200, body: project };
  },
  async deleteProject({ params, query, ifMatch, requester }, { db, authenticator }) {
    await deleteProject(db, params.project, ifMatch!, requester, query.validateOnly);
    authenticator.forget();
    return { status: 204 };
  },

  async listTokens({ principal, query }, { db }) {
    return { status: 200, body: await listTokens(db, identityScope(principal), query) };
  },
  async createToken({ principal, body, query, requester }, { db }) {
    const organization = targetOrganization(principal, body.organization);
    if (principal.project !== null && body.project !== principal.project) {
      throw new Problem(
        'forbidden',
        `This token is for project ${principal.project}: it can make tokens for that project only, so name it in \`project\`.`,
      );
    }
    if (body.role === 'agent' && body.site === undefined) {
      throw new Problem('unprocessable', 'A token of role agent speaks for one site: name it.', {
        errors: [{ pointer: '/site', message: 'is missing: an agent speaks for one site' }],
      });
    }
    if (body.role === 'agent' && (principal.project !== null || body.project !== undefined)) {
      throw new Problem(
        'unprocessable',
        'An agent serves the whole organization: its token cannot be for one project.',
        { errors: [{ pointer: '/project', message: 'must be absent for role agent' }] },
      );
    }
    if (body.role !== 'agent' && body.site !== undefined) {
      throw new Problem('unprocessable', 'Only a token of role agent has a site.', {
        errors: [{ pointer: '/site', message: 'must be absent unless the role is agent' }],
      });
    }
    const secret = newSecret();
    const token = await createToken(
      db,
      {
        name: body.name,
        role: body.role,
        organization,
        project: body.project ?? null,
        site: body.site ?? null,
        expiresAt: body.expiresIn === undefined ? null : new Date(Date.now() + durationMs(body.expiresIn)),
        hash: hashOf(secret),
      },
      requester,
      query.validateOnly,
    );
    if (query.validateOnly) return { status: 200, body: token };
    return {
      status: 201,
      body: { ...token, secret },
      onRepeat: new Problem(
        'conflict',
        `This Idempotency-Key has made token ${token.id}. Its secret was in the first answer and is kept nowhere: revoke that token and make another with a new key.`,
      ),
    };
  },
  async getToken({ principal, params }, { db }) {
    return { status: 200, body: await getToken(db, identityScope(principal), params.token) };
  },
  async deleteToken({ principal, params, query, ifMatch, requester }, { db, authenticator }) {
    await deleteToken(db, identityScope(principal), params.token, ifMatch!, requester, query.validateOnly);
    authenticator.forget();
    return { status: 204 };
  },
} satisfies Partial<Handlers>;
