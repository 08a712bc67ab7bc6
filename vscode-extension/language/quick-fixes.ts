/** What repairs a problem at once. */
import { checkExpression } from '@landfall/policies/cel/check.ts';
import {
  type CodeAction,
  CodeActionKind,
  type Diagnostic,
  type Range,
  type TextEdit,
  type WorkspaceEdit,
} from 'vscode-languageserver';
import { isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';
import type { DiagnosticData } from './diagnostics.ts';
import { expressionAt, variablesOf } from './expression.ts';
import type { FilePart, LandfallFile } from './file.ts';
import { rulesOf } from './occurrences.ts';
import type { Workspace } from './workspace.ts';

/** The repairs of some problems of a file. */
export function quickFixes(
  file: LandfallFile,
  diagnostics: readonly Diagnostic[],
  workspace: Workspace,
): CodeAction[] {
  return diagnostics
    .filter(({ source }) => source === 'landfall')
    .flatMap((diagnostic) => fixesOf(file, diagnostic, workspace));
}

function fixesOf(file: LandfallFile, diagnostic: Diagnostic, workspace: Workspace): CodeAction[] {
  const { suggestion } = (diagnostic.data ?? {}) as DiagnosticData;
  if (suggestion !== undefined) return [meant(file, diagnostic, suggestion)];
  switch (diagnostic.code) {
    case 'cel-type':
      return doubles(file, diagnostic);
    case 'missing-field':
      return missingField(file, diagnostic);
    case 'missing-label':
      return missingLabel(file, diagnostic);
    case 'override':
      return overridable(file, diagnostic, workspace);
    case 'expired-exception':
      return withoutItem(file, diagnostic, ['spec', 'exceptions'], 'Remove the expired exception');
    // What changes nothing, as far as the policy says.
    case 'redundant-rule':
    case 'always-holds':
    case 'never-applies':
      return withoutItem(file, diagnostic, ['spec', 'rules'], 'Remove the rule');
    default:
      return [];
  }
}

function action(title: string, diagnostic: Diagnostic, edit: WorkspaceEdit, isPreferred = true): CodeAction {
  return { title, kind: CodeActionKind.QuickFix, diagnostics: [diagnostic], isPreferred, edit };
}

function inFile(file: LandfallFile, ...edits: TextEdit[]): WorkspaceEdit {
  return { changes: { [file.uri]: edits } };
}

/** The nearest known name in the place of the wrong one. */
function meant(file: LandfallFile, diagnostic: Diagnostic, suggestion: string): CodeAction {
  const { range } = diagnostic;
  const before = file.text.getText({ start: { ...range.start, character: 0 }, end: range.start });
  const dot = suggestion.lastIndexOf('.');
  // `offer.jurisdiction` is suggested where only what follows `offer.` is underlined.
  const newText =
    dot > 0 && before.endsWith(suggestion.slice(0, dot + 1)) ? suggestion.slice(dot + 1) : suggestion;
  return action(`Change to ${newText}`, diagnostic, inFile(file, { range, newText }));
}

/** A whole number written as a double, where that makes the expression sound. */
function doubles(file: LandfallFile, diagnostic: Diagnostic): CodeAction[] {
  const at = expressionAt(file, diagnostic.range.start);
  if (at === undefined) return [];
  const { text, offsets, part, meaning } = at;
  const variables = Object.fromEntries(variablesOf(part).map(({ name, type }) => [name, type]));
  const { wanted, ...readable } = meaning.options;
  const problems = (source: string): number =>
    checkExpression(source, { offer: false, ...readable, variables, ...(wanted === 'bool' && { wanted }) })
      .issues.length;
  const before = problems(text);
  return [...text.matchAll(/(?<![\w."'-])\d+(?![\w."'])/g)].flatMap((match) => {
    const [whole] = match;
    const end = match.index + whole.length;
    if (problems(`${text.slice(0, end)}.0${text.slice(end)}`) >= before) return [];
    const range = file.rangeOf(part, [offsets[match.index]!, offsets[end]!]);
    return [
      action(`Write ${whole} as ${whole}.0`, diagnostic, inFile(file, { range, newText: `${whole}.0` })),
    ];
  });
}

/** Values to begin with, of fields that are missing. */
const BEGINNINGS: Record<string, string> = {
  apiVersion: 'landfall.dev/v1',
  weight: '0.03',
  image: 'debian-12',
  vcpus: '1',
  memoryGiB: '1',
  sizeGiB: '10',
};

function missingField(file: LandfallFile, diagnostic: Diagnostic): CodeAction[] {
  const { path = '' } = (diagnostic.data ?? {}) as DiagnosticData;
  const field = /\w+$/.exec(path)?.[0] ?? '';
  const value = Object.hasOwn(BEGINNINGS, field) ? BEGINNINGS[field] : undefined;
  if (value === undefined) return [];
  const part = file.partAt(diagnostic.range.start);
  const offset = file.text.offsetAt(diagnostic.range.start) - part.offset;
  const map = mapNear(part.document?.contents as Node | null, offset);
  const edit = map === undefined ? undefined : addition(file, part, map, `${field}: ${value}`);
  return edit === undefined ? [] : [action(`Add ${field}: ${value}`, diagnostic, inFile(file, edit))];
}

/** A label that a policy of the workspace asks for. */
function missingLabel(file: LandfallFile, diagnostic: Diagnostic): CodeAction[] {
  const { path: label = '' } = (diagnostic.data ?? {}) as DiagnosticData;
  const part = file.partAt(diagnostic.range.start);
  const labels = part.document?.getIn(['metadata', 'labels'], true);
  const metadata = part.document?.getIn(['metadata'], true);
  const edit =
    isMap(labels) && labels.items.length > 0
      ? addition(file, part, labels, `${label}: ""`)
      : isMap(metadata) && labels === undefined
        ? addition(file, part, metadata, `labels: {${label}: ""}`)
        : undefined;
  return edit === undefined ? [] : [action(`Add the label ${label}`, diagnostic, inFile(file, edit))];
}

/** Lets the rule that an override is of be overridden, in whichever file it is. */
function overridable(file: LandfallFile, diagnostic: Diagnostic, workspace: Workspace): CodeAction[] {
  const part = file.partAt(diagnostic.range.start);
  const offset = file.text.offsetAt(diagnostic.range.start) - part.offset;
  const mine = rulesOf(part).find(({ rule }) => rule.range![0] <= offset && offset <= rule.range![1]);
  if (mine === undefined) return [];
  return workspace.all().flatMap((other) =>
    other.policies.policies
      .filter(({ scope }) => scope.kind === 'organization')
      .flatMap((policy) => {
        const theirs = other.partAt({ line: policy.line - 1, character: 0 });
        const rule = rulesOf(theirs).find(({ name, isShared }) => name === mine.name && !isShared);
        const edit =
          rule === undefined ? undefined : addition(other, theirs, rule.rule as YAMLMap, 'overridable: true');
        if (edit === undefined) return [];
        return [
          action(
            `Make rule '${mine.name}' of policy '${policy.name}' overridable`,
            diagnostic,
            inFile(other, edit),
          ),
        ];
      }),
  );
}

/** Takes an item out of a list. */
function withoutItem(
  file: LandfallFile,
  diagnostic: Diagnostic,
  path: string[],
  title: string,
): CodeAction[] {
  const part = file.partAt(diagnostic.range.start);
  const offset = file.text.offsetAt(diagnostic.range.start) - part.offset;
  const list = part.document?.getIn(path, true);
  if (!isSeq(list) || list.flow || list.items.length < 2) return [];
  const item = (list.items as Node[]).find(({ range }) => range && range[0] <= offset && offset < range[2]);
  if (item === undefined) return [];
  const first = part.text.lastIndexOf('\n', item.range![0]) + 1;
  const range = file.rangeOf(part, [first, item.range![2]]);
  return [action(title, diagnostic, inFile(file, { range, newText: '' }), false)];
}

/** The innermost mapping around an offset, or the value of the key at it. */
function mapNear(node: Node | null | undefined, offset: number): YAMLMap | undefined {
  if (isSeq(node)) {
    const item = (node.items as Node[]).find(
      ({ range }) => range && range[0] <= offset && offset <= range[1],
    );
    return mapNear(item, offset);
  }
  if (!isMap(node)) return undefined;
  for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
    const [start = -1] = key.range ?? [];
    if (isScalar(key) && start === offset) return isMap(value) ? value : node;
    if (value?.range && value.range[0] <= offset && offset < value.range[1])
      return mapNear(value, offset) ?? node;
  }
  return node;
}

/** One more field in a mapping, in its form: behind the last in `{…}`, on a line of its own below the first else. */
function addition(file: LandfallFile, part: FilePart, map: YAMLMap, field: string): TextEdit | undefined {
  const first = map.items[0]?.key as Node | undefined;
  const last = map.items.at(-1) as Pair<Node, Node | null> | undefined;
  if (first?.range == null || last === undefined) return undefined;
  const end = last.value?.range?.[1] ?? (last.key.range?.[1] as number);
  if (map.flow) return insertion(file.rangeOf(part, [end, end]), `, ${field}`);
  const indent = first.range[0] - (part.text.lastIndexOf('\n', first.range[0] - 1) + 1);
  const stop = part.text.slice(0, end).trimEnd().length;
  const lineEnd = part.text.indexOf('\n', stop);
  const at = lineEnd < 0 ? part.text.length : lineEnd;
  return insertion(file.rangeOf(part, [at, at]), `\n${' '.repeat(indent)}${field}`);
}

function insertion(range: Range, newText: string): TextEdit {
  return { range, newText };
}
