/** The kinds that `get`, `describe` and `delete` know: names, how each is read and removed, its columns. */
import type { Operation, Schemas } from '@landfall/model';
import { type Broker, body, bodyIfFound, pages } from './connection/broker.ts';
import { CommandError, exitCodes, usageError } from './errors.ts';
import * as columns from './kind-columns.ts';
import { suggestion } from './output/suggestion.ts';
import type { Column } from './output/table.ts';
import { resourceKinds } from './resource-kinds.ts';

/** What a list may be narrowed by. */
export interface Narrowing {
  filter?: string;
  limit?: number;
}

/** One kind. Methods, so that a Kind<Site> is a Kind<unknown>. */
export interface Kind<T> {
  readonly kind: string;
  readonly singular: string;
  readonly plural: string;
  readonly short: readonly string[];
  readonly columns: readonly Column<T>[];
  /** Lists of these grow without end: only so many are fetched unless more are asked for. */
  readonly defaultLimit?: number;
  /** Names of these are unique within a project. */
  readonly inProject?: boolean;
  /** Said of an empty list that was not filtered, where it shows only some by itself. */
  readonly noneListed?: string;
  name(item: T): string;
  list(broker: Broker, narrowing: Narrowing): Promise<T[]>;
  get?(broker: Broker, name: string): Promise<T | undefined>;
  /** Removes it; the operation when that takes time. False when there is no such thing. */
  remove?(broker: Broker, name: string, validateOnly: boolean): Promise<Operation | boolean>;
}

const any = { 'If-Match': '*' };
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

