import type { ASTNode } from '@marcbachmann/cel-js';
import type { Codes } from '../catalogue/rows.ts';
import { memo } from '../memo.ts';
import type { OfferTable } from '../place/offers.ts';
import { printCel } from './print.ts';
import { type CelRequest, EVALUATION, type OfferAttribute, reads } from './schema.ts';
import { and, type Bits, choose, ERROR, FALSE, not, or, TRUE, type TriValue, triFrom } from './trivalue.ts';
import { numericVector } from './vectors.ts';

/** A boolean expression over `request` and `offer`, ready to be asked about all offers of a table at once. */
export interface ColumnarProgram {
  /** The value per offer. Never throws: an evaluation error is the third value. */
  run(table: OfferTable, request: CelRequest): TriValue;
  /** Offer attributes the expression reads; none = it holds for all offers or for none. */
  readonly offerAttributes: ReadonlySet<OfferAttribute>;
  /** Parts that no column form was found for, by the attributes whose combinations they are evaluated over. */
  readonly combined: readonly OfferAttribute[][];
}

/** One evaluation by the reference interpreter; an error of any kind is a value here. */
export type Verdict = 'true' | 'false' | 'error';

/**
 * The reference interpreter on one offer, and on one machine that exists (`celResource`) where the expression
 * reads `resource`. What it says of an offer is what {@link compileColumnar} must say.
 */
export function interpret(
  source: string,
): (request: CelRequest, offer: Record<string, unknown>, resource?: Record<string, unknown>) => Verdict {
  const evaluate = EVALUATION.parse(source);
  return (request, offer, resource) => {
    try {
      const value: unknown = evaluate({ request, offer, resource });
      return value === true ? 'true' : value === false ? 'false' : 'error';
    } catch {
      // CEL's evaluation error is a value in this language: it is counted, and it rejects the offer.
      return 'error';
    }
  };
}

/**
 * Compiles a checked expression whose variables are inlined. Logic becomes operations on bit sets, a number
 * against a number becomes a loop over typed arrays, and any other part is evaluated by the interpreter once
 * per distinct combination of the attributes it reads (for one dictionary column: once per value).
 */
export function compileColumnar(source: string, root = EVALUATION.parse(source).ast): ColumnarProgram {
  const combined: OfferAttribute[][] = [];
  const run = build(root, combined);
  return { run, offerAttributes: reads(root).offer, combined };
}

type Run = ColumnarProgram['run'];

function build(node: ASTNode, combined: OfferAttribute[][]): Run {
  const used = reads(node);
  if (used.offer.size === 0) return constant(node);
  const logic = structural(node, combined);
  // Logic over bit sets is quick; keeping its results for every request would only cost memory.
  if (logic !== null) return used.request.size === 0 ? shared(node, () => logic, used.request) : logic;
  const comparison = compared(node);
  if (comparison !== null) return shared(node, () => comparison, used.request);
  const attributes = [...used.offer].sort();
  combined.push(attributes);
  return shared(node, () => byCombination(node, attributes), used.request);
}

const parts = new Map<string, WeakRef<Run>>();
const unused = new FinalizationRegistry<string>((text) => {
  if (parts.get(text)?.deref() === undefined) parts.delete(text);
});

/**
 * One part for every expression that has it, with its results: of a policy that is put again, only what is new in it is
 * computed over all offers. It lasts for as long as one of those expressions does.
 */
function shared(node: ASTNode, make: () => Run, requestAttributes: ReadonlySet<string>): Run {
  const text = printCel(node);
  const known = parts.get(text)?.deref();
  if (known !== undefined) return known;
  const part = remembered(make(), requestAttributes);
  parts.set(text, new WeakRef(part));
  unused.register(part, text);
  return part;
}

/** An expression without the offer: one evaluation for all offers. */
function constant(node: ASTNode): Run {
  let evaluate: ReturnType<typeof interpret> | undefined;
  return (_table, request) => {
    evaluate ??= interpret(printCel(node));
    const verdict = evaluate(request, {});
    return verdict === 'true' ? TRUE : verdict === 'false' ? FALSE : ERROR;
  };
}

