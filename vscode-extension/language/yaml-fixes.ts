/** Repairs of a document's YAML. */
import { isMap, isScalar, type Node, type Pair, parseDocument, visit, type YAMLMap } from 'yaml';
import { type Broken, type Fix, fix, withoutField } from './edits.ts';

/** What is wrong with the form of a document: a field twice, tabs, a comma that is missing, a quote that is not closed, a text that needs quotes. */
export const mendYaml: Fix = (broken) => [
  ...withoutRepeated(broken),
  ...withoutTabs(broken),
  ...withCommas(broken),
  ...quoted(broken),
];

/** The second of two fields of one name. */
function withoutRepeated(broken: Broken) {
  let found: { map: YAMLMap; pair: Pair<Node, Node | null> } | undefined;
  visit(broken.part.document, {
    Map: (_key, map) => {
      const pairs = map.items as Pair<Node, Node | null>[];
      const index = pairs.findIndex(({ key }) => key.range?.[0] === broken.offset);
      const name = (pair: Pair<Node, unknown>): unknown => isScalar(pair.key) && pair.key.value;
      if (index < 0 || !pairs.slice(0, index).some((pair) => name(pair) === name(pairs[index]!))) return;
      found = { map, pair: pairs[index]! };
      return visit.BREAK;
    },
  });
  if (found === undefined || !isMap(found.map)) return [];
  return fix(
    `Remove the second ${String((found.pair.key as { value?: unknown }).value)}`,
    broken,
    withoutField(broken, found.map, found.pair),
  );
}

function withoutTabs(broken: Broken) {
  const { part, file } = broken;
  const tabs = [...part.text.matchAll(/^ *\t[ \t]*/gm)];
  const edits = tabs.map(({ index, 0: text }) => ({
    range: file.rangeOf(part, [index, index + text.length]),
    newText: text.replaceAll('\t', '  '),
  }));
  return edits.length === 0 ? [] : fix('Write tabs as two spaces each', broken, edits);
}

/** The line of `{…}` with the commas that are missing before its fields. */
function withCommas(broken: Broken) {
  const { part, file } = broken;
  const start = lineAt(part.text, broken.offset);
  const end = part.text.indexOf('\n', start) < 0 ? part.text.length : part.text.indexOf('\n', start);
  const line = part.text.slice(start, end);
  const newText = line.replace(/(?<=\{.*[^,{[:\s])\s+(?=[A-Za-z][\w.-]*:\s)/g, ', ');
  if (newText === line) return [];
  const after = part.text.slice(0, start) + newText + part.text.slice(end);
  if (mistakesIn(after) >= mistakesIn(part.text)) return [];
  return fix('Put commas between the fields', broken, { range: file.rangeOf(part, [start, end]), newText });
}

/** What needs quotes: a text with a mark of YAML in it, or before it. What begins as a list or a mapping was meant as one. */
const NEEDS_QUOTES = /^(?![[{])(?=["'&*!%@`]|.*(?:: |:$| #))/;

/** The value of the line in quotes, or with the quote that it lacks, where the document has fewer mistakes then. */
function quoted(broken: Broken) {
  const { part, file } = broken;
  const before = mistakesIn(part.text);
  // What is not closed is complained of where the document ends.
  const lines = new Set([lineAt(part.text, broken.offset), ...openQuotes(part.text)]);
  return [...lines].flatMap((start) => {
    const end = part.text.indexOf('\n', start) < 0 ? part.text.length : part.text.indexOf('\n', start);
    const [, head, value] =
      /^(\s*(?:- +)?[\w.$-]+: +|\s*- +)(\S.*?)\s*$/.exec(part.text.slice(start, end)) ?? [];
    if (head === undefined || value === undefined || !NEEDS_QUOTES.test(value)) return [];
    const from = start + head.length;
    const quote = value[0]!;
    const isOpen = /^["']$/.test(quote) && !value.slice(1).includes(quote);
    const newText = isOpen ? value + quote : `'${value.replaceAll("'", "''")}'`;
    const after = part.text.slice(0, from) + newText + part.text.slice(from + value.length);
    if (mistakesIn(after) >= before) return [];
    const range = file.rangeOf(part, [from, from + value.length]);
    return fix(isOpen ? 'Close the quote' : 'Put the value in quotes', broken, { range, newText });
  });
}

function openQuotes(text: string): number[] {
  return [...text.matchAll(/^\s*(?:- +)?[\w.$-]+: +(["'])(?:(?!\1).)*$/gm)].map(({ index, 0: line }) =>
    lineAt(text, index + line.length),
  );
}

function lineAt(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

function mistakesIn(text: string): number {
  return parseDocument(text, { prettyErrors: false, uniqueKeys: false }).errors.length;
}

/** A tag that no value here has. */
export const removeTag: Fix = (broken) => {
  const { part, file, offset } = broken;
  const tag = /^!\S*\s*/.exec(part.text.slice(offset))?.[0];
  if (tag === undefined) return [];
  const range = file.rangeOf(part, [offset, offset + tag.length]);
  return fix(`Remove ${tag.trim()}`, broken, { range, newText: '' });
};
