/** XML as libvirt speaks it: elements, attributes, text. Rendering escapes everything; nothing is ever pasted in. */

const forbidden = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

function encoded(text: string): string {
  if (forbidden.test(text)) throw new TypeError('text has a control character that XML cannot hold');
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;')
    .replace(/[\t\n\r]/g, (white) => `&#${white.charCodeAt(0)};`);
}

/** Rendered XML: only `element` makes it, so that plain strings are always text. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

const nameForm = /^[A-Za-z_][\w.:-]*$/;

/**
 * Renders one element. `content` is text (escaped) or child elements. Attributes that are undefined are left out.
 * Throws TypeError for text that XML cannot hold.
 */
export function element(
  name: string,
  attributes: Record<string, string | number | undefined> = {},
  content: string | number | Markup[] = [],
): Markup {
  if (!nameForm.test(name)) throw new TypeError(`not an XML name: ${name}`);
  let open = `<${name}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (!nameForm.test(key)) throw new TypeError(`not an XML name: ${key}`);
    if (value !== undefined) open += ` ${key}="${encoded(String(value))}"`;
  }
  const inner = Array.isArray(content)
    ? content.map((child) => child.text).join('')
    : encoded(String(content));
  return new Markup(inner === '' ? `${open}/>` : `${open}>${inner}</${name}>`);
}

export interface XmlElement {
  name: string;
  attributes: Record<string, string>;
  children: XmlElement[];
  /** Text directly inside, white space trimmed. */
  text: string;
}

const token =
  /<\?[\s\S]*?\?>|<!--[\s\S]*?-->|<\/([^\s>]+)\s*>|<([^\s/>]+)((?:[^>"']|"[^"]*"|'[^']*')*?)(\/?)>|([^<]+)/g;
const attribute = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decoded(text: string): string {
  return text.replace(/&(#x?)?(\w+);/g, (whole, numeric: string | undefined, body: string) => {
    if (numeric) return String.fromCodePoint(Number.parseInt(body, numeric === '#x' ? 16 : 10));
    return named[body] ?? whole;
  });
}

/** Reads every document in `text`, one after the other: `virsh "dumpxml a; dumpxml b"` prints several. No DTDs. */
export function parseXml(text: string): XmlElement[] {
  const top: XmlElement = { name: '', attributes: {}, children: [], text: '' };
  const open = [top];
  for (const [, closing, opening, rest, selfClosing, characters] of text.matchAll(token)) {
    const parent = open.at(-1) as XmlElement;
    if (opening !== undefined) {
      const child: XmlElement = { name: opening, attributes: {}, children: [], text: '' };
      for (const [, key, double, single] of (rest ?? '').matchAll(attribute)) {
        if (key !== undefined) child.attributes[key] = decoded(double ?? single ?? '');
      }
      parent.children.push(child);
      if (!selfClosing) open.push(child);
    } else if (closing !== undefined) {
      if (parent.name !== closing || open.length === 1)
        throw new SyntaxError(`unexpected </${closing}> in XML`);
      parent.text = parent.text.trim();
      open.pop();
    } else if (characters !== undefined) {
      parent.text += decoded(characters);
    }
  }
  if (open.length > 1) throw new SyntaxError(`<${open.at(-1)?.name}> is not closed in XML`);
  return top.children;
}

/** The first element found by following child names. */
export function child(from: XmlElement, ...path: string[]): XmlElement | undefined {
  let at: XmlElement | undefined = from;
  for (const name of path) at = at?.children.find((one) => one.name === name);
  return at;
}
