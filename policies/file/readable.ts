import type { ASTNode } from '@marcbachmann/cel-js';
import { printCel } from '../cel/print.ts';
import { writtenOut } from '../cel/schema.ts';

/** How tightly CEL's operators bind, loosest first. */
const PRECEDENCE: Record<string, number> = {
  '?:': 0,
  '||': 1,
  '&&': 2,
  ...Object.fromEntries(['==', '!=', '<', '<=', '>', '>=', 'in'].map((op) => [op, 3])),
  ...Object.fromEntries(['+', '-'].map((op) => [op, 4])),
  ...Object.fromEntries(['*', '/', '%'].map((op) => [op, 5])),
  '!_': 6,
  '-_': 6,
};
const TIGHTEST = 7;

/** An expression of a parsed policy, for people: with the parentheses it needs, and no others. */
export function readable(expression: string): string {
  const ast = writtenOut(expression);
  return ast === null ? expression : print(ast);
}

function print(node: ASTNode): string {
  switch (node.op) {
    case '?:':
      return `${operand(node.args[0], 1)} ? ${operand(node.args[1], 1)} : ${operand(node.args[2], 0)}`;
    case '!_':
      return `!${operand(node.args, TIGHTEST)}`;
    case '-_':
      return `-${operand(node.args, TIGHTEST)}`;
    case '.':
      return `${operand(node.args[0], TIGHTEST)}.${node.args[1]}`;
    case '[]':
      return `${operand(node.args[0], TIGHTEST)}[${print(node.args[1])}]`;
    case 'call':
      return `${node.args[0]}(${node.args[1].map(print).join(', ')})`;
    case 'rcall':
      return `${operand(node.args[1], TIGHTEST)}.${node.args[0]}(${node.args[2].map(print).join(', ')})`;
    case 'list':
      return `[${node.args.map(print).join(', ')}]`;
    case 'map':
      return `{${node.args.map(([key, value]) => `${print(key)}: ${print(value)}`).join(', ')}}`;
  }
  const own = PRECEDENCE[node.op];
  if (own === undefined) return printCel(node);
  const [left, right] = node.args as [ASTNode, ASTNode];
  // `a - (b - c)` needs its parentheses; logic means the same either way.
  const rightmost = node.op === '&&' || node.op === '||' ? own : own + 1;
  return `${operand(left, own === 3 ? own + 1 : own)} ${node.op} ${operand(right, rightmost)}`;
}

function operand(node: ASTNode, least: number): string {
  const tightness = PRECEDENCE[node.op] ?? TIGHTEST;
  return tightness < least ? `(${print(node)})` : print(node);
}
