/** The methods of Google's API by those of HTTP; of GET it is `list` where the path ends with the collection. */
const methods: Record<string, string> = { POST: 'insert', PATCH: 'patch', PUT: 'update', DELETE: 'delete' };

/** What Google's documents call a request: `instances.insert`, `instances.start`, `zoneOperations.get`. */
export function callName(method: string, url: string): string {
  const [, path = ''] = /\/projects\/[^/]+\/?(.*)$/.exec(new URL(url).pathname) ?? [];
  const [scope = '', ...rest] = path.split('/');
  if (scope === '') return 'projects.get';
  if (scope === 'aggregated') return `${rest[0]}.aggregatedList`;
  const placed = scope === 'zones' || scope === 'regions' ? rest.slice(1) : rest;
  // A zone or a region itself.
  const [collection = scope, name, verb] = placed;
  if (placed.length === 0) return `${scope}.${rest.length > 0 ? 'get' : 'list'}`;
  const shown = collection === 'operations' ? `${scope.replace(/s$/, '')}Operations` : collection;
  if (name === 'family') return `${shown}.getFromFamily`;
  return `${shown}.${verb ?? methods[method] ?? (name === undefined ? 'list' : 'get')}`;
}
