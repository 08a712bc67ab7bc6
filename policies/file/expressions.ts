import type { ASTNode } from '@marcbachmann/cel-js';
import { isScalar, type Node, type Scalar } from 'yaml';
import { type CheckedExpression, checkExpression, namesKey } from '../cel/check.ts';
import { type ColumnarProgram, compileColumnar } from '../cel/columnar.ts';
import { estimatedCost, MAX_COST, MAX_NESTED_MACROS } from '../cel/cost.ts';
import { printCel } from '../cel/print.ts';
import {
  celEnvironment,
  children,
  mayBeTooLarge,
  type Reads,
  reads,
  withVariables,
  writtenOut,
} from '../cel/schema.ts';
import { memo, RecentlyUsed } from '../memo.ts';
import type { Message } from './policy.ts';
import { valueOffsets } from './positions.ts';
import { type Field, join, type Reader } from './reader.ts';

/** An expression with its variables written out may be this long. */
const MAX_INLINED = 64 * 1024;

/** Variables a policy may have. */
const MAX_VARIABLES = 500;

/** What an expression may read besides the request, and what it must give. An int will do for a double. */
export interface ExpressionOptions {
  offer?: boolean;
  resource?: boolean;
  wanted: 'bool' | 'string' | 'double';
}

/** An editor reads a file again at each keystroke, with all of its expressions but one as they were. */
const REMEMBERED = 4096;

/** A number for the names an expression may read with their types, which can be long. */
const scopes = new RecentlyUsed<string, number>(256);
let lastScope = 0;

/** By the number of its names, what it must give, and its text. */
const checks = new RecentlyUsed<string, CheckedExpression>(REMEMBERED);

/** A number for the variables of a policy: their types, and what stands in their places. */
const variableSets = new RecentlyUsed<string, number>(256);

/** By the text of an expression with its variables written out; null = too large. */
const finished = new RecentlyUsed<string, Finished | null>(REMEMBERED);

/** What follows from an expression with its variables written out. */
class Finished {
  readonly reads: Reads;
  readonly tooCostly: boolean;
  readonly #source: string;
  readonly ast: ASTNode;
  #combined: ColumnarProgram['combined'] | undefined;

  constructor(source: string, ast: ASTNode) {
    this.#source = source;
    this.ast = ast;
    this.reads = reads(ast);
    this.tooCostly = estimatedCost(ast) > MAX_COST;
  }

  /** `inPlace` gives its tree where the text is too short to be beyond any limit; else it is parsed. */
  static of(source: string, inPlace: () => ASTNode | null): Finished | null {
    return finished.get(source, () => {
      const ast = source.length > MAX_INLINED ? null : mayBeTooLarge(source) ? writtenOut(source) : inPlace();
      return ast === null ? null : new Finished(source, ast);
    });
  }

  /** The attributes of offers over whose combinations it is interpreted, where there are several. */
  get combined(): ColumnarProgram['combined'] {
    this.#combined ??= mayCombine(this.ast) ? compileColumnar(this.#source, this.ast).combined : [];
    return this.#combined;
  }
}

/** Whether a part that is not logic reads several attributes of offers: compiling all of them would take a while. */
function mayCombine(node: ASTNode): boolean {
  if (node.op === '&&' || node.op === '||' || node.op === '!_' || node.op === '?:')
    return children(node).some(mayCombine);
  return reads(node).offer.size > 1;
}

