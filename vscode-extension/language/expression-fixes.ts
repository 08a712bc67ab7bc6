/** Repairs of CEL: each is tried, and offered where the expression then has fewer mistakes. */
import { checkExpression } from '@landfall/policies/cel/check.ts';
import { OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES } from '@landfall/policies/cel/schema.ts';
import type { CodeAction } from 'vscode-languageserver';
import { type Broken, type Fix, fix, isInFlow, replacement, written } from './edits.ts';
import { type ExpressionAt, expressionAt, variablesOf } from './expression.ts';
import { meant } from './field-fixes.ts';

/** One stretch of an expression with another text. */
interface Change {
  start: number;
  end: number;
  text: string;
}

/** A way to write an expression, from its text and the place in it that is complained of. */
type Attempt = (text: string, at: ExpressionAt) => { title: string; changes: Change[] }[];

/** The likely ways that make the expression better. */
function attempts(...ways: Attempt[]): Fix {
  return (broken) => {
    const at = expressionAt(broken.file, broken.diagnostic.range.start);
    if (at === undefined) return [];
    const before = mistakes(at, at.text);
    return ways.flatMap((way) =>
      way(at.text, at).flatMap(({ title, changes }): CodeAction[] =>
        changes.length > 0 && mistakes(at, changed(at.text, changes)) < before
          ? fix(title, broken, editsOf(broken, at, changes))
          : [],
      ),
    );
  };
}

/** How much is wrong with an expression; what cannot be parsed is worse than anything that can be. */
function mistakes({ part, meaning }: ExpressionAt, text: string): number {
  const variables = Object.fromEntries(variablesOf(part).map(({ name, type }) => [name, type]));
  const { wanted, ...readable } = meaning.options;
  const { issues } = checkExpression(text, {
    offer: false,
    ...readable,
    variables,
    ...(wanted === 'bool' && { wanted }),
  });
  return issues.some(({ code }) => code === 'cel-syntax') ? Infinity : issues.length;
}

function changed(text: string, changes: readonly Change[]): string {
  return [...changes]
    .sort((a, b) => b.start - a.start)
    .reduce((all, { start, end, text: by }) => all.slice(0, start) + by + all.slice(end), text);
}

function editsOf(broken: Broken, { offsets, part, meaning }: ExpressionAt, changes: readonly Change[]) {
  const { node } = meaning;
  const text = changed(meaning.text, changes);
  // Where quotes are doubled or escaped, the whole is written anew: what is put in may need it, too.
  if (node.type === 'QUOTE_DOUBLE') return [replacement(broken, node, JSON.stringify(text))];
  if (node.type === 'QUOTE_SINGLE') return [replacement(broken, node, `'${text.replaceAll("'", "''")}'`)];
  // And where it would be something else in YAML: `!` begins a tag there.
  const safe = written(text, { flow: isInFlow(broken) });
  if (node.type === 'PLAIN' && safe !== text) return [replacement(broken, node, safe)];
  return changes.map(({ start, end, text }) => ({
    range: broken.file.rangeOf(part, [offsets[start]!, offsets[end]!]),
    newText: text,
  }));
}

/** Stretches of an expression outside its texts that a pattern finds. */
function found(text: string, pattern: RegExp): RegExpExecArray[] {
  const strings = [...text.matchAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g)];
  return [...text.matchAll(pattern)].filter(
    ({ index }) => !strings.some((one) => one.index <= index && index < one.index + one[0].length),
  ) as RegExpExecArray[];
}

const changeOf = (match: RegExpExecArray, text: string): Change => ({
  start: match.index,
  end: match.index + match[0].length,
  text,
});

/** Words and signs of other languages, with those of CEL. */
const SIGNS: Record<string, string> = {
  and: '&&',
  or: '||',
  not: '!',
  '=': '==',
  '===': '==',
  '!==': '!=',
  '<>': '!=',
  '&': '&&',
  '|': '||',
  '=>': '>=',
  '=<': '<=',
};

const inSignsOfCel: Attempt = (text) => {
  const wrong = found(text, /\b(?:and|or|AND|OR)\b|\b(?:not|NOT) +|[=!<>&|]+/g).flatMap((match) => {
    const sign = SIGNS[match[0].trim().toLowerCase()];
    return sign === undefined ? [] : [{ match, sign }];
  });
  const changes = wrong.map(({ match, sign }) => changeOf(match, sign));
  const signs = new Set(wrong.map(({ match, sign }) => `${match[0].trim()} as ${sign}`));
  return [{ title: `Write ${[...signs].join(', ')}`, changes }];
};

/** Brackets and quotes that are not closed, operators that nothing follows. */
const closed: Attempt = (text) => {
  const open: string[] = [];
  let quote = '';
  for (const [i, char] of [...text].entries()) {
    if (quote !== '') {
      if (char === quote && text[i - 1] !== '\\') quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char in CLOSING) open.push(CLOSING[char]!);
    else if (char === open.at(-1)) open.pop();
  }
  const end = text.trimEnd().length;
  const missing = quote + open.reverse().join('');
  const loose = /\s*(?:&&|\|\||[)\]}])$/.exec(text.slice(0, end));
  return [
    ...(missing === '' ? [] : [{ title: `Add ${missing}`, changes: [{ start: end, end, text: missing }] }]),
    ...(loose === null
      ? []
      : [{ title: `Remove ${loose[0].trim()}`, changes: [changeOf(loose as RegExpExecArray, '')] }]),
  ];
};

