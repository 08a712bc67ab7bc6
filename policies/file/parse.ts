import { Document, isSeq, LineCounter, type Node } from 'yaml';
import { contentHash } from '../catalogue/rows.ts';
import { exceptions } from './exceptions.ts';
import { ExpressionReader } from './expressions.ts';
import type { ParsedPolicy, ParsedRule } from './policy.ts';
import type { Problem, ProblemCode } from './problems.ts';
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
import { isSure, MAX_FILE_BYTES, ofFile, readers } from './syntax.ts';
import {
  editedDocuments,
  isEmpty,
  type Part,
  partsOf,
  type YamlDocuments,
  yamlDocuments,
} from './yaml-documents.ts';
import { BeyondYamlLimits, MAX_TOKENS } from './yaml-limits.ts';

/** The version of the file format this reads. */
export const API_VERSION = 'landfall.dev/v1';

/** Documents a policy file may have. */
const MAX_DOCUMENTS = 500;

/** What {@link parsePolicy} found. */
export interface ParsedFile {
  /** The documents without errors. */
  policies: ParsedPolicy[];
  /**
   * Of documents with errors in some of their rules, and in nothing else that matters to the others: the others, with holes where
   * those are. To be checked, so that what is doubtful is told at once; never to be in force.
   */
  partly: ParsedPolicy[];
  /** Everything wrong or doubtful, in the order of the file. */
  problems: Problem[];
}

/** What {@link parsePolicy} remembers of a file from one reading to the next; give one to each file. */
export class ReadParts {
  /** The stretches of the file that are parsed by themselves, as last read, in its order. */
  current: readonly ReadPart[] = [];
  readonly #concerns: (text: string) => boolean;

  /** `concerns` says which stretches are read: manifests of other kinds may stand beside policies. */
  constructor(concerns: (text: string) => boolean = () => true) {
    this.#concerns = concerns;
  }

  /** Reads what is new in a file. Throws {@link BeyondYamlLimits}. */
  read(parts: readonly Part[], file: string, now: Date): void {
    const known = new Map(this.current.map((part) => [part.text, part]));
    const concerned = parts.filter(({ text }) => this.#concerns(text));
    const texts = new Set(concerned.map(({ text }) => text));
    // What is gone was edited, if one document took its place.
    const gone = this.current.filter(({ text }) => !texts.has(text));
    const added = concerned.filter(({ text }) => !known.has(text));
    const edited = gone.length === 1 && added.length === 1 ? gone[0] : undefined;
    let tokens = 0;
    this.current = concerned.map((part) => {
      const before = known.get(part.text);
      const read =
        before === undefined ? readPart(part, file, now, edited) : this.#again(before, part, file, now);
      tokens += read.yaml.tokens;
      if (tokens > MAX_TOKENS) throw BeyondYamlLimits.tokens();
      return read;
    });
  }

  /** A part that was read before, where it stands now. */
  #again(before: ReadPart, part: Part, file: string, now: Date): ReadPart {
    const { linesBefore } = part;
    if (before.linesBefore === linesBefore) return before;
    // Messages name lines too.
    if (before.problems.length > 0) return readPart(part, file, now);
    const lines = linesBefore - before.linesBefore;
    return { ...before, linesBefore, policies: before.policies.map((policy) => moved(policy, lines)) };
  }
}

/**
 * Reads a policy file: one or more YAML documents of kind PlacementPolicy. Reports every error it can find,
 * each with line and column; never throws for bad input. `file` is only the name used in problems. What has
 * expired at `now` is pointed out. With `known` only what changed in the file is read; what came of the reading before, `partly`
 * above all, is then not to be asked any more.
 */
