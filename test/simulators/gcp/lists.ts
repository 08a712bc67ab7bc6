import { wordOf } from './estate.ts';
import { readFilter } from './filter.ts';
import { invalid } from './refusals.ts';
import { type Collection, type Json, pathOf, self, type World } from './world.ts';

const kindOf = (collection: Collection, list: string) => `compute#${wordOf[collection]}${list}`;
const unreachable = { code: 'UNREACHABLE', message: 'The scope could not be reached.' };

/** `projects/p/zones/z/…` → `zones/z`; `projects/p/global/…` → `global`. */
const scopeOf = (thing: Json): string => pathOf('', thing.selfLink).split('/').slice(2, -2).join('/');

function page(
  world: World,
  collection: Collection,
  query: URLSearchParams,
  wanted: (thing: Json) => boolean,
): { things: Json[]; next: { nextPageToken?: string } } {
  return pageOf(world, world.visible(collection).filter(wanted), query);
}

/** What a list's filter, size and page token choose. */
function pageOf(
  world: World,
  all: Json[],
  query: URLSearchParams,
): { things: Json[]; next: { nextPageToken?: string } } {
  const text = query.get('filter');
  const matches = text ? readFilter(text) : () => true;
  if (!matches) throw invalid(`Invalid value for field 'filter': '${text}'. Invalid list filter expression.`);
  const found = all.filter((thing) => matches(thing));
  const size = Math.min(world.faults.pageSize() ?? 500, Number(query.get('maxResults') ?? 500));
  const from = Number(query.get('pageToken') || 0);
  const next = found.length > from + size ? { nextPageToken: String(from + size) } : {};
  return { things: found.slice(from, from + size), next };
}

export function listed(world: World, collection: Collection, scope: string, query: URLSearchParams): Json {
  const kind = kindOf(collection, 'List');
  if (world.faults.unreachable(scope)) return { kind, id: collection, items: [], warning: unreachable };
  const { things, next } = page(world, collection, query, (thing) => scopeOf(thing) === scope);
  return { kind, id: collection, items: things, ...next };
}

export function operationsIn(world: World, place: string, query: URLSearchParams): Json {
  const { things, next } = pageOf(world, world.operations(place), query);
  return { kind: 'compute#operationList', id: place, items: things, ...next };
}

export function aggregated(world: World, collection: Collection, query: URLSearchParams): Json {
  const away = new Set<string>();
  const reached = (thing: Json) => !away.has(scopeOf(thing));
  for (const scope of world.faults.unreachables()) if (world.faults.unreachable(scope)) away.add(scope);
  const { things, next } = page(world, collection, query, reached);
  const items: Record<string, Json> = {};
  for (const scope of away) items[scope] = { warning: unreachable };
  for (const thing of things) {
    const scope = scopeOf(thing);
    items[scope] ??= { [collection]: [] };
    items[scope][collection].push(thing);
  }
  return {
    kind: kindOf(collection, 'AggregatedList'),
    id: collection,
    items,
    ...(away.size > 0 ? { unreachables: [...away].map((scope) => self(scope)) } : {}),
    ...next,
  };
}
