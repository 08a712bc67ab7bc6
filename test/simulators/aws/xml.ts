import { randomUUID } from 'node:crypto';

/** An XML element of an EC2 answer: text or children, never both. Text stays escaped as it came. */
export interface Element {
  name: string;
  /** Attributes as written, with their leading blank. */
  attributes: string;
  children: Element[];
  text: string;
}

/** Reads the XML that moto writes: elements, attributes and text; no comments, CDATA or mixed content. */
export function parseXml(source: string): Element {
  const root: Element = { name: '', attributes: '', children: [], text: '' };
  const path: Element[] = [root];
  for (const part of source
    .replace(/^\s*<\?[^>]*\?>/, '')
    .matchAll(/<(\/?)([^\s/>]+)([^>]*?)(\/?)>|([^<]+)/g)) {
    const [, closing, name, attributes, empty, text] = part;
    const parent = path.at(-1);
    if (!parent) throw new Error('the XML closes more than it opened');
    if (text !== undefined) parent.text += text.trim();
    else if (closing) path.pop();
    else {
      const element: Element = { name: name ?? '', attributes: attributes ?? '', children: [], text: '' };
      parent.children.push(element);
      if (!empty) path.push(element);
    }
  }
  const document = root.children[0];
  if (!document || path.length !== 1) throw new Error(`not a whole XML document: ${source.slice(0, 80)}`);
  return document;
}

export function writeXml(element: Element): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${write(element)}`;
}

function write(element: Element): string {
  const inside = element.children.length > 0 ? element.children.map(write).join('') : element.text;
  return `<${element.name}${element.attributes}>${inside}</${element.name}>`;
}

export function child(element: Element | undefined, name: string): Element | undefined {
  return element?.children.find((candidate) => candidate.name === name);
}

/** Text of a child, by a path of names. */
export function textAt(element: Element | undefined, ...path: string[]): string | undefined {
  let at = element;
  for (const name of path) at = child(at, name);
  return at?.text;
}

/** The `item`s of a set. */
export function items(element: Element | undefined, set: string): Element[] {
  return child(element, set)?.children ?? [];
}

/** An error answer as EC2 writes it. */
export function errorXml(code: string, message: string): string {
  const safe = message.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>${code}</Code><Message>${safe}</Message></Error></Errors><RequestID>${randomUUID()}</RequestID></Response>`;
}
