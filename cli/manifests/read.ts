/** Reads manifests: files, folders, standard input; several documents a file. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import { CommandError, exitCodes, usageError } from '../errors.ts';
import { suggestion } from '../output/suggestion.ts';
import type { Terminal } from '../terminal.ts';
import { type ManifestKind, manifestKinds, metadataFields, type Shape, specFields } from './fields.ts';
import { apiVersion, type Manifest, type ManifestSource, manifestError, placeOf } from './manifest.ts';

/** No manifest needs more; more is a mistake or an attack. */
const maxBytes = 1024 * 1024;
/** Aliases that a document may use: enough for people, too few for a bomb. */
const maxAliases = 100;

/** A file's name and text. */
export interface SourceText {
  file: string;
  text: string;
}

/** The texts that `-f` names: a file, a folder (recursively, in order of names), or `-` for standard input. */
export async function readSources(given: readonly string[], terminal: Terminal): Promise<SourceText[]> {
  const sources: SourceText[] = [];
  for (const name of given) {
    if (name === '-') {
      sources.push({ file: '<stdin>', text: await readStdin(terminal) });
      continue;
    }
    const files = filesUnder(resolve(terminal.cwd, name), name);
    if (files.length === 0) throw usageError(`${name} has no .yaml, .yml or .json file.`);
    for (const file of files) sources.push({ file: shownPath(file, terminal.cwd), text: readLimited(file) });
  }
  return sources;
}

/** Every manifest that `-f` names. Every mistake found is told at once. */
export async function readManifests(given: readonly string[], terminal: Terminal): Promise<Manifest[]> {
  if (given.length === 0) throw usageError('No manifest given.', 'Give one with -f <file|folder|->.');
  const manifests: Manifest[] = [];
  for (const source of await readSources(given, terminal))
    manifests.push(...parseManifests(source, terminal.cwd));
  if (manifests.length === 0) throw usageError(`${given.join(', ')}: no document in there.`);
  const seen = new Map<string, Manifest>();
  for (const manifest of manifests) {
    const key = `${manifest.kind}/${manifest.project ?? ''}/${manifest.name}`;
    const first = seen.get(key);
    if (first) {
      throw manifestError(
        manifest.source,
        ['metadata', 'name'],
        `${manifest.kind} "${manifest.name}" is also at ${placeOf(first.source, ['metadata', 'name'])}`,
      );
    }
    seen.set(key, manifest);
  }
  return manifests;
}

function filesUnder(path: string, shown: string): string[] {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw usageError(`There is no file ${shown}.`);
    throw new CommandError(`Cannot read ${shown}: ${(cause as Error).message}`, { cause });
  }
  if (!isDirectory) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function shownPath(file: string, cwd: string): string {
  const near = relative(cwd, file);
  return near.startsWith('..') ? file : near;
}

