import { type Document, isScalar, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { contentHash } from '../catalogue/rows.ts';
import { ExpressionReader } from './expressions.ts';
import type { ParsedPolicy, ParsedRule } from './policy.ts';
import type { Problem } from './problems.ts';
import { readTests } from './read-tests.ts';
import { type Field, join, Reader } from './reader.ts';

/** The version of the file format this reads. */
export const API_VERSION = 'landfall.dev/v1';

/** A policy file may be this long, in UTF-8 bytes. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** Rules and variables a policy may have. */
const MAX_RULES = 500;

/** What {@link parsePolicy} found. */
export interface ParsedFile {
  /** The documents without errors. */
  policies: ParsedPolicy[];
  /** Everything wrong or doubtful, in the order of the file. */
  problems: Problem[];
}

const LATER_IN_RULE =
  'prefer weight spread budget quota approval ttl window labels affinity antiAffinity exception exceptions gravity limit expires owner onMissing remediation'.split(
    ' ',
  );
const LATER_IN_SPEC = 'exceptions defaults preferences prefer budget quota onViolation schedule'.split(' ');

/**
 * Reads a policy file: one or more YAML documents of kind PlacementPolicy. Reports every error it can find,
 * each with line and column; never throws for bad input. `file` is only the name used in problems.
 */
export function parsePolicy(text: string, file: string): ParsedFile {
  const lines = new LineCounter();
  const reader = new Reader(file, text, lines);
  const policies: ParsedPolicy[] = [];
  for (const document of documents(text, lines, reader)) {
    const before = reader.problems.length;
    reader.open(document);
    const policy = readPolicy(document, reader);
    const failed = reader.problems.slice(before).some((p) => p.severity === 'error');
    if (policy !== null && !failed) policies.push(policy);
  }
  const seen = new Map<string, ParsedPolicy>();
  for (const policy of policies) {
    const key = `${policy.scope.kind} ${policy.scope.name} ${policy.name}`;
    if (seen.has(key))
      reader.problems.push({
        code: 'duplicate-policy',
        message: `policy '${policy.name}' is in this file twice, first on line ${seen.get(key)!.line}`,
        file,
        line: policy.line,
        column: 1,
        path: 'metadata.name',
        severity: 'error',
      });
    else seen.set(key, policy);
  }
  reader.problems.sort((a, b) => a.line - b.line || a.column - b.column);
  return { policies: [...seen.values()], problems: reader.problems };
}

function documents(text: string, lines: LineCounter, reader: Reader): Document[] {
  if (Buffer.byteLength(text, 'utf8') > MAX_FILE_BYTES) {
    reader.report(0, '', 'file-too-large', `a policy file may be ${MAX_FILE_BYTES} bytes at most`);
    return [];
  }
  let parsed: ReturnType<typeof parseAllDocuments>;
  try {
    parsed = parseAllDocuments(text, {
      lineCounter: lines,
      uniqueKeys: true,
      strict: true,
      prettyErrors: false,
    });
  } catch (error) {
    // The parser recurses: a document nested thousands deep ends it with a RangeError.
    reader.report(0, '', 'yaml-syntax', `the file cannot be read as YAML: ${(error as Error).message}`);
    return [];
  }
  const list = Array.isArray(parsed) ? (parsed as Document[]) : [];
  const readable = list.filter((document) => {
    for (const error of document.errors)
      reader.report(error.pos[0], '', 'yaml-syntax', firstLine(error.message));
    for (const warning of document.warnings)
      reader.report(warning.pos[0], '', 'yaml-warning', firstLine(warning.message), { severity: 'warning' });
    return document.errors.length === 0 && document.contents !== null;
  });
  if (readable.length === 0 && reader.problems.length === 0)
    reader.report(0, '', 'no-policy', 'there is no policy in this file');
  return readable;
}

function firstLine(message: string): string {
  return message.split('\n')[0]!;
}

function readPolicy(document: Document, reader: Reader): ParsedPolicy | null {
  const root = document.contents as Node;
  const top = reader.fields(root, '', ['apiVersion', 'kind', 'metadata', 'spec', 'tests']);
  if (top === null) return null;
  const require = (fields: Map<string, Field>, name: string, path: string, at: Node): Field | undefined => {
    const field = fields.get(name);
    if (field === undefined) reader.report(at, path, 'missing-field', `${join(path, name)} is missing`);
    return field;
  };
  reader.choice(require(top, 'apiVersion', '', root), 'apiVersion', [API_VERSION]);
  reader.choice(require(top, 'kind', '', root), 'kind', ['PlacementPolicy']);
  const metadataField = require(top, 'metadata', '', root);
  const specField = require(top, 'spec', '', root);
  const metadata = metadataField && reader.fields(metadataField.value, 'metadata', ['name', 'scope']);
  const nameField = metadata && require(metadata, 'name', 'metadata', metadataField!.key);
  const name = reader.text1(nameField ?? undefined, 'metadata.name');
  if (name !== undefined && !NAME.test(name))
    reader.report(
      nameField!.value,
      'metadata.name',
      'wrong-value',
      'a name is lower-case letters, digits and hyphens, at most 63',
    );
  const scope = readScope(metadata?.get('scope'), reader);
  const spec =
    specField &&
    reader.fields(specField.value, 'spec', ['mode', 'match', 'variables', 'rules'], LATER_IN_SPEC);
  if (!spec) return null;
  const mode = reader.choice(spec.get('mode'), 'spec.mode', ['enforce', 'audit', 'dryRun']) ?? 'enforce';
  const expressions = new ExpressionReader(reader);
  expressions.readVariables(spec.get('variables'), 'spec.variables');
  const match = expressions.read(spec.get('match'), 'spec.match', { offer: false, wanted: 'bool' });
  const { rules, names } = readRules(require(spec, 'rules', 'spec', specField!.key), reader, expressions);
  const tests = readTests(top.get('tests'), reader, names);
  if (name === undefined || scope === null) return null;
  const [start, end] = [root.range?.[0] ?? 0, root.range?.[2] ?? reader.text.length];
  return {
    name,
    version: contentHash([reader.text.slice(start, end).replace(/\r\n/g, '\n').trim()]),
    file: reader.file,
    line: reader.position(start).line,
    scope,
    mode,
    match: match ?? null,
    rules,
    exceptions: [],
    tests,
  };
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

function readScope(field: Field | undefined, reader: Reader): ParsedPolicy['scope'] | null {
  if (field === undefined) return { kind: 'organization', name: 'default' };
  const text = reader.text1(field, 'metadata.scope');
  if (text === undefined) return null;
  const match = /^(organizations|projects)\/([^/\s]+)$/.exec(text);
  if (match === null) {
    reader.report(
      field.value,
      'metadata.scope',
      'wrong-value',
      'a scope is organizations/<name> or projects/<name>',
    );
    return null;
  }
  return { kind: match[1] === 'projects' ? 'project' : 'organization', name: match[2]! };
}

function readRules(
  field: Field | undefined,
  reader: Reader,
  expressions: ExpressionReader,
): { rules: ParsedRule[]; names: ReadonlySet<string> } {
  const known = new Set<string>();
  if (field === undefined) return { rules: [], names: known };
  const nodes = reader.items(field.value, 'spec.rules');
  if (nodes.length > MAX_RULES)
    reader.report(
      field.key,
      'spec.rules',
      'too-many',
      `a policy may have ${MAX_RULES} rules, this one has ${nodes.length}`,
    );
  if (nodes.length === 0)
    reader.report(field.key, 'spec.rules', 'no-rules', 'the policy has no rules', { severity: 'warning' });
  const rules: ParsedRule[] = [];
  const names = new Map<string, number>();
  nodes.slice(0, MAX_RULES).forEach((node, i) => {
    const path = `spec.rules[${i}]`;
    const rule = readRule(node, path, reader, expressions, known);
    if (rule === null) return;
    const first = names.get(rule.name);
    if (first !== undefined)
      reader.report(
        node,
        `${path}.name`,
        'duplicate-rule',
        `rule '${rule.name}' is already on line ${first}`,
      );
    names.set(rule.name, rule.line);
    rules.push(rule);
  });
  return { rules, names: known };
}

const RULE_FIELDS = ['name', 'when', 'require', 'deny', 'message', 'overridable', 'override'];

function readRule(
  node: Node | null,
  path: string,
  reader: Reader,
  expressions: ExpressionReader,
  known: Set<string>,
): ParsedRule | null {
  const before = reader.problems.length;
  const fields = reader.fields(node, path, RULE_FIELDS, LATER_IN_RULE);
  if (fields === null) {
    if (reader.problems.length === before)
      reader.report(node, path, 'wrong-type', 'a rule must be a mapping');
    return null;
  }
  const later = reader.problems.slice(before).some((p) => p.code === 'not-supported-yet');
  const nameField = fields.get('name');
  const name = reader.text1(nameField, `${path}.name`);
  // A rule that is wrong keeps its name, so that a test that names it is not called wrong too.
  if (name !== undefined) known.add(name);
  if (nameField === undefined) reader.report(node, path, 'missing-field', `${path}.name is missing`);
  const when = expressions.read(fields.get('when'), `${path}.when`, { offer: true, wanted: 'bool' });
  const require = expressions.read(fields.get('require'), `${path}.require`, { offer: true, wanted: 'bool' });
  const deny = expressions.read(fields.get('deny'), `${path}.deny`, { offer: true, wanted: 'bool' });
  const both = fields.has('require') && fields.has('deny');
  if (both)
    reader.report(
      fields.get('deny')!.key,
      path,
      'rule-effect',
      'a rule has either require or deny, not both',
    );
  // A rule of the later language has its effect elsewhere; "not supported yet" already says so.
  else if (!fields.has('require') && !fields.has('deny') && !later)
    reader.report(node, path, 'rule-effect', 'a rule needs require or deny');
  const message = expressions.readMessage(fields.get('message'), `${path}.message`);
  const overridable = reader.flag(fields.get('overridable'), `${path}.overridable`) ?? false;
  const override = reader.flag(fields.get('override'), `${path}.override`) ?? false;
  const expression = require ?? deny;
  if (name === undefined || expression === undefined) return null;
  const offset = (isScalar(nameField?.key) ? nameField.key.range?.[0] : node?.range?.[0]) ?? 0;
  return {
    name,
    line: reader.position(offset).line,
    clauses: [{ effect: fields.has('require') ? 'require' : 'deny', expression }],
    when: when ?? null,
    message: message ?? null,
    missing: 'reject',
    onViolation: 'report',
    owner: null,
    overridable,
    override,
  };
}
