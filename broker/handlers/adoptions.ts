import type { InstanceSpec, Schemas } from '@landfall/model';
import {
  adoptInstance,
  adoptOther,
  checkAdoption,
  holderOf,
  managedAlready,
  managedAs,
  type ResourceKind,
  type ResourceSpec,
  siteQueues,
} from '@landfall/store';
import { getSite } from '@landfall/store/sites.ts';
import {
  DiscoveryFailed,
  type DiscoveryPage,
  type DiscoveryQuery,
  siteQueue,
  type Unmanaged,
} from '@landfall/workflows/client.ts';
import { knownOffer } from '@landfall/workflows/placement.ts';
import type { BrokerParts } from '../broker.ts';
import type { Handlers } from '../handler.ts';
import { Problem } from '../problems.ts';
import { accepted } from './instances.ts';

export const adoptionHandlers = {
  async listUnmanaged({ principal, params, query }, broker) {
    await getSite(broker.db, principal.organization, params.site);
    const { kind = 'Instance', externalReference, pageToken } = query;
    const { items, complete, nextPageToken } = await discover(broker, params.site, kind, {
      ref: externalReference,
      pageToken,
    });
    const body = { items: items.map((item) => shown(params.site, item)), complete };
    return { status: 200, body: nextPageToken === undefined ? body : { ...body, nextPageToken } };
  },

  async adoptResource({ principal, params, body, query, requester }, broker) {
    const { db } = broker;
    const { organization } = principal;
    const { project } = params;
    const { name, site, externalReference, labels = {} } = body;
    const { spec: siteSpec } = await getSite(db, organization, site);
    const asker = { project, isOfOneProject: principal.project !== null };
    checkUser(body);
    const found = await findUnmanaged(broker, site, body.kind, externalReference, asker);
    const { kind } = body;
    const refused = found.refused ?? unknownSize(found);
    if (refused !== undefined)
      throw new Problem('conflict', `${externalReference} cannot be adopted: ${refused}.`, {
        errors: [{ pointer: '/externalReference', message: refused, value: externalReference }],
      });
    if (isOther(kind)) {
      const adopted = await adoptOther(db, {
        ...requester,
        ...asker,
        kind: resourceKindOf(kind),
        name,
        labels,
        externalReference: found.ref,
        at: { site, provider: siteSpec.provider, ...found.location },
        spec: otherSpecOf(found, body.user),
        attachedTo: found.attachedTo,
        volume: found.volume,
        validateOnly: query.validateOnly,
      });
      return adopted ? accepted(adopted.operation, adopted.resource.revision) : { status: 204 };
    }
    if (kind !== 'Instance')
      throw new Problem('unprocessable', `A ${kind} cannot be adopted.`, {
        errors: [{ pointer: '/kind', message: 'cannot be adopted', value: kind }],
      });
    const { region, zone = null, host = null } = found.location;
    const { instanceType = 'custom', market = 'onDemand', architecture = 'x86_64' } = found;
    const { vcpus = 0, memoryGiB = 0 } = found;
    const offer = await knownOffer(db, organization, {
      site,
      provider: siteSpec.provider,
      region,
      zone,
      host,
      instanceType,
      market,
      vcpus,
      memoryGiB,
      architecture,
    });
    const request = {
      ...requester,
      ...asker,
      name,
      labels,
      externalReference: found.ref,
      offer,
      spec: specOf(found),
    };
    if (query.validateOnly) {
      await checkAdoption(db, request);
      return { status: 204 };
    }
    const { instance, operation } = await adoptInstance(db, request);
    return accepted(operation, instance.revision);
  },
} satisfies Partial<Handlers>;

const others = ['Volume', 'Snapshot', 'Image', 'Network', 'Address'] as const;
const isOther = (kind: string): kind is (typeof others)[number] =>
  (others as readonly string[]).includes(kind);

/** An adapter's kind as the project's. */
function resourceKindOf(kind: Exclude<DiscoveryQuery['kind'], 'Instance'>): ResourceKind {
  return kind === 'Image' ? 'CustomImage' : kind;
}

/** No provider knows whom one logs in as on an image, and of nothing else it is asked. */
function checkUser({ kind, user }: Schemas['AdoptionInput']): void {
  if ((kind === 'Image') === (user !== undefined)) return;
  const message =
    kind === 'Image'
      ? 'is needed: whom does one log in as on what is made from this image?'
      : `is of an image: a ${kind} has none`;
  throw new Problem('invalid', `\`user\` ${message}`, {
    errors: [{ pointer: '/user', message, value: user }],
  });
}

/** Why what the provider does not say the size of cannot be had: limits, ledger and policies need a machine's, and a volume only grows. */
function unknownSize(found: Unmanaged): string | undefined {
  const { kind, vcpus, memoryGiB, diskGiB, cidr, subnets, architecture } = found;
  if (kind === 'Network')
    return cidr && subnets?.length ? undefined : 'its provider does not say which addresses it has';
  if (kind === 'Image')
    return architecture ? undefined : 'its provider does not say for which processors it is';
  if (kind === 'Volume') return diskGiB ? undefined : 'its provider does not say how large it is';
  if (kind !== 'Instance') return undefined;
  return vcpus && memoryGiB
    ? undefined
    : 'its provider does not say how many vCPUs and how much memory it has';
}