function structural(node: ASTNode, combined: OfferAttribute[][]): Run | null {
  switch (node.op) {
    case '&&': {
      const [left, right] = operands(node.args, combined);
      return (table, request) => {
        const l = left(table, request);
        return l.all === 'false' ? l : and(l, right(table, request), table.length);
      };
    }
    case '||': {
      const [left, right] = operands(node.args, combined);
      return (table, request) => {
        const l = left(table, request);
        return l.all === 'true' ? l : or(l, right(table, request), table.length);
      };
    }
    case '!_': {
      const operand = build(node.args, combined);
      return (table, request) => not(operand(table, request), table.length);
    }
    case '?:': {
      const [c, a, b] = node.args.map((n) => build(n, combined)) as [Run, Run, Run];
      return (table, request) =>
        choose(
          c(table, request),
          () => a(table, request),
          () => b(table, request),
          table.length,
        );
    }
    default:
      return null;
  }
}

/** The cheaper-looking operand first: both orders mean the same in CEL, and a constant may decide alone. */
function operands(args: [ASTNode, ASTNode], combined: OfferAttribute[][]): [Run, Run] {
  const built = args.map((n) => build(n, combined)) as [Run, Run];
  return reads(args[0]).offer.size > 0 && reads(args[1]).offer.size === 0 ? [built[1], built[0]] : built;
}

const COMPARISONS = {
  '<': (a: number, b: number) => a < b,
  '<=': (a: number, b: number) => a <= b,
  '>': (a: number, b: number) => a > b,
  '>=': (a: number, b: number) => a >= b,
  '==': (a: number, b: number) => a === b,
  '!=': (a: number, b: number) => a !== b,
};

/** A numeric column or an arithmetic over doubles against another. */
function compared(node: ASTNode): Run | null {
  if (!(node.op in COMPARISONS)) return null;
  const op = node.op as keyof typeof COMPARISONS;
  const args = node.args as [ASTNode, ASTNode];
  const left = numericVector(args[0]);
  const right = numericVector(args[1]);
  if (left === null || right === null) return null;
  const loop = comparisonLoop(op);
  return (table, request) => {
    const l = left(table, request);
    const r = right(table, request);
    if (l === 'error' || r === 'error') return ERROR;
    const bits = new Uint32Array((table.length + 31) >>> 5);
    loop(l, r, bits, table.length);
    return triFrom(bits, null, table.length);
  };
}

type Operand = number | Float64Array;

/** One closure per operator and shape, so that the engine sees one comparison per loop. */
function comparisonLoop(
  op: keyof typeof COMPARISONS,
): (l: Operand, r: Operand, out: Uint32Array, n: number) => void {
  const test = COMPARISONS[op];
  return (l, r, out, n) => {
    if (typeof l === 'number' && typeof r === 'number') {
      if (test(l, r)) for (let i = 0; i < n; i++) out[i >>> 5]! |= 1 << (i & 31);
    } else if (typeof r === 'number') compareToConstant(op, l as Float64Array, r, out, n);
    else if (typeof l === 'number') compareToConstant(MIRRORED[op], r, l, out, n);
    else for (let i = 0; i < n; i++) if (test(l[i]!, r[i]!)) out[i >>> 5]! |= 1 << (i & 31);
  };
}

const MIRRORED = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '==': '==', '!=': '!=' } as const;

/** A loop for each operator, and the bits built word by word: both are several times as quick as the obvious way. */
function compareToConstant(
  op: keyof typeof COMPARISONS,
  d: Float64Array,
  k: number,
  out: Uint32Array,
  n: number,
): void {
  for (let w = 0, i = 0; w < out.length; w++) {
    const end = Math.min(i + 32, n);
    let word = 0;
    switch (op) {
      case '<':
        for (let b = 0; i < end; i++, b++) word |= (d[i]! < k ? 1 : 0) << b;
        break;
      case '<=':
        for (let b = 0; i < end; i++, b++) word |= (d[i]! <= k ? 1 : 0) << b;
        break;
      case '>':
        for (let b = 0; i < end; i++, b++) word |= (d[i]! > k ? 1 : 0) << b;
        break;
      case '>=':
        for (let b = 0; i < end; i++, b++) word |= (d[i]! >= k ? 1 : 0) << b;
        break;
      case '==':
        for (let b = 0; i < end; i++, b++) word |= (d[i]! === k ? 1 : 0) << b;
        break;
      case '!=':
        for (let b = 0; i < end; i++, b++) word |= (d[i]! !== k ? 1 : 0) << b;
    }
    out[w] = word;
  }
}

