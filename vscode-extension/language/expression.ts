/** CEL at a place of a file. */
import { checkExpression } from '@landfall/policies/cel/check.ts';
import { expressionText } from '@landfall/policies/file/expressions.ts';
import type { Meaning } from '@landfall/policies/file/meanings.ts';
import { valueOffsets } from '@landfall/policies/file/positions.ts';
import type { Position } from 'vscode-languageserver';
import { isMap, isScalar, type Node, type Pair } from 'yaml';
import type { FilePart, LandfallFile } from './file.ts';

export type ExpressionMeaning = Meaning & { kind: 'expression' };

/** An expression with the place in it that is asked about. */
export interface ExpressionAt {
  file: LandfallFile;
  part: FilePart;
  meaning: ExpressionMeaning;
  text: string;
  /** Characters of the text before the place; of text that YAML leaves out (spaces at the end) too. */
  before: string;
  /** Offset in the part of each character of the text, and of its end. */
  offsets: number[];
}

/** The expression at a place, or undefined when there is none. */
export function expressionAt(file: LandfallFile, position: Position): ExpressionAt | undefined {
  const part = file.partAt(position);
  const offset = file.text.offsetAt(position) - part.offset;
  const meaning = file.meanings(part).findLast((one): one is ExpressionMeaning => {
    const [start = 0, end = 0] = one.node.range ?? [];
    if (one.kind !== 'expression' || offset < start) return false;
    return offset <= end || /^ *$/.test(part.text.slice(end, offset));
  });
  if (meaning === undefined) return undefined;
  const { text } = meaning;
  const offsets = valueOffsets(meaning.node, text, part.text);
  const end = meaning.node.range?.[1] ?? offset;
  const caret = offsets.findLastIndex((at) => at <= offset);
  const inBlock = meaning.node.type?.startsWith('BLOCK') ?? false;
  const trailing = offset > end && !inBlock ? part.text.slice(end, offset) : '';
  return { file, part, meaning, text, before: text.slice(0, Math.max(0, caret)) + trailing, offsets };
}

/** A variable of a policy. */
export interface Variable {
  name: string;
  key: Node;
  value: Node | null;
  text: string;
  /** `dyn` where it is wrong. */
  type: string;
}

const known = new WeakMap<object, Variable[]>();

/** The variables of a policy, in order. */
export function variablesOf(part: FilePart): Variable[] {
  const { document } = part;
  if (document === null) return [];
  const found = known.get(document);
  if (found !== undefined) return found;
  const map = document.getIn(['spec', 'variables'], true);
  const types: Record<string, string> = {};
  const variables: Variable[] = [];
  if (isMap(map))
    for (const { key, value } of map.items as Pair<Node, Node | null>[]) {
      if (!isScalar(key)) continue;
      const text = expressionText(value) ?? '';
      const { type } = checkExpression(text, { offer: true, resource: true, variables: { ...types } });
      const name = String(key.value);
      types[name] = type ?? 'dyn';
      variables.push({ name, key, value, text, type: type ?? 'dyn' });
    }
  known.set(document, variables);
  return variables;
}

/** A word with dots in a text, such as `request.labels.env`, around a place; and the word of it the place is in. */
export function pathAround(
  text: string,
  at: number,
): { path: string[]; start: number; end: number } | undefined {
  for (const match of text.matchAll(/[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/g)) {
    const [whole] = match;
    if (at < match.index || at > match.index + whole.length) continue;
    const path: string[] = [];
    let start = match.index;
    for (const word of whole.split('.')) {
      path.push(word);
      if (at <= start + word.length) return { path, start, end: start + word.length };
      start += word.length + 1;
    }
  }
  return undefined;
}
