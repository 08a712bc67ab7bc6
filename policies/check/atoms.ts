import type { ASTNode } from '@marcbachmann/cel-js';
import { interpret } from '../cel/columnar.ts';
import { printCel } from '../cel/print.ts';
import { children, EVALUATION } from '../cel/schema.ts';
import { type Attribute, attributeKey, attributeOf, baseDomain } from './attributes.ts';
import { type Domain, numbers, type TextTest, TRUTH, texts } from './domains.ts';

/** What is known of one term: that it has a value, and which; `present` null = not known. */
export interface Known {
  present: boolean | null;
  domain: Domain | null;
  attribute: Attribute | null;
}

/** Conditions on terms that hold together, by the terms' names. */
export type Conditions = ReadonlyMap<string, Known>;

/** When a condition without `&&`, `||`, `!`, `?:` has each of CEL's three values; null = never. */
export interface Atom {
  true: Conditions | null;
  false: Conditions | null;
  error: Conditions | null;
}

/** Reads a condition. What it cannot take apart is a term of its own, known by its text. */
export function readAtom(node: ASTNode): Atom {
  return (
    constant(node) ?? presence(node) ?? comparison(node) ?? membership(node) ?? textTest(node) ?? opaque(node)
  );
}

const ALWAYS: Conditions = new Map();

/** A condition that reads nothing. */
function constant(node: ASTNode): Atom | null {
  const reads = (n: ASTNode): boolean =>
    (n.op === 'id' && ['request', 'offer', 'resource'].includes(n.args)) || children(n).some(reads);
  if (reads(node)) return null;
  const verdict = interpret(printCel(node))({}, {});
  const when = (value: string): Conditions | null => (verdict === value ? ALWAYS : null);
  return { true: when('true'), false: when('false'), error: when('error') };
}

/** `has(x)`, and `"key" in labels`, which says the same of a label. */
function presence(node: ASTNode): Atom | null {
  const attribute =
    node.op === 'call' && node.args[0] === 'has' ? attributeOf(node.args[1][0]!) : entryAsked(node);
  if (attribute === null) return null;
  const known = (present: boolean): Conditions =>
    new Map([[attributeKey(attribute), { present, domain: null, attribute }]]);
  return { true: known(true), false: attribute.nullable ? known(false) : null, error: null };
}

function entryAsked(node: ASTNode): Attribute | null {
  if (node.op !== 'in') return null;
  const [key, map] = node.args;
  const attribute = attributeOf(map);
  if (attribute?.type !== 'map<string, string>' || key.op !== 'value' || typeof key.args !== 'string')
    return null;
  return { ...attribute, entry: key.args, type: 'string', nullable: true };
}

const MIRRORED: Record<string, string> = {
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
  '==': '==',
  '!=': '!=',
};
const OPPOSITE: Record<string, string> = {
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
  '==': '!=',
  '!=': '==',
};

/** A term against a literal, or against another term. */
function comparison(node: ASTNode): Atom | null {
  if (!(node.op in MIRRORED)) return null;
  const [left, right] = node.args as [ASTNode, ASTNode];
  const [l, r] = [literal(left), literal(right)];
  if (l !== undefined && r === undefined) return compared(right, MIRRORED[node.op]!, l);
  if (r !== undefined && l === undefined) return compared(left, node.op, r);
  return l === undefined ? betweenTerms(left, node.op, right) : null;
}

function compared(term: ASTNode, op: string, value: string | number | boolean): Atom | null {
  if (typeof value === 'boolean')
    return op === '==' || op === '!=' ? flag(readAtom(term), (op === '==') === value) : null;
  if (typeof value === 'string') {
    if (op !== '==' && op !== '!=') return null;
    const [is, isNot] = [texts({ only: [value] }), texts({ not: [value] })];
    return about(term, op === '==' ? is : isNot, op === '==' ? isNot : is);
  }
  const int = typeOf(term) === 'int';
  const attribute = attributeOf(term);
  const when = (o: string): Domain | null => {
    switch (o) {
      case '<':
        return numbers(int, { hi: value, hiOpen: true });
      case '<=':
        return numbers(int, { hi: value });
      case '>':
        return numbers(int, { lo: value, loOpen: true });
      case '>=':
        return numbers(int, { lo: value });
      case '==':
        return numbers(int, { lo: value, hi: value });
      default:
        return numbers(int, { not: [value] });
    }
  };
  // A computed double may be NaN, which is not below a number and not above it either.
  const ordered = int || attribute !== null || op === '==' || op === '!=';
  return about(term, when(op), ordered ? when(OPPOSITE[op]!) : null);
}

/** `b == true` and the like: the condition itself, or its opposite. */
function flag(atom: Atom, same: boolean): Atom {
  return same ? atom : { true: atom.false, false: atom.true, error: atom.error };
}

