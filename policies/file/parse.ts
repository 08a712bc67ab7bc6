import { Document, isScalar, LineCounter, type Node, parseAllDocuments, visit } from 'yaml';
import { contentHash } from '../catalogue/rows.ts';
import { exceptions } from './exceptions.ts';
import { ExpressionReader } from './expressions.ts';
import type { ParsedPolicy, ParsedRule } from './policy.ts';
import type { Problem } from './problems.ts';
import { tests } from './read-tests.ts';
import { Reader } from './reader.ts';
import { policyRules, requestRules } from './rules.ts';
import {
  cel,
  choice,
  mapping,
  optional,
  type Reading,
  refined,
  required,
  type Shape,
  textOf,
} from './shape.ts';
import { beyondYamlLimits } from './yaml-limits.ts';

/** The version of the file format this reads. */
export const API_VERSION = 'landfall.dev/v1';

/** A policy file may be this long, in UTF-8 bytes. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** Documents a policy file may have. */
const MAX_DOCUMENTS = 500;

/** What {@link parsePolicy} found. */
export interface ParsedFile {
  /** The documents without errors. */
  policies: ParsedPolicy[];
  /** Everything wrong or doubtful, in the order of the file. */
  problems: Problem[];
}

/**
 * Reads a policy file: one or more YAML documents of kind PlacementPolicy. Reports every error it can find,
 * each with line and column; never throws for bad input. `file` is only the name used in problems. What has
 * expired at `now` is pointed out.
 */
export function parsePolicy(text: string, file: string, now: Date = new Date()): ParsedFile {
  const problems: Problem[] = [];
  const policies: ParsedPolicy[] = [];
  if (Buffer.byteLength(text, 'utf8') > MAX_FILE_BYTES)
    return {
      policies,
      problems: [ofFile(file, 'file-too-large', `a policy file may be ${MAX_FILE_BYTES} bytes at most`)],
    };
  const beyond = beyondYamlLimits(text);
  if (beyond !== null) return { policies, problems: [ofFile(file, beyond.code, beyond.message)] };
  const parts = partsOf(text);
  if (parts.length > MAX_DOCUMENTS) {
    const message = `a policy file may have ${MAX_DOCUMENTS} documents, this one has ${parts.length}`;
    return { policies, problems: [ofFile(file, 'too-many', message)] };
  }
  let found = 0;
  for (const part of parts)
    for (const { document, reader, syntaxErrors } of documents(part, file, problems)) {
      found++;
      if (isEmpty(document.contents as Node | null)) continue;
      const policy = readPolicy(document.contents as Node, reader, now);
      const own =
        syntaxErrors === null ? reader.problems : reader.problems.filter((p) => isSure(p, syntaxErrors));
      problems.push(...own);
      if (policy !== undefined && syntaxErrors === null && !own.some((p) => p.severity === 'error'))
        policies.push(policy);
    }
  if (found === 0 && problems.length === 0)
    problems.push(ofFile(file, 'no-policy', 'there is no policy in this file'));
  const kept = withoutDuplicates(policies, problems);
  problems.sort((a, b) => a.line - b.line || a.column - b.column);
  return { policies: kept, problems };
}

/**
 * Reads the rules that a request brings (a JSON or YAML value): the kinds require, deny, prefer, spread, affinity,
 * antiAffinity, gravity and maxPrice. A problem's `path` is a JSON pointer into the value, such as `/0/require`;
 * its line and column say nothing.
 */
export function parseRequestRules(
  value: unknown,
  file: string,
): { rules: ParsedRule[]; problems: Problem[] } {
  let node: Node;
  let document: Document;
  try {
    document = new Document(value, { aliasDuplicateObjects: false });
    node = document.contents as Node;
  } catch (error) {
    // A value nested thousands deep ends the recursion with a RangeError.
    return {
      rules: [],
      problems: [ofFile(file, 'wrong-value', `the rules cannot be read: ${(error as Error).message}`)],
    };
  }
  const reader = new Reader(file, '', document, new LineCounter(), 0);
  const rules = requestRules.read({ key: node, value: node }, 'rules', reading(reader, new Date()));
  return {
    rules: rules !== undefined && reader.problems.length === 0 ? rules : [],
    problems: reader.problems.map((problem) => ({ ...problem, path: pointer(problem.path) })),
  };
}

/** `rules[0].spread.min` → `/0/spread/min`. */
function pointer(path: string): string {
  return path
    .replace(/^rules/, '')
    .replaceAll(/\[(\d+)\]/g, '.$1')
    .replaceAll('.', '/');
}

function reading(reader: Reader, now: Date): Reading {
  return { reader, now, expressions: new ExpressionReader(reader), ruleNames: new Map() };
}

function ofFile(file: string, code: string, message: string): Problem {
  return { code, message, file, line: 1, column: 1, path: '', severity: 'error' };
}

/** Policies of one scope and name: the first is kept, the others are reported. */
function withoutDuplicates(policies: readonly ParsedPolicy[], problems: Problem[]): ParsedPolicy[] {
  const seen = new Map<string, ParsedPolicy>();
  for (const policy of policies) {
    const key = `${policy.scope.kind} ${policy.scope.name} ${policy.name}`;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, policy);
    else {
      const message = `policy '${policy.name}' is in this file twice, first on line ${first.line}`;
      problems.push({
        ...ofFile(policy.file, 'duplicate-policy', message),
        line: policy.line,
        path: 'metadata.name',
      });
    }
  }
  return [...seen.values()];
}

/** A stretch of a file that is parsed by itself. */
interface Part {
  text: string;
  linesBefore: number;
}

