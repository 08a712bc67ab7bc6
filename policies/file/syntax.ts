/** What can be wrong with a file before its documents are read: its YAML, and its size. */
import { type Document, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';
import type { Problem, ProblemCode } from './problems.ts';
import { Reader } from './reader.ts';
import type { Part, YamlDocuments } from './yaml-documents.ts';

/** A policy file, or one of offers, may be this long, in UTF-8 bytes. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** A problem of a file as a whole. */
export function ofFile(file: string, code: ProblemCode, message: string): Problem {
  return { code, message, file, line: 1, column: 1, path: '', severity: 'error' };
}

/** Readers of the documents of a part; what is wrong with their YAML goes to `problems`. */
export function readers(
  { text, linesBefore }: Part,
  { documents, lines }: YamlDocuments,
  file: string,
  problems: Problem[],
): { document: Document; readerOf: () => Reader; syntaxErrors: Problem[] | null }[] {
  return documents.map((document) => {
    const syntax = new Reader(file, text, document, lines, linesBefore);
    for (const error of document.errors)
      syntax.report(error.pos[0], '', 'yaml-syntax', firstLine(error.message));
    reportRepeatedKeys(document, syntax);
    for (const warning of document.warnings)
      syntax.report(warning.pos[0], '', 'yaml-warning', firstLine(warning.message), {
        severity: 'warning',
      });
    for (const problem of syntax.problems) problems.push(problem);
    const errors = syntax.problems.filter((p) => p.severity === 'error');
    const readerOf = (): Reader => new Reader(file, text, document, lines, linesBefore);
    return { document, readerOf, syntaxErrors: errors.length > 0 ? errors : null };
  });
}

/** Items of outermost lists in which no key is there twice: an edit in one makes its node anew. */
const withoutRepeated = new WeakSet<Node>();

function reportRepeatedKeys(document: Document, syntax: Reader): void {
  reportRepeatedIn(document.contents as Node | null, syntax, true);
}

/** `outermost`: whether no list is around it. */
function reportRepeatedIn(node: Node | null, syntax: Reader, outermost: boolean): void {
  if (isSeq(node))
    for (const item of node.items as (Node | null)[]) {
      if (item === null || withoutRepeated.has(item)) continue;
      const before = syntax.findings;
      reportRepeatedIn(item, syntax, false);
      if (outermost && syntax.findings === before) withoutRepeated.add(item);
    }
  if (!isMap(node)) return;
  const seen = new Set<unknown>();
  for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
    if (isScalar(key)) {
      if (seen.has(key.value)) syntax.report(key, '', 'yaml-syntax', `'${String(key.value)}' is there twice`);
      seen.add(key.value);
    } else reportRepeatedIn(key, syntax, false);
    reportRepeatedIn(value, syntax, outermost);
  }
}

function firstLine(message: string): string {
  return message.split('\n')[0]!;
}

const ABOUT_ABSENCE: ReadonlySet<ProblemCode> = new Set(['missing-field', 'rule-effect', 'unknown-name']);

/** After broken YAML the rest may not mean what it seems to; what stands before it does. */
export function isSure(problem: Problem, syntaxErrors: readonly Problem[]): boolean {
  const first = Math.min(...syntaxErrors.map((error) => error.line));
  return problem.line < first && !ABOUT_ABSENCE.has(problem.code);
}
