import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import {
  currentRevision,
  type EventScope,
  isTooOld,
  parseRevision,
  type Revision,
  readEventsAfter,
} from '@landfall/store';
import { PageError, parseFilter } from '@landfall/store/pages.ts';
import type { BrokerParts } from './broker.ts';
import type { Call } from './handler.ts';
import { jsonFor } from './json-for.ts';
import type { Principal } from './principal.ts';
import { Problem } from './problems.ts';

const bookmarkEveryMs = 10_000;
const batch = 200;

/** What a principal may read of the event log, narrowed by `filter`. */
export function eventScope(
  principal: Principal,
  filter: string | undefined,
  allowed: readonly ('project' | 'resource' | 'operation' | 'type')[],
): EventScope {
  const scope: EventScope = { organization: principal.organization };
  for (const { field, equal, value } of filter === undefined ? [] : parseFilter(filter)) {
    const known = allowed.find((each) => each === field);
    if (!known)
      throw new PageError(
        'filter',
        `cannot filter by \`${field}\`: fields here are ${allowed.join(', ')}`,
        field,
        allowed,
      );
    if (!equal) throw new PageError('filter', `has \`${field}!=\`: events are filtered by \`=\` only`, field);
    if (scope[known] !== undefined) throw new PageError('filter', `has \`${field}\` twice`, field);
    if (
      (known === 'resource' || known === 'operation') &&
      !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)
    ) {
      throw new PageError('filter', `\`${field}\` must be an id (a UUID), is "${value}"`, value);
    }
    scope[known] = value;
  }
  if (principal.project !== null) {
    if (scope.project !== undefined && scope.project !== principal.project)
      throw new Problem('not-found', `There is no project ${scope.project}.`);
    scope.project = principal.project;
  }
  return scope;
}

/** Reads a revision a caller sends; null where it is none that this database can have. */
export function readRevision(text: string): Revision | null {
  const revision = parseRevision(text);
  return revision && BigInt(revision.xid) < 2n ** 64n && BigInt(revision.id) < 2n ** 63n ? revision : null;
}

/** Where a watch starts: after `Last-Event-ID`, else now. Throws `gone` where events after it are no longer kept. */
export async function watchStart({ db }: BrokerParts, lastEventId: string | undefined): Promise<Revision> {
  const now = await currentRevision(db);
  if (lastEventId === undefined) return now;
  const revision = readRevision(lastEventId);
  if (!revision)
    throw new Problem('invalid', 'Last-Event-ID is not the id of an event.', {
      errors: [{ parameter: 'Last-Event-ID', message: 'is not the id of an event', value: lastEventId }],
    });
  // Beyond the end of the log: of another database, or of this one before it was restored from a backup.
  if ((await isTooOld(db, revision)) || BigInt(revision.xid) > BigInt(now.xid)) {
    throw new Problem(
      'gone',
      'Events after Last-Event-ID are no longer kept. Read the resources afresh and watch without it.',
    );
  }
  return revision;
}

/**
 * Writes events as they become readable until the caller goes, its token does, or the broker stops. Every ten seconds a bookmark says up to
 * where the log was read, so that a quiet watch can resume from there.
 */
export async function streamEvents(
  broker: BrokerParts,
  scope: EventScope,
  start: Revision,
  response: ServerResponse,
  {
    principal,
    authenticateAgain,
    signal,
  }: Pick<Call<'watchEvents'>, 'principal' | 'authenticateAgain' | 'signal'>,
): Promise<void> {
  const { db, feed, log } = broker;
  let place = start;
  let bookmarked = 0;
  let away = false;
  const write = async (text: string): Promise<void> => {
    if (response.write(text) || signal.aborted) return;
    await once(response, 'drain', { signal }).catch(() => undefined); // gone: the loop ends
  };
  while (!signal.aborted) {
    const next = feed.next(signal);
    try {
      await authenticateAgain();
      // Before the read: what the read then does not show is not there up to this place.
      const settled = await currentRevision(db);
      const events = await readEventsAfter(db, scope, place, batch);
      for (const event of events) {
        await write(`id: ${event.revision}\nevent: event\ndata: ${jsonFor(principal, event)}\n\n`);
        if (signal.aborted) return;
      }
      const last = events.at(-1);
      if (last) place = readRevision(last.revision)!;
      if (events.length === batch) continue;
      if (isAfter(settled, place)) place = settled;
      away = false;
      if (Date.now() - bookmarked >= bookmarkEveryMs) {
        const revision = `${place.xid}-${place.id}`;
        await write(`id: ${revision}\nevent: bookmark\ndata: ${JSON.stringify({ revision })}\n\n`);
        bookmarked = Date.now();
      }
    } catch (error) {
      // The caller comes again, and is told why it may not.
      if (error instanceof Problem && error.code === 'unauthenticated') return;
      // The place is kept, so nothing is missed once the database is back.
      if (!away) log.warn({ err: error }, 'a watch waits for the database');
      away = true;
      await write(': waiting for the database\n\n');
    }
    await next;
  }
}

function isAfter(a: Revision, b: Revision): boolean {
  const [ax, bx] = [BigInt(a.xid), BigInt(b.xid)];
  return ax === bx ? BigInt(a.id) > BigInt(b.id) : ax > bx;
}
