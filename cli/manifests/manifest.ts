/** Manifests: what a user wrote, with the place of every field in its file. */
import type { Document, LineCounter } from 'yaml';
import { isMap, isNode, isPair, isScalar } from 'yaml';
import { usageError } from '../errors.ts';
import { fieldOf } from '../output/problem.ts';
import type { ManifestKind } from './fields.ts';

/** The version that manifests name. */
export const apiVersion = 'landfall.dev/v1';

/** One document of a manifest file. */
export interface Manifest {
  kind: ManifestKind;
  name: string;
  project: string | undefined;
  organization: string | undefined;
  labels: Record<string, string> | undefined;
  spec: Record<string, unknown>;
  source: ManifestSource;
}

/** Where a document was read from. */
export interface ManifestSource {
  file: string;
  /** The document's own text. */
  text: string;
  /** Lines of the file before it. */
  linesBefore: number;
  document: Document.Parsed;
  lines: LineCounter;
}

/** `instance/first`. */
export function manifestSubject(manifest: Pick<Manifest, 'kind' | 'name'>): string {
  const word = manifest.kind === 'PlacementPolicy' ? 'policy' : manifest.kind.toLowerCase();
  return `${word}/${manifest.name}`;
}

/** `file:line:column` of a path in a document; of its nearest ancestor when the field is not there. */
export function placeOf(source: ManifestSource, path: readonly (string | number)[], key = false): string {
  return `${source.file}:${lineAndColumn(source, path, key)}`;
}

function lineAndColumn(source: ManifestSource, path: readonly (string | number)[], key: boolean): string {
  for (let length = path.length; length >= 0; length--) {
    const exact = length === path.length;
    const offset = offsetOf(source.document, path.slice(0, length), key || !exact);
    if (offset === undefined) continue;
    const { line, col } = source.lines.linePos(offset);
    return `${line}:${col}`;
  }
  return `${source.linesBefore + 1}:1`;
}

/** A scalar's own place; the key's place of a map or list, which says more than where its content begins. */
function offsetOf(
  document: Document.Parsed,
  path: readonly (string | number)[],
  key: boolean,
): number | undefined {
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  if (path.length > 0 && node === undefined) return undefined;
  const parent = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
  if (path.length > 0 && (key || !isScalar(node)) && isMap(parent)) {
    const wanted = String(path.at(-1));
    const pair = parent.items.find(
      (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === wanted,
    );
    if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
  }
  return isNode(node) && node.range ? node.range[0] : undefined;
}

/** The path in a manifest of a JSON pointer into the request body made from it. */
export function manifestPath(pointer: string): (string | number)[] {
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  if (parts[0] === 'name' || parts[0] === 'labels' || parts[0] === 'organization')
    return ['metadata', ...parts];
  if (parts.length === 0 || parts[0] === 'spec') return parts;
  return ['spec', ...parts];
}

/** Line and column, both from 1, of what a JSON pointer into the manifest's request leads to. */
export function positionIn({ source }: Manifest, pointer: string): { line: number; column: number } {
  const [line, column] = lineAndColumn(source, manifestPath(pointer), false).split(':').map(Number);
  return { line: line!, column: column! };
}

/** Maps pointers of a problem about this manifest's request to places in its file. */
export function locateIn(manifest: Manifest): (pointer: string) => { place: string; field: string } {
  return (pointer) => {
    const path = manifestPath(pointer);
    return {
      place: placeOf(manifest.source, path),
      field: fieldOf(
        `/${path.map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`,
      ),
    };
  };
}

/** An error at a place of a manifest. */
export function manifestError(
  source: ManifestSource,
  path: (string | number)[],
  message: string,
  key = false,
): Error {
  return usageError(`${placeOf(source, path, key)} ${message}`);
}
