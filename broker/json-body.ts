import { Problem } from './problems.ts';

/** Deeper than anything the API has; bounds what walks over bodies, ours and PostgreSQL's. */
const deepest = 64;

/** The longest lists of a body: its fields' own, and those further inside. Bounds checks that compare items with each other. */
export interface ListLimits {
  outer: number;
  inner: number;
}

/** Longer than any list but those of a few operations. */
export const everyList: ListLimits = { outer: 5000, inner: 5000 };

/**
 * Parses a request body. Refuses, with the place, what is not JSON or not UTF-8, and what PostgreSQL cannot keep: the
 * character U+0000 and halves of surrogate pairs.
 */
export function parseJsonBody(bytes: Buffer, limits: ListLimits = everyList): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Problem('invalid', 'The body is not valid UTF-8.', { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const at = firstError(text);
    const before = text.slice(0, at);
    const line = before.split('\n').length;
    const column = at - before.lastIndexOf('\n');
    const found = at >= text.length ? 'the end of the body' : JSON.stringify(text.slice(at, at + 12));
    const message = `is not valid JSON at position ${at} (line ${line}, column ${column}), at ${found}`;
    throw new Problem('invalid', `The body ${message}.`, {
      errors: [{ pointer: '', message }],
      cause: error,
    });
  }
  refuseUnkeepable(value, limits);
  return value;
}

function refuseUnkeepable(root: unknown, limits: ListLimits): void {
  const stack: { value: unknown; pointer: string; depth: number }[] = [
    { value: root, pointer: '', depth: 0 },
  ];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { value, pointer, depth } = next;
    const refuse = (message: string): never => {
      throw new Problem('invalid', `The body ${message}${pointer ? ` at ${pointer}` : ''}.`, {
        errors: [{ pointer, message }],
      });
    };
    if (depth > deepest) refuse(`is nested deeper than ${deepest} levels`);
    if (typeof value === 'string') {
      if (value.includes('\0')) refuse('has the character U+0000, which cannot be kept');
      if (!value.isWellFormed()) refuse('has half of a surrogate pair, which is no character');
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) refuse('has a number beyond what can be kept');
    } else if (Array.isArray(value)) {
      const longest = depth > 1 ? limits.inner : limits.outer;
      if (value.length > longest) refuse(`has a list of more than ${longest} items`);
      for (const [index, item] of value.entries())
        stack.push({ value: item, pointer: `${pointer}/${index}`, depth: depth + 1 });
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        if (key === '__proto__' || key.includes('\0') || !key.isWellFormed())
          refuse(`has a field name that cannot be kept: ${JSON.stringify(key)}`);
        stack.push({ value: item, pointer: at, depth: depth + 1 });
      }
    }
  }
}

const space = /[ \t\n\r]*/y;
const scalar =
  /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null/y;

/** Offset of the first character at which `text` stops being JSON (V8 does not always say). */
export function firstError(text: string): number {
  let at = 0;
  const skip = (): void => {
    space.lastIndex = at;
    at += space.exec(text)![0].length;
  };
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at += match[0].length;
    return match !== null;
  };
  const open: ('[' | '{')[] = [];
  let expect: 'value' | 'valueOrEnd' | 'key' | 'keyOrEnd' | 'separator' = 'value';
  for (;;) {
    skip();
    const char = text[at];
    const within: '[' | '{' | undefined = open.at(-1);
    if (expect === 'separator') {
      if (within === undefined) return at;
      if (char === ',') expect = within === '{' ? 'key' : 'value';
      else if (char === (within === '{' ? '}' : ']')) open.pop();
      else return at;
      at++;
    } else if (expect === 'key' || expect === 'keyOrEnd') {
      if (expect === 'keyOrEnd' && char === '}') {
        open.pop();
        at++;
        expect = 'separator';
        continue;
      }
      if (char !== '"' || !take(scalar)) return at;
      skip();
      if (text[at] !== ':') return at;
      at++;
      expect = 'value';
    } else if (expect === 'valueOrEnd' && char === ']') {
      open.pop();
      at++;
      expect = 'separator';
    } else if (char === '[' || char === '{') {
      open.push(char);
      at++;
      expect = char === '[' ? 'valueOrEnd' : 'keyOrEnd';
    } else if (take(scalar)) expect = 'separator';
    else return at;
  }
}
