/** Keys and values by schema: Red Hat's YAML service on one document of a file at a time. */
import type { FieldOrder } from '@landfall/policies/file/format.ts';
import { FIXTURES, type FixtureKind } from '@landfall/policies/file/read-tests.ts';
import { fixtureSchema, policySchema } from '@landfall/policies/file/schema.ts';
import type { CompletionList, Diagnostic, FoldingRange, Hover, Position, Range } from 'vscode-languageserver';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { isNode, isScalar, type Node, visit } from 'yaml';
import { getLanguageService, type LanguageService } from 'yaml-language-server';
import { excerptAround } from './excerpt.ts';
import { type FilePart, fixtureKind } from './file.ts';
import resourceSchemas from './resource-schemas.json' with { type: 'json' };

/** The kinds a document may have. */
export const KINDS: readonly string[] = ['PlacementPolicy', ...Object.keys(resourceSchemas)];

/** What a document must be before its kind is known. */
const ANY = {
  type: 'object',
  required: ['apiVersion', 'kind', 'metadata'],
  properties: {
    apiVersion: { const: 'landfall.dev/v1', description: 'The version of this format.' },
    kind: { enum: KINDS, description: 'What this document is.' },
    metadata: { type: 'object', description: 'Its name, whose it is, and its labels.' },
  },
};

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
}

/** The order of the fields of a kind's documents: that of its schema. */
export function fieldOrder(kind: string): FieldOrder {
  return Object.hasOwn(resourceSchemas, kind)
    ? orderIn((resourceSchemas as Record<string, Schema>)[kind]!)
    : {};
}

function orderIn({ properties, items }: Schema): FieldOrder {
  return {
    ...(properties && {
      fields: Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, orderIn(schema)])),
    }),
    ...(items && { items: orderIn(items) }),
  };
}

const FIXTURE_KINDS = Object.keys(FIXTURES) as FixtureKind[];

let schemas: Record<string, object> | undefined;

/** The schema of a kind's documents, or of what a test names; of a kind there is not, what all documents have. */
export function schemaOf(kind: string): object {
  return Object.hasOwn(allSchemas(), kind) ? allSchemas()[kind]! : ANY;
}

function allSchemas(): Record<string, object> {
  schemas ??= {
    ...resourceSchemas,
    PlacementPolicy: policySchema(),
    ...Object.fromEntries(FIXTURE_KINDS.map((kind) => [fixtureKind(kind), fixtureSchema(kind)])),
    Any: ANY,
  };
  return schemas;
}

let made: LanguageService | undefined;

/** Made when first needed: the first diagnostics of a policy do without. */
function service(): LanguageService {
  if (made === undefined) {
    made = getLanguageService({
      schemaRequestService: (uri) => Promise.reject(new Error(`there is no schema ${uri}`)),
      workspaceContext: { resolveRelativePath: (path) => path },
    });
    made.configure({
      validate: true,
      hover: true,
      completion: true,
      hoverSchemaSource: false,
      schemas: Object.entries(allSchemas()).map(([kind, schema]) => ({
        uri: `landfall:schema/${kind}`,
        fileMatch: [`${kind}.landfall.yaml`],
        schema,
      })),
    });
  }
  return made;
}

/** Makes ready what the first completion of a key would take a tenth of a second for. */
export async function prepareSchemas(): Promise<void> {
  if (made !== undefined) return;
  await service().doHover(documentOf('PlacementPolicy', 'kind: PlacementPolicy\n'), {
    line: 0,
    character: 0,
  });
}

let version = 0;

/** The service remembers the last document of each name; there is one for each kind. */
function documentOf(kind: string, text: string): TextDocument {
  const name = KINDS.includes(kind) || kind.startsWith('fixture-') ? kind : 'Any';
  // A line that asks for another schema is for editors without this server.
  const plain = text.replace(/^# *yaml-language-server:/gm, (line) => line.replace('yaml', 'YAML'));
  return TextDocument.create(`file:///${name}.landfall.yaml`, 'yaml', ++version, plain);
}

/** What a field without a name (`: x`) has in it. */
export function fieldWithoutName({ document }: FilePart): Node | undefined {
  let found: Node | undefined;
  visit(document, {
    Pair: (_key, { key, value }) => {
      if (key !== null && (!isScalar(key) || key.value !== null)) return undefined;
      found = (isNode(value) ? value : key) as Node;
      return visit.BREAK;
    },
  });
  return found;
}

/** The service fails over a field without a name, when it is about to name it. */
async function unlessUnnamed<T>(answer: Promise<T>, unnamed: T): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof TypeError && error.message.startsWith('Cannot convert undefined or null'))
      return unnamed;
    throw error;
  }
}

/** What is wrong with the form of a document; ranges are in the part. */
export async function schemaDiagnostics({ kind, text }: FilePart): Promise<Diagnostic[]> {
  return service().doValidation(documentOf(kind, text), false);
}

/** Keys and values that may stand at a place of the file. */
export async function schemaCompletion(part: FilePart, position: Position): Promise<CompletionList> {
  const { text, linesLeftOut } = excerptAround(part.text, position.line - part.line, position.character);
  const lines = part.line + linesLeftOut;
  const at = { line: position.line - lines, character: position.character };
  const list = await unlessUnnamed(service().doComplete(documentOf(part.kind, text), at, false), {
    isIncomplete: false,
    items: [],
  });
  for (const item of list.items) {
    if (item.textEdit && 'range' in item.textEdit) item.textEdit.range = down(item.textEdit.range, lines);
    for (const edit of item.additionalTextEdits ?? []) edit.range = down(edit.range, lines);
  }
  return list;
}

/** What a field is for. */
export async function schemaHover(part: FilePart, position: Position): Promise<Hover | null> {
  const { text, linesLeftOut } = excerptAround(part.text, position.line - part.line, position.character);
  const lines = part.line + linesLeftOut;
  const at = { line: position.line - lines, character: position.character };
  const hover = await unlessUnnamed(service().doHover(documentOf(part.kind, text), at), null);
  return hover === null || hover.range === undefined ? hover : { ...hover, range: down(hover.range, lines) };
}

/** What of a file can be folded. */
export function foldingRanges(text: string): FoldingRange[] {
  return service().getFoldingRanges(documentOf('Any', text), {}) ?? [];
}

/** A range some lines further down. */
export function down({ start, end }: Range, lines: number): Range {
  return {
    start: { ...start, line: start.line + lines },
    end: { ...end, line: end.line + lines },
  };
}
