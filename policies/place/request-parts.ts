import type { ASTNode } from '@marcbachmann/cel-js';
import { printCel } from '../cel/print.ts';
import { type CelRequest, children, EVALUATION, reads } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import type { CompiledRule } from './compiled.ts';
import type { PlacementRequest } from './types.ts';

/** What expressions can see of a request: whole attributes, and single labels where no more is read. */
export interface RequestReads {
  attributes: Set<keyof PlacementRequest>;
  labels: Set<string>;
}

/** Texts of a rule that decide about offers before one is chosen, and whether it is in force. */
function textsOf(rule: CompiledRule): string[] {
  const { clause } = rule;
  const own =
    clause.effect === 'require' || clause.effect === 'deny' || clause.effect === 'prefer'
      ? [clause.expression]
      : clause.effect === 'gravity'
        ? [clause.gibPerMonth]
        : [];
  return [...(rule.gateText === null ? [] : [rule.gateText]), ...own];
}

/** All that the verdicts of rules depend on in a request. */
export function readsOfRules(rules: readonly CompiledRule[]): RequestReads {
  const found: RequestReads = { attributes: new Set(), labels: new Set() };
  for (const rule of rules) {
    const exceptions = rule.exceptions.flatMap((e) => e.matchText ?? []);
    for (const text of [...textsOf(rule), ...exceptions]) collect(EVALUATION.parse(text).ast, found);
    if (rule.clause.effect === 'ttl') found.attributes.add('ttlHours');
    if (rule.clause.effect === 'labels')
      for (const key of [...rule.clause.required, ...Object.keys(rule.clause.allowed)]) found.labels.add(key);
  }
  return found;
}

/** What an expression reads of a request. */
export function readsOfText(text: string): RequestReads {
  const found: RequestReads = { attributes: new Set(), labels: new Set() };
  collect(EVALUATION.parse(text).ast, found);
  return found;
}

function collect(node: ASTNode, found: RequestReads): void {
  if (node.op === '.' && isRequest(node.args[0]))
    found.attributes.add(node.args[1] as keyof PlacementRequest);
  else if (node.op === '.' && isLabels(node.args[0])) found.labels.add(node.args[1]);
  else for (const child of children(node)) collect(child, found);
}

function isRequest(node: ASTNode): boolean {
  return node.op === 'id' && node.args === 'request';
}

function isLabels(node: ASTNode): boolean {
  return node.op === '.' && node.args[1] === 'labels' && isRequest(node.args[0]);
}

type Part = (request: CelRequest) => string;

const parts = new WeakMap<CompiledRule, Part[]>();

/**
 * The values of all parts of a rule that read the request alone, as a text. Two requests with equal texts get the same
 * verdict of the rule for every offer: of `request.labels.env == "prod"` it has the truth, not the label.
 */
export function requestPart(rule: CompiledRule, request: CelRequest): string {
  const [first, ...others] = memo(parts, rule, () => partsOf(rule));
  // Most have one or none: thousands of requests are asked about.
  if (first === undefined) return '';
  return others.reduce((text, part) => `${text},${part(request)}`, first(request));
}

function partsOf(rule: CompiledRule): Part[] {
  const found = new Map<string, Part>();
  for (const text of textsOf(rule)) {
    const walk = (node: ASTNode, bound: ReadonlySet<string>): void => {
      const used = reads(node);
      if (used.request.size === 0) return;
      if (used.offer.size === 0 && !uses(node, bound)) {
        const source = printCel(node);
        memo(found, source, () => partOf(source));
        return;
      }
      const inner = new Set(bound);
      // The first argument of a macro names its elements; for any other method it is at most one part less to share.
      if (node.op === 'rcall' && node.args[2][0]?.op === 'id') inner.add(node.args[2][0].args);
      for (const child of children(node)) walk(child, inner);
    };
    walk(EVALUATION.parse(text).ast, new Set());
  }
  return [...found.values()];
}

function uses(node: ASTNode, names: ReadonlySet<string>): boolean {
  return (node.op === 'id' && names.has(node.args)) || children(node).some((child) => uses(child, names));
}

function partOf(source: string): Part {
  const evaluate = EVALUATION.parse(source);
  return (request) => {
    try {
      const value: unknown = evaluate({ request });
      return plain(value);
    } catch {
      // An evaluation error is a value in CEL, the same for every offer.
      return 'error';
    }
  };
}

/** Equal for equal values only; 0 and -0 differ by what is divided by them. */
function plain(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  return JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner));
}