/** What is wanted of it from now on is what it is. What is not known stays absent: its image, its keys, its user data. */
function specOf(found: Unmanaged): InstanceSpec {
  const { vcpus = 0, memoryGiB = 0, diskGiB, architecture, market, power, addresses } = found;
  return {
    vcpus,
    memoryGiB,
    ...(diskGiB === undefined ? {} : { diskGiB }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(market === undefined ? {} : { market }),
    power: power === 'running' || power === 'pending' ? 'running' : 'stopped',
    publicAddress: addresses.some(({ type }) => type === 'external'),
  } as InstanceSpec;
}

/** The same of anything else: what its provider calls the type of a volume is none that can be asked for. */
function otherSpecOf(found: Unmanaged, user: string | undefined): ResourceSpec {
  const { kind, diskGiB, cidr, subnets, architecture } = found;
  if (kind === 'Volume') return { sizeGiB: diskGiB };
  if (kind === 'Image') return { architecture, user, ...(diskGiB ? { minDiskGiB: Math.ceil(diskGiB) } : {}) };
  return kind === 'Network' ? { cidr, subnets } : {};
}

async function findUnmanaged(
  broker: BrokerParts,
  site: string,
  kind: DiscoveryQuery['kind'],
  ref: string,
  asker: { project: string; isOfOneProject: boolean },
): Promise<Unmanaged> {
  const holder = await holderOfKind(broker, site, kind, ref);
  if (holder)
    throw new Problem('conflict', `${managedAlready(ref, kind.toLowerCase(), holder, asker)}.`, {
      errors: [{ pointer: '/externalReference', message: 'is managed already', value: ref }],
    });
  let isComplete = true;
  for (let pageToken: string | undefined, pages = 0; pages === 0 || pageToken !== undefined; pages += 1) {
    const answer = await discover(broker, site, kind, { ref, pageToken });
    // Its reference as the provider's adapter writes it: whoever asks may have written it otherwise (Azure's, in another case).
    const [found] = answer.items;
    if (found) return found;
    isComplete &&= answer.complete;
    pageToken = answer.nextPageToken;
  }
  if (!isComplete)
    throw new Problem(
      'unavailable',
      `A part of site ${site} could not be read, and ${ref} is not in the rest.`,
      {
        headers: { 'retry-after': '5' },
      },
    );
  throw new Problem('unprocessable', `Site ${site} has no ${kind} ${ref} that is not Landfall's.`, {
    errors: [
      {
        pointer: '/externalReference',
        message: `is not there; \`landfall discover --site ${site}\` lists what is`,
        value: ref,
      },
    ],
  });
}

async function holderOfKind({ db }: BrokerParts, site: string, kind: DiscoveryQuery['kind'], ref: string) {
  if (kind === 'Instance') return holderOf(db, site, ref);
  return managedAs(db, site, resourceKindOf(kind), ref);
}

/** One page of one of the site's queues: a cloud has one, an on-prem site one per host, one after the other. */
async function discover(
  { db, signals, installation }: BrokerParts,
  site: string,
  kind: DiscoveryQuery['kind'],
  { ref, pageToken }: { ref?: string; pageToken?: string },
): Promise<DiscoveryPage & { nextPageToken?: string }> {
  const queues = (await siteQueues(db)).filter((queue) => queue.site === site);
  const { at, page } = readToken(pageToken);
  const queue = queues[at];
  if (!queue) {
    if (pageToken === undefined) return { items: [], complete: true };
    throw notAPage();
  }
  if (!(await signals.ready()))
    throw new Problem('unavailable', 'The workflow engine is away for now, and sites are read through it.', {
      headers: { 'retry-after': '5' },
    });
  const after = at + 1 < queues.length ? writeToken({ at: at + 1 }) : undefined;
  const where = queue.host ? `host ${queue.host} of site ${site}` : `Site ${site}`;
  try {
    const answer = await signals.discover({
      queue: siteQueue(site, queue.host),
      query: { kind, broker: installation, ...(ref ? { ref } : {}), ...(page ? { page } : {}) },
    });
    const nextPageToken = answer.nextPage ? writeToken({ at, page: answer.nextPage }) : after;
    return { ...answer, nextPageToken };
  } catch (error) {
    if (!(error instanceof DiscoveryFailed)) throw error;
    // One host that is silent does not hide the others.
    if (error.code !== 'Invalid' && queues.length > 1)
      return { items: [], complete: false, nextPageToken: after };
    const code = error.code === 'Invalid' ? 'unprocessable' : 'unavailable';
    throw new Problem(code, `${where} could not be read: ${error.message}.`, {
      ...(code === 'unavailable' ? { headers: { 'retry-after': '5' } } : {}),
      cause: error,
    });
  }
}

function shown(site: string, item: Unmanaged): Schemas['Unmanaged'] {
  const { ref, location, ...rest } = item;
  return { ...rest, externalReference: ref, site, ...location };
}

interface Token {
  at: number;
  page?: string;
}

function writeToken(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function readToken(text: string | undefined): Token {
  if (text === undefined) return { at: 0 };
  try {
    const { at, page } = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Token;
    if (Number.isInteger(at) && at >= 0 && (page === undefined || typeof page === 'string'))
      return { at, page };
  } catch {
    // not even JSON
  }
  throw notAPage();
}

function notAPage(): Problem {
  return new Problem('invalid', 'Query parameter `pageToken` is not one of this list.', {
    errors: [{ parameter: 'pageToken', message: 'must be `nextPageToken` of the page before' }],
  });
}
