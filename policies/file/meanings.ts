import { isMap, isScalar, isSeq, type Node, type Pair, type Scalar } from 'yaml';
import { memo } from '../memo.ts';
import type { ExpressionOptions } from './expressions.ts';
import { expressionText, isCelMessage } from './expressions.ts';
import { POLICY } from './parse.ts';
import { policyRules, requestRules } from './rules.ts';
import { message, type Shape } from './shape.ts';

/** A scalar whose text an editor has to understand: CEL, or the name of a rule. */
export type Meaning = { node: Scalar; path: (string | number)[] } & (
  | { kind: 'expression'; text: string; options: ExpressionOptions }
  | { kind: 'ruleName'; text: string }
);

/** The meanings in a policy document, by the shapes that read it; in the order of the file. Aliases are not followed. */
export function policyMeanings(root: Node | null): Meaning[] {
  return [...meanings(root, POLICY, [])];
}

/** The meanings in the rules that a request brings. */
export function requestRuleMeanings(root: Node | null, path: (string | number)[]): Meaning[] {
  return [...meanings(root, requestRules, path)];
}

/** Of rules by their nodes: an edit in a rule makes its node anew, and leaves the others in their places. */
const ofRules = new WeakMap<Node, Meaning[]>();

function* meanings(node: Node | null, shape: Shape<unknown>, path: (string | number)[]): Iterable<Meaning> {
  if (isMap(node)) {
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      const name = isScalar(key) ? String(key.value) : '';
      const inner = shape.fields?.[name] ?? shape.values;
      if (inner !== undefined) yield* meanings(value, inner, [...path, name]);
    }
  } else if (isSeq(node)) {
    const { items } = shape;
    if (items !== undefined)
      for (const [i, item] of node.items.entries())
        yield* isMap(item) && shape === policyRules
          ? memo(ofRules, item, () => [...meanings(item, items, [...path, i])])
          : meanings(item as Node, items, [...path, i]);
  } else if (isScalar(node)) {
    if (shape.isRuleName && typeof node.value === 'string')
      yield { kind: 'ruleName', node, path, text: node.value };
    if (shape.expression === undefined) return;
    // One that is still to be written is an expression, too.
    const text = node.value === null ? '' : expressionText(node);
    if (text === undefined || (shape === message && !isCelMessage(text))) return;
    yield { kind: 'expression', node, path, text, options: shape.expression };
  }
}
