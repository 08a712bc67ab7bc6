import type { Schemas } from '@landfall/model';
import type { Db, InventoryItem } from '@landfall/store';
import { installationId, wantOfAny, writeInventory, writeSiteOffers } from '@landfall/store';
import { deleteHost, getHost, hostsOfSite, listHosts, registerHost } from '@landfall/store/hosts.ts';
import { writeStep } from '@landfall/store/operation-steps.ts';
import { createSite, deleteSite, getSite, listSites, updateSite } from '@landfall/store/sites.ts';
import { ownOrganization } from '../authorization.ts';
import type { Handlers } from '../handler.ts';
import { Problem, type ProblemError } from '../problems.ts';
import { checkSite } from '../site-checks.ts';

export const siteHandlers = {
  async listSites({ principal, query }, { db }) {
    return { status: 200, body: await listSites(db, principal.organization, query) };
  },
  async createSite({ principal, body, query, requester }, { db }) {
    const organization = ownOrganization(principal, body.organization);
    checkSite(organization, body.spec);
    const site = await createSite(db, { ...body, organization }, requester, query.validateOnly);
    return { status: query.validateOnly ? 200 : 201, body: site };
  },
  async getSite({ principal, params }, { db }) {
    return { status: 200, body: await getSite(db, principal.organization, params.site) };
  },
  async updateSite({ principal, params, body, query, ifMatch, requester }, { db }) {
    const organization = ownOrganization(principal, body.organization);
    if (body.name !== params.site) {
      throw new Problem(
        'unprocessable',
        `The body is for site ${body.name}, the path for ${params.site}. A site cannot be renamed.`,
        {
          errors: [{ pointer: '/name', message: `must be ${params.site}, as in the path`, value: body.name }],
        },
      );
    }
    checkSite(organization, body.spec);
    return {
      status: 200,
      body: await updateSite(db, { ...body, organization }, ifMatch!, requester, query.validateOnly),
    };
  },
  async deleteSite({ principal, params, query, ifMatch, requester }, { db, authenticator }) {
    await deleteSite(db, principal.organization, params.site, ifMatch!, requester, query.validateOnly);
    authenticator.forget();
    return { status: 204 };
  },

  async listHosts({ principal, query }, { db }) {
    return { status: 200, body: await listHosts(db, principal.organization, query) };
  },
  async getHost({ principal, params }, { db }) {
    return { status: 200, body: await getHost(db, principal.organization, params.site, params.host) };
  },
  async deleteHost({ principal, params, query, ifMatch, requester }, { db }) {
    await deleteHost(
      db,
      principal.organization,
      params.site,
      params.host,
      ifMatch!,
      requester,
      query.validateOnly,
    );
    return { status: 204 };
  },
} satisfies Partial<Handlers>;

/** What a host's agent calls; that the site is the agent's own was checked with its role. */
export const agentHandlers = {
  async registerHost({ principal, params, body, requester }, { db }) {
    return {
      status: 200,
      body: await registerHost(db, principal.organization, params.site, params.host, body, requester),
    };
  },
  async getWant({ params }, { db }) {
    const { site, want } = await wantOfAny(
      db,
      { resource: params.resource, attempt: params.attempt },
      await installationId(db),
    );
    if (site !== params.site)
      throw new Problem(
        'not-found',
        `There is no attempt ${params.attempt} of resource ${params.resource} at site ${params.site}.`,
      );
    // The document leaves the inside of a want to the adapters' contract.
    return { status: 200, body: want as unknown as Schemas['Want'] };
  },
  async writeInventory({ params, body }, { db }) {
    checkItems(body.items);
    const { run, items, complete, last } = body;
    const host = body.host ?? (await hostOfPage(db, params.site, items));
    await writeInventory(db, { site: params.site, host, run, items, complete, last });
    return { status: 204 };
  },
  async writeOffers({ params, body }, { db }) {
    await writeSiteOffers(db, { site: params.site, run: body.run, offers: body.offers, last: body.last });
    return { status: 204 };
  },
  async writeStep({ params, body }, { db }) {
    await writeStep(db, body, params.site);
    return { status: 204 };
  },
} satisfies Partial<Handlers>;

/** The host a page is of, where it does not say: that of its items, else the site's only one. */
async function hostOfPage(db: Db, site: string, items: InventoryItem[]): Promise<string> {
  const named = [...new Set(items.map((item) => item.location.host).filter((host) => host !== undefined))];
  if (named.length === 1) return named[0]!;
  const hosts = await hostsOfSite(db, site);
  if (named.length === 0 && hosts.length <= 1) return hosts[0] ?? '';
  throw new Problem(
    'unprocessable',
    `Site ${site} has ${hosts.length} hosts: say in \`host\` which of them was listed.`,
    {
      errors: [{ pointer: '/host', message: `is missing; the site's hosts are ${hosts.join(', ')}` }],
    },
  );
}

/** Narrows the document's loose items to what the store keeps. */
function checkItems(items: unknown[]): asserts items is InventoryItem[] {
  const errors: ProblemError[] = [];
  for (const [index, item] of items.entries()) {
    const { ref, kind, stamp, location, state, providerKind, child } = item as Partial<InventoryItem>;
    const wrong = (field: string, message: string): void =>
      void errors.push({ pointer: `/items/${index}/${field}`, message });
    if (typeof ref !== 'string' || ref.length === 0 || ref.length > 500)
      wrong('ref', 'must be a string of 1 to 500 characters');
    if (typeof kind !== 'string') wrong('kind', 'must be a string');
    if (typeof state !== 'string') wrong('state', 'must be a string');
    if (typeof providerKind !== 'string') wrong('providerKind', 'must be a string');
    if (typeof child !== 'boolean') wrong('child', 'must be true or false');
    if (typeof location?.region !== 'string') wrong('location', 'must have a region');
    const id = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
    if (
      typeof stamp !== 'object' ||
      stamp === null ||
      typeof stamp.broker !== 'string' ||
      typeof stamp.project !== 'string' ||
      !id.test(String(stamp.resource)) ||
      !(Number.isInteger(stamp.attempt) && stamp.attempt >= 0 && stamp.attempt <= 1_000_000)
    ) {
      wrong('stamp', 'must have broker, project, resource (a UUID) and attempt (an integer)');
    }
    if (errors.length >= 50) break;
  }
  if (errors.length > 0)
    throw new Problem('unprocessable', `${errors[0]!.pointer} ${errors[0]!.message}.`, { errors });
}
