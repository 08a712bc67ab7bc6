/** Where things are named: variables, rules and resources, over all files. */

import { valueOffsets } from '@landfall/policies/file/positions.ts';
import { isMap, isScalar, isSeq, type Node, type Pair, type Scalar, visit } from 'yaml';
import { variablesOf } from './expression.ts';
import { type FilePart, type LandfallFile, textAt } from './file.ts';

/** One place where something is named. */
export interface Occurrence {
  file: LandfallFile;
  part: FilePart;
  /** The name's own characters in the part, quotes left out. */
  span: [number, number];
  /** Equal for places that name the same thing. */
  symbol: string;
  kind: 'variable' | 'rule' | 'resource' | 'policy';
  name: string;
  isDefinition: boolean;
}

/** Fields that name a resource, with the kind they name; of an image, either kind. */
const NAMED_BY: Record<string, string> = {
  network: 'Network',
  volume: 'Volume',
  snapshot: 'Snapshot',
  attachedTo: 'Instance',
  instance: 'Instance',
  site: 'Site',
  sites: 'Site',
  image: 'Image',
  sshKeys: 'SshKey',
  project: 'Project',
  organization: 'Organization',
};

/** All places of a file that name something. */
export function* occurrences(file: LandfallFile): Iterable<Occurrence> {
  for (const part of file.parts)
    yield* part.kind === 'PlacementPolicy' ? inPolicy(file, part) : inResource(file, part);
}

function* inPolicy(file: LandfallFile, part: FilePart): Iterable<Occurrence> {
  const here = `${file.uri} ${part.line}`;
  const name = textAt(part, ['metadata', 'name']);
  if (name !== undefined)
    yield {
      file,
      part,
      span: spanOf(name.node as Scalar),
      symbol: `policy ${name.text}`,
      kind: 'policy',
      name: name.text,
      isDefinition: true,
    };
  for (const { name, key } of variablesOf(part))
    yield {
      file,
      part,
      span: spanOf(key as Scalar),
      symbol: `variable ${here} ${name}`,
      kind: 'variable',
      name,
      isDefinition: true,
    };
  const shared = new Set<string>();
  for (const rule of rulesOf(part)) {
    // An override and what it takes the place of are one thing, wherever they stand.
    if (rule.isShared) shared.add(rule.name);
  }
  const symbolOf = (rule: string): string => (shared.has(rule) ? `rule ${rule}` : `rule ${here} ${rule}`);
  for (const rule of rulesOf(part))
    yield {
      file,
      part,
      span: spanOf(rule.node),
      symbol: symbolOf(rule.name),
      kind: 'rule',
      name: rule.name,
      isDefinition: true,
    };
  for (const meaning of file.meanings(part)) {
    if (meaning.kind === 'ruleName') {
      const symbol = symbolOf(meaning.text);
      const name = meaning.text;
      yield { file, part, span: spanOf(meaning.node), symbol, kind: 'rule', name, isDefinition: false };
      continue;
    }
    if (!meaning.text.includes('variables.')) continue;
    let offsets: number[] | undefined;
    for (const match of meaning.text.matchAll(
      /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\bvariables\.([A-Za-z_]\w*)/g,
    )) {
      const [whole, name] = match;
      if (name === undefined) continue;
      offsets ??= valueOffsets(meaning.node, meaning.text, part.text);
      const end = match.index + whole.length;
      const span: [number, number] = [offsets[end - name.length]!, offsets[end]!];
      yield {
        file,
        part,
        span,
        symbol: `variable ${here} ${name}`,
        kind: 'variable',
        name,
        isDefinition: false,
      };
    }
  }
}

/** A rule of a policy, as far as it is written. */
export interface RuleNode {
  name: string;
  /** The name's scalar, and the whole mapping. */
  node: Scalar;
  rule: Node;
  /** Whether it takes the place of another rule, or lets another take its own. */
  isShared: boolean;
}

export function rulesOf({ document }: FilePart): RuleNode[] {
  const rules = document?.getIn(['spec', 'rules'], true);
  if (!isSeq(rules)) return [];
  return rules.items.flatMap((rule) => {
    const node = isMap(rule) ? rule.get('name', true) : undefined;
    if (!isMap(rule) || !isScalar(node) || typeof node.value !== 'string') return [];
    const isShared = rule.get('override') === true || rule.get('overridable') === true;
    return [{ name: node.value, node, rule, isShared }];
  });
}

function* inResource(file: LandfallFile, part: FilePart): Iterable<Occurrence> {
  const found: Occurrence[] = [];
  const add = (node: Scalar, kind: string, isDefinition: boolean): void => {
    const name = String(node.value);
    const symbol = `resource ${kind === 'CustomImage' ? 'Image' : kind} ${name}`;
    found.push({ file, part, span: spanOf(node), symbol, kind: 'resource', name, isDefinition });
  };
  const own = textAt(part, ['metadata', 'name']);
  if (own !== undefined) add(own.node as Scalar, part.kind, true);
  visit(part.document, {
    Pair: (_key, pair, path) => {
      const { key, value } = pair as Pair<Node, Node | null>;
      const kind =
        isScalar(key) && Object.hasOwn(NAMED_BY, String(key.value))
          ? NAMED_BY[String(key.value)]!
          : undefined;
      // A cloud's own project has the same name of a field.
      if (kind === undefined || (kind === 'Project' && !isIn('metadata', path as Node[]))) return;
      for (const one of isSeq(value) ? value.items : [value])
        if (isScalar(one) && typeof one.value === 'string') add(one, kind, false);
    },
  });
  yield* found;
}

function isIn(key: string, path: readonly unknown[]): boolean {
  return path.some(
    (node) =>
      typeof node === 'object' &&
      node !== null &&
      'key' in node &&
      isScalar(node.key) &&
      node.key.value === key,
  );
}

/** A scalar's text without its quotes. */
/** The characters of a scalar, quotes left out. */
export function spanOf({ range, type }: Scalar): [number, number] {
  const [start, end] = range ?? [0, 0];
  return type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE' ? [start + 1, end - 1] : [start, end];
}