/** Reads the CEL expressions of one policy: checks them, and writes its variables out into them. */
export class ExpressionReader {
  readonly #reader: Reader;
  readonly #types: Record<string, string> = {};
  /** Numbers of the names with the variables declared so far. */
  readonly #scopes = new Map<string, number>();
  readonly #sources = new Map<string, string>();
  readonly #trees = new Map<string, ASTNode>();
  readonly #wrong = new Set<string>();
  #scope: number | undefined;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** Reads `variables`, in order: a variable may use those above it. */
  readVariables(field: Field | undefined, path: string): void {
    if (field === undefined) return;
    const all = this.#reader.entries(field, path) ?? [];
    const entries = all.slice(0, MAX_VARIABLES);
    if (all.length > MAX_VARIABLES) {
      const message = `a policy may have ${MAX_VARIABLES} variables, this one has ${all.length}`;
      this.#reader.report(field.key, path, 'too-many', message);
    }
    const cyclic = this.#reportCycles(entries, path);
    for (const { name, key, value } of entries) {
      const at = join(path, name);
      if (cyclic.has(name)) {
        this.#declare(name, 'dyn');
        this.#wrong.add(name);
        continue;
      }
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
        this.#reader.report(key, at, 'wrong-value', 'a variable is named with letters, digits and _');
      else if (isScalar(key)) {
        const read = this.#read({ key, value }, at, { offer: true, resource: true });
        // A variable that is wrong keeps its name, so that its users are not called wrong too.
        this.#declare(name, read?.type ?? 'dyn');
        if (read === undefined) this.#wrong.add(name);
        else {
          this.#sources.set(name, read.source);
          this.#trees.set(name, read.whole.ast);
        }
      }
    }
  }

