import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml';
import { nearest, type Problem, type ProblemCode } from './problems.ts';

/** Aliases followed per document: enough for shared lists, too few for a bomb. */
export const MAX_ALIASES = 50;

/** A field found in a mapping. */
export interface Field {
  key: Node;
  value: Node | null;
}

/**
 * Reads a YAML document by its nodes, so that every value keeps its place in the file, and collects what is
 * wrong instead of stopping. Nothing is expanded: an alias is followed only where it is read, and counted.
 */
export class Reader {
  readonly file: string;
  readonly text: string;
  readonly problems: Problem[] = [];
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #linesBefore: number;
  #aliases = 0;

  /** `text` is the part of the file the document was read from, which `linesBefore` lines come before. */
  constructor(file: string, text: string, document: Document, lines: LineCounter, linesBefore: number) {
    this.file = file;
    this.text = text;
    this.#document = document;
    this.#lines = lines;
    this.#linesBefore = linesBefore;
  }

  /** Records a problem at an offset of the file, or at a node. */
  report(
    where: number | Node | null | undefined,
    path: string,
    code: ProblemCode,
    message: string,
    more: { suggestion?: string; severity?: Problem['severity'] } = {},
  ): void {
    const offset = typeof where === 'number' ? where : (where?.range?.[0] ?? 0);
    const { line, column } = this.position(offset);
    const { suggestion, severity = 'error' } = more;
    this.problems.push({
      code,
      message,
      file: this.file,
      line,
      column,
      path,
      ...(suggestion === undefined ? {} : { suggestion }),
      severity,
    });
  }

  /** Grows with each problem and each alias followed: what was read without either depends on its own nodes only. */
  get findings(): number {
    return this.problems.length + this.#aliases;
  }

  /** Line and column in the file of an offset, both from 1. */
  position(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line) + this.#linesBefore, column: Math.max(1, col) };
  }

  /** The node itself, or what an alias stands for; undefined when it may not be followed. */
  follow(node: Node | null | undefined, path: string): Node | null {
    if (!isAlias(node)) return node ?? null;
    this.#aliases++;
    if (this.#aliases > MAX_ALIASES) {
      if (this.#aliases === MAX_ALIASES + 1)
        this.report(
          node,
          path,
          'yaml-aliases',
          `more than ${MAX_ALIASES} aliases are followed in a document`,
        );
      return null;
    }
    const target = node.resolve(this.#document);
    if (target === undefined) {
      this.report(node, path, 'yaml-syntax', `no anchor '${node.source}' above this alias`);
      return null;
    }
    return this.follow(target as Node, path);
  }

  /**
   * The fields of a mapping by name. A field outside `known` is a problem, with the nearest known name.
   */
  fields(map: YAMLMap, path: string, known: readonly string[]): Map<string, Field> {
    const found = new Map<string, Field>();
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const key = this.follow(pair.key, path);
      const name = isScalar(key) ? String(key.value) : '';
      if (!isScalar(key)) this.report(key, path, 'wrong-type', 'a field name must be a plain word');
      else if (known.includes(name)) found.set(name, { key, value: pair.value });
      else {
        const near = nearest(name, known);
        const more = near === undefined ? {} : { suggestion: near };
        this.report(key, join(path, name), 'unknown-field', `unknown field '${name}'`, more);
      }
    }
    return found;
  }

  /** The entries of a mapping whose names are free; null when it is none. */
  entries({ key, value }: Field, path: string): { name: string; key: Node; value: Node | null }[] | null {
    const map = this.follow(value, path);
    if (!isMap(map)) {
      this.report(map ?? key, path, 'wrong-type', `${path} must be a mapping`);
      return null;
    }
    return (map.items as Pair<Node, Node | null>[]).map((pair) => ({
      name: isScalar(pair.key) ? String(pair.key.value) : '',
      key: pair.key,
      value: pair.value,
    }));
  }

  /** The items of a list; null when it is none. */
  items({ key, value }: Field, path: string): (Node | null)[] | null {
    const list = this.follow(value, path);
    if (isSeq(list)) return list.items as (Node | null)[];
    this.report(list ?? key, path, 'wrong-type', `${path} must be a list`);
    return null;
  }

  /** A text that is not empty; undefined when it is something else. */
  text1(field: Field | undefined, path: string): string | undefined {
    if (field === undefined) return undefined;
    const node = this.follow(field.value, path);
    if (isScalar(node) && typeof node.value === 'string' && node.value !== '') return node.value;
    this.report(node ?? field.key, path, 'wrong-type', `${path} must be a text`);
    return undefined;
  }

  /** `true` or `false`; undefined when it is absent or something else. */
  flag(field: Field | undefined, path: string): boolean | undefined {
    if (field === undefined) return undefined;
    const node = this.follow(field.value, path);
    if (isScalar(node) && typeof node.value === 'boolean') return node.value;
    this.report(node ?? field.key, path, 'wrong-type', `${path} must be true or false`);
    return undefined;
  }

  /** One of some words; undefined when it is absent or something else. */
  choice<T extends string>(field: Field | undefined, path: string, choices: readonly T[]): T | undefined {
    const text = this.text1(field, path);
    if (text === undefined) return undefined;
    if ((choices as readonly string[]).includes(text)) return text as T;
    const near = nearest(text, choices);
    this.report(
      this.follow(field!.value, path),
      path,
      'wrong-value',
      `${path} must be one of ${choices.join(', ')}, is '${text}'`,
      {
        ...(near === undefined ? {} : { suggestion: near }),
      },
    );
    return undefined;
  }

  /** A plain JavaScript value, for the data of tests; aliases count like everywhere. */
  plain(node: Node | null, path: string): unknown {
    const value = this.follow(node, path);
    if (isMap(value)) {
      // Entries are defined, not assigned, so that a key such as __proto__ stays data.
      const out: Record<string, unknown> = {};
      for (const pair of value.items as Pair<Node, Node | null>[]) {
        const name = isScalar(pair.key) ? String(pair.key.value) : '';
        Object.defineProperty(out, name, {
          value: this.plain(pair.value, join(path, name)),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
      return out;
    }
    if (isSeq(value))
      return (value.items as (Node | null)[]).map((item, i) => this.plain(item, `${path}[${i}]`));
    return isScalar(value) ? value.value : null;
  }
}

/** `spec` + `mode` → `spec.mode`. */
export function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