function readLimited(file: string): string {
  const { size } = statSync(file);
  if (size > maxBytes) throw tooLarge(file);
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CommandError(`Cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

async function readStdin(terminal: Terminal): Promise<string> {
  if (terminal.stdin.isTTY) terminal.err('Reading a manifest from standard input; end it with Ctrl-D.\n');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of terminal.stdin) {
    const buffer = Buffer.from(chunk);
    size += buffer.length;
    if (size > maxBytes) throw tooLarge('<stdin>');
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function tooLarge(file: string): CommandError {
  return usageError(`${file} is larger than 1 MiB.`, 'Split it; a folder of files is applied as one.');
}

/** The manifests in one text. */
export function parseManifests(source: SourceText, cwd: string): Manifest[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(source.text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
  });
  if (!Array.isArray(documents)) return [];
  const manifests: Manifest[] = [];
  const mistakes: string[] = [];
  for (const document of documents) {
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      mistakes.push(`${source.file}:${line}:${col} ${error.message}`);
    }
    if (document.errors.length > 0 || document.contents === null) continue;
    const start = document.range[0];
    const alone = documents.length === 1;
    const linesBefore = alone ? 0 : lines.linePos(start).line - 1;
    const text = alone ? source.text : source.text.slice(start, document.range[2]);
    const place: ManifestSource = { file: source.file, text, linesBefore, document, lines };
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: maxAliases });
    } catch (cause) {
      mistakes.push(
        `${placeOf(place, [])} ${(cause as Error).message}: at most ${maxAliases} aliases are followed`,
      );
      continue;
    }
    if (value === null) continue; // a separator with nothing behind it
    const manifest = checkManifest(value, place, cwd, mistakes);
    if (manifest) manifests.push(manifest);
  }
  if (mistakes.length > 0) throw new CommandError(mistakes.join('\n'), { exitCode: exitCodes.usage });
  return manifests;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The API's Name; an image's may also have dots. */
const namePattern = /^[a-z]([-.a-z0-9]*[a-z0-9])?$/;
const nameRule = 'must be at most 63 lower-case letters, digits and hyphens, with a letter at its start';

function checkManifest(
  value: unknown,
  source: ManifestSource,
  cwd: string,
  mistakes: string[],
): Manifest | undefined {
  const before = mistakes.length;
  const wrong = (path: (string | number)[], message: string, key = false): void => {
    mistakes.push(`${placeOf(source, path, key)} ${message}`);
  };
  if (!isRecord(value)) {
    wrong([], `must be a map with apiVersion, kind, metadata and spec`);
    return undefined;
  }
  if (value.apiVersion !== apiVersion) {
    wrong(
      ['apiVersion'],
      value.apiVersion === undefined
        ? `apiVersion: missing; write \`apiVersion: ${apiVersion}\``
        : `apiVersion: must be ${apiVersion} (it is ${JSON.stringify(value.apiVersion)})`,
    );
  }
  const kind = manifestKinds.find((known) => known === value.kind);
  if (!kind) {
    const given = value.kind === undefined ? 'missing' : `unknown kind ${JSON.stringify(value.kind)}`;
    wrong(
      ['kind'],
      `kind: ${given}. ${suggestion(String(value.kind ?? ''), manifestKinds)}Kinds: ${manifestKinds.join(', ')}`,
    );
    return undefined;
  }
  const metadata = isRecord(value.metadata) ? value.metadata : {};
  if (value.metadata !== undefined && !isRecord(value.metadata))
    wrong(['metadata'], 'metadata: must be a map');
  if (metadata.name === undefined) wrong(['metadata'], 'metadata.name: missing', true);
  else if (typeof metadata.name !== 'string')
    wrong(['metadata', 'name'], `metadata.name: must be text; quote it ("${metadata.name}")`);
  else if (!namePattern.test(metadata.name) || metadata.name.length > 63)
    wrong(['metadata', 'name'], `metadata.name: ${nameRule} (it is ${JSON.stringify(metadata.name)})`);
  if (value.spec !== undefined && value.spec !== null && !isRecord(value.spec))
    wrong(['spec'], 'spec: must be a map');
  const spec = isRecord(value.spec) ? { ...value.spec } : {};
  if (kind !== 'PlacementPolicy') {
    checkFields(value, ['apiVersion', 'kind', 'metadata', 'spec'], [], wrong);
    checkFields(metadata, metadataFields[kind], ['metadata'], wrong);
    checkShape(spec, specFields[kind], ['spec'], wrong);
    checkLabels(metadata.labels, wrong);
    for (const field of ['project', 'organization']) {
      if (metadata[field] !== undefined && typeof metadata[field] !== 'string')
        wrong(['metadata', field], `metadata.${field}: must be text`);
    }
    if (kind === 'SshKey') readPublicKey(spec, source, cwd, wrong);
  }
  if (mistakes.length > before) return undefined;
  return {
    kind: kind as ManifestKind,
    name: metadata.name as string,
    project: metadata.project as string | undefined,
    organization: metadata.organization as string | undefined,
    labels: metadata.labels as Record<string, string> | undefined,
    spec,
    source,
  };
}

type Wrong = (path: (string | number)[], message: string, key?: boolean) => void;

function checkFields(
  value: Record<string, unknown>,
  known: readonly string[],
  path: string[],
  wrong: Wrong,
): void {
  for (const field of Object.keys(value)) {
    if (known.includes(field)) continue;
    const list = known.length ? `Fields: ${known.join(', ')}` : 'It has no fields';
    wrong(
      [...path, field],
      `${[...path, field].join('.')}: unknown field. ${suggestion(field, known)}${list}`,
      true,
    );
  }
}

function checkShape(
  value: Record<string, unknown>,
  shape: { [field: string]: Shape },
  path: string[],
  wrong: Wrong,
): void {
  checkFields(value, Object.keys(shape), path, wrong);
  for (const [field, inner] of Object.entries(shape)) {
    const child = value[field];
    if (inner === 'value' || child === undefined) continue;
    if (isRecord(child)) checkShape(child, inner, [...path, field], wrong);
    else
      wrong(
        [...path, field],
        `${[...path, field].join('.')}: must be a map of ${Object.keys(inner).join(', ')}`,
      );
  }
}

function checkLabels(labels: unknown, wrong: Wrong): void {
  if (labels === undefined) return;
  if (!isRecord(labels)) {
    wrong(['metadata', 'labels'], 'metadata.labels: must be a map');
    return;
  }
  for (const [name, value] of Object.entries(labels)) {
    if (typeof value === 'string') continue;
    wrong(['metadata', 'labels', name], `metadata.labels.${name}: must be text; quote it ("${value}")`);
  }
}

/** `publicKeyFile` is read here: the API takes the key itself. Relative to the manifest, `~` is home. */
function readPublicKey(
  spec: Record<string, unknown>,
  source: ManifestSource,
  cwd: string,
  wrong: Wrong,
): void {
  if (spec.publicKeyFile === undefined) return;
  if (spec.publicKey !== undefined) {
    wrong(['spec', 'publicKeyFile'], 'spec.publicKeyFile: give it or publicKey, not both', true);
    return;
  }
  const given = String(spec.publicKeyFile).replace(/^~(?=\/)/, process.env.HOME ?? '~');
  const file = resolve(source.file.startsWith('<') ? cwd : dirname(resolve(cwd, source.file)), given);
  try {
    spec.publicKey = readLimited(file).trim();
    delete spec.publicKeyFile;
  } catch (cause) {
    wrong(['spec', 'publicKeyFile'], `spec.publicKeyFile: ${(cause as Error).message}`);
  }
}
