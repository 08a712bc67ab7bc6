/** What is wrong or doubtful in a file, as the editor underlines it. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Schemas } from '@landfall/model';
import { siteErrors } from '@landfall/model/site-rules.ts';
import {
  checkPolicies,
  loadSnapshot,
  type ParsedPolicy,
  type Problem,
  parseRequestRules,
} from '@landfall/policies';
import { nearest } from '@landfall/policies/file/problems.ts';
import { type Diagnostic, DiagnosticSeverity, type Range } from 'vscode-languageserver';
import { type Document, isMap, isNode, isScalar, type Node, type Pair } from 'yaml';
import type { DiagnosticCode, DiagnosticData } from './diagnostic-codes.ts';
import { type FilePart, isEmpty, type LandfallFile, textAt } from './file.ts';
import { fixturesOf } from './fixtures.ts';
import { spanOf } from './occurrences.ts';
import { down, fieldWithoutName, KINDS, schemaDiagnostics } from './yaml.ts';

/** Errors of the policies, and what can be told without thinking rules through. */
export function policyDiagnostics(file: LandfallFile): Diagnostic[] {
  return file.policies.problems.map((problem) => diagnosticOf(problem, file));
}

/** What is doubtful in the policies: rules that let nothing through, values nobody has. Takes a while. */
export function doubts(file: LandfallFile, others: readonly LandfallFile[]): Diagnostic[] {
  const own = [...file.policies.policies, ...file.policies.partly];
  const alone = checkPolicies(own, loadSnapshot()).filter(({ code }) => code !== 'override');
  const mine = new Set(own.map(keyOf));
  const seen = new Set(mine);
  const above = others
    .filter(({ uri }) => uri !== file.uri)
    .flatMap(({ policies }) => policies.policies)
    // Of several under one name only one can be in force.
    .filter(
      (policy) => policy.scope.kind === 'organization' && !seen.has(keyOf(policy)) && seen.add(keyOf(policy)),
    );
  const overrides = checkPolicies([...own, ...above], null).filter(
    (problem) => problem.code === 'override' && problem.file === file.uri,
  );
  return [...alone, ...overrides].map((problem) => ({
    ...diagnosticOf(problem, file),
    range: placeOfDoubt(problem, file),
  }));
}

function keyOf({ scope, name }: ParsedPolicy): string {
  return `${scope.kind} ${scope.name} ${name}`;
}

/** The name of the rule; of an unknown value, where that stands. */
function placeOfDoubt(problem: Problem, file: LandfallFile): Range {
  const part = file.partAt({ line: problem.line - 1, character: 0 });
  const index = /^spec\.rules\[(\d+)\]/.exec(problem.path)?.[1];
  const rule = index === undefined ? undefined : part.document?.getIn(['spec', 'rules', Number(index)], true);
  if (!isMap(rule) || !rule.range) return wordAt(problem, file);
  const [, value] = problem.code === 'unknown-value' ? (/"([^"]*)"/.exec(problem.message) ?? []) : [];
  if (value !== undefined) {
    const at = part.text.indexOf(`"${value}"`, rule.range[0]);
    if (at >= 0 && at < rule.range[1]) return file.rangeOf(part, [at, at + value.length + 2]);
  }
  const name = rule.get('name', true);
  return isScalar(name) ? file.rangeOf(part, name as Node) : wordAt(problem, file);
}

/** Policies that another file has under the same name and scope. */
export function duplicates(file: LandfallFile, others: readonly LandfallFile[]): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const policy of file.policies.policies)
    for (const other of others) {
      if (other.uri === file.uri) continue;
      const twin = other.policies.policies.find(
        ({ name, scope }) =>
          name === policy.name && scope.kind === policy.scope.kind && scope.name === policy.scope.name,
      );
      if (twin === undefined) continue;
      const part = file.partAt({ line: policy.line - 1, character: 0 });
      const at = textAt(part, ['metadata', 'name']);
      const theirs = textAt(other.partAt({ line: twin.line - 1, character: 0 }), ['metadata', 'name']);
      if (at === undefined || theirs === undefined) continue;
      const otherPart = other.partAt({ line: twin.line - 1, character: 0 });
      const message = `Policy '${policy.name}' of the same scope is in another file, too: only one of them can be in force.`;
      found.push({
        ...made(DiagnosticSeverity.Warning, 'duplicate-policy', message, file.rangeOf(part, at.node)),
        relatedInformation: [
          {
            location: { uri: other.uri, range: other.rangeOf(otherPart, theirs.node) },
            message: 'the other one',
          },
        ],
      });
    }
  return found;
}

/** Tests that name a file that is not there. */
export function missingFixtures(file: LandfallFile): Diagnostic[] {
  return fixturesOf(file).flatMap(({ part, node, uri }) => {
    const path = fileURLToPath(uri);
    if (existsSync(path)) return [];
    const given = String(node.value);
    const near = nearest(basename(path), yamlFilesIn(dirname(path)));
    const suggestion = near === undefined ? undefined : `${given.slice(0, -basename(given).length)}${near}`;
    const message = `there is no file '${given}' beside this one`;
    const range = file.rangeOf(part, spanOf(node));
    return [
      made(DiagnosticSeverity.Warning, 'missing-file', message, range, suggestion ? { suggestion } : {}),
    ];
  });
}

function yamlFilesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
  } catch {
    // Nothing there that could be meant.
    return [];
  }
}

function diagnosticOf(problem: Problem, file: LandfallFile): Diagnostic {
  return made(
    problem.severity === 'error' ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning,
    problem.code,
    problem.message,
    wordAt(problem, file),
    { suggestion: problem.suggestion, path: problem.path },
  );
}

export function made(
  severity: DiagnosticSeverity,
  code: DiagnosticCode,
  message: string,
  range: Range,
  data: DiagnosticData = {},
): Diagnostic {
  const hint = data.suggestion === undefined ? '' : ` Did you mean ${data.suggestion}?`;
  const sentence = `${message[0]?.toUpperCase() ?? ''}${message.slice(1)}`;
  const end = /[.?!]$/.test(sentence) ? '' : '.';
  return { range, severity, code, source: 'landfall', message: `${sentence}${end}${hint}`, data };
}

/**
 * What the problem is about, where its message quotes what stands there; else to the end of the word. At least one character,
 * so that something is underlined.
 */
function wordAt(problem: Problem, { text }: LandfallFile): Range {
  const start = { line: problem.line - 1, character: problem.column - 1 };
  const line = text.getText({ start, end: { line: problem.line, character: 0 } });
  const quoted = [...problem.message.matchAll(/'([^']+)'/g)].map(([, value]) => value!);
  const word =
    quoted.find((value) => line.startsWith(value)) ?? /^[\w.\-/]+/.exec(line)?.[0] ?? line.slice(0, 1);
  return { start, end: { line: start.line, character: start.character + Math.max(1, word.length) } };
}

/** By the document they are of, with ranges in its part. */
const known = new WeakMap<Document, Diagnostic[]>();

/** What is wrong with the documents that are no policies. */
export async function resourceDiagnostics(file: LandfallFile): Promise<Diagnostic[]> {
  const found: Diagnostic[] = [];
  if (file.form !== 'documents') return found;
  const names = new Map<string, number>();
  for (const part of file.parts) {
    const { document, kind } = part;
    if (kind === 'PlacementPolicy' || document === null || isEmpty(document)) continue;
    let own = known.get(document);
    if (own === undefined) {
      own = await ofResource(part);
      known.set(document, own);
    }
    found.push(...own.map((one) => ({ ...one, range: down(one.range, part.line) })));
    found.push(...repeatedName(file, part, names));
  }
  return found;
}

/** Whether a document that is no policy was looked at and found sound. */
export function isSound({ document }: FilePart): boolean {
  return document !== null && known.get(document)?.length === 0;
}

function repeatedName(file: LandfallFile, part: FilePart, names: Map<string, number>): Diagnostic[] {
  const name = textAt(part, ['metadata', 'name']);
  if (name === undefined) return [];
  const key = `${part.kind}/${textAt(part, ['metadata', 'project'])?.text ?? ''}/${name.text}`;
  const first = names.get(key);
  const range = file.rangeOf(part, name.node);
  if (first === undefined) names.set(key, range.start.line + 1);
  return first === undefined
    ? []
    : [
        made(
          DiagnosticSeverity.Error,
          'duplicate-name',
          `${part.kind} "${name.text}" is already on line ${first}`,
          range,
        ),
      ];
}

async function ofResource(part: FilePart): Promise<Diagnostic[]> {
  const document = part.document!;
  const kind = textAt(part, ['kind']);
  const at = (node: Node): Range => rangeIn(part.text, node);
  if (kind !== undefined && !KINDS.includes(kind.text)) {
    const message = `"${kind.text}" is no kind of document: ${KINDS.join(', ')}`;
    const suggestion = nearest(kind.text, KINDS);
    return [
      made(
        DiagnosticSeverity.Error,
        'unknown-kind',
        message,
        at(kind.node),
        suggestion ? { suggestion } : {},
      ),
    ];
  }
  const unnamed = fieldWithoutName(part);
  if (unnamed !== undefined) {
    const { start, end } = oneLine(at(unnamed), part.text);
    // Nothing at all stands there, perhaps.
    const character = Math.max(end.character, start.character + 1);
    const range = { start, end: { ...end, character } };
    return [made(DiagnosticSeverity.Error, 'yaml-syntax', 'a field has no name', range)];
  }
  const rules = document.getIn(['spec', 'placement', 'rules'], true);
  const ofRules = isNode(rules) ? at(rules) : undefined;
  const found = (await schemaDiagnostics(part)).filter(
    ({ range }) => ofRules === undefined || !inside(range, ofRules),
  );
  const ofForm = [...found.map((one) => ofSchema(one, part)), ...ofRequestRules(document, part)];
  return ofForm.length === 0 && part.kind === 'Site' ? ofSite(document, part) : ofForm;
}

