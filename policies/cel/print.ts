import type { ASTNode } from '@marcbachmann/cel-js';

/**
 * Writes an expression out again with every operand in parentheses, replacing `variables.x` by what
 * `variable('x')` answers. cel-js's own serializer drops parentheses that matter (`a - (b - c)`), and its
 * source ranges leave outer parentheses out, so neither can be used to cut an expression apart.
 */
export function printCel(node: ASTNode, variable?: (name: string) => string): string {
  const p = (n: ASTNode): string => printCel(n, variable);
  switch (node.op) {
    case 'value':
      return printLiteral(node.args);
    case 'id':
      return node.args;
    case '.':
      if (variable && node.args[0].op === 'id' && node.args[0].args === 'variables')
        return `(${variable(node.args[1])})`;
      return `${receiver(node.args[0], p)}.${node.args[1]}`;
    case '[]':
      return `${receiver(node.args[0], p)}[${p(node.args[1])}]`;
    case 'call':
      return `${node.args[0]}(${node.args[1].map(p).join(', ')})`;
    case 'rcall':
      return `${receiver(node.args[1], p)}.${node.args[0]}(${node.args[2].map(p).join(', ')})`;
    case 'list':
      return `[${node.args.map(p).join(', ')}]`;
    case 'map':
      return `{${node.args.map(([k, v]) => `${p(k)}: ${p(v)}`).join(', ')}}`;
    case '?:':
      return `(${p(node.args[0])} ? ${p(node.args[1])} : ${p(node.args[2])})`;
    case '!_':
      return `!(${p(node.args)})`;
    case '-_':
      return `-(${p(node.args)})`;
    case '.?':
    case '[?]':
      throw new Error('optional access is not part of the policy language');
    default:
      return `(${p(node.args[0])} ${node.op} ${p(node.args[1])})`;
  }
}

/** A receiver that is a plain chain needs no parentheses, and `has()` would not accept them. */
function receiver(node: ASTNode, p: (n: ASTNode) => string): string {
  return node.op === 'id' || node.op === '.' || node.op === 'rcall' || node.op === 'call'
    ? p(node)
    : `(${p(node)})`;
}

function printLiteral(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'bigint':
      // A negative literal would re-parse as the negation of a positive one, which is the same value.
      return String(value);
    case 'number':
      return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : String(value);
    case 'boolean':
      return String(value);
  }
  if (value === null) return 'null';
  if (value instanceof Uint8Array)
    return `b"${Array.from(value, (b) => `\\x${b.toString(16).padStart(2, '0')}`).join('')}"`;
  return `${String(value)}u`;
}

function quote(text: string): string {
  let out = '"';
  for (const ch of text) {
    const code = ch.codePointAt(0)!;
    if (ch === '"' || ch === '\\') out += `\\${ch}`;
    else if (code >= 32 && code < 127) out += ch;
    else
      out +=
        code > 0xffff
          ? `\\U${code.toString(16).padStart(8, '0')}`
          : `\\u${code.toString(16).padStart(4, '0')}`;
  }
  return `${out}"`;
}
