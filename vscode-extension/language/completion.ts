/** Completion: CEL inside expressions, names that exist as values, keys and enums by schema. */
import type { CompletionItem, CompletionList, Position } from 'vscode-languageserver';
import { CompletionItemKind } from 'vscode-languageserver';
import { isMap, isScalar, isSeq, type Node, type Pair, visit } from 'yaml';
import { celCompletion } from './cel-completion.ts';
import { expressionAt } from './expression.ts';
import type { FilePart, LandfallFile } from './file.ts';
import type { Names } from './names.ts';
import type { Workspace } from './workspace.ts';
import { schemaCompletion } from './yaml.ts';

/** More items than anybody reads: the list is made anew as more is typed. */
const MOST = 300;

export async function completion(
  file: LandfallFile,
  position: Position,
  names: Names,
  workspace: Workspace,
): Promise<CompletionList> {
  const at = expressionAt(file, position);
  if (at !== undefined) {
    const { items, replaces } = celCompletion(at, names, () => labelKeys(workspace, names));
    return withRange(items, position, replaces, at.before.slice(at.before.length - replaces));
  }
  const part = file.partAt(position);
  const values = valuesAt(file, part, position, names);
  if (values !== undefined) return values;
  return schemaCompletion(part, position);
}

/** The items that begin as what is typed, with the place they are put in. */
function withRange(
  items: readonly CompletionItem[],
  position: Position,
  replaces: number,
  typed: string,
): CompletionList {
  const range = { start: { ...position, character: position.character - replaces }, end: position };
  const beginning = typed.toLowerCase();
  const fitting = items.filter(({ label }) => label.replace(/^"/, '').toLowerCase().includes(beginning));
  return {
    isIncomplete: fitting.length > MOST,
    items: fitting.slice(0, MOST).map((item) => ({
      ...item,
      textEdit: { range, newText: item.insertText ?? item.label },
    })),
  };
}

/** Names for a value of a resource file or a test, by its key. */
function valuesAt(
  file: LandfallFile,
  part: FilePart,
  position: Position,
  names: Names,
): CompletionList | undefined {
  const offset = file.text.offsetAt(position) - part.offset;
  const found = scalarAt(part, offset);
  if (found === undefined) return undefined;
  const { key, value, start } = found;
  const items =
    key === 'rule' || key === 'rejectedBy' || key === 'approvals' ? ruleItems(part) : nameItems(key, names);
  if (items.length === 0) return undefined;
  const typed = value.slice(0, Math.max(0, offset - start));
  return withRange(items, position, typed.length, typed);
}

function nameItems(key: string, names: Names): CompletionItem[] {
  return names.of(key).map((label) => {
    const detail = names.describe(key, label);
    return { label, kind: CompletionItemKind.Value, ...(detail && { detail }) };
  });
}

function ruleItems(part: FilePart): CompletionItem[] {
  return ruleNames(part).map((label) => ({ label, kind: CompletionItemKind.Reference }));
}

/** Names of the rules of a policy. */
export function ruleNames({ document }: FilePart): string[] {
  const rules = document?.getIn(['spec', 'rules'], true);
  if (!isSeq(rules)) return [];
  return rules.items.flatMap((rule) => {
    const name = isMap(rule) ? rule.get('name') : undefined;
    return typeof name === 'string' ? [name] : [];
  });
}

/** The scalar at an offset that is the value of a key or an item of its list. */
function scalarAt(
  { document, text }: FilePart,
  offset: number,
): { key: string; value: string; start: number } | undefined {
  let found: { key: string; value: string; start: number } | undefined;
  visit(document, {
    Pair: (_key, pair, path) => {
      const { key, value } = pair as Pair<Node, Node | null>;
      if (!isScalar(key)) return;
      const name = nameOfKey(String(key.value), path as Node[]);
      for (const one of isSeq(value) ? (value.items as Node[]) : [value]) {
        if (!isScalar(one) || one.range == null) continue;
        const [start, end] = one.range;
        const onward = /^[ \t]*$/.test(text.slice(end, offset)) && one.value === null;
        if (offset < start || (offset > end && !onward)) continue;
        const quote = one.type?.startsWith('QUOTE') ? 1 : 0;
        found = {
          key: name,
          value: one.value === null ? '' : String(one.value),
          start: one.value === null ? offset : start + quote,
        };
      }
      // `regions: [|]` has no item yet.
      if (
        isSeq(value) &&
        value.items.length === 0 &&
        value.range &&
        offset > value.range[0] &&
        offset < value.range[1]
      )
        found = { key: name, value: '', start: offset };
    },
  });
  return found;
}

/** `gpu: {name: …}` names a GPU. */
function nameOfKey(key: string, path: readonly unknown[]): string {
  const above = path.findLast((node) => typeof node === 'object' && node !== null && 'key' in node) as
    | Pair
    | undefined;
  if (key === 'name' && isScalar(above?.key) && above.key.value === 'gpu') return 'gpuName';
  return key;
}

/** Keys of labels: those in use at the broker and those of the files. */
function* labelKeys(workspace: Workspace, names: Names): Iterable<string> {
  yield* Object.keys(names.labels);
  for (const file of workspace.all())
    for (const part of file.parts) {
      const labels = part.document?.getIn(['metadata', 'labels'], true);
      if (isMap(labels)) for (const { key } of labels.items) if (isScalar(key)) yield String(key.value);
      for (const meaning of file.meanings(part))
        if (meaning.kind === 'expression')
          for (const [, key] of meaning.text.matchAll(/\blabels\.([A-Za-z_]\w*)/g)) yield key!;
    }
}
