/** Edits of a document that leave the rest of it as it is written: comments, quotes and order. */
import { type CodeAction, CodeActionKind, type Diagnostic, type TextEdit } from 'vscode-languageserver';
import { isMap, isScalar, isSeq, type Node, type Pair, stringify, type YAMLMap, type YAMLSeq } from 'yaml';
import type { DiagnosticData } from './diagnostic-codes.ts';
import type { FilePart, LandfallFile } from './file.ts';
import type { Workspace } from './workspace.ts';

/** A diagnostic with what is known of its place. */
export interface Broken {
  file: LandfallFile;
  part: FilePart;
  /** Where it begins in the part. */
  offset: number;
  diagnostic: Diagnostic;
  data: DiagnosticData;
  workspace: Workspace;
}

/** Repairs of a diagnostic, the best first; none where none is sure to help. */
export type Fix = (broken: Broken) => CodeAction[];

export function brokenAt(file: LandfallFile, diagnostic: Diagnostic, workspace: Workspace): Broken {
  const part = file.partAt(diagnostic.range.start);
  const offset = file.text.offsetAt(diagnostic.range.start) - part.offset;
  return { file, part, offset, diagnostic, data: (diagnostic.data ?? {}) as DiagnosticData, workspace };
}

/** A repair of the file itself. `isPreferred`: nothing else is likelier to be meant. */
export function fix(
  title: string,
  { file, diagnostic }: Broken,
  edits: TextEdit | undefined | readonly TextEdit[],
  isPreferred = true,
): CodeAction[] {
  if (edits === undefined) return [];
  const changes = { [file.uri]: Array.isArray(edits) ? [...edits] : [edits as TextEdit] };
  return [
    { title, kind: CodeActionKind.QuickFix, diagnostics: [diagnostic], isPreferred, edit: { changes } },
  ];
}

/** Where a value stands. */
export interface Place {
  path: (string | number)[];
  /** What it is in; absent at the top of the document. */
  parent?: YAMLMap | YAMLSeq;
  /** The field that it is the value of. */
  pair?: Pair<Node, Node | null>;
  node: Node | null;
}

/** `spec.rules[2].require` in steps. */
export function stepsOf(path: string): (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([word, index]) =>
    index === undefined ? word : Number(index),
  );
}

/** The place that a diagnostic names, or what is at its beginning. */
export function placeOf({ part, offset, data: { path = '' } }: Broken): Place | undefined {
  const root = part.document?.contents as Node | null | undefined;
  if (root === null || root === undefined) return undefined;
  const steps = stepsOf(path);
  // What is in a file of a test is named by what the file is.
  if (part.kind.startsWith('fixture-')) steps.shift();
  return (steps.length > 0 ? placeBy(root, steps) : undefined) ?? placeAt(root, offset);
}

function placeBy(root: Node, steps: readonly (string | number)[]): Place | undefined {
  let place: Place = { path: [], node: root };
  for (const step of steps) {
    const { node: parent } = place;
    const path = [...place.path, step];
    if (isSeq(parent) && typeof step === 'number' && step < parent.items.length)
      place = { path, parent, node: parent.items[step] as Node | null };
    else {
      const pair = isMap(parent) ? pairOf(parent, String(step)) : undefined;
      if (pair === undefined) return undefined;
      place = { path, parent: parent as YAMLMap, pair, node: pair.value };
    }
  }
  return place;
}

function placeAt(root: Node, offset: number): Place {
  let place: Place = { path: [], node: root };
  for (;;) {
    const inner = insideAt(place, offset);
    if (inner === undefined) return place;
    place = inner;
    if (place.pair?.key.range && within(place.pair.key, offset)) return place;
  }
}

function insideAt({ path, node: parent }: Place, offset: number): Place | undefined {
  if (isSeq(parent)) {
    const index = parent.items.findIndex((item) => within(item as Node | null, offset));
    return index < 0 ? undefined : { path: [...path, index], parent, node: parent.items[index] as Node };
  }
  if (!isMap(parent)) return undefined;
  const pair = (parent.items as Pair<Node, Node | null>[]).find(
    ({ key, value }) => within(key, offset) || within(value, offset),
  );
  if (pair === undefined) return undefined;
  return { path: [...path, nameOf(pair)], parent, pair, node: pair.value };
}

