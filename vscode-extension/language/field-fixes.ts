/** Repairs of fields and of their values, by what the schema of the document says of their place. */
import { nearest } from '@landfall/policies/file/problems.ts';
import type { CodeAction } from 'vscode-languageserver';
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';
import {
  addition,
  type Fix,
  fix,
  nameOf,
  placeOf,
  replacement,
  stepsOf,
  withoutField,
  written,
} from './edits.ts';
import { readingsOf } from './right-values.ts';
import { placeholder, schemasAt, suits, wordsOf } from './schema-places.ts';
import { KINDS } from './yaml.ts';

/** More words than these are for the completion. */
const MOST_WORDS = 12;

/** The nearest known name in the place of the wrong one. */
export const meant: Fix = (broken) => {
  const { file, diagnostic, data } = broken;
  if (data.suggestion === undefined) return [];
  const { range } = diagnostic;
  const before = file.text.getText({ start: { ...range.start, character: 0 }, end: range.start });
  const dot = data.suggestion.lastIndexOf('.');
  // `offer.jurisdiction` is suggested where only what follows `offer.` is underlined.
  const newText =
    dot > 0 && before.endsWith(data.suggestion.slice(0, dot + 1))
      ? data.suggestion.slice(dot + 1)
      : data.suggestion;
  return fix(`Change to ${newText}`, broken, { range, newText });
};

/** A field that must be there, with something to go on from. */
export const addField: Fix = (broken) => {
  const { part, offset, data } = broken;
  const steps = stepsOf(data.path ?? '');
  const field = String(steps.at(-1) ?? '');
  const root = part.document?.contents as Node | null | undefined;
  const at =
    steps.length > 1
      ? placeOf({ ...broken, data: { path: data.path!.replace(/\.[^.[\]]+$/, '') } })
      : undefined;
  const near = at !== undefined && isMap(at.node) ? { map: at.node, path: at.path } : mapNear(root, offset);
  if (near === undefined || field === '') return [];
  const value = placeholder(field, schemasAt(part.kind, [...near.path, field]));
  if (value === undefined) return [];
  const text = `${field}: ${written(value, { flow: near.map.flow })}`;
  return fix(`Add ${text}`, broken, addition(broken, near.map, text));
};

/** A field that there is not: what was meant, or away with it. */
export const changeField: Fix = (broken) => [...meant(broken), ...removeField(broken)];

const removeField: Fix = (broken) => {
  const place = placeOf(broken);
  if (place?.pair === undefined || !isMap(place.parent)) return [];
  const edit = withoutField(broken, place.parent, place.pair);
  return fix(`Remove ${nameOf(place.pair)}`, broken, edit, false);
};

/** A value that the field cannot have: what was meant by it, each word that may stand there, or, of what must be absent, nothing. */
export const changeValue: Fix = (broken) => {
  const { part, diagnostic } = broken;
  const place = placeOf(broken);
  if (place === undefined) return [];
  if (/must be absent/.test(String(diagnostic.message))) return removeField(broken);
  // What an alias stands for is written elsewhere.
  if (place.node === null || isAlias(place.node)) return meant(broken);
  const schemas = schemasAt(part.kind, place.path);
  const value = plainValue(place.node);
  const words = wordsOf(schemas);
  const near = typeof value === 'string' ? nearest(value, words) : undefined;
  const limits = schemas.find(({ minimum, maximum }) => minimum !== undefined || maximum !== undefined) ?? {};
  const readings = [...(near === undefined ? [] : [near]), ...readingsOf(value, limits)].filter(
    (one) => suits(one, schemas) && !isSame(one, value),
  );
  const rest = words.length <= MOST_WORDS ? words : [];
  const texts = new Set([...readings, ...rest].map((one) => written(one, { flow: place.parent?.flow })));
  const { suggestion } = broken.data;
  if (suggestion !== undefined) texts.delete(suggestion);
  const others = [...texts].flatMap((text, i): CodeAction[] =>
    fix(
      `Change to ${text}`,
      broken,
      replacement(broken, place.node!, text),
      i === 0 && suggestion === undefined && readings.length > 0,
    ),
  );
  return [...meant(broken), ...others];
};

/** A value that is no mapping, and no list of anything but values; of others nothing is read. */
function plainValue(node: Node): unknown {
  if (isScalar(node)) return node.value;
  return isSeq(node) && node.items.every(isScalar) ? node.items.map(({ value }) => value) : undefined;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A kind that there is not: what was meant, or each that there is. */
export const changeKind: Fix = (broken) => {
  const first = meant(broken);
  return [
    ...first,
    ...KINDS.filter((kind) => kind !== broken.data.suggestion).flatMap((kind) =>
      fix(`Change to ${kind}`, broken, { range: broken.diagnostic.range, newText: kind }, false),
    ),
  ];
};

/** The innermost mapping around an offset, or the value of the key at it, with its path. */
function mapNear(
  node: Node | null | undefined,
  offset: number,
  path: (string | number)[] = [],
): { map: YAMLMap; path: (string | number)[] } | undefined {
  if (isSeq(node)) {
    const index = (node.items as Node[]).findIndex(
      ({ range }) => range && range[0] <= offset && offset <= range[1],
    );
    return index < 0 ? undefined : mapNear(node.items[index] as Node, offset, [...path, index]);
  }
  if (!isMap(node)) return undefined;
  const own = { map: node, path };
  for (const pair of node.items as Pair<Node, Node | null>[]) {
    const { key, value } = pair;
    const inner = [...path, nameOf(pair)];
    if (key.range?.[0] === offset) return isMap(value) ? { map: value, path: inner } : own;
    if (value?.range && value.range[0] <= offset && offset < value.range[1])
      return mapNear(value, offset, inner) ?? own;
  }
  return own;
}