export function parsePolicy(
  text: string,
  file: string,
  now: Date = new Date(),
  known: ReadParts = new ReadParts(),
): ParsedFile {
  const refused = (code: ProblemCode, message: string): ParsedFile => {
    known.current = [];
    return { policies: [], partly: [], problems: [ofFile(file, code, message)] };
  };
  if (Buffer.byteLength(text, 'utf8') > MAX_FILE_BYTES)
    return refused('file-too-large', `a policy file may be ${MAX_FILE_BYTES} bytes at most`);
  const parts = partsOf(text);
  if (parts.length > MAX_DOCUMENTS)
    return refused(
      'too-many',
      `a policy file may have ${MAX_DOCUMENTS} documents, this one has ${parts.length}`,
    );
  try {
    known.read(parts, file, now);
  } catch (error) {
    if (error instanceof BeyondYamlLimits) return refused(error.code, error.message);
    throw error;
  }
  const problems = known.current.flatMap((part) => part.problems);
  const policies = known.current.flatMap((part) => part.policies);
  const read = known.current;
  if (known.current.every(({ yaml }) => yaml.documents.length === 0) && problems.length === 0)
    problems.push(ofFile(file, 'no-policy', 'there is no policy in this file'));
  const kept = withoutDuplicates(policies, problems);
  problems.sort((a, b) => a.line - b.line || a.column - b.column);
  let partly: ParsedPolicy[] | undefined;
  return {
    policies: kept,
    problems,
    // Reading them again takes as long as the first reading, and an editor asks for it when the typing pauses only.
    get partly() {
      partly ??= read.flatMap((part) => part.broken.flatMap((without) => without()));
      return partly;
    },
  };
}

/** A policy without its rules that have errors, if it has others and can be read so. The document stays as it is. */
function withoutBroken(
  document: Document,
  errors: readonly Problem[],
  reader: Reader,
  now: Date,
): ParsedPolicy[] {
  const broken = new Set(
    errors.map(({ path }) => Number(/^spec\.rules\[(\d+)\]/.exec(path)?.[1] ?? Number.NaN)),
  );
  const node = document.getIn(['spec', 'rules'], true);
  if (!isSeq(node) || broken.has(Number.NaN)) return [];
  const all = node.items;
  const left = [...all.keys()].filter((index) => !broken.has(index));
  node.items = left.map((index) => all[index]);
  const policy = readPolicy(document.contents as Node, reader, now);
  node.items = all;
  if (policy === undefined || left.length === 0) return [];
  const rules: ParsedRule[] = [];
  for (const [i, rule] of policy.rules.entries()) rules[left[i]!] = rule;
  return [{ ...policy, rules }];
}

/** What was found in a stretch of a file. */
export interface ReadPart extends Part {
  yaml: YamlDocuments;
  policies: ParsedPolicy[];
  /** Each reads what is left of a policy with errors; see {@link ParsedFile}. */
  broken: (() => ParsedPolicy[])[];
  problems: Problem[];
}

function readPart(part: Part, file: string, now: Date, before?: ReadPart): ReadPart {
  const problems: Problem[] = [];
  const policies: ParsedPolicy[] = [];
  const broken: ReadPart['broken'] = [];
  let yaml: YamlDocuments;
  try {
    yaml = (before && editedDocuments(before.yaml, before.text, part.text)) ?? yamlDocuments(part.text);
  } catch (error) {
    if (error instanceof BeyondYamlLimits) throw error;
    const message = `the file cannot be read as YAML: ${(error as Error).message}`;
    problems.push({ ...ofFile(file, 'yaml-syntax', message), line: part.linesBefore + 1 });
    yaml = { documents: [], lines: new LineCounter(), tokens: 0 };
  }
  for (const { document, readerOf, syntaxErrors } of readers(part, yaml, file, problems)) {
    if (isEmpty(document.contents as Node | null)) continue;
    const reader = readerOf();
    const policy = readPolicy(document.contents as Node, reader, now);
    const own =
      syntaxErrors === null ? reader.problems : reader.problems.filter((p) => isSure(p, syntaxErrors));
    problems.push(...own);
    if (syntaxErrors !== null) continue;
    const errors = own.filter((p) => p.severity === 'error');
    if (policy !== undefined && errors.length === 0) policies.push(policy);
    else broken.push(() => withoutBroken(document, errors, readerOf(), now));
  }
  return { ...part, yaml, policies, broken, problems };
}

/** The policy as it is after lines were put in above it, or taken out. */
function moved(policy: ParsedPolicy, lines: number): ParsedPolicy {
  const down = <T extends { line: number }>(placed: T): T => ({ ...placed, line: placed.line + lines });
  return {
    ...down(policy),
    rules: policy.rules.map(down),
    exceptions: policy.exceptions.map(down),
    tests: policy.tests.map(down),
  };
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

/** What a document is read with by its shape. */
export function reading(reader: Reader, now: Date): Reading {
  return { reader, now, expressions: new ExpressionReader(reader), ruleNames: new Map() };
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
  values: cel({ offer: true, resource: true, wanted: 'bool' }),
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
