import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  Scalar,
  type ScalarTag,
  visit,
  type YAMLMap,
} from 'yaml';
import { stringifyString } from 'yaml/util';
import { POLICY, parsePolicy } from './parse.ts';
import { PolicyProblems } from './problems.ts';

/** Problems of a file that is not read at all. */
const OF_FILE = new Set(['file-too-large', 'too-many', 'no-policy']);

/** How wide folded texts are written. */
const FOLDED_WIDTH = 110;

/** Texts as YAML writes them, but folded ones (`>`) with lines of a readable length. */
const TEXT: ScalarTag = {
  tag: 'tag:yaml.org,2002:str',
  default: true,
  resolve: (value) => value,
  stringify(item, context, onComment, onChompKeep) {
    const folded = item.type === Scalar.BLOCK_FOLDED;
    const wide = folded ? { ...context, options: { ...context.options, lineWidth: FOLDED_WIDTH } } : context;
    return stringifyString(item, wide as typeof context, onComment, onChompKeep);
  },
};

/**
 * Writes a policy file in the one form that `landfall policy fmt` knows: fields in the order of the language, two
 * spaces of indentation, lines not folded but in folded texts (`>`). Comments, quotes, anchors and the choice between `{…}` and blocks stay as
 * they are, and so does the meaning. A field it does not know stays behind those it knows. Throws
 * {@link PolicyProblems} for what is no YAML.
 */
export function formatPolicy(text: string, file = 'policy.yaml'): string {
  const broken = parsePolicy(text, file).problems.filter(
    ({ code, path }) => code === 'yaml-syntax' || (path === '' && OF_FILE.has(code)),
  );
  if (broken.length > 0) throw new PolicyProblems(broken);
  return formatYaml(text, POLICY, file);
}

/** In which order the fields of a document stand, and those of what is in it. A `Shape` of the language is one. */
export interface FieldOrder {
  readonly fields?: Readonly<Record<string, FieldOrder>>;
  /** Of the items of a list. */
  readonly items?: FieldOrder;
}

/**
 * Writes documents in the form of {@link formatPolicy}, with the fields of each in that order. The text must be sound YAML.
 * Throws {@link PolicyProblems} for what cannot be written: an alias of nothing, or what is nested too deeply.
 */
export function formatYaml(text: string, order: FieldOrder, file: string): string {
  const unwritable = (message: string): PolicyProblems => {
    const place = { file, line: 1, column: 1, path: '', severity: 'error' as const };
    return new PolicyProblems([{ code: 'yaml-syntax', message, ...place }]);
  };
  try {
    const documents = parseAllDocuments(text, {
      strict: true,
      uniqueKeys: false,
      customTags: [TEXT],
    }) as Document[];
    const alias = documents.map(aliasOfNothing).find((source) => source !== undefined);
    if (alias !== undefined) throw unwritable(`no anchor '${alias}' above its alias`);
    return written(documents, order);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    // Writing recurses deeper than reading.
    throw unwritable('the file is nested too deeply to be written');
  }
}

/** An alias without an anchor above it, which cannot be written. */
function aliasOfNothing(document: Document): string | undefined {
  const anchors = new Set<string>();
  let found: string | undefined;
  visit(document, {
    Node: (_key, node) => {
      if (isAlias(node)) {
        if (anchors.has(node.source)) return undefined;
        found = node.source;
        return visit.BREAK;
      }
      if (node.anchor) anchors.add(node.anchor);
      return undefined;
    },
  });
  return found;
}

function written(documents: readonly Document[], order: FieldOrder): string {
  return documents
    .map((document, i) => {
      reorder(document.contents as Node | null, order);
      if (i > 0) document.directives!.docStart = true;
      return document.toString({ indentSeq: false, lineWidth: 0, flowCollectionPadding: false });
    })
    .join('');
}

/** Puts the fields of mappings in order, in place; what an anchor names is written where it stood first. */
function reorder(node: Node | null | undefined, given: FieldOrder | undefined, isItem = false): void {
  if (isSeq(node)) for (const item of node.items) reorder(item as Node, given?.items, true);
  if (!isMap(node)) return;
  const fields = given?.fields;
  if (fields !== undefined) {
    const order = Object.keys(fields);
    const place = (pair: Pair): number => {
      const at = order.indexOf(nameOf(pair));
      return at < 0 ? order.length : at;
    };
    const sorted = [...node.items].sort((a, b) => place(a) - place(b));
    if (sorted.some((pair, i) => pair !== node.items[i]) && movable(node)) moveTo(node, sorted, isItem);
  }
  for (const pair of node.items) reorder(pair.value as Node | null, fields?.[nameOf(pair)]);
}

function nameOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

/** An alias must stay behind its anchor, so a mapping whose fields share one keeps its order. */
function movable(map: YAMLMap): boolean {
  const home = new Map<string, Pair>();
  let shared = false;
  for (const pair of map.items)
    visit(pair.value as Node | null, {
      Node: (_key, node) => {
        if (isAlias(node)) shared ||= home.has(node.source) && home.get(node.source) !== pair;
        else if (node.anchor) home.set(node.anchor, pair);
      },
    });
  return !shared;
}

/**
 * YAML keeps the comment above the first field of a nested mapping with the mapping: it goes with its field, and that of
 * the new first field takes its place. Above an item of a list it is the item's, and stays.
 */
function moveTo(map: YAMLMap, sorted: Pair[], isItem: boolean): void {
  const before = map.items[0]!.key;
  if (map.flow) {
    map.items = sorted;
    return;
  }
  if (map.commentBefore && isScalar(before) && !isItem) {
    before.commentBefore = map.commentBefore;
    map.commentBefore = null;
  }
  map.items = sorted;
  const first = sorted[0]!.key;
  if (isScalar(first) && first.commentBefore) {
    map.commentBefore = [map.commentBefore, first.commentBefore].filter((text) => text).join('\n');
    first.commentBefore = null;
    first.spaceBefore = false;
  }
}