  #declare(name: string, type: string): void {
    this.#types[name] = type;
    this.#scopes.clear();
    this.#scope = undefined;
  }

  /** Equal where expressions of the same text mean the same; undefined while a variable is wrong. */
  get scope(): number | undefined {
    if (this.#wrong.size > 0) return undefined;
    this.#scope ??= variableSets.get(JSON.stringify([this.#types, [...this.#sources]]), () => ++lastScope);
    return this.#scope;
  }

  /** The expression with its variables written out, or undefined when it is wrong (and reported). */
  read(field: Field, path: string, options: ExpressionOptions): string | undefined {
    const { offer = false, resource = false, wanted } = options;
    const read = this.#read(field, path, { offer, resource, ...(wanted !== 'double' && { wanted }) });
    if (read === undefined) return undefined;
    // The check of the text itself does not look into variables.
    for (const root of ['offer', 'resource'] as const)
      if (read.whole.reads[root].size > 0 && !(root === 'offer' ? offer : resource)) {
        const message = `'${root}' is not known here, and a variable used here reads it`;
        this.#reader.report(field.value, path, 'cel-not-allowed', message);
        return undefined;
      }
    if (wanted === 'double' && read.type === 'int') return `double(${read.source})`;
    if (wanted === 'double' && read.type !== 'double') {
      const message = `must be a number, or an expression that gives one; this one is of type ${read.type}`;
      this.#reader.report(field.value, path, 'cel-type', message);
      return undefined;
    }
    if (offer && wanted === 'bool' && read.whole.reads.resource.size === 0)
      this.#adviseOnCost(read.whole, field, path);
    return read.source;
  }

  /** A message: CEL when it looks like CEL, else plain text. */
  readMessage(field: Field, path: string): Message | undefined {
    const text = this.#reader.text1(field, path);
    if (text === undefined) return undefined;
    if (!isCelMessage(text)) return { kind: 'text', text };
    const source = this.read(field, path, { wanted: 'string' });
    return source === undefined ? undefined : { kind: 'cel', source };
  }

  #read(
    field: Field,
    path: string,
    options: { offer: boolean; resource: boolean; wanted?: 'bool' | 'string' },
  ): { source: string; type: string; whole: Finished } | undefined {
    const node = this.#reader.follow(field.value, path);
    const text = expressionText(node);
    if (text === undefined) {
      this.#reader.report(node ?? field.key, path, 'wrong-type', `${path} must be a CEL expression (a text)`);
      return undefined;
    }
    const checked = this.#check(text, options);
    if (checked.ast === null) {
      const offsets = valueOffsets(node as Scalar, text, this.#reader.text);
      const guessed = this.#usesWrong(text);
      for (const issue of checked.issues) {
        // The type of a variable that is wrong is not known, so neither is that of what it is part of.
        if (guessed && issue.code === 'cel-type') continue;
        const { suggestion } = issue;
        const offset = offsets[Math.min(issue.start, text.length)]!;
        this.#reader.report(
          offset,
          path,
          issue.code,
          issue.message,
          suggestion === undefined ? {} : { suggestion },
        );
      }
      return undefined;
    }
    if (this.#usesWrong(text)) return undefined;
    const source = printCel(checked.ast, (name) => this.#sources.get(name)!);
    const whole = Finished.of(source, () => withVariables(checked.ast!, (name) => this.#trees.get(name)!));
    if (whole === null) {
      const message = `too large once its variables are written out (${source.length} characters)`;
      this.#reader.report(node, path, 'cel-too-long', message);
      return undefined;
    }
    if (whole.tooCostly) {
      const message = `can take too long: lists in lists multiply, and macros may be nested ${MAX_NESTED_MACROS} deep`;
      this.#reader.report(node, path, 'cel-too-costly', message);
      return undefined;
    }
    return { source, type: checked.type!, whole };
  }

  #check(
    text: string,
    options: { offer: boolean; resource: boolean; wanted?: 'bool' | 'string' },
  ): CheckedExpression {
    const { offer, resource, wanted = '' } = options;
    const scope = memo(this.#scopes, `${offer} ${resource}`, () =>
      scopes.get(namesKey({ offer, resource, variables: this.#types }), () => ++lastScope),
    );
    return checks.get(`${scope} ${wanted} ${text}`, () =>
      checkExpression(text, { ...options, variables: { ...this.#types } }),
    );
  }

  #usesWrong(text: string): boolean {
    return this.#wrong.size > 0 && [...variablesIn(text)].some((name) => this.#wrong.has(name));
  }

  /** Variables that need themselves, each cycle reported once. */
  #reportCycles(
    entries: readonly { name: string; key: Node; value: Node | null }[],
    path: string,
  ): Set<string> {
    const uses = new Map(
      entries.map(({ name, value }) => [name, variablesIn(expressionText(this.#reader.follow(value, path)))]),
    );
    const cyclic = new Set<string>();
    const done = new Set<string>();
    const visit = (name: string, trail: string[]): void => {
      const start = trail.indexOf(name);
      if (start >= 0) {
        const cycle = trail.slice(start);
        for (const member of cycle) cyclic.add(member);
        const message = `variables need each other: ${[...cycle, name].join(' → ')}`;
        const { key } = entries.find((entry) => entry.name === name)!;
        this.#reader.report(key, join(path, name), 'variable-cycle', message);
      } else if (!done.has(name)) {
        for (const used of uses.get(name) ?? []) visit(used, [...trail, name]);
        done.add(name);
      }
    };
    for (const { name } of entries) visit(name, []);
    return cyclic;
  }

  /** Prices differ on every row, so an expression that only the interpreter can do costs a call per offer. */
  #adviseOnCost(whole: Finished, field: Field, path: string): void {
    for (const attributes of whole.combined) {
      if (attributes.length < 2) continue;
      if (!attributes.some((a) => a === 'price' || a === 'pricePerHour') && attributes.length < 4) continue;
      const message = `slow: evaluated once per combination of ${attributes.map((a) => `offer.${a}`).join(', ')}`;
      this.#reader.report(field.value, path, 'slow-expression', message, { severity: 'warning' });
    }
  }
}

/** What an expression of a policy reads, its variables written out; null = too large. */
export function readsOf(source: string): Reads | null {
  return Finished.of(source, () => writtenOut(source))?.reads ?? null;
}

/** Whether a message is CEL: it starts with a quote, or reads something. */
export function isCelMessage(text: string): boolean {
  return /^\s*["']/.test(text) || /\b(request|variables|offer|resource)\.[A-Za-z]/.test(text);
}

/** The text of an expression; YAML takes `true` and `1.5` for values of their own. */
export function expressionText(node: Node | null): string | undefined {
  if (!isScalar(node)) return undefined;
  if (typeof node.value === 'string' || typeof node.value === 'boolean') return String(node.value);
  if (typeof node.value !== 'number' || !Number.isFinite(node.value)) return undefined;
  return Number.isInteger(node.value) ? node.value.toFixed(1) : String(node.value);
}

const ANYTHING = celEnvironment({ offer: true, resource: true });

function variablesIn(text: string | undefined): Set<string> {
  const found = new Set<string>();
  const walk = (node: ASTNode): void => {
    if (node.op === '.' && node.args[0].op === 'id' && node.args[0].args === 'variables')
      found.add(node.args[1]);
    children(node).forEach(walk);
  };
  try {
    if (text !== undefined) walk(ANYTHING.parse(text).ast);
  } catch {
    // What cannot be parsed is reported when it is read.
  }
  return found;
}