function within(node: Node | null, offset: number): boolean {
  return node?.range != null && node.range[0] <= offset && offset <= node.range[1];
}

export function nameOf({ key }: Pair<Node, unknown>): string {
  return isScalar(key) ? String(key.value) : '';
}

export function pairOf(map: YAMLMap, name: string): Pair<Node, Node | null> | undefined {
  return (map.items as Pair<Node, Node | null>[]).find((pair) => nameOf(pair) === name);
}

/** Whether the value of a diagnostic is inside `{…}` or `[…]`. */
export function isInFlow(broken: Broken): boolean {
  return placeOf(broken)?.parent?.flow === true;
}

/** Another text in the place of a node's. */
export function replacement({ file, part }: Broken, node: Node, newText: string): TextEdit {
  return { range: file.rangeOf(part, [node.range![0], node.range![1]]), newText };
}

/** A value as it is written in YAML, in one line; of a text what is inside brackets must be in quotes more often. */
export function written(value: unknown, { flow = false }: { flow?: boolean } = {}): string {
  if (!flow && typeof value === 'string') return stringify(value, { lineWidth: 0 }).trimEnd();
  const style = { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 } as const;
  return stringify([value], style).trimEnd().slice(1, -1);
}

/** One more field in a mapping, in its form: behind the last in `{…}`, on a line of its own below the last else. */
export function addition(
  { file, part }: Pick<Broken, 'file' | 'part'>,
  map: YAMLMap,
  field: string,
): TextEdit | undefined {
  const last = map.items.at(-1) as Pair<Node, Node | null> | undefined;
  const first = map.items[0]?.key as Node | undefined;
  if (last === undefined || first?.range == null) {
    const [start, end] = map.range ?? [0, 0];
    return map.flow ? { range: file.rangeOf(part, [start, end]), newText: `{${field}}` } : undefined;
  }
  const end = endOf(last);
  if (map.flow) return { range: file.rangeOf(part, [end, end]), newText: `, ${field}` };
  const indent = ' '.repeat(first.range[0] - lineStart(part, first.range[0]));
  const stop = part.text.slice(0, end).trimEnd().length;
  const lineEnd = part.text.indexOf('\n', stop);
  const at = lineEnd < 0 ? part.text.length : lineEnd;
  return {
    range: file.rangeOf(part, [at, at]),
    newText: `\n${indent}${field.replaceAll('\n', `\n${indent}`)}`,
  };
}

/** A mapping without one of its fields; undefined where it has no other, so that nothing would be left. */
export function withoutField(
  { file, part }: Broken,
  map: YAMLMap,
  pair: Pair<Node, Node | null>,
): TextEdit | undefined {
  const pairs = map.items as Pair<Node, Node | null>[];
  const index = pairs.indexOf(pair);
  const next = pairs[index + 1];
  const before = pairs[index - 1];
  if (next === undefined && before === undefined) return undefined;
  const [start] = pair.key.range!;
  const isFirstOfLine = /^ *$/.test(part.text.slice(lineStart(part, start), start));
  const span: [number, number] =
    !map.flow && isFirstOfLine
      ? [lineStart(part, start), nextLine(part, endOf(pair))]
      : next !== undefined
        ? [start, next.key.range![0]]
        : [endOf(before!), endOf(pair)];
  return { range: file.rangeOf(part, span), newText: '' };
}

/** A list in block form without one of its items. */
export function withoutItem({ file, part }: Broken, list: YAMLSeq, index: number): TextEdit | undefined {
  const item = list.items[index] as Node | undefined;
  if (list.flow || list.items.length < 2 || !item?.range) return undefined;
  return { range: file.rangeOf(part, [lineStart(part, item.range[0]), item.range[2]]), newText: '' };
}

function endOf({ key, value }: Pair<Node, Node | null>): number {
  return value?.range?.[1] ?? key.range![1];
}

function lineStart({ text }: FilePart, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

function nextLine({ text }: FilePart, offset: number): number {
  const stop = text.slice(0, offset).trimEnd().length;
  const end = text.indexOf('\n', stop);
  return end < 0 ? text.length : end + 1;
}
