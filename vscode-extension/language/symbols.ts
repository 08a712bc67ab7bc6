/** What a file has in it, as the editor's outline shows it. */
import { type DocumentSymbol, type Range, SymbolKind } from 'vscode-languageserver';
import { isMap, isNode, isScalar, isSeq, type Node } from 'yaml';
import { variablesOf } from './expression.ts';
import { type FilePart, type LandfallFile, textAt } from './file.ts';
import { rulesOf } from './occurrences.ts';

export function documentSymbols(file: LandfallFile): DocumentSymbol[] {
  return file.parts.flatMap((part) => {
    const { document, kind } = part;
    if (file.form === 'offers') return ofOffers(file, part);
    if (file.form === 'estate') return ofEstate(file, part);
    const name = textAt(part, ['metadata', 'name']);
    const root = document?.contents;
    if (!isNode(root) || kind === '') return [];
    const range = file.rangeOf(part, trimmed(part, root));
    const selectionRange =
      name === undefined ? { start: range.start, end: range.start } : file.rangeOf(part, name.node);
    const children =
      kind === 'PlacementPolicy'
        ? inPolicy(file, part)
        : named(file, part, ['spec', 'placement', 'rules'], 'name', 'rule', SymbolKind.Function);
    return [
      {
        name: name?.text ?? `(${kind} without a name)`,
        detail: kind,
        kind: kind === 'PlacementPolicy' ? SymbolKind.Module : SymbolKind.Object,
        range,
        selectionRange,
        children,
      },
    ];
  });
}

function ofOffers(file: LandfallFile, part: FilePart): DocumentSymbol[] {
  const list = part.document?.contents;
  if (!isSeq(list)) return [];
  return list.items.flatMap((item) => {
    if (!isMap(item)) return [];
    const [type, region, provider, price] = ['instanceType', 'region', 'provider', 'pricePerHour'].map(
      (field) => String(item.get(field) ?? '?'),
    );
    const range = file.rangeOf(part, trimmed(part, item));
    const selectionRange = { start: range.start, end: range.start };
    return [
      symbol(
        `${type} in ${region}`,
        `${provider}, ${price} USD/h`,
        SymbolKind.Constant,
        selectionRange,
        range,
      ),
    ];
  });
}

function ofEstate(file: LandfallFile, part: FilePart): DocumentSymbol[] {
  const list = part.document?.contents;
  if (!isSeq(list)) return [];
  return list.items.flatMap((item) => {
    if (!isMap(item)) return [];
    const [name, provider, region] = ['name', 'provider', 'region'].map((field) =>
      String(item.get(field) ?? '?'),
    );
    const range = file.rangeOf(part, trimmed(part, item));
    const start = { start: range.start, end: range.start };
    return [symbol(name!, `${provider} ${region}`, SymbolKind.Object, start, range)];
  });
}

function inPolicy(file: LandfallFile, part: FilePart): DocumentSymbol[] {
  const variables = variablesOf(part).map(({ name, key, value, type }) =>
    symbol(
      name,
      type,
      SymbolKind.Variable,
      file.rangeOf(part, key),
      file.rangeOf(part, spanOver(part, key, value)),
    ),
  );
  const rules = rulesOf(part).map(({ name, node, rule }) =>
    symbol(
      name,
      effects(rule),
      SymbolKind.Function,
      file.rangeOf(part, node),
      file.rangeOf(part, trimmed(part, rule)),
    ),
  );
  return [
    ...variables,
    ...rules,
    ...named(file, part, ['spec', 'exceptions'], 'rule', 'exception', SymbolKind.Event),
    ...named(file, part, ['tests'], 'name', 'test', SymbolKind.Method),
  ];
}

function symbol(
  name: string,
  detail: string,
  kind: SymbolKind,
  selectionRange: Range,
  range: Range,
): DocumentSymbol {
  return { name: name === '' ? '(no name)' : name, detail, kind, range, selectionRange };
}

/** Items of a list by one of their fields. */
function named(
  file: LandfallFile,
  part: FilePart,
  path: string[],
  by: string,
  detail: string,
  kind: SymbolKind,
): DocumentSymbol[] {
  const list = part.document?.getIn(path, true);
  if (!isSeq(list)) return [];
  return list.items.flatMap((item) => {
    const name = isMap(item) ? item.get(by, true) : undefined;
    if (!isNode(item) || !isScalar(name)) return [];
    const range = file.rangeOf(part, trimmed(part, item));
    return [symbol(String(name.value), detail, kind, file.rangeOf(part, name), range)];
  });
}

const NO_EFFECTS = new Set(
  'name when weight message missing onViolation owner overridable override'.split(' '),
);

function effects(rule: Node): string {
  if (!isMap(rule)) return '';
  const fields = rule.items.map(({ key }) => (isScalar(key) ? String(key.value) : ''));
  return fields.filter((field) => !NO_EFFECTS.has(field)).join(', ');
}

/** A node without the empty lines behind it. */
function trimmed({ text }: FilePart, node: Node): [number, number] {
  const [start, end] = node.range ?? [0, 0];
  return [start, start + text.slice(start, end).trimEnd().length];
}

function spanOver(part: FilePart, key: Node, value: Node | null): [number, number] {
  const [start, end] = key.range ?? [0, 0];
  return [start, Math.max(end, value === null ? end : trimmed(part, value)[1])];
}
