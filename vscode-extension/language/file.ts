/** A file of ours as the server knows it: its documents, what policies it has and what is wrong with them. */
import { type ParsedFile, parsePolicy } from '@landfall/policies';
import { parseFixture } from '@landfall/policies/file/fixture-file.ts';
import { type Meaning, policyMeanings, requestRuleMeanings } from '@landfall/policies/file/meanings.ts';
import { ReadParts } from '@landfall/policies/file/parse.ts';
import type { FixtureKind } from '@landfall/policies/file/read-tests.ts';
import { partsOf } from '@landfall/policies/file/yaml-documents.ts';
import type { Position, Range } from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { type Document, isScalar, type Node, parseDocument } from 'yaml';

/** One document of a file, between `---` lines. */
export interface FilePart {
  text: string;
  /** Where it begins: lines from 0, and characters. */
  line: number;
  offset: number;
  /** `kind`, as far as it is written; `''` = none yet. */
  kind: string;
  /** Null: it is nested too deeply to be parsed, or nothing of a test is in it. Offsets in it are counted from the beginning of the part. */
  document: Document | null;
}

/** What a file of ours has in it: documents with a kind each, or what tests of policies name. */
export type FileForm = 'documents' | FixtureKind;

/** The kind of the one part of a file that tests name; no document can name it, since kinds are words. */
export function fixtureKind(form: FixtureKind): string {
  return `fixture-${form}`;
}

const OURS = /^apiVersion: *["']?landfall\.dev\//m;
const OUR_NAME = /(?:^|[/.])landfall\.ya?ml$/;
const LIST = /^(?:[ \t]*(?:#.*)?\r?\n|---[ \t]*\r?\n)*(?:-[ \t\r\n]|\[)/;

/**
 * What a file has in it, as far as it is ours; null else. Documents are known by what they say of themselves, read line by line so
 * that one that cannot be parsed yet is known too, or by the file's name: `landfall.yaml`, `<anything>.landfall.yaml`. Offers are
 * known by a list's fields, and whatever a test names by that.
 */
export function formOf(
  uri: string,
  text: string,
  namedByTest: () => FixtureKind | undefined,
): FileForm | null {
  if (OURS.test(text) || OUR_NAME.test(uri)) return 'documents';
  const named = namedByTest();
  if (named !== undefined) return named;
  return LIST.test(text) && /\binstanceType:/.test(text) && /\bpricePerHour:/.test(text) ? 'offers' : null;
}

function kindOf(text: string): string {
  return /^kind: *["']?(\w+)/m.exec(text)?.[1] ?? '';
}

/** Reads again only the documents that changed. */
export class LandfallFile {
  readonly uri: string;
  readonly form: FileForm;
  text!: TextDocument;
  parts: readonly FilePart[] = [];
  policies: ParsedFile = { policies: [], partly: [], problems: [] };
  readonly #known = new ReadParts((text) => kindOf(text) === 'PlacementPolicy');
  #documents = new Map<string, Document | null>();
  readonly #meanings = new WeakMap<Document, Meaning[]>();

  constructor(text: TextDocument, form: FileForm) {
    this.uri = text.uri;
    this.form = form;
    this.update(text);
  }

  update(document: TextDocument): void {
    this.text = document;
    const text = document.getText();
    if (this.form !== 'documents') {
      const { document, problems } = parseFixture(this.form, text, this.uri);
      this.parts = [{ text, line: 0, offset: 0, kind: fixtureKind(this.form), document }];
      this.policies = { policies: [], partly: [], problems };
      return;
    }
    this.policies = parsePolicy(text, this.uri, undefined, this.#known);
    const ofPolicies = new Map(this.#known.current.map((part) => [part.linesBefore, part.yaml.documents[0]]));
    const documents = new Map<string, Document | null>();
    let offset = 0;
    this.parts = partsOf(text).map((part) => {
      const kind = kindOf(part.text);
      const document = ofPolicies.get(part.linesBefore) ?? this.#parsed(part.text, documents);
      const made = { text: part.text, line: part.linesBefore, offset, kind, document };
      offset += part.text.length;
      return made;
    });
    this.#documents = documents;
    // A file without a policy is nothing wrong here.
    if (this.#known.current.length === 0)
      this.policies.problems = this.policies.problems.filter(({ code }) => code !== 'no-policy');
  }

  #parsed(text: string, documents: Map<string, Document | null>): Document | null {
    const found = this.#documents.get(text);
    const document = found === undefined ? parsed(text) : found;
    documents.set(text, document);
    return document;
  }

  partAt(position: Position): FilePart {
    return this.parts.findLast(({ line }) => line <= position.line) ?? this.parts[0]!;
  }

  /** What stands in a part that an editor has to understand. */
  meanings({ document, kind }: FilePart): Meaning[] {
    if (document === null) return [];
    let found = this.#meanings.get(document);
    if (found === undefined) {
      const root = document.contents as Node | null;
      const path = ['spec', 'placement', 'rules'];
      found =
        kind === 'PlacementPolicy'
          ? policyMeanings(root)
          : requestRuleMeanings((document.getIn(path, true) as Node | undefined) ?? null, path);
      this.#meanings.set(document, found);
    }
    return found;
  }

  /** The place in the file of a node, or of some characters, of a part. */
  rangeOf(part: FilePart, place: Node | readonly [number, number]): Range {
    const [start, end] = Array.isArray(place) ? place : ((place as Node).range ?? [0, 0]);
    return {
      start: this.text.positionAt(part.offset + start),
      end: this.text.positionAt(part.offset + end),
    };
  }
}

function parsed(text: string): Document | null {
  const { stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = 0;
    return parseDocument(text, { prettyErrors: false, uniqueKeys: false });
  } catch {
    // The parser recurses: a document nested thousands deep ends it with a RangeError.
    return null;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The text at a path of a document, with its node. */
export function textAt(
  { document }: FilePart,
  path: readonly (string | number)[],
): { node: Node; text: string } | undefined {
  const node = document?.getIn(path, true);
  return isScalar(node) && node.value !== null ? { node, text: String(node.value) } : undefined;
}

/** Whether there is nothing but comments in a document. */
export function isEmpty({ contents, errors }: Document): boolean {
  return errors.length === 0 && (contents === null || (isScalar(contents) && contents.value === null));
}
