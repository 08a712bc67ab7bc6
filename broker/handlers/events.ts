import { readEventsBefore } from '@landfall/store';
import { PageError, readPageToken, writePageToken } from '@landfall/store/pages.ts';
import type { Handlers } from '../handler.ts';
import { eventScope, readRevision, streamEvents, watchStart } from '../watch.ts';

/** Events page by their revision, which is unique. */
const rules = { list: 'events' };
const order = 'revision desc';

export const eventHandlers = {
  async listEvents({ principal, query }, { db }) {
    const scope = eventScope(principal, query.filter, ['project', 'resource', 'operation', 'type']);
    const token = readPageToken(rules, query, order);
    const before = token ? readRevision(token.key) : null;
    if (token && !before) throw new PageError('pageToken', 'is not a token of this list', query.pageToken!);
    const size = query.pageSize ?? 50;
    const found = await readEventsBefore(db, scope, before, size + 1);
    const items = found.slice(0, size);
    const last = items.at(-1);
    const more =
      found.length > size && last
        ? { nextPageToken: writePageToken(rules, query, order, { key: last.revision, id: '' }) }
        : {};
    return { status: 200, body: { items, ...more } };
  },

  async watchEvents({ principal, query, lastEventId, authenticateAgain, signal }, broker) {
    const scope = eventScope(principal, query.filter, ['project', 'resource', 'type']);
    const start = await watchStart(broker, lastEventId);
    return {
      status: 200,
      contentType: 'text/event-stream',
      stream: (response) =>
        streamEvents(broker, scope, start, response, { principal, authenticateAgain, signal }),
    };
  },
} satisfies Partial<Handlers>;
