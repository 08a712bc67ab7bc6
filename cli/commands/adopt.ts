/** `landfall adopt`: makes what exists at a site Landfall's. */
import { body, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes, ProblemError, usageError } from '../errors.ts';
import { printable } from '../output/colours.ts';
import type { Session } from '../session.ts';
import { type AdoptAllFlags, adoptAll } from './adopt-all.ts';
import { type Discoverable, kindOf, siteNames } from './discover.ts';
import { labelsOf } from './labels.ts';
import { finish, type WaitFlags } from './lifecycle.ts';

/** Flags of `adopt`. */
export interface AdoptFlags extends WaitFlags {
  as?: string;
  site?: string;
  labels?: string;
  /** Of an image: whom one logs in as. */
  user?: string;
  dryRun?: boolean;
}

/** Makes what exists the project's: what is named, under a name of its own, or with `--all` everything. */
export async function adopt(
  session: Session,
  kindWord: string | undefined,
  reference: string | undefined,
  { all, as: name, ...flags }: AdoptFlags & AdoptAllFlags & { all?: boolean },
): Promise<number> {
  if (kindWord === undefined && !all)
    throw usageError('Adopt what?', '`landfall discover` lists it; --all takes everything.');
  const kind = kindWord === undefined ? undefined : kindOf(kindWord);
  if (all) {
    if (reference !== undefined || name !== undefined)
      throw usageError('Name one thing with --as, or give --all; not both.');
    return adoptAll(session, kind, flags);
  }
  if (flags.name !== undefined || flags.selector !== undefined)
    throw usageError('--name and --selector choose among what --all adopts.');
  if (kind === undefined || reference === undefined)
    throw usageError('Adopt what?', '`landfall discover` lists it; --all takes everything.');
  if (name === undefined) throw usageError('Its name from now on? Give it with --as.');
  const { broker } = session;
  const site = flags.site ?? (await siteOf(session, kind, reference));
  // An image of a project's own is another kind than the catalogue's.
  const subject = `${kind === 'Image' ? 'customimage' : kind.toLowerCase()}/${name}`;
  const labels = labelsOf(flags.labels);
  try {
    const operation = await body(
      broker.client.POST('/v1/projects/{project}/adoptions', {
        params: {
          path: { project: broker.project },
          header: idempotencyKey(),
          query: { validateOnly: flags.dryRun ?? false },
        },
        body: {
          kind,
          site,
          externalReference: reference,
          name,
          ...userOf(kind, flags.user),
          ...(labels ? { labels } : {}),
        },
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

/** Of an image, and of nothing else, it has to be said whom one logs in as. */
function userOf(kind: Discoverable, user: string | undefined): { user?: string } {
  if (kind === 'Image' && user === undefined)
    throw usageError('Whom does one log in as on what is made from this image? Say it with --user.');
  if (kind !== 'Image' && user !== undefined) throw usageError('--user is of images.');
  return user === undefined ? {} : { user };
}

/** The one site that has it. */
async function siteOf(session: Session, kind: Discoverable, externalReference: string): Promise<string> {
  const names = await siteNames(session);
  if (names.length === 1) return names[0]!;
  const unread: string[] = [];
  for (const site of names) {
    try {
      for (let pageToken: string | undefined, first = true; first || pageToken !== undefined; first = false) {
        const query = { kind, externalReference, ...(pageToken === undefined ? {} : { pageToken }) };
        const page = await body(
          session.broker.client.GET('/v1/sites/{site}/unmanaged', { params: { path: { site }, query } }),
        );
        if (page.items.length > 0) return site;
        if (!page.complete) unread.push(`site/${site} (a part of it)`);
        pageToken = page.nextPageToken;
      }
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      // One that does not adopt the kind is not the one.
      if (error.problem.status !== 422) unread.push(`site/${site} (${printable(error.message)})`);
    }
  }
  if (unread.length > 0)
    throw new CommandError(
      `${printable(externalReference)} is at no site that could be read. Not read: ${unread.join(', ')}.`,
      { hint: 'Name the site: --site.' },
    );
  throw new CommandError(`No site has ${printable(externalReference)} without Landfall.`, {
    exitCode: exitCodes.notFound,
    hint: 'List what there is: `landfall discover`. Or name the site: --site.',
  });
}
