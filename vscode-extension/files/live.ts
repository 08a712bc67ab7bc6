/** A document of a file as it would be if it said what there is. */
import { type Broker, type Difference, liveOf, type Manifest } from 'landfall/client.ts';
import { type Document, isMap, parseDocument } from 'yaml';

/** Both sides of a comparison; `live` is undefined where there is nothing of that name. */
export interface Comparison {
  live: string | undefined;
  /** The document's own text; where a change of fields would lay its text out anew, laid out so itself. */
  own: string;
  /** Whether `own` is the text as it stands in the file. */
  asWritten: boolean;
}

/** Compares one document with what there is. */
export async function compareWithLive(broker: Broker, manifest: Manifest): Promise<Comparison> {
  const { text } = manifest.source;
  const found = await liveOf(broker, manifest);
  if (found === undefined) return { live: undefined, own: text, asWritten: true };
  if ('source' in found) return { live: found.source, own: text, asWritten: true };
  const layout = layoutOf(text);
  const written = parseDocument(text);
  const own = written.toString(layout);
  for (const difference of found.differences) setLive(written, difference);
  return { live: written.toString(layout), own, asWritten: own === text };
}

/** The way of writing that leaves a text as it is, where there is one. */
function layoutOf(text: string) {
  const layouts = [true, false].flatMap((flowCollectionPadding) =>
    [true, false].map((indentSeq) => ({ flowCollectionPadding, indentSeq, lineWidth: 0 })),
  );
  return layouts.find((layout) => parseDocument(text).toString(layout) === text) ?? layouts[0]!;
}

function setLive(document: Document, { field, from }: Difference): void {
  if (field === 'spec.userDataDigest') {
    if (from === undefined) document.deleteIn(['spec', 'userData']);
    else document.setIn(['spec', 'userData'], `not shown by the broker: ${String(from)}`);
    return;
  }
  const path = pathOf(field);
  if (from === undefined || from === null) {
    document.deleteIn(path);
    return;
  }
  // A scalar on the way, such as a field without a value yet, holds nothing.
  for (let length = 1; length < path.length; length++)
    if (!isMap(document.getIn(path.slice(0, length), true)))
      document.setIn(path.slice(0, length), document.createNode({}));
  if (field === 'spec.publicKey') document.deleteIn(['spec', 'publicKeyFile']);
  // A scalar is set in its place, so that a comment behind it stays.
  document.setIn(path, typeof from === 'object' ? document.createNode(from) : from);
}

/** Keys of labels may have dots. */
function pathOf(field: string): string[] {
  const labels = /^(labels|spec\.appliesTo\.labels)\.(.*)$/.exec(field);
  if (labels === null) return field.split('.');
  return labels[1] === 'labels'
    ? ['metadata', 'labels', labels[2]!]
    : ['spec', 'appliesTo', 'labels', labels[2]!];
}
