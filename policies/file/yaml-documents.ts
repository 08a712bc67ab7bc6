import {
  Composer,
  type CST,
  type Document,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  parseDocument,
  type YAMLParseError,
  type YAMLSeq,
} from 'yaml';
import { yamlTokens } from './yaml-limits.ts';

/** A stretch of a file that is parsed by itself. */
export interface Part {
  text: string;
  linesBefore: number;
}

/**
 * A file cut at its `---` lines, which cannot stand inside anything else in YAML: so a document that cannot be
 * parsed does not take the others with it.
 */
export function partsOf(text: string): Part[] {
  const starts = [...text.matchAll(/^---(?=\s|$)/gm)].map((match) => match.index);
  // Comments and directives before the first `---` belong to the document after it.
  if (/^(?:[ \t]*(?:#.*|%.*)?\r?\n)*$/.test(text.slice(0, starts[0] ?? text.length))) starts.shift();
  const bounds = [0, ...starts, text.length];
  let linesBefore = 0;
  return bounds.slice(1).map((end, i) => {
    const part = { text: text.slice(bounds[i], end), linesBefore };
    linesBefore += part.text.split('\n').length - 1;
    return part;
  });
}

/** The documents of a stretch of text. */
export interface YamlDocuments {
  documents: Document[];
  lines: LineCounter;
  /** How many tokens it has. */
  tokens: number;
}

const OPTIONS = {
  // The parser's own check compares every key with every other.
  uniqueKeys: false,
  strict: true,
  prettyErrors: false,
} as const;

/** Throws {@link BeyondYamlLimits}, and a RangeError for what is nested thousands deep: the parser recurses. */
export function yamlDocuments(text: string): YamlDocuments {
  const lines = new LineCounter();
  const tokens = yamlTokens(text);
  const found = withoutStacks(() => [...new Composer(OPTIONS).compose(nodesOf(tokens, lines))] as Document[]);
  const documents = found.filter(
    ({ contents, errors }) => !isEmpty(contents as Node | null) || errors.length > 0,
  );
  return { documents, lines, tokens: tokens.length };
}

/** What the parser makes of tokens; by itself it would make them of the text again. */
function* nodesOf(tokens: readonly string[], lines: LineCounter): Iterable<CST.Token> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const token of tokens) yield* parser.next(token);
  yield* parser.end();
}

/** Nothing but comments, or nothing at all after a `---`. */
export function isEmpty(contents: Node | null): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

/** The parser makes an Error of every mistake, and nobody looks at their stacks: four fifths of the time that a broken file takes. */
function withoutStacks<T>(parse: () => T): T {
  const { stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = 0;
    return parse();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * The documents of a text that differs from one read before inside one item of a list only: that item alone is parsed, and put in
 * its place among the nodes of the others, which are used again (and moved, so that what was read before is not to be used any
 * more). Null where that is not so, or where it is not sure to be what a parse of the whole would give.
 */
export function editedDocuments(before: YamlDocuments, was: string, text: string): YamlDocuments | null {
  const [document] = before.documents;
  if (document === undefined || before.documents.length > 1) return null;
  if (document.warnings.length > 0) return null;
  const from = commonPrefix(was, text);
  const to = was.length - commonSuffix(was, text, from);
  const place = itemAround(document.contents as Node | null, from, to, was);
  if (place === null) return null;
  const { list, index, start, end, indent } = place;
  if (document.errors.some(({ pos: [at] }) => at < start || at >= end)) return null;
  const grown = text.length - was.length;
  const region = text.slice(start, end + grown);
  if (!new RegExp(`^ {${indent}}- *[^ \\n\\r#]`).test(region)) return null;
  const alone = itemAlone(region);
  const made = alone?.contents as Node | null | undefined;
  if (
    alone === null ||
    !alone.errors.every(staysInside) ||
    alone.warnings.length > 0 ||
    !isSeq(made) ||
    made.items.length !== 1
  )
    return null;
  const item = made.items[0] as Node;
  move(item, 0, start);
  // The rest of the document moves first, without the item, whose places are right already.
  list.items[index] = null;
  move(document.contents as Node, end, grown);
  list.items[index] = item;
  // A document of its own, for whoever keeps something by it; what marks it as one cannot be enumerated.
  const moved = Object.create(
    Object.getPrototypeOf(document),
    Object.getOwnPropertyDescriptors(document),
  ) as Document;
  for (const error of alone.errors) error.pos = [error.pos[0] + start, error.pos[1] + start];
  moved.errors = alone.errors;
  if (document.range)
    moved.range = document.range.map((at) => (at >= end ? at + grown : at)) as [number, number, number];
  const more = countTokens(region) - countTokens(was.slice(start, end));
  return { documents: [moved], lines: linesOf(text), tokens: before.tokens + more };
}

/** Whether what follows an error is read as if it were not there: a key that is still being typed. */
function staysInside({ code, message }: YAMLParseError): boolean {
  if (code === 'MULTILINE_IMPLICIT_KEY') return true;
  return code === 'MISSING_CHAR' && message.startsWith('Implicit map keys need to be followed by map values');
}

function itemAlone(text: string): Document | null {
  try {
    return withoutStacks(() => parseDocument(text, OPTIONS)) as Document;
  } catch {
    // Nested too deeply: the parse of the whole says so.
    return null;
  }
}

function countTokens(text: string): number {
  let count = 0;
  for (const _token of new Lexer().lex(text)) count++;
  return count;
}

function commonPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

/** Not more than what follows the common prefix. */
function commonSuffix(a: string, b: string, prefix: number): number {
  const most = Math.min(a.length, b.length) - prefix;
  let length = 0;
  while (length < most && a.charCodeAt(a.length - 1 - length) === b.charCodeAt(b.length - 1 - length))
    length++;
  return length;
}

interface Place {
  list: YAMLSeq;
  index: number;
  /** Of the lines of the item. */
  start: number;
  end: number;
  /** Of its dash. */
  indent: number;
}

/** The item of the outermost block list whose lines an edit lies in. */
function itemAround(root: Node | null, from: number, to: number, text: string): Place | null {
  let node = root;
  while (isMap(node) && !node.flow) {
    const pair = (node.items as Pair<Node, Node | null>[]).find(
      ({ value }) => value?.range && value.range[0] <= from && to <= value.range[2],
    );
    node = pair?.value ?? null;
  }
  if (!isSeq(node) || node.flow) return null;
  const index = (node.items as (Node | null)[]).findLastIndex(
    (item) => item?.range && lineStart(text, item.range[0]) <= from,
  );
  const item = node.items[index] as Node | undefined;
  if (item?.range == null) return null;
  const start = lineStart(text, item.range[0]);
  const [, spaces] = /^( *)- *$/.exec(text.slice(start, item.range[0])) ?? [];
  if (spaces === undefined) return null;
  const indent = spaces.length;
  let end = nextLine(text, start);
  while (end < text.length && !endsItem(text, end, indent)) end = nextLine(text, end);
  // Where a comment that is not indented cuts the item in two, the parse of the whole decides.
  return to < end && item.range[1] <= end ? { list: node, index, start, end, indent } : null;
}

function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1;
}

function nextLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}

/** Whether a line is not of an item whose dash is indented so far: it stands no further in. */
function endsItem(text: string, lineStart: number, indent: number): boolean {
  let at = lineStart;
  while (text[at] === ' ') at++;
  return at - lineStart <= indent && at < text.length && text[at] !== '\n' && text[at] !== '\r';
}

/** Adds to every place at or behind one. */
function move(node: Node | null, behind: number, by: number): void {
  if (node === null) return;
  const { range } = node;
  if (range) {
    // Nothing in it stands behind.
    if (range[2] < behind) return;
    for (let i = 0; i < 3; i++) if (range[i]! >= behind) range[i]! += by;
  }
  if (isMap(node))
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      move(key, behind, by);
      move(value, behind, by);
    }
  else if (isSeq(node)) for (const item of node.items) move(item as Node | null, behind, by);
}

function linesOf(text: string): LineCounter {
  const lines = new LineCounter();
  for (let at = 0; at >= 0 && at <= text.length; at = text.indexOf('\n', at) + 1 || -1) lines.addNewLine(at);
  return lines;
}
