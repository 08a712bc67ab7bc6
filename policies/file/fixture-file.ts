/** Files that the tests of policies name: what a test has in `request`, `offers`, `places` or `estate`, in a file of its own. */
import type { Document, Node } from 'yaml';
import { reading } from './parse.ts';
import type { Problem, ProblemCode } from './problems.ts';
import { FIXTURES, type FixtureKind, type FixtureValue } from './read-tests.ts';
import { MAX_FILE_BYTES, ofFile, readers } from './syntax.ts';
import { type YamlDocuments, yamlDocuments } from './yaml-documents.ts';
import { BeyondYamlLimits } from './yaml-limits.ts';

/** What {@link parseFixture} found. */
export interface ParsedFixture<K extends FixtureKind> {
  /** Undefined where anything is wrong. */
  value: FixtureValue[K] | undefined;
  /** The file as YAML; null where it cannot be parsed, or nothing is in it. */
  document: Document | null;
  /** Everything wrong, in the order of the file. */
  problems: Problem[];
}

/** Reads a file that a test names as its `kind`. Never throws for bad input; `file` is only the name used in problems. */
export function parseFixture<K extends FixtureKind>(kind: K, text: string, file: string): ParsedFixture<K> {
  const refused = (code: ProblemCode, message: string): ParsedFixture<K> => ({
    value: undefined,
    document: null,
    problems: [ofFile(file, code, message)],
  });
  const { words, shape } = FIXTURES[kind];
  if (Buffer.byteLength(text, 'utf8') > MAX_FILE_BYTES)
    return refused('file-too-large', `a file of tests may be ${MAX_FILE_BYTES} bytes at most`);
  let yaml: YamlDocuments;
  try {
    yaml = yamlDocuments(text);
  } catch (error) {
    if (error instanceof BeyondYamlLimits) return refused(error.code, error.message);
    return refused('yaml-syntax', `the file cannot be read as YAML: ${(error as Error).message}`);
  }
  const problems: Problem[] = [];
  const [first, second] = readers({ text, linesBefore: 0 }, yaml, file, problems);
  if (first === undefined) return refused('wrong-type', `the file must be ${words}`);
  const { document, readerOf, syntaxErrors } = first;
  if (second !== undefined)
    problems.push({
      ...ofFile(file, 'too-many', `the file must be ${words}, this one has several documents`),
      ...second.readerOf().position(second.document.range?.[0] ?? 0),
    });
  let value: FixtureValue[K] | undefined;
  if (syntaxErrors === null) {
    const reader = readerOf();
    const root = document.contents as Node;
    value = shape.read({ key: root, value: root }, kind, reading(reader, new Date()));
    problems.push(...reader.problems);
  }
  problems.sort((a, b) => a.line - b.line || a.column - b.column);
  const sound = problems.every(({ severity }) => severity !== 'error');
  return { value: sound ? value : undefined, document, problems };
}