/** The interpreter, once per distinct combination of the attributes' values. */
function byCombination(node: ASTNode, attributes: OfferAttribute[]): Run {
  const evaluate = interpret(printCel(node));
  return (table, request) => {
    const n = table.length;
    const columns = attributes.map((a) => table.column(a));
    const { codes, first } = combinations(table, attributes);
    const verdicts = new Uint8Array(first.length);
    for (let k = 0; k < first.length; k++) {
      const offer: Record<string, unknown> = {};
      attributes.forEach((attribute, c) => {
        const value = columns[c]!.values[columns[c]!.codes[first[k]!]!];
        if (value !== undefined) offer[attribute] = value;
      });
      const verdict = evaluate(request, offer);
      verdicts[k] = verdict === 'true' ? 1 : verdict === 'false' ? 0 : 2;
    }
    const bits = bitsOfCodes(
      codes,
      verdicts.map((v) => v & 1),
    );
    if (!verdicts.includes(2)) return triFrom(bits, null, n);
    const errors = bitsOfCodes(
      codes,
      verdicts.map((v) => v >>> 1),
    );
    return triFrom(bits, errors, n);
  };
}

/** A bit for each offer: what stands for its code, 0 or 1. Built word by word, which is three times as quick as bit by bit. */
export function bitsOfCodes(codes: Codes, marks: Uint8Array): Bits {
  const bits = new Uint32Array((codes.length + 31) >>> 5);
  for (let w = 0; w < bits.length; w++) {
    const first = w << 5;
    const end = Math.min(32, codes.length - first);
    let word = 0;
    for (let b = 0; b < end; b++) word |= marks[codes[first + b]!]! << b;
    bits[w] = word;
  }
  return bits;
}

/** Which offers share all values of some attributes: a code per offer, and an offer of each code. */
export interface Combinations {
  codes: Uint32Array;
  first: number[];
}

const combinationsOf = new WeakMap<OfferTable, Map<string, Combinations>>();

/** The combinations of at least one attribute; kept by table. */
export function combinations(table: OfferTable, attributes: readonly OfferAttribute[]): Combinations {
  const known = memo(combinationsOf, table, () => new Map<string, Combinations>());
  return memo(known, attributes.join(), () => {
    const columns = attributes.map((a) => table.column(a));
    const codes = new Uint32Array(table.length);
    const first: number[] = [];
    const seen = new Map<number, number>();
    let previous = columns[0]!.codes;
    for (let c = 0; c < columns.length; c++) {
      // Pairs (combination so far, next code) are numbered in turn, so no product of sizes can overflow.
      seen.clear();
      first.length = 0;
      const next = columns[c]!;
      const width = next.values.length;
      for (let i = 0; i < codes.length; i++) {
        const key = (c === 0 ? 0 : previous[i]!) * width + next.codes[i]!;
        let code = seen.get(key);
        if (code === undefined) {
          code = first.length;
          seen.set(key, code);
          first.push(i);
        }
        codes[i] = code;
      }
      previous = codes;
    }
    return { codes, first };
  });
}

/** How many results one part of one expression keeps per table: requests in flight are alike. */
const REMEMBERED = 16;

/** Keeps results by table and by the request attributes read; results are never changed once made. */
function remembered(run: Run, requestAttributes: ReadonlySet<string>): Run {
  const names = [...requestAttributes].sort();
  const results = new WeakMap<OfferTable, Map<string, TriValue>>();
  return (table, request) => {
    const known = memo(results, table, () => new Map<string, TriValue>());
    const key = names.length === 0 ? '' : JSON.stringify(names.map((name) => plain(request[name])));
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = run(table, request);
    if (known.size >= REMEMBERED) known.delete(known.keys().next().value!);
    known.set(key, made);
    return made;
  };
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
