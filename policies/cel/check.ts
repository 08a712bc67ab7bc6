import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { nearest } from '../file/problems.ts';
import { RecentlyUsed } from '../memo.ts';
import { patternProblem } from './pattern.ts';
import { printCel } from './print.ts';
import {
  celEnvironment,
  children,
  OFFER_ATTRIBUTES,
  REQUEST_ATTRIBUTES,
  RESOURCE_ATTRIBUTES,
} from './schema.ts';

/** One thing wrong with an expression; offsets are into its text. */
export interface ExpressionIssue {
  code: 'cel-syntax' | 'cel-type' | 'unknown-attribute' | 'unknown-name' | 'cel-pattern' | 'cel-not-allowed';
  message: string;
  start: number;
  end: number;
  suggestion?: string;
}

/** What an expression may use and what it must give. */
export interface ExpressionContext {
  /** False: the offer is not known where it is evaluated. */
  offer: boolean;
  /** Whether a machine that exists is known where it is evaluated; no, when absent. */
  resource?: boolean;
  /** Types of the variables it may read. */
  variables: Record<string, string>;
  /** Wanted type; undefined = any. */
  wanted?: 'bool' | 'string';
}

/** A checked expression: no issues, or no type. */
export interface CheckedExpression {
  ast: ASTNode | null;
  type: string | null;
  issues: ExpressionIssue[];
}

/** Making an environment takes ten times as long as checking an expression in it, so the last few are kept. */
const environments = new RecentlyUsed<string, Environment>(16);

/** Equal for contexts in which an expression may read the same names. */
export function namesKey({ offer, resource = false, variables }: ExpressionContext): string {
  return JSON.stringify([offer, resource, variables]);
}

/**
 * Checks an expression without evaluating it. cel-js stops at its first error, so names, patterns and the
 * operands of `&&`, `||`, `!` and `?:` are checked one by one and all that is wrong is reported.
 */
export function checkExpression(source: string, context: ExpressionContext): CheckedExpression {
  const env = environments.get(namesKey(context), () => celEnvironment(context));
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = env.parse(source);
  } catch (error) {
    const { range, summary, message } = error as {
      range?: { start: number; end: number };
      summary?: string;
      message: string;
    };
    return {
      ast: null,
      type: null,
      issues: [
        {
          code: 'cel-syntax',
          message: summary ?? message,
          start: range?.start ?? 0,
          end: range?.end ?? source.length,
        },
      ],
    };
  }
  const { ast } = parsed;
  const issues = nameIssues(ast, context);
  const checked = issues.length === 0 ? parsed.check() : null;
  // What is sound as a whole is so in its parts.
  if (checked?.valid === false) issues.push(...typeIssues(env, ast));
  if (checked === null || issues.length > 0) return { ast: null, type: null, issues };
  const type = checked.type ?? 'dyn';
  if (context.wanted !== undefined && type !== context.wanted) {
    const message = `must be a ${context.wanted} expression, this one is of type ${type}`;
    return { ast: null, type: null, issues: [{ code: 'cel-type', message, start: ast.start, end: ast.end }] };
  }
  return { ast, type, issues };
}

const ROOTS = ['request', 'offer', 'resource', 'variables'] as const;
const MACROS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
/** Names that are values in CEL without being declared: types, and the namespaces of functions. */
const BUILT_IN = new Set('bool int uint double string bytes list map type null_type dyn'.split(' '));

/** Attributes by what they are of; variables are each policy's own. */
const ATTRIBUTES: Record<string, readonly string[]> = {
  request: Object.keys(REQUEST_ATTRIBUTES),
  offer: Object.keys(OFFER_ATTRIBUTES),
  resource: Object.keys(RESOURCE_ATTRIBUTES),
};

function nameIssues(ast: ASTNode, context: ExpressionContext): ExpressionIssue[] {
  const issues: ExpressionIssue[] = [];
  collectNameIssues(ast, NOTHING, context, issues);
  return issues;
}

const NOTHING: ReadonlySet<string> = new Set();

function isRoot(name: string): boolean {
  return (ROOTS as readonly string[]).includes(name);
}