async function found<T>(
  pending: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T | undefined> {
  return (await bodyIfFound(pending))?.body as T | undefined;
}

async function removed(
  pending: Promise<{ data?: unknown; error?: unknown; response: Response }>,
): Promise<Operation | boolean> {
  const result = await bodyIfFound(pending);
  if (result === undefined) return false;
  return result.body ? (result.body as Operation) : true;
}

const organizations: Kind<Schemas['Organization']> = {
  kind: 'Organization',
  singular: 'organization',
  plural: 'organizations',
  short: ['org', 'orgs'],
  columns: columns.organization,
  name: (item) => item.name,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/organizations', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, organization) =>
    found(client.GET('/v1/organizations/{organization}', { params: { path: { organization } } })),
  remove: ({ client }, organization, validateOnly) =>
    removed(
      client.DELETE('/v1/organizations/{organization}', {
        params: { path: { organization }, query: { validateOnly }, header: any },
      }),
    ),
};

const projects: Kind<Schemas['Project']> = {
  kind: 'Project',
  singular: 'project',
  plural: 'projects',
  short: ['proj'],
  columns: columns.project,
  name: (item) => item.name,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/projects', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, project) =>
    found(client.GET('/v1/projects/{project}', { params: { path: { project } } })),
  remove: ({ client }, project, validateOnly) =>
    removed(
      client.DELETE('/v1/projects/{project}', {
        params: { path: { project }, query: { validateOnly }, header: any },
      }),
    ),
};

const tokens: Kind<Schemas['Token']> = {
  kind: 'Token',
  singular: 'token',
  plural: 'tokens',
  short: [],
  columns: columns.token,
  name: (item) => item.name,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/tokens', { params: { query: { ...page, filter } } })), limit),
  async get(broker, name) {
    if (uuid.test(name))
      return found(broker.client.GET('/v1/tokens/{token}', { params: { path: { token: name } } }));
    const named = (await this.list(broker, {})).filter((token) => token.name === name);
    if (named.length > 1) {
      throw new CommandError(`${named.length} tokens are named "${name}".`, {
        exitCode: exitCodes.conflict,
        hint: `Give the id: ${named.map((token) => token.id).join(', ')}.`,
      });
    }
    return named[0];
  },
  async remove(broker, name, validateOnly) {
    const token = await this.get!(broker, name);
    if (!token) return false;
    const params = { path: { token: token.id }, query: { validateOnly }, header: any };
    return removed(broker.client.DELETE('/v1/tokens/{token}', { params }));
  },
};

const sites: Kind<Schemas['Site']> = {
  kind: 'Site',
  singular: 'site',
  plural: 'sites',
  short: [],
  columns: columns.site,
  name: (item) => item.name,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/sites', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, site) => found(client.GET('/v1/sites/{site}', { params: { path: { site } } })),
  remove: ({ client }, site, validateOnly) =>
    removed(
      client.DELETE('/v1/sites/{site}', { params: { path: { site }, query: { validateOnly }, header: any } }),
    ),
};

const hosts: Kind<Schemas['Host']> = {
  kind: 'Host',
  singular: 'host',
  plural: 'hosts',
  short: [],
  columns: columns.host,
  name: (item) => item.name,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/hosts', { params: { query: { ...page, filter } } })), limit),
  /** By `name` or `site/name`: names are unique within a site only. */
  async get(broker, name) {
    const [site, host] = name.includes('/')
      ? [name.slice(0, name.indexOf('/')), name.slice(name.indexOf('/') + 1)]
      : [undefined, name];
    if (site)
      return found(broker.client.GET('/v1/sites/{site}/hosts/{host}', { params: { path: { site, host } } }));
    const named = (await this.list(broker, {})).filter((item) => item.name === host);
    if (named.length > 1) {
      const full = named.map((item) => `${item.site}/${item.name}`).join(', ');
      throw new CommandError(`${named.length} hosts are named "${host}".`, {
        exitCode: exitCodes.conflict,
        hint: `Give the site too: ${full}.`,
      });
    }
    return named[0];
  },
  async remove(broker, name, validateOnly) {
    const host = await this.get!(broker, name);
    if (!host) return false;
    const params = { path: { site: host.site, host: host.name }, query: { validateOnly }, header: any };
    return removed(broker.client.DELETE('/v1/sites/{site}/hosts/{host}', { params }));
  },
};

const offers: Kind<Schemas['Offer']> = {
  kind: 'Offer',
  singular: 'offer',
  plural: 'offers',
  short: [],
  columns: columns.offer,
  defaultLimit: 50,
  name: (item) =>
    [item.provider, item.region, item.zone, item.host, item.instanceType, item.market]
      .filter(Boolean)
      .join('/'),
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/offers', { params: { query: { ...page, filter } } })), limit),
};

const images: Kind<Schemas['Image']> = {
  kind: 'Image',
  singular: 'image',
  plural: 'images',
  short: ['img'],
  columns: columns.image,
  name: (item) => item.name,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/images', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, image) => found(client.GET('/v1/images/{image}', { params: { path: { image } } })),
  remove: ({ client }, image, validateOnly) =>
    removed(
      client.DELETE('/v1/images/{image}', {
        params: { path: { image }, query: { validateOnly }, header: any },
      }),
    ),
};

const sshKeys: Kind<Schemas['SshKey']> = {
  kind: 'SshKey',
  singular: 'sshkey',
  plural: 'sshkeys',
  short: ['key', 'keys', 'ssh-key', 'ssh-keys'],
  columns: columns.sshKey,
  name: (item) => item.name,
  list: ({ client, project }, { filter, limit }) =>
    pages(
      (page) =>
        body(
          client.GET('/v1/projects/{project}/sshKeys', {
            params: { path: { project }, query: { ...page, filter } },
          }),
        ),
      limit,
    ),
  get: ({ client, project }, sshKey) =>
    found(client.GET('/v1/projects/{project}/sshKeys/{sshKey}', { params: { path: { project, sshKey } } })),
  remove: ({ client, project }, sshKey, validateOnly) => {
    const params = { path: { project, sshKey }, query: { validateOnly }, header: any };
    return removed(client.DELETE('/v1/projects/{project}/sshKeys/{sshKey}', { params }));
  },
};

const instances: Kind<Schemas['Instance']> = {
  kind: 'Instance',
  singular: 'instance',
  plural: 'instances',
  short: ['vm', 'vms', 'inst'],
  columns: columns.instance,
  name: (item) => item.name,
  list: ({ client, project }, { filter, limit }) =>
    pages(
      (page) =>
        body(
          client.GET('/v1/projects/{project}/instances', {
            params: { path: { project }, query: { ...page, filter } },
          }),
        ),
      limit,
    ),
  get: ({ client, project }, instance) =>
    found(
      client.GET('/v1/projects/{project}/instances/{instance}', { params: { path: { project, instance } } }),
    ),
  remove: ({ client, project }, instance, validateOnly) => {
    const params = { path: { project, instance }, query: { validateOnly }, header: any };
    return removed(client.DELETE('/v1/projects/{project}/instances/{instance}', { params }));
  },
};

const operations: Kind<Operation> = {
  kind: 'Operation',
  singular: 'operation',
  plural: 'operations',
  short: ['op', 'ops'],
  columns: columns.operation,
  defaultLimit: 50,
  name: (item) => item.id,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/operations', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, operation) =>
    found(client.GET('/v1/operations/{operation}', { params: { path: { operation } } })),
};

const policies: Kind<Schemas['Policy']> = {
  kind: 'PlacementPolicy',
  singular: 'policy',
  plural: 'policies',
  short: ['pol', 'placementpolicy', 'placementpolicies'],
  columns: columns.policy,
  name: (item) => item.name,
  list: ({ client }, { filter, limit }) =>
    pages((page) => body(client.GET('/v1/policies', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, policy) => found(client.GET('/v1/policies/{policy}', { params: { path: { policy } } })),
  remove: ({ client }, policy, validateOnly) =>
    removed(
      client.DELETE('/v1/policies/{policy}', {
        params: { path: { policy }, query: { validateOnly }, header: any },
      }),
    ),
};

const violations: Kind<Schemas['Violation']> = {
  kind: 'Violation',
  singular: 'violation',
  plural: 'violations',
  short: ['vio'],
  columns: columns.violation,
  defaultLimit: 200,
  name: (item) => item.id,
  noneListed: 'No violation stands; `--filter state=Resolved` lists those that are over.',
  /** Those that stand; a filter of one's own sees the resolved ones too. */
  list: ({ client }, { filter = 'state!=Resolved', limit }) =>
    pages((page) => body(client.GET('/v1/violations', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, violation) =>
    found(client.GET('/v1/violations/{violation}', { params: { path: { violation } } })),
};

const approvals: Kind<Schemas['Approval']> = {
  kind: 'Approval',
  singular: 'approval',
  plural: 'approvals',
  short: ['appr'],
  columns: columns.approval,
  defaultLimit: 200,
  name: (item) => item.id,
  noneListed:
    'No approval is waited for; `--filter state=Approved` (Rejected, Expired, Superseded) lists those that are over.',
  /** Those that are waited for; a filter of one's own sees the others too. */
  list: ({ client }, { filter = 'state=Pending', limit }) =>
    pages((page) => body(client.GET('/v1/approvals', { params: { query: { ...page, filter } } })), limit),
  get: ({ client }, approval) =>
    found(client.GET('/v1/approvals/{approval}', { params: { path: { approval } } })),
};

const decisions: Kind<Schemas['Decision']> = {
  kind: 'Decision',
  singular: 'decision',
  plural: 'decisions',
  short: ['dec'],
  columns: columns.decision,
  defaultLimit: 50,
  name: (item) => item.id ?? '',
  list: ({ client, project }, { filter, limit }) =>
    pages(
      (page) =>
        body(
          client.GET('/v1/projects/{project}/decisions', {
            params: { path: { project }, query: { ...page, filter } },
          }),
        ),
      limit,
    ),
  get: ({ client, project }, decision) =>
    found(
      client.GET('/v1/projects/{project}/decisions/{decision}', { params: { path: { project, decision } } }),
    ),
};

const events: Kind<Schemas['Event']> = {
  kind: 'Event',
  singular: 'event',
  plural: 'events',
  short: ['ev'],
  columns: columns.event,
  defaultLimit: 50,
  name: (item) => item.revision,
  async list({ client }, { filter, limit }) {
    const newestFirst = await pages(
      (page) => body(client.GET('/v1/events', { params: { query: { ...page, filter } } })),
      limit,
    );
    // Read from top to bottom, and --watch goes on below.
    return newestFirst.reverse();
  },
};

/** Every kind, in the order help shows them. */
export const kinds: readonly Kind<unknown>[] = [
  organizations,
  projects,
  tokens,
  sites,
  hosts,
  offers,
  images,
  sshKeys,
  instances,
  ...resourceKinds,
  operations,
  policies,
  violations,
  approvals,
  decisions,
  events,
];

export const instanceKind = instances;
export const operationKind = operations;
export const eventKind = events;
export const tokenKind = tokens;
export const violationKind = violations;
export const approvalKind = approvals;

/** Every word that names a kind, the plural first. */
export function kindWords(kind: Kind<unknown>): string[] {
  return [kind.plural, kind.singular, ...kind.short];
}

/** The kind that a word names: singular, plural, short, or as manifests write it. */
export function kindNamed(word: string): Kind<unknown> {
  const wanted = word.toLowerCase();
  const kind = kinds.find(
    (known) => kindWords(known).includes(wanted) || known.kind.toLowerCase() === wanted,
  );
  if (kind) return kind;
  const words = kinds.map((known) => known.plural);
  throw usageError(
    `Unknown kind "${word}".`,
    `${suggestion(
      word,
      kinds.flatMap((known) => [known.singular, known.plural]),
    )}Kinds: ${words.join(', ')}.`,
  );
}

/** The error for something that is not there. */
export function notFound(kind: Kind<unknown>, name: string, broker: Broker): CommandError {
  const inProject =
    kind.inProject || kind === instances || kind === sshKeys || kind === decisions
      ? ` in project ${broker.project}`
      : '';
  return new CommandError(`There is no ${kind.singular} "${name}"${inProject}.`, {
    exitCode: exitCodes.notFound,
    hint: `\`landfall get ${kind.plural}\` lists what there is.`,
  });
}