const CLOSING: Record<string, string> = { '(': ')', '[': ']', '{': '}' };

/** Whole numbers as doubles, and doubles that are whole as such. */
const numbersOfTheirType: Attempt = (text) => [
  ...found(text, /(?<![\w."'-])\d+(?![\w."'])/g).map((match) => ({
    title: `Write ${match[0]} as ${match[0]}.0`,
    changes: [changeOf(match, `${match[0]}.0`)],
  })),
  ...found(text, /(?<![\w."'-])(\d+)\.0+(?![\w."'])/g).map((match) => ({
    title: `Write ${match[0]} as ${match[1]}`,
    changes: [changeOf(match, match[1]!)],
  })),
];

/** Numbers, `true` and `false` without quotes, numbers with them where a text is wanted, and a text as a list of it. */
const quotedOrNot: Attempt = (text) => [
  ...[...text.matchAll(/(["'])(-?\d+(?:\.\d+)?|true|false)\1/g)].flatMap((match) =>
    [match[2]!, `${match[2]}.0`].map((bare) => ({
      title: `Write ${match[0]} as ${bare}`,
      changes: [changeOf(match as RegExpExecArray, bare)],
    })),
  ),
  ...found(text, /(?<![\w."'-])-?\d+(?:\.\d+)?(?![\w."'])/g).map((match) => ({
    title: `Write ${match[0]} as "${match[0]}"`,
    changes: [changeOf(match, `"${match[0]}"`)],
  })),
  ...[...text.matchAll(/(?<=\bin\s+)("[^"]*"|'[^']*')/g)].map((match) => ({
    title: `Write ${match[0]} as [${match[0]}]`,
    changes: [changeOf(match as RegExpExecArray, `[${match[0]}]`)],
  })),
];

/** A number or a text alone, where a yes or no is wanted. */
const compared: Attempt = (text) =>
  ['> 0', '> 0.0', '!= ""'].map((comparison) => ({
    title: `Compare with ${comparison}`,
    changes: [{ start: text.trimEnd().length, end: text.trimEnd().length, text: ` ${comparison}` }],
  }));

/** A name alone: of an attribute or a variable, or a text without its quotes. */
const named: Attempt = (text, { before, part }) => {
  const start = before.length;
  const name = /^[A-Za-z_][\w-]*/.exec(text.slice(start))?.[0];
  if (name === undefined) return [];
  const within = [
    ...(Object.hasOwn(OFFER_ATTRIBUTES, name) ? ['offer'] : []),
    ...(Object.hasOwn(REQUEST_ATTRIBUTES, name) ? ['request'] : []),
    ...(variablesOf(part).some((variable) => variable.name === name) ? ['variables'] : []),
  ];
  return [...within.map((root) => `${root}.${name}`), JSON.stringify(name)].map((whole) => ({
    title: `Write ${name} as ${whole}`,
    changes: [{ start, end: start + name.length, text: whole }],
  }));
};

/** What CEL has, and policies have not, in the words of those. */
const allowed: Attempt = (text) => [
  ...found(text, /\.\?|\[\?/g).map((match) => ({
    title: `Write ${match[0]} as ${match[0][0]}`,
    changes: [changeOf(match, match[0][0]!)],
  })),
  ...found(text, /has\(\s*variables\.\w+\s*\)/g).map((match) => ({
    title: `Write ${match[0]} as true`,
    changes: [changeOf(match, 'true')],
  })),
];

/** Patterns that RE2 and the engine take: wildcards of file names, loose brackets, repetitions in repetitions, no beginning. */
const patterned: Attempt = (text) =>
  [...text.matchAll(/(?<=matches\([^"']*)(["'])((?:(?!\1)[^\\]|\\.)*)\1/g)].flatMap((match) => {
    const [whole, quote, pattern] = match as unknown as [string, string, string];
    return RIGHT_PATTERNS.map((right) => right(pattern))
      .filter((one) => one !== pattern)
      .map((one) => ({
        title: `Write ${whole} as ${quote}${one}${quote}`,
        changes: [changeOf(match as RegExpExecArray, `${quote}${one}${quote}`)],
      }));
  });

const RIGHT_PATTERNS: ((pattern: string) => string)[] = [
  (pattern) => pattern.replace(/^\*/, '.*').replace(/(?<=[^.\])\w\\])\*/g, '.*'),
  (pattern) => `${pattern})`,
  (pattern) => `${pattern}]`,
  (pattern) => pattern.replace(/\)$/, ''),
  (pattern) => pattern.replace(/\((?:\?:)?([^()]+[+*])\)[+*]/g, '$1'),
  (pattern) => `^${pattern}`,
];

const orMeant =
  (other: Fix): Fix =>
  (broken) => [...meant(broken), ...other(broken)];

/** One repair of each title. */
const once =
  (some: Fix): Fix =>
  (broken) => [...new Map(some(broken).map((action) => [action.title, action])).values()];

export const mendSyntax = once(attempts(inSignsOfCel, closed));
export const mendType = once(attempts(numbersOfTheirType, quotedOrNot, compared));
export const mendName = orMeant(attempts(named));
export const mendPattern = attempts(patterned);
export const mendUse = attempts(allowed);
