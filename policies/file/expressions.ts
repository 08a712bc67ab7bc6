import { isScalar, type Scalar } from 'yaml';
import { checkExpression } from '../cel/check.ts';
import { compileColumnar } from '../cel/columnar.ts';
import { estimatedCost, MAX_COST, MAX_NESTED_MACROS } from '../cel/cost.ts';
import { printCel } from '../cel/print.ts';
import { reads, writtenOut } from '../cel/schema.ts';
import type { Message } from './policy.ts';
import { valueOffsets } from './positions.ts';
import { type Field, join, type Reader } from './reader.ts';

/** An expression with its variables written out may be this long. */
const MAX_INLINED = 64 * 1024;

/** Reads the CEL expressions of one policy: checks them, and writes its variables out into them. */
export class ExpressionReader {
  readonly #reader: Reader;
  readonly #types: Record<string, string> = {};
  readonly #sources = new Map<string, string>();

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** Reads `variables`, in order: a variable may use those above it. */
  readVariables(field: Field | undefined, path: string): void {
    if (field === undefined) return;
    for (const { name, key, value } of this.#reader.entries(field.value, path)) {
      const at = join(path, name);
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
        this.#reader.report(key, at, 'wrong-value', 'a variable is named with letters, digits and _');
      else if (isScalar(key)) {
        const read = this.#read({ key, value }, at, { offer: true });
        // A variable that is wrong keeps its name, so that its users are not called wrong too.
        this.#types[name] = read?.type ?? 'dyn';
        this.#sources.set(name, read?.source ?? 'false');
      }
    }
  }

  /** The expression with its variables written out, or undefined when it is absent or wrong (and reported). */
  read(
    field: Field | undefined,
    path: string,
    options: { offer: boolean; wanted: 'bool' | 'string' },
  ): string | undefined {
    if (field === undefined) return undefined;
    const read = this.#read(field, path, options);
    if (read === undefined) return undefined;
    if (read.offer && !options.offer) {
      this.#reader.report(
        field.value,
        path,
        'cel-not-allowed',
        `${path} may read the request only, not the offer`,
      );
      return undefined;
    }
    if (options.offer && options.wanted === 'bool') this.#adviseOnCost(read.source, field, path);
    return read.source;
  }

  /** A message: CEL when it looks like CEL (it starts with a quote, or reads the request), else plain text. */
  readMessage(field: Field | undefined, path: string): Message | undefined {
    const text = this.#reader.text1(field, path);
    if (text === undefined) return undefined;
    const isCel = /^\s*["']/.test(text) || /\b(request|variables|offer)\.[A-Za-z]/.test(text);
    if (!isCel) return { kind: 'text', text };
    const source = this.read(field, path, { offer: false, wanted: 'string' });
    return source === undefined ? undefined : { kind: 'cel', source };
  }

  #read(
    field: Field,
    path: string,
    options: { offer: boolean; wanted?: 'bool' | 'string' },
  ): { source: string; type: string; offer: boolean } | undefined {
    const node = this.#reader.follow(field.value, path);
    if (!isScalar(node) || (typeof node.value !== 'string' && typeof node.value !== 'boolean')) {
      this.#reader.report(node ?? field.key, path, 'wrong-type', `${path} must be a CEL expression (a text)`);
      return undefined;
    }
    const text = String(node.value);
    const checked = checkExpression(text, { ...options, variables: this.#types });
    if (checked.ast === null) {
      const offsets = valueOffsets(node as Scalar, text, this.#reader.text);
      for (const issue of checked.issues) {
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
    const source = printCel(checked.ast, (name) => this.#sources.get(name)!);
    const ast = source.length > MAX_INLINED ? null : writtenOut(source);
    if (ast === null) {
      const message = `too large once its variables are written out (${source.length} characters)`;
      this.#reader.report(node, path, 'cel-too-long', message);
      return undefined;
    }
    if (estimatedCost(ast) > MAX_COST) {
      const message = `can take too long: lists in lists multiply, and macros may be nested ${MAX_NESTED_MACROS} deep`;
      this.#reader.report(node, path, 'cel-too-costly', message);
      return undefined;
    }
    const offer = reads(ast).offer.size > 0;
    return { source, type: checked.type!, offer };
  }

  /** Prices differ on every row, so an expression that only the interpreter can do costs a call per offer. */
  #adviseOnCost(source: string, field: Field, path: string): void {
    for (const attributes of compileColumnar(source).combined) {
      if (attributes.length < 2) continue;
      if (!attributes.some((a) => a === 'price' || a === 'pricePerHour') && attributes.length < 4) continue;
      const message = `slow: evaluated once per combination of ${attributes.map((a) => `offer.${a}`).join(', ')}`;
      this.#reader.report(field.value, path, 'slow-expression', message, { severity: 'warning' });
    }
  }
}