/**
 * A file cut at its `---` lines, which cannot stand inside anything else in YAML: so a document that cannot be
 * parsed does not take the others with it.
 */
function partsOf(text: string): Part[] {
  const starts = [...text.matchAll(/^---(?=\s|$)/gm)].map((match) => match.index);
  // Comments and directives before the first `---` belong to the document after it.
  if (/^(?:[ \t]*(?:#.*|%.*)?\r?\n)*$/.test(text.slice(0, starts[0] ?? text.length))) starts.shift();
  const bounds = [0, ...starts, text.length];
  let linesBefore = 0;
  return bounds.slice(1).map((end, i) => {
    const part = { text: text.slice(bounds[i], end), linesBefore };
    linesBefore += part.text.split('\n').length - 1;
    return part;
  });
}

/** The documents of a part; what is wrong with their YAML goes to `problems`. */
function documents(
  { text, linesBefore }: Part,
  file: string,
  problems: Problem[],
): { document: Document; reader: Reader; syntaxErrors: Problem[] | null }[] {
  const lines = new LineCounter();
  let parsed: ReturnType<typeof parseAllDocuments>;
  // The parser makes an Error of every mistake, and nobody looks at their stacks: four fifths of the time that a broken file takes.
  const { stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = 0;
    parsed = parseAllDocuments(text, {
      lineCounter: lines,
      // Its own check compares every key with every other.
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
    });
  } catch (error) {
    // The parser recurses: a document nested thousands deep ends it with a RangeError.
    const message = `the file cannot be read as YAML: ${(error as Error).message}`;
    problems.push({ ...ofFile(file, 'yaml-syntax', message), line: linesBefore + 1 });
    return [];
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return (Array.isArray(parsed) ? (parsed as Document[]) : [])
    .filter((document) => !isEmpty(document.contents as Node | null) || document.errors.length > 0)
    .map((document) => {
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
      const reader = new Reader(file, text, document, lines, linesBefore);
      return { document, reader, syntaxErrors: errors.length > 0 ? errors : null };
    });
}

/** Nothing but comments, or nothing at all after a `---`. */
function isEmpty(contents: Node | null): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

function reportRepeatedKeys(document: Document, syntax: Reader): void {
  visit(document, {
    Map: (_key, map) => {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value))
          syntax.report(key, '', 'yaml-syntax', `'${String(key.value)}' is there twice`);
        seen.add(key.value);
      }
    },
  });
}

function firstLine(message: string): string {
  return message.split('\n')[0]!;
}

const ABOUT_ABSENCE = new Set(['missing-field', 'rule-effect', 'unknown-name']);

/** After broken YAML the rest may not mean what it seems to; what stands before it does. */
function isSure(problem: Problem, syntaxErrors: readonly Problem[]): boolean {
  const first = Math.min(...syntaxErrors.map((error) => error.line));
  return problem.line < first && !ABOUT_ABSENCE.has(problem.code);
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const scope: Shape<ParsedPolicy['scope']> = refined(
  textOf(/^(organizations|projects)\/[^/\s]+$/, 'must be organizations/<name> or projects/<name>'),
  (value) => {
    const [kind, name] = value.split('/') as [string, string];
    return { kind: kind === 'projects' ? 'project' : 'organization', name };
  },
);

const variables: Shape<true> = {
  schema: {
    type: 'object',
    propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
    additionalProperties: { type: ['string', 'boolean', 'number'] },
  },
  read(field, path, { expressions }) {
    expressions.readVariables(field, path);
    return true;
  },
};

/** A policy document. Rules come before those who name them, which is also the order of reading. */
export const POLICY = mapping({
  apiVersion: required(choice([API_VERSION]), 'The version of this format.'),
  kind: required(choice(['PlacementPolicy']), 'What this document is.'),
  metadata: required(
    mapping({
      name: required(
        textOf(NAME, 'must be lower-case letters, digits and hyphens, at most 63'),
        'Unique in its scope.',
      ),
      scope: optional(scope, 'organizations/<name> or projects/<name>; organizations/default when absent.'),
    }),
    'Whose policy it is.',
  ),
  spec: required(
    mapping(
      {
        mode: optional(
          choice(['enforce', 'audit', 'dryRun']),
          'enforce rejects; audit and dryRun only count what they would reject.',
        ),
        match: optional(
          cel({ wanted: 'bool' }),
          'CEL over the request: to which requests the policy applies.',
        ),
        variables: optional(
          variables,
          'Named CEL expressions; each may use those above it as variables.<name>.',
        ),
        rules: required(policyRules, 'The rules.'),
        exceptions: optional(exceptions, 'Rules set aside for some requests, until a time.'),
      },
      { first: 'variables' },
    ),
    'What the policy says.',
  ),
  tests: optional(tests, 'Placements and what must come of them; `landfall policy test` runs them.'),
});

function readPolicy(root: Node, reader: Reader, now: Date): ParsedPolicy | undefined {
  const start = root.range?.[0] ?? 0;
  const read = POLICY.read({ key: root, value: root }, '', reading(reader, now));
  if (read === undefined) return undefined;
  const { metadata, spec } = read;
  return {
    name: metadata.name,
    version: contentHash([reader.text.slice(start, root.range?.[2]).replace(/\r\n/g, '\n').trim()]),
    file: reader.file,
    line: reader.position(start).line,
    scope: metadata.scope ?? { kind: 'organization', name: 'default' },
    mode: spec.mode ?? 'enforce',
    match: spec.match ?? null,
    rules: spec.rules,
    exceptions: spec.exceptions ?? [],
    tests: read.tests ?? [],
  };
}