/** What the broker would refuse of a site whose form is right. */
function ofSite(document: Document, part: FilePart): Diagnostic[] {
  const { spec } = document.toJS({ maxAliasCount: 100 }) as { spec: Schemas['SiteSpec'] };
  return siteErrors(spec).map(({ pointer, message }) => {
    const path = pointer.split('/').slice(1);
    const isMissing = document.getIn(path, true) === undefined;
    // What should be there is told at what it should be in.
    const node = isMissing ? nodeAt(document, path.slice(0, -1), true) : nodeAt(document, path, true);
    const range = oneLine(rangeIn(part.text, node), part.text);
    const code = isMissing ? 'missing-field' : 'wrong-value';
    return made(DiagnosticSeverity.Error, code, `${path.join('.')} ${message}`, range, {
      path: path.join('.'),
    });
  });
}

function ofRequestRules(document: Document, part: FilePart): Diagnostic[] {
  const path = ['spec', 'placement', 'rules'];
  const rules = document.getIn(path, true);
  if (!isNode(rules) || document.errors.length > 0) return [];
  const { problems } = parseRequestRules(rules.toJS(document, { maxAliasCount: 100 }), '');
  return problems.map(({ code, message, path: pointer, severity, suggestion }) => {
    const below = pointer
      .split('/')
      .slice(1)
      .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
    return made(
      severity === 'error' ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning,
      code,
      message,
      oneLine(rangeIn(part.text, nodeAt(document, [...path, ...below], code === 'unknown-field')), part.text),
      {
        suggestion,
        path: [...path, ...below]
          .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
          .join(''),
      },
    );
  });
}

/** The node at a path, its key where that is wanted; the nearest above, where there is none. */
function nodeAt(document: Document, path: (string | number)[], key: boolean): Node {
  for (let length = path.length; length > 0; length--) {
    const steps = path.slice(0, length);
    const parent = document.getIn(steps.slice(0, -1), true);
    if (key && isMap(parent)) {
      const pair = (parent.items as Pair<Node>[]).find(
        (one) => isScalar(one.key) && one.key.value === steps.at(-1),
      );
      if (pair !== undefined) return pair.key;
    }
    const node = document.getIn(steps, true);
    if (isNode(node) && node.range) return node;
  }
  return document.contents as Node;
}

/** What the YAML service says, in the words and codes of the policies' problems. */
function ofSchema(found: Diagnostic, part: FilePart): Diagnostic {
  const data = found.data as { properties?: string[]; values?: unknown[] } | undefined;
  const message = typeof found.message === 'string' ? found.message : found.message.value;
  const word = textIn(part.text, found.range);
  const error = DiagnosticSeverity.Error;
  if (found.source === 'YAML') return made(error, 'yaml-syntax', message, oneLine(found.range, part.text));
  const property = /^Property (.+) is not allowed\.$/.exec(message)?.[1];
  if (property !== undefined) {
    const suggestion = nearest(property, data?.properties ?? []);
    return made(
      error,
      'unknown-field',
      `unknown field '${property}'`,
      found.range,
      suggestion ? { suggestion } : {},
    );
  }
  const missing = /^Missing property "(.+)"\.$/.exec(message)?.[1];
  if (missing !== undefined)
    return made(error, 'missing-field', `${missing} is missing`, oneLine(found.range, part.text), {
      path: missing,
    });
  if (data?.values !== undefined) {
    const values = data.values.map(String);
    const suggestion = nearest(word, values);
    const wanted = `must be one of ${values.join(', ')}, is '${word}'`;
    return made(error, 'wrong-value', wanted, found.range, suggestion ? { suggestion } : {});
  }
  const code = /^Incorrect type/.test(message) ? 'wrong-type' : 'wrong-value';
  return made(error, code, message, oneLine(found.range, part.text));
}

/** A place that goes over lines, to the end of its first. */
function oneLine({ start, end }: Range, text: string): Range {
  if (start.line === end.line) return { start, end };
  const line = text.split('\n')[start.line] ?? '';
  return { start, end: { line: start.line, character: Math.max(start.character + 1, line.length) } };
}

function textIn(text: string, { start, end }: Range): string {
  const line = text.split('\n')[start.line] ?? '';
  return line.slice(start.character, start.line === end.line ? end.character : undefined);
}

function inside(inner: Range, outer: Range): boolean {
  const before = (a: Range['start'], b: Range['start']): boolean =>
    a.line < b.line || (a.line === b.line && a.character <= b.character);
  return before(outer.start, inner.start) && before(inner.end, outer.end);
}

function rangeIn(text: string, node: Node): Range {
  const [start, end] = node.range ?? [0, 0];
  const place = (offset: number): Range['start'] => {
    const before = text.slice(0, offset).split('\n');
    return { line: before.length - 1, character: before.at(-1)!.length };
  };
  return { start: place(start), end: place(end) };
}
