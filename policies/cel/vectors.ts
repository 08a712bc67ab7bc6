import type { ASTNode } from '@marcbachmann/cel-js';
import { NUMERIC, type OfferTable } from '../place/offers.ts';
import { printCel } from './print.ts';
import { type CelRequest, EVALUATION, reads } from './schema.ts';

/** A number for all offers, one per offer, or an error for all (only the request's part can fail). */
export type NumericResult = number | Float64Array | 'error';

/** Computes a numeric expression for all offers of a table. */
export type NumericVector = (table: OfferTable, request: CelRequest) => NumericResult;

/** Ints up to here are exact as doubles. */
const EXACT = 2 ** 53;

/**
 * The vector form of a numeric expression, or null when it has none. Columns, request-only parts,
 * `double(column)` and + - * / over doubles have one: their IEEE arithmetic is the interpreter's own.
 * Int arithmetic has none, because CEL's ints are 64 bits wide and overflow is an error.
 */
export function numericVector(node: ASTNode): NumericVector | null {
  const type = typeOf(node);
  if (type !== 'int' && type !== 'double') return null;
  if (reads(node).offer.size === 0) return requestNumber(node);
  switch (node.op) {
    case '.': {
      const attribute = node.args[1];
      if (node.args[0].op !== 'id' || node.args[0].args !== 'offer' || !(attribute in NUMERIC)) return null;
      return (table) => table.numbers(attribute as keyof typeof NUMERIC);
    }
    case 'call':
      return node.args[0] === 'double' ? numericVector(node.args[1][0]!) : null;
    case '-_':
      return type === 'double' ? map(numericVector(node.args), (x) => -x) : null;
    case '+':
      return type === 'double' ? combine(node.args, '+') : null;
    case '-':
      return type === 'double' ? combine(node.args, '-') : null;
    case '*':
      return type === 'double' ? combine(node.args, '*') : null;
    case '/':
      return type === 'double' ? combine(node.args, '/') : null;
    default:
      return null;
  }
}

function typeOf(node: ASTNode): string | undefined {
  return EVALUATION.check(printCel(node)).type;
}

function requestNumber(node: ASTNode): NumericVector {
  const evaluate = EVALUATION.parse(printCel(node));
  return (_table, request) => {
    try {
      const value: unknown = evaluate({ request });
      if (typeof value === 'number') return value;
      if (typeof value === 'bigint') {
        // Every int column stays far below 2^53, so a clamped constant compares as the exact one does.
        if (value > EXACT) return Infinity;
        if (value < -EXACT) return -Infinity;
        return Number(value);
      }
      return 'error';
    } catch {
      // An evaluation error is a value in CEL; the comparison it stands in has that error for every offer.
      return 'error';
    }
  };
}

function map(vector: NumericVector | null, f: (x: number) => number): NumericVector | null {
  if (vector === null) return null;
  return (table, request) => {
    const x = vector(table, request);
    if (x === 'error') return x;
    return typeof x === 'number' ? f(x) : x.map(f);
  };
}

type Arithmetic = '+' | '-' | '*' | '/';

function combine(args: [ASTNode, ASTNode], op: Arithmetic): NumericVector | null {
  const left = numericVector(args[0]);
  const right = numericVector(args[1]);
  if (left === null || right === null) return null;
  return (table, request) => {
    const x = left(table, request);
    const y = right(table, request);
    if (x === 'error' || y === 'error') return 'error';
    if (typeof x === 'number' && typeof y === 'number') return compute(op, x, y, 1)[0]!;
    return compute(op, x, y, table.length);
  };
}

/** A loop for each operator: a closure called for each offer takes ten times as long. */
function compute(
  op: Arithmetic,
  x: number | Float64Array,
  y: number | Float64Array,
  n: number,
): Float64Array {
  const out = new Float64Array(n);
  const [a, stepA] = typeof x === 'number' ? [Float64Array.of(x), 0] : [x, 1];
  const [b, stepB] = typeof y === 'number' ? [Float64Array.of(y), 0] : [y, 1];
  switch (op) {
    case '+':
      for (let i = 0; i < n; i++) out[i] = a[i * stepA]! + b[i * stepB]!;
      break;
    case '-':
      for (let i = 0; i < n; i++) out[i] = a[i * stepA]! - b[i * stepB]!;
      break;
    case '*':
      for (let i = 0; i < n; i++) out[i] = a[i * stepA]! * b[i * stepB]!;
      break;
    case '/':
      for (let i = 0; i < n; i++) out[i] = a[i * stepA]! / b[i * stepB]!;
  }
  return out;
}