function collectNameIssues(
  node: ASTNode,
  bound: ReadonlySet<string>,
  context: ExpressionContext,
  issues: ExpressionIssue[],
): void {
  const { start, end } = node;
  const namesOf = (root: string): readonly string[] => ATTRIBUTES[root] ?? Object.keys(context.variables);
  if (node.op === '.?' || node.op === '[?]')
    issues.push({
      code: 'cel-not-allowed',
      message: 'optional access is not supported; use has()',
      start,
      end,
    });
  if (node.op === 'id') {
    const name = node.args;
    if (bound.has(name) || BUILT_IN.has(name)) return;
    if (isRoot(name)) {
      const message = `'${name}' is not a value of its own: name one of its attributes, such as ${name}.${namesOf(name)[0] ?? 'name'}`;
      issues.push({ code: 'cel-not-allowed', message, start, end });
    } else if (name === 'cel')
      // Bound values can double in size at each step, which no estimate from the text would see.
      issues.push({
        code: 'cel-not-allowed',
        message: 'cel.bind() is not supported: use variables',
        start,
        end,
      });
    else {
      const near = nearest(name, ROOTS);
      issues.push({
        code: 'unknown-name',
        message: `unknown name '${name}'`,
        ...(near && { suggestion: near }),
        start,
        end,
      });
    }
    return;
  }
  if (node.op === '.' && node.args[0].op === 'id' && !bound.has(node.args[0].args)) {
    const root = node.args[0].args;
    if (isRoot(root)) {
      const name = node.args[1];
      if ((root === 'offer' || root === 'resource') && !context[root])
        issues.push({
          code: 'cel-not-allowed',
          message: `'${root}' is not known here: ${knownIn(context)}`,
          start,
          end,
        });
      else if (!namesOf(root).includes(name)) {
        const near = nearest(name, namesOf(root));
        const what =
          root === 'variables' ? 'variable (a variable may use the ones above it)' : `attribute of ${root}`;
        issues.push({
          code: 'unknown-attribute',
          message: `'${name}' is not a known ${what}`,
          ...(near && { suggestion: `${root}.${near}` }),
          start: end - name.length,
          end,
        });
      }
      return;
    }
  }
  if (node.op === 'call' && node.args[0] === 'has') {
    const [argument] = node.args[1];
    if (argument?.op === '.' && argument.args[0].op === 'id' && argument.args[0].args === 'variables')
      issues.push({
        code: 'cel-not-allowed',
        message: 'a variable is always there; has() is for attributes',
        start,
        end,
      });
  }
  let inner = bound;
  if (node.op === 'rcall') {
    const [name, , args] = node.args;
    if (name === 'matches' && args[0]) issues.push(...patternIssues(args[0]));
    const binds = MACROS.has(name) ? args[0] : undefined;
    if (binds?.op === 'id') {
      if (isRoot(binds.args))
        issues.push({
          code: 'cel-not-allowed',
          message: `'${binds.args}' may not be used as the name of an element`,
          start: binds.start,
          end: binds.end,
        });
      inner = new Set([...bound, binds.args]);
    }
  }
  if (node.op === 'call' && node.args[0] === 'matches' && node.args[1][1])
    issues.push(...patternIssues(node.args[1][1]));
  for (const child of children(node)) collectNameIssues(child, inner, context, issues);
}

function knownIn(context: ExpressionContext): string {
  const others = [context.offer ? 'the offer' : '', context.resource ? 'the machine' : ''].filter(Boolean);
  return `only the request${others.map((o) => ` and ${o}`).join('')} ${others.length === 0 ? 'is' : 'are'}`;
}

function patternIssues(pattern: ASTNode): ExpressionIssue[] {
  const at = { start: pattern.start, end: pattern.end };
  if (pattern.op !== 'value' || typeof pattern.args !== 'string') {
    const message = 'the pattern of matches() must be a literal, so that it can be checked';
    return [{ code: 'cel-pattern', message, ...at }];
  }
  const message = patternProblem(pattern.args);
  return message === null ? [] : [{ code: 'cel-pattern', message, ...at }];
}

/** Type errors of each operand apart; the whole is looked at when its parts are well. */
function typeIssues(env: Environment, node: ASTNode): ExpressionIssue[] {
  if (node.op === '&&' || node.op === '||' || node.op === '?:' || node.op === '!_') {
    const inner = children(node).flatMap((child) => typeIssues(env, child));
    if (inner.length > 0) return inner;
  }
  const printed = printCel(node);
  let again: ASTNode;
  let failure: CelFailure | undefined;
  try {
    const parsed = env.parse(printed);
    again = parsed.ast;
    const result = parsed.check();
    if (result.valid) return [];
    failure = result.error as CelFailure;
  } catch (error) {
    failure = error as CelFailure;
    return [
      { code: 'cel-type', message: failure.summary ?? failure.message, start: node.start, end: node.end },
    ];
  }
  const place = sameNode(again, node, failure) ?? node;
  return [
    {
      code: 'cel-type',
      message: withAdvice(failure.summary ?? failure.message),
      start: place.start,
      end: place.end,
    },
  ];
}

interface CelFailure {
  summary?: string;
  message: string;
  range?: { start: number; end: number };
}

/** The original of the printed node that fills the failure's range most tightly. */
function sameNode(printed: ASTNode, original: ASTNode, failure: CelFailure): ASTNode | null {
  if (failure.range === undefined) return null;
  const { start, end } = failure.range;
  if (printed.start > start || printed.end < end) return null;
  const originals = children(original);
  const parts = children(printed);
  for (let i = 0; i < parts.length; i++) {
    const inner = originals[i] === undefined ? null : sameNode(parts[i]!, originals[i]!, failure);
    if (inner !== null) return inner;
  }
  return original;
}

function withAdvice(summary: string): string {
  if (/\bdouble\b.*\bint\b|\bint\b.*\bdouble\b/.test(summary))
    return `${summary}; write a double as 730.0, or convert with double() or int()`;
  return summary;
}
