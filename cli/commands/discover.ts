/** `landfall discover`: what exists at sites without Landfall. */
import type { Schemas } from '@landfall/model';
import { counted, gib, moment, number } from '@landfall/model/quantities.ts';
import { body } from '../connection/broker.ts';
import { exitCodes, ProblemError, usageError } from '../errors.ts';
import { type Kind, kindNamed } from '../kinds.ts';
import { printable } from '../output/colours.ts';
import { type Column, renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';

export type Unmanaged = Schemas['Unmanaged'];

const columns: Column<Unmanaged>[] = [
  { header: 'KIND', cell: (item) => item.kind },
  { header: 'NAME', cell: (item) => item.name },
  { header: 'REGION', cell: (item) => item.region },
  { header: 'SIZE', cell: (item) => sizeOf(item) },
  { header: 'STATE', state: true, cell: (item) => item.power ?? item.state },
  { header: 'REFERENCE', cell: (item) => item.externalReference },
  { header: 'CANNOT BE ADOPTED', cell: (item) => item.refused },
  { header: 'SITE', wide: true, cell: (item) => item.site },
  { header: 'ZONE', wide: true, cell: (item) => item.zone },
  { header: 'HOST', wide: true, cell: (item) => item.host },
  { header: 'TYPE', wide: true, cell: (item) => item.instanceType ?? item.type },
  { header: 'ATTACHED TO', wide: true, cell: (item) => item.attachedTo },
  {
    header: 'ADDRESS',
    wide: true,
    cell: ({ addresses }) => addresses.map(({ address }) => address).join(', '),
  },
  { header: 'IMAGE', wide: true, cell: (item) => item.image },
  { header: 'CREATED', wide: true, cell: (item) => moment(item.createdAt, Date.now()) },
  {
    header: 'LABELS',
    wide: true,
    cell: ({ labels }) =>
      Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(', '),
  },
];

/** `2 vCPU, 1 GiB memory, 8 GiB disk`, as far as it is known; of a network `10.0.0.0/16, 2 subnets`; of anything else `8 GiB`. */
export function sizeOf({ kind, vcpus, memoryGiB, diskGiB, cidr, subnets }: Unmanaged): string | undefined {
  if (cidr !== undefined) return `${cidr}, ${counted(subnets?.length ?? 0, 'subnet')}`;
  if (kind !== 'Instance') return diskGiB === undefined ? undefined : gib(diskGiB);
  const parts = [
    vcpus === undefined ? undefined : `${number(vcpus)} vCPU`,
    memoryGiB === undefined ? undefined : `${gib(memoryGiB)} memory`,
    diskGiB === undefined ? undefined : `${gib(diskGiB)} disk`,
  ].filter((part) => part !== undefined);
  return parts.length > 0 ? parts.join(', ') : undefined;
}

/** In the order in which they can be adopted: what is attached to a machine comes after it. */
export const discoverable = [
  'Instance',
  'Volume',
  'Snapshot',
  'Image',
  'Network',
  'Firewall',
  'Address',
] as const;

export type Discoverable = (typeof discoverable)[number];

/** The API's word for the kind that the user names. */
export function kindOf(word: string): Discoverable {
  const { kind, singular } = kindNamed(word);
  const known = kind === 'CustomImage' ? 'Image' : kind;
  if ((discoverable as readonly string[]).includes(known)) return known as Discoverable;
  throw usageError(`A ${singular} cannot be discovered; an instance can.`);
}

/**
 * Everything of the kind at a site, or at all; without a kind, of each kind that the sites adopt. A site of several that cannot be
 * read is told and passed over.
 * @returns `isWhole` false where something could not be read.
 */
export async function unmanagedOf(
  session: Session,
  kind: Discoverable | undefined,
  site: string | undefined,
): Promise<{ items: Unmanaged[]; isWhole: boolean; sites: string[] }> {
  const sites = site === undefined ? await siteNames(session) : [site];
  const found: Unmanaged[] = [];
  let isWhole = true;
  for (const name of sites) {
    try {
      for (const each of kind === undefined ? await adoptableAt(session, name) : [kind]) {
        const { items, complete } = await everything(session, name, each);
        found.push(...items);
        if (complete) continue;
        session.notice(`site/${printable(name)}: a part of it could not be read; there may be more.`);
        isWhole = false;
      }
    } catch (error) {
      // Of the only site, nothing else is to be shown.
      if (site !== undefined || !(error instanceof ProblemError)) throw error;
      session.notice(`site/${printable(name)}: ${printable(error.message)}`);
      isWhole = false;
    }
  }
  return { items: found, isWhole, sites };
}

/** The kinds that the site adopts, as far as it has said; machines, where it has said nothing yet. */
async function adoptableAt({ broker }: Session, site: string): Promise<Discoverable[]> {
  const { status } = await body(broker.client.GET('/v1/sites/{site}', { params: { path: { site } } }));
  const verbs = new Map(status.capabilities?.map((capability) => [capability.kind, capability.verbs]));
  return discoverable.filter((kind) => (verbs.get(kind)?.adopt ?? kind === 'Instance') === true);
}

/** Lists what exists at sites and is not Landfall's. A site that cannot be read is told, and the others are shown: exit code 1. */
export async function discover(
  session: Session,
  kindWord: string | undefined,
  flags: { site?: string; kind?: string },
): Promise<number> {
  if (kindWord !== undefined && flags.kind !== undefined)
    throw usageError('Name the kind once: as an argument, or with --kind.');
  const word = kindWord ?? flags.kind;
  const kind = word === undefined ? undefined : kindOf(word);
  const { items: found, isWhole, sites } = await unmanagedOf(session, kind, flags.site);
  if (session.structured) session.outStructured({ items: found });
  else if (session.format === 'name') for (const item of found) session.out(`${nameOf(item)}\n`);
  else if (found.length > 0) {
    // A column for what is rare is shown only where it is needed.
    const shown = columns.filter(
      ({ header }) => header !== 'CANNOT BE ADOPTED' || found.some(({ refused }) => refused !== undefined),
    );
    session.out(renderTable(shown, found, { wide: session.format === 'wide', paint: session.paint }));
  } else if (isWhole) session.notice(`Nothing without Landfall at ${sites.join(', ') || 'no site'}.`);
  return isWhole ? exitCodes.ok : exitCodes.failed;
}

const nameOf = ({ kind, externalReference }: Unmanaged): string =>
  `${kind.toLowerCase()}/${externalReference}`;

export async function siteNames(session: Session): Promise<string[]> {
  const sites = kindNamed('site') as Kind<unknown>;
  return (await sites.list(session.broker, {})).map((site) => sites.name(site));
}

async function everything(
  session: Session,
  site: string,
  kind: Discoverable,
): Promise<{ items: Unmanaged[]; complete: boolean }> {
  const items: Unmanaged[] = [];
  let complete = true;
  for (let pageToken: string | undefined, first = true; first || pageToken !== undefined; first = false) {
    const page = await body(
      session.broker.client.GET('/v1/sites/{site}/unmanaged', {
        params: { path: { site }, query: { kind, ...(pageToken === undefined ? {} : { pageToken }) } },
      }),
    );
    items.push(...page.items);
    complete &&= page.complete;
    pageToken = page.nextPageToken;
  }
  return { items, complete };
}
