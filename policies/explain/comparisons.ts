import type { ASTNode } from '@marcbachmann/cel-js';
import { type ColumnarProgram, compileColumnar } from '../cel/columnar.ts';
import { printCel } from '../cel/print.ts';
import {
  type CelRequest,
  children,
  EVALUATION,
  OFFER_ATTRIBUTES,
  type OfferAttribute,
  reads,
} from '../cel/schema.ts';
import { type NumericVector, numericVector } from '../cel/vectors.ts';
import { memo } from '../memo.ts';
import type { CompiledRule } from '../place/compiled.ts';
import type { OfferTable } from '../place/offers.ts';
import type { Threshold } from './types.ts';

/** A comparison of a number of the offer with a number of the request or a constant, inside a rule. */
export interface Comparison {
  expression: string;
  subject: string;
  /** What an offer must satisfy for the rule to let it through. */
  operator: Threshold['operator'];
  /** The number of the offer; NaN where it is not known. */
  numbers: (table: OfferTable, request: CelRequest) => Float64Array | null;
  /** What it is compared with; null where the request gives no number. */
  value: (table: OfferTable, request: CelRequest) => number | null;
  /** The whole rule, `when` included, as if the comparison let every offer through. */
  loosened: ColumnarProgram;
}

const known = new WeakMap<CompiledRule, Comparison[]>();

/** The comparisons of a rule that its verdict falls or rises with; kept with the rule. */
export function comparisonsOf(rule: CompiledRule): Comparison[] {
  return memo(known, rule, () => {
    const text = passText(rule);
    if (text === null || rule.readsResource) return [];
    const root = EVALUATION.parse(text).ast;
    const gate = rule.gateText === null ? '' : `!(${rule.gateText}) || `;
    return [...monotone(root, true)].flatMap(({ node, passesWhen }) => {
      const sides = sidesOf(node, passesWhen);
      if (sides === null) return [];
      const replaced = printWith(root, node, passesWhen ? 'true' : 'false');
      return [{ ...sides, loosened: compileColumnar(`${gate}(${replaced})`) }];
    });
  });
}

/** What must hold for an offer to pass, without the rule's `when`; null where that is no comparison of numbers. */
function passText({ clause }: CompiledRule): string | null {
  switch (clause.effect) {
    case 'require':
      return clause.expression;
    case 'deny':
      return `!(${clause.expression})`;
    case 'maxPrice':
      return `offer.pricePerHour <= ${Number.isInteger(clause.perHour) ? clause.perHour.toFixed(1) : clause.perHour}`;
    default:
      return null;
  }
}

/** The comparisons that only logic stands above, each with the value that helps the whole to be true. */
function* monotone(node: ASTNode, passesWhen: boolean): Generator<{ node: ASTNode; passesWhen: boolean }> {
  switch (node.op) {
    case '&&':
    case '||':
      for (const child of children(node)) yield* monotone(child, passesWhen);
      return;
    case '!_':
      yield* monotone(node.args, !passesWhen);
      return;
    case '<':
    case '<=':
    case '>':
    case '>=':
      yield { node, passesWhen };
  }
}

const MIRRORED = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const;
const NEGATED = { '<': '>=', '<=': '>', '>': '<=', '>=': '<' } as const;

function sidesOf(node: ASTNode, passesWhen: boolean): Omit<Comparison, 'loosened'> | null {
  const [left, right] = node.args as [ASTNode, ASTNode];
  const offerLeft = reads(left).offer.size > 0;
  if (offerLeft === reads(right).offer.size > 0) return null;
  const [own, other] = offerLeft ? [left, right] : [right, left];
  const numbers = offerNumbers(own);
  const value = numericVector(other);
  if (numbers === null || value === null) return null;
  const written = node.op as Threshold['operator'];
  const operator = offerLeft ? written : MIRRORED[written];
  return {
    expression: bare(printCel(node)),
    subject: bare(printCel(own)),
    operator: passesWhen ? operator : NEGATED[operator],
    numbers,
    value: (table, request) => {
      const found = value(table, request);
      return typeof found === 'number' && Number.isFinite(found) ? found : null;
    },
  };
}

/** A numeric expression over the offer: one attribute, known or not, or what has a vector form. */
function offerNumbers(node: ASTNode): Comparison['numbers'] | null {
  const vector = numericVector(node);
  if (vector !== null) return fromVector(vector);
  const attribute = attributeOf(node);
  if (attribute === null || OFFER_ATTRIBUTES[attribute] !== 'double') return null;
  return (table) => {
    const { codes, values } = table.column(attribute);
    const numbers = values.map((v) => (typeof v === 'number' ? v : Number.NaN));
    return Float64Array.from(codes, (code) => numbers[code]!);
  };
}

function fromVector(vector: NumericVector): Comparison['numbers'] {
  return (table, request) => {
    const found = vector(table, request);
    return found instanceof Float64Array ? found : null;
  };
}

function attributeOf(node: ASTNode): OfferAttribute | null {
  if (node.op !== '.' || node.args[0].op !== 'id' || node.args[0].args !== 'offer') return null;
  return node.args[1] as OfferAttribute;
}

/** The expression with one node, and only that, replaced. */
function printWith(root: ASTNode, node: ASTNode, by: string): string {
  if (root === node) return by;
  switch (root.op) {
    case '&&':
    case '||':
      return `(${printWith(root.args[0], node, by)} ${root.op} ${printWith(root.args[1], node, by)})`;
    case '!_':
      return `!(${printWith(root.args, node, by)})`;
    default:
      return printCel(root);
  }
}

function bare(printed: string): string {
  return printed.startsWith('(') && printed.endsWith(')') ? printed.slice(1, -1) : printed;
}

const readsOfRule = new WeakMap<CompiledRule, Set<string>>();

/** Attributes of the request that anything of a rule reads: its expressions, its `when`, its exceptions. */
export function requestReads(rule: CompiledRule): Set<string> {
  return memo(readsOfRule, rule, () => {
    const { clause, gateText, exceptions } = rule;
    const texts = [gateText, ...exceptions.map((e) => e.matchText)];
    if ('expression' in clause) texts.push(clause.expression);
    if ('to' in clause) texts.push(clause.to);
    if ('gibPerMonth' in clause) texts.push(clause.gibPerMonth);
    const found = new Set<string>();
    for (const text of texts)
      if (text !== null) for (const name of reads(EVALUATION.parse(text).ast).request) found.add(name);
    return found;
  });
}
