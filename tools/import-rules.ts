/**
 * The rule of the house (docs/architecture.md): lower rooms never import upper ones. Here are the rule, and
 * a reader that finds the imports of a source without a compiler.
 */
import { dirname, normalize, relative, resolve } from 'node:path';

/** What each workspace may import of the others; a single file where only that is open. */
export const mayImport: Record<string, readonly string[]> = {
  model: [],
  policies: ['model'],
  prices: ['policies', 'model'],
  adapters: ['model'],
  store: ['model'],
  'onprem-agent': ['adapters', 'model'],
  workflows: ['policies', 'prices', 'adapters', 'store', 'model'],
  broker: ['store', 'policies', 'model', 'workflows/client.ts', 'workflows/placement.ts'],
  mcp: ['model'],
  cli: ['model', 'policies', 'mcp'],
  'vscode-extension': ['model', 'policies', 'mcp', 'cli/client.ts'],
  console: ['model'],
};

/** Rooms that may import anything: they put the others together. */
const free = new Set(['test', 'tools']);

/** Relative imports across a border that have no other way. */
const relativeExceptions = new Set(['cli/bin/landfall.mjs -> tools/node24.mjs']);

/** An import that breaks the rule. */
export interface Violation {
  file: string;
  line: number;
  specifier: string;
  rule: string;
}

const mask = '\u0001';

/** Whether a slash after this text begins a regular expression rather than a division. */
function startsRegex(before: string): boolean {
  const text = before.trimEnd();
  return (
    text === '' ||
    /[(,=:[!&|?{};<>+\-*%~^]$/.test(text) ||
    /\b(return|typeof|case|in|of|void|throw|await|yield)$/.test(text)
  );
}

/**
 * The source with comments blanked and the content of strings, templates and regular expressions masked,
 * every character at its place: what looks like an import in it is one.
 */
export function maskSource(source: string): string {
  let out = '';
  let at = 0;
  const keepLines = (text: string, fill: string) => text.replace(/[^\n]/g, fill);
  while (at < source.length) {
    const two = source.slice(at, at + 2);
    const one = source[at] as string;
    if (two === '//') {
      const end = source.indexOf('\n', at);
      const stop = end < 0 ? source.length : end;
      out += keepLines(source.slice(at, stop), ' ');
      at = stop;
    } else if (two === '/*') {
      const end = source.indexOf('*/', at + 2);
      const stop = end < 0 ? source.length : end + 2;
      out += keepLines(source.slice(at, stop), ' ');
      at = stop;
    } else if (one === '"' || one === "'" || one === '`' || (one === '/' && startsRegex(out))) {
      let end = at + 1;
      let inClass = false;
      while (end < source.length && (inClass || source[end] !== one)) {
        if (one === '/' && source[end] === '[') inClass = true;
        else if (one === '/' && source[end] === ']') inClass = false;
        if (source[end] === '\\') end++;
        else if (source[end] === '\n' && one !== '`') break; // not closed on its line: not what we took it for
        end++;
      }
      out += one + keepLines(source.slice(at + 1, end), mask) + (source[end] ?? '');
      at = end + 1;
    } else {
      out += one;
      at++;
    }
  }
  return out;
}

/** Every specifier a source imports or exports from, with its line. Computed ones are not seen. */
export function importsOf(source: string): { specifier: string; line: number }[] {
  const masked = maskSource(source);
  const found: { specifier: string; line: number }[] = [];
  const pattern =
    /\b(?:import|export)\b[^;'"`()=]*?\bfrom\s*(?<from>["'])|\bimport\s*(?:\(\s*)?(?<bare>["'`])|\bimport\s*\(\s*(?<call>["'`])/g;
  for (const match of masked.matchAll(pattern)) {
    const start = match.index + match[0].length;
    let end = start;
    while (masked[end] === mask) end++;
    const line = masked.slice(0, start).split('\n').length;
    found.push({ specifier: source.slice(start, end), line });
  }
  return found;
}

/** A test, or what only tests use: files in a folder called `testing`. */
function isTest(file: string): boolean {
  return /\.test\.(ts|mts|mjs)$/.test(file) || file.split('/').includes('testing');
}

function allowedFor(room: string, file: string): string[] {
  const rooms = [...(mayImport[room] ?? [])];
  // A test may need a database or a simulator, which the rooms at the top provide.
  if (isTest(file)) rooms.push('test', 'tools');
  return rooms;
}

/** The violations in one file. `file` is relative to the repository's root, with slashes. */
export function violationsIn(file: string, source: string): Violation[] {
  const room = file.split('/')[0] as string;
  if (free.has(room)) return [];
  const violations: Violation[] = [];
  for (const { specifier, line } of importsOf(source)) {
    const rule = verdict(room, file, specifier);
    if (rule !== undefined) violations.push({ file, line, specifier, rule });
  }
  return violations;
}

function verdict(room: string, file: string, specifier: string): string | undefined {
  if (mayImport[room] === undefined) {
    return `${room} is not in the house: give it a place in tools/import-rules.ts and docs/architecture.md`;
  }
  const allowed = allowedFor(room, file);
  if (!isTest(file) && specifier.split('/').includes('testing'))
    return 'what is for tests must not be used elsewhere';
  if (specifier.startsWith('.')) {
    const target = normalize(relative('/', resolve('/', dirname(file), specifier)));
    const targetRoom = target.split('/')[0] as string;
    if (targetRoom === room || relativeExceptions.has(`${file} -> ${target}`)) return undefined;
    if (isTest(file) && free.has(targetRoom)) return undefined;
    return `a relative import must not leave its workspace: write @landfall/${targetRoom}/…, if ${room} may import ${targetRoom} at all`;
  }
  // The command line's package has the name of what it installs.
  const own = /^@landfall\/([^/]+)(?:\/(.*))?$/.exec(specifier.replace(/^landfall(?=\/|$)/, '@landfall/cli'));
  if (own === null) return undefined;
  const [, target = '', sub = 'index.ts'] = own;
  if (target === room || allowed.includes(target) || allowed.includes(`${target}/${sub}`)) return undefined;
  const parts = allowed.filter((each) => each.startsWith(`${target}/`));
  if (parts.length > 0) return `${room} may import of ${target} only ${parts.join(' and ')}`;
  return `${room} may import only ${(mayImport[room] ?? []).join(', ') || 'no other workspace'}`;
}