/** Two terms: how they stand to each other is a term of its own, -1, 0 or 1. */
function betweenTerms(left: ASTNode, op: string, right: ASTNode): Atom | null {
  const type = typeOf(left);
  if (type !== typeOf(right) || (type !== 'int' && type !== 'double' && type !== 'string')) return null;
  const [a, b] = [termKey(left), termKey(right)];
  if (a === b) return null;
  const o = a < b ? op : MIRRORED[op]!;
  const order: Record<string, Domain> = {
    '<': numbers(true, { lo: -1, hi: -1 }),
    '<=': numbers(true, { lo: -1, hi: 0 }),
    '>': numbers(true, { lo: 1, hi: 1 }),
    '>=': numbers(true, { lo: 0, hi: 1 }),
    '==': numbers(true, { lo: 0, hi: 0 }),
    '!=': numbers(true, { lo: -1, hi: 1, not: [0] }),
  };
  const plain = type !== 'double' || (attributeOf(left) !== null && attributeOf(right) !== null);
  const key = a < b ? `${a} <=> ${b}` : `${b} <=> ${a}`;
  const known = (domain: Domain | null): Conditions =>
    new Map([[key, { present: true, domain, attribute: null }], ...has(left), ...has(right)]);
  const canFail = [left, right].some((side) => attributeOf(side)?.nullable ?? true);
  return {
    // NaN is unequal to everything, so without an order nothing is known but for ==.
    true: known(plain || o !== '!=' ? order[o]! : null),
    false: known(plain ? order[OPPOSITE[o]!]! : null),
    error: canFail ? new Map([[key, { present: false, domain: null, attribute: null }]]) : null,
  };
}

function has(term: ASTNode): [string, Known][] {
  const attribute = attributeOf(term);
  return attribute === null
    ? []
    : [[attributeKey(attribute), { present: true, domain: baseDomain(attribute), attribute }]];
}

/** `term in ["a", "b"]`, for texts and numbers. */
function membership(node: ASTNode): Atom | null {
  if (node.op !== 'in') return null;
  const [term, list] = node.args;
  if (list.op !== 'list' || literal(term) !== undefined) return null;
  const values = list.args.map(literal);
  if (values.length > 0 && values.every((v) => typeof v === 'string'))
    return about(term, texts({ only: values }), texts({ not: values }));
  return null;
}

/** A function of a text and a literal that never fails where the text is there. */
function textTest(node: ASTNode): Atom | null {
  if (node.op !== 'rcall') return null;
  const [name, receiver, args] = node.args;
  const value = args[0] === undefined ? undefined : literal(args[0]);
  if (args.length !== 1 || typeof value !== 'string' || typeOf(receiver) !== 'string') return null;
  const test = ((): Omit<TextTest, 'key' | 'wanted'> | null => {
    switch (name) {
      case 'startsWith':
        return { holds: (text) => text.startsWith(value), prefix: value };
      case 'endsWith':
        return { holds: (text) => text.endsWith(value), suffix: value };
      case 'contains':
        return { holds: (text) => text.includes(value) };
      case 'matches': {
        const pattern = new RegExp(value);
        return { holds: (text) => pattern.test(text) };
      }
      default:
        return null;
    }
  })();
  if (test === null) return null;
  const key = `${name} ${value}`;
  return about(
    receiver,
    texts({ tests: [{ ...test, key, wanted: true }] }),
    texts({ tests: [{ ...test, key, wanted: false }] }),
  );
}

/** A condition that is true in one domain of a term, false in another, and an error where the term has no value. */
function about(term: ASTNode, whenTrue: Domain | null, whenFalse: Domain | null): Atom {
  const attribute = attributeOf(term);
  const key = termKey(term);
  const known = (domain: Domain | null): Conditions => new Map([[key, { present: true, domain, attribute }]]);
  const canFail = attribute?.nullable ?? true;
  return {
    true: known(whenTrue),
    false: known(whenFalse),
    error: canFail ? new Map([[key, { present: false, domain: null, attribute }]]) : null,
  };
}

/** Anything else: one and the same text has one and the same value for one request and one offer. */
function opaque(node: ASTNode): Atom {
  const attribute = attributeOf(node);
  const key = `? ${termKey(node)}`;
  const may = (bit: number): Conditions =>
    new Map([[key, { present: null, domain: { kind: 'truth', may: bit }, attribute }]]);
  const canFail = attribute?.nullable ?? true;
  return { true: may(TRUTH.true), false: may(TRUTH.false), error: canFail ? may(TRUTH.error) : null };
}

function termKey(node: ASTNode): string {
  const attribute = attributeOf(node);
  return attribute === null ? printCel(node) : attributeKey(attribute);
}

/** Numbers beyond this are not exact as doubles, and nothing is concluded from them. */
const EXACT = 2 ** 53;

/** The value of a literal; ints as numbers. Undefined for anything else. */
export function literal(node: ASTNode): string | number | boolean | undefined {
  if (node.op === '-_') {
    const value = literal(node.args);
    return typeof value === 'number' ? -value : undefined;
  }
  if (node.op !== 'value') return undefined;
  const value: unknown = node.args;
  if (typeof value === 'bigint') return value <= EXACT && value >= -EXACT ? Number(value) : undefined;
  return typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number'
    ? value
    : undefined;
}

function typeOf(node: ASTNode): string | undefined {
  return attributeOf(node)?.type ?? EVALUATION.check(printCel(node)).type;
}
