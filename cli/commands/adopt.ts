/** `landfall discover` and `landfall adopt`: what exists at sites without Landfall, and making it Landfall's. */
import type { Schemas } from '@landfall/model';
import { body, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes, ProblemError, usageError } from '../errors.ts';
import { type Kind, kindNamed } from '../kinds.ts';
import { printable } from '../output/colours.ts';
import { gib, moment, number } from '../output/quantities.ts';
import { type Column, renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';
import { finish, type WaitFlags } from './lifecycle.ts';

type Unmanaged = Schemas['Unmanaged'];

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
  { header: 'TYPE', wide: true, cell: (item) => item.instanceType },
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

/** `2 vCPU, 1 GiB memory, 8 GiB disk`, as far as it is known. */
function sizeOf({ vcpus, memoryGiB, diskGiB }: Unmanaged): string | undefined {
  const parts = [
    vcpus === undefined ? undefined : `${number(vcpus)} vCPU`,
    memoryGiB === undefined ? undefined : `${gib(memoryGiB)} memory`,
    diskGiB === undefined ? undefined : `${gib(diskGiB)} disk`,
  ].filter((part) => part !== undefined);
  return parts.length > 0 ? parts.join(', ') : undefined;
}

const discoverable = ['Instance', 'Volume', 'Snapshot', 'Image', 'Network', 'Firewall', 'Address'] as const;

type Discoverable = (typeof discoverable)[number];

/** The API's word for the kind that the user names. */
function kindOf(word: string): Discoverable {
  const { kind, singular } = kindNamed(word);
  const known = kind === 'CustomImage' ? 'Image' : kind;
  if ((discoverable as readonly string[]).includes(known)) return known as Discoverable;
  throw usageError(`A ${singular} cannot be discovered; an instance can.`);
}

/** Lists what exists at sites and is not Landfall's. A site that cannot be read is told, and the others are shown: exit code 1. */
export async function discover(session: Session, flags: { site?: string; kind?: string }): Promise<number> {
  const kind = kindOf(flags.kind ?? 'instance');
  const names = flags.site === undefined ? await siteNames(session) : [flags.site];
  const found: Unmanaged[] = [];
  let code: number = exitCodes.ok;
  for (const site of names) {
    try {
      const { items, complete } = await everything(session, site, kind);
      found.push(...items);
      if (complete) continue;
      session.notice(`site/${printable(site)}: a part of it could not be read; there may be more.`);
    } catch (error) {
      // Of the only site, nothing else is to be shown.
      if (flags.site !== undefined || !(error instanceof ProblemError)) throw error;
      session.notice(`site/${printable(site)}: ${printable(error.message)}`);
    }
    code = exitCodes.failed;
  }
  if (session.structured) session.outStructured({ items: found });
  else if (session.format === 'name') for (const item of found) session.out(`${nameOf(item)}\n`);
  else if (found.length > 0) {
    // A column for what is rare is shown only where it is needed.
    const shown = columns.filter(
      ({ header }) => header !== 'CANNOT BE ADOPTED' || found.some(({ refused }) => refused !== undefined),
    );
    session.out(renderTable(shown, found, { wide: session.format === 'wide', paint: session.paint }));
  } else if (code === exitCodes.ok)
    session.notice(`Nothing without Landfall at ${names.join(', ') || 'no site'}.`);
  return code;
}

const nameOf = ({ kind, externalReference }: Unmanaged): string =>
  `${kind.toLowerCase()}/${externalReference}`;

async function siteNames(session: Session): Promise<string[]> {
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

/** Flags of `adopt`. */
export interface AdoptFlags extends WaitFlags {
  as: string;
  site?: string;
  labels?: string;
  dryRun?: boolean;
}

/** Makes what exists the project's, under this name. */
export async function adopt(
  session: Session,
  kindWord: string,
  reference: string,
  flags: AdoptFlags,
): Promise<number> {
  const kind = kindOf(kindWord);
  if (kind !== 'Instance') throw usageError(`A ${kindWord} cannot be adopted yet; an instance can.`);
  const { broker } = session;
  const site = flags.site ?? (await siteOf(session, kind, reference));
  const subject = `instance/${flags.as}`;
  const labels = labelsOf(flags.labels);
  try {
    const operation = await body(
      broker.client.POST('/v1/projects/{project}/adoptions', {
        params: {
          path: { project: broker.project },
          header: idempotencyKey(),
          query: { validateOnly: flags.dryRun ?? false },
        },
        body: { kind, site, externalReference: reference, name: flags.as, ...(labels ? { labels } : {}) },
      }),
    );
    const doing = flags.dryRun ? 'can be adopted (dry run)' : 'adopting';
    if (!session.structured) session.out(`${subject} ${doing} ${printable(reference)} at site/${site}\n`);
    if (flags.dryRun || !operation) return exitCodes.ok;
    return await finish(session, [{ subject, operation }], flags);
  } catch (error) {
    if (error instanceof ProblemError) error.subject ??= subject;
    throw error;
  }
}

/** The one site that has it. */
async function siteOf(session: Session, kind: Discoverable, externalReference: string): Promise<string> {
  const names = await siteNames(session);
  if (names.length === 1) return names[0]!;
  for (const site of names) {
    try {
      for (let pageToken: string | undefined, first = true; first || pageToken !== undefined; first = false) {
        const query = { kind, externalReference, ...(pageToken === undefined ? {} : { pageToken }) };
        const page = await body(
          session.broker.client.GET('/v1/sites/{site}/unmanaged', { params: { path: { site }, query } }),
        );
        if (page.items.length > 0) return site;
        pageToken = page.nextPageToken;
      }
    } catch (error) {
      // A site that cannot be read, or cannot adopt, is not the one; --site says otherwise.
      if (!(error instanceof ProblemError)) throw error;
    }
  }
  throw new CommandError(`No site has ${printable(externalReference)} without Landfall.`, {
    exitCode: exitCodes.notFound,
    hint: 'List what there is: `landfall discover`. Or name the site: --site.',
  });
}

/** `env=prod,team=web`. */
function labelsOf(given: string | undefined): Record<string, string> | undefined {
  if (given === undefined) return undefined;
  return Object.fromEntries(
    given.split(',').map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw usageError(`--labels must be key=value pairs joined by commas, not "${given}".`);
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  );
}
