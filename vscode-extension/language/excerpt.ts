/** A document without what does not matter at a place of it. */

interface Item {
  first: number;
  indent: number;
  /** The line of the key it is under; -1 = the document is a list. */
  parent: number;
}

/**
 * The document without the other items of the outermost list that a place is in: what may stand there does not depend on
 * them, and a policy has hundreds. `linesLeftOut` are those above the place. Lines and characters from 0.
 */
export function excerptAround(
  text: string,
  line: number,
  character: number,
): { text: string; linesLeftOut: number } {
  const lines = text.split('\n');
  const item = outermostItem(lines, line, character);
  if (item === null) return { text, linesLeftOut: 0 };
  const { first, indent, parent } = item;
  const after = (from: number, ends: (i: number) => boolean): number => {
    for (let i = from; i < lines.length; i++) if (!isBlank(lines[i]!) && ends(i)) return i;
    return lines.length;
  };
  const end = after(Math.max(first, line) + 1, (i) => indentOf(lines[i]!) <= indent);
  const endOfList = after(end, (i) => {
    const own = indentOf(lines[i]!);
    return own < indent || (own === indent && !isItem(lines[i]!, indent));
  });
  const kept = [...lines.slice(0, parent + 1), ...lines.slice(first, end), ...lines.slice(endOfList)];
  return { text: kept.join('\n'), linesLeftOut: first - parent - 1 };
}

function outermostItem(lines: readonly string[], line: number, character: number): Item | null {
  let item: Item | null = null;
  const here = lines[line] ?? '';
  // An empty line belongs to what its place is indented to.
  let indent = isBlank(here) ? character : indentOf(here) + 1;
  let ofList = false;
  for (let i = isBlank(here) ? line - 1 : line; i >= 0; i--) {
    const text = lines[i]!;
    if (isBlank(text)) continue;
    const own = indentOf(text);
    const dash = isItem(text, own);
    // The items of a list may stand no further in than the key of the list.
    if (own >= indent && !(ofList && own === indent && !dash)) continue;
    if (item !== null && item.parent < 0) item.parent = i;
    if (dash) item = { first: i, indent: own, parent: -1 };
    ofList = dash;
    indent = own;
  }
  return item;
}

function isBlank(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function isItem(line: string, indent: number): boolean {
  return indentOf(line) === indent && /^-(\s|$)/.test(line.slice(indent));
}
