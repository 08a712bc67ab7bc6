import type { ASTNode } from '@marcbachmann/cel-js';
import { children } from './schema.ts';

/** Steps one evaluation of an expression may take, by {@link estimatedCost}; 100,000 take some 10 ms. */
export const MAX_COST = 100_000;

/** How deep all(), exists(), map() and filter() may stand inside each other. */
export const MAX_NESTED_MACROS = 3;

/** Lists and maps of a request or an offer are counted as this long. */
const ATTRIBUTE_LENGTH = 50;

/** Running a pattern over a text. */
const PATTERN_COST = 50;

const MACROS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/**
 * An upper estimate of the interpreter's steps, from the text alone, as Kubernetes bounds its CEL rules: a
 * macro costs its body once per element. Infinity where macros are nested deeper than allowed.
 */
export function estimatedCost(node: ASTNode, nested = 0): number {
  if (node.op === 'rcall' && MACROS.has(node.args[0])) {
    if (nested === MAX_NESTED_MACROS) return Infinity;
    const [, receiver, args] = node.args;
    const body = args.slice(1).reduce((sum, arg) => sum + estimatedCost(arg, nested + 1), 0);
    return estimatedCost(receiver, nested) + lengthOf(receiver) * (1 + body);
  }
  const own = (node.op === 'rcall' || node.op === 'call') && node.args[0] === 'matches' ? PATTERN_COST : 1;
  const search = node.op === 'in' ? lengthOf(node.args[1]) : 0;
  return children(node).reduce((sum, child) => sum + estimatedCost(child, nested), own + search);
}

function lengthOf(node: ASTNode): number {
  if (node.op === 'list' || node.op === 'map') return node.args.length;
  if (node.op === '+') return lengthOf(node.args[0]) + lengthOf(node.args[1]);
  if (node.op === '?:') return Math.max(lengthOf(node.args[1]), lengthOf(node.args[2]));
  if (node.op === 'rcall' && (node.args[0] === 'map' || node.args[0] === 'filter'))
    return lengthOf(node.args[1]);
  return ATTRIBUTE_LENGTH;
}
