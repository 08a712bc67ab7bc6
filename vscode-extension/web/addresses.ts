/** Addresses of files on their way between the editor and the language server, which knows files only, whatever the workspace is kept in. */

/** A message with each address of one beginning put under another. */
export function readdressed<T>(value: T, from: string, to: string): T {
  const change = (each: unknown): unknown => {
    if (typeof each === 'string') return each.startsWith(from) ? to + each.slice(from.length) : each;
    if (Array.isArray(each)) return each.map(change);
    if (each === null || typeof each !== 'object') return each;
    // Of an edit of several files the keys are addresses, too.
    return Object.fromEntries(Object.entries(each).map(([key, inner]) => [change(key), change(inner)]));
  };
  return (from === to ? value : change(value)) as T;
}
