import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { nearest } from '../file/problems.ts';
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

/**
 * Checks an expression without evaluating it. cel-js stops at its first error, so names, patterns and the
 * operands of `&&`, `||`, `!` and `?:` are checked one by one and all that is wrong is reported.
 */
export function checkExpression(source: string, context: ExpressionContext): CheckedExpression {
  const env = celEnvironment(context);
  let ast: ASTNode;
  try {
    ast = env.parse(source).ast;
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
  const issues = [...nameIssues(ast, context)];
  if (issues.length === 0) issues.push(...typeIssues(env, ast));
  if (issues.length > 0) return { ast: null, type: null, issues };
  const type = env.check(source).type ?? 'dyn';
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

function* nameIssues(ast: ASTNode, context: ExpressionContext): Generator<ExpressionIssue> {
  const attributes: Record<string, string[]> = {
    request: Object.keys(REQUEST_ATTRIBUTES),
    offer: Object.keys(OFFER_ATTRIBUTES),
    resource: Object.keys(RESOURCE_ATTRIBUTES),
    variables: Object.keys(context.variables),
  };
  const others = [context.offer ? 'the offer' : '', context.resource ? 'the machine' : ''].filter(Boolean);
  const known = `only the request${others.map((o) => ` and ${o}`).join('')} ${others.length === 0 ? 'is' : 'are'}`;
  function* walk(node: ASTNode, bound: ReadonlySet<string>): Generator<ExpressionIssue> {
    const at = { start: node.start, end: node.end };
    if (node.op === '.?' || node.op === '[?]')
      yield { code: 'cel-not-allowed', message: 'optional access is not supported; use has()', ...at };
    if (node.op === 'id') {
      if (bound.has(node.args) || BUILT_IN.has(node.args)) return;
      if ((ROOTS as readonly string[]).includes(node.args)) {
        const message = `'${node.args}' is not a value of its own: name one of its attributes, such as ${node.args}.${attributes[node.args]![0] ?? 'name'}`;
        yield { code: 'cel-not-allowed', message, ...at };
      } else if (node.args === 'cel')
        // Bound values can double in size at each step, which no estimate from the text would see.
        yield { code: 'cel-not-allowed', message: 'cel.bind() is not supported: use variables', ...at };
      else {
        const near = nearest(node.args, ROOTS);
        yield {
          code: 'unknown-name',
          message: `unknown name '${node.args}'`,
          ...(near && { suggestion: near }),
          ...at,
        };
      }
      return;
    }
    if (node.op === '.' && node.args[0].op === 'id' && !bound.has(node.args[0].args)) {
      const root = node.args[0].args;
      if ((ROOTS as readonly string[]).includes(root)) {
        const name = node.args[1];
        if ((root === 'offer' || root === 'resource') && !context[root])
          yield { code: 'cel-not-allowed', message: `'${root}' is not known here: ${known}`, ...at };
        else if (!attributes[root]!.includes(name)) {
          const near = nearest(name, attributes[root]!);
          const what =
            root === 'variables' ? 'variable (a variable may use the ones above it)' : `attribute of ${root}`;
          yield {
            code: 'unknown-attribute',
            message: `'${name}' is not a known ${what}`,
            ...(near && { suggestion: `${root}.${near}` }),
            start: node.end - name.length,
            end: node.end,
          };
        }
        return;
      }
    }
    if (node.op === 'call' && node.args[0] === 'has') {
      const [argument] = node.args[1];
      if (argument?.op === '.' && argument.args[0].op === 'id' && argument.args[0].args === 'variables')
        yield {
          code: 'cel-not-allowed',
          message: 'a variable is always there; has() is for attributes',
          ...at,
        };
    }
    let inner = bound;
    if (node.op === 'rcall') {
      const [name, , args] = node.args;
      if (name === 'matches' && args[0]) yield* patternIssues(args[0]);
      const binds = MACROS.has(name) ? args[0] : undefined;
      if (binds?.op === 'id') {
        if ((ROOTS as readonly string[]).includes(binds.args))
          yield {
            code: 'cel-not-allowed',
            message: `'${binds.args}' may not be used as the name of an element`,
            start: binds.start,
            end: binds.end,
          };
        inner = new Set([...bound, binds.args]);
      }
    }
    if (node.op === 'call' && node.args[0] === 'matches' && node.args[1][1])
      yield* patternIssues(node.args[1][1]);
    for (const child of children(node)) yield* walk(child, inner);
  }
  yield* walk(ast, new Set());
}

function* patternIssues(pattern: ASTNode): Generator<ExpressionIssue> {
  const at = { start: pattern.start, end: pattern.end };
  if (pattern.op !== 'value' || typeof pattern.args !== 'string') {
    yield {
      code: 'cel-pattern',
      message: 'the pattern of matches() must be a literal, so that it can be checked',
      ...at,
    };
    return;
  }
  const message = patternProblem(pattern.args);
  if (message !== null) yield { code: 'cel-pattern', message, ...at };
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
