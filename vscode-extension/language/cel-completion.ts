/** What may stand at a place of a CEL expression. */
import { OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES, RESOURCE_ATTRIBUTES } from '@landfall/policies';
import { DESCRIPTIONS } from '@landfall/policies/cel/descriptions.ts';
import { CEL_FUNCTIONS, type CelFunction } from '@landfall/policies/cel/functions.ts';
import { type CompletionItem, CompletionItemKind, InsertTextFormat } from 'vscode-languageserver';
import { type ExpressionAt, variablesOf } from './expression.ts';
import type { Names } from './names.ts';

export type Root = 'request' | 'offer' | 'resource';

export const ATTRIBUTES: Record<Root, Readonly<Record<string, string>>> = {
  request: REQUEST_ATTRIBUTES,
  offer: OFFER_ATTRIBUTES,
  resource: RESOURCE_ATTRIBUTES,
};

/** What the roots are. */
export const ROOTS: Record<Root | 'variables', string> = {
  request: 'What is asked for.',
  offer: 'A place that the machine may land: an instance type in a region at a price.',
  resource: 'A machine that exists.',
  variables: 'Expressions of this policy by name.',
};

const ATTRIBUTE = /\b(request|offer|resource)\.(\w+)(?:\.(\w+)|\["([^"]*)"\])?/;
/** `offer.region == "eu`, `offer.region in ["a", "eu`, `"eu` before `in request.regions` is not seen. */
const COMPARED = new RegExp(`${ATTRIBUTE.source}\\s*(?:[!=]=\\s*|in\\s*\\[[^\\]]*)$`);

/** Items, and how many characters before the place they take the place of. */
export function celCompletion(
  at: ExpressionAt,
  names: Names,
  labelKeys: () => Iterable<string>,
): { items: CompletionItem[]; replaces: number } {
  const { before } = at;
  const open = openString(before);
  if (open !== null) {
    const values = valuesFor(before.slice(0, open.start), names);
    return { items: values.map((value) => valueItem(value)), replaces: before.length - open.start - 1 };
  }
  const word = /\w*$/.exec(before)![0];
  const ahead = before.slice(0, before.length - word.length);
  const replaces = word.length;
  const member = /((?:[A-Za-z_]\w*|\)|\]|")(?:\.\w+)*)\.$/.exec(ahead);
  if (member !== null) return { items: members(member[1]!, at, labelKeys), replaces };
  const compared = valuesFor(ahead, names).map((value) => valueItem(value, true));
  return { items: [...compared, ...standing(at)], replaces };
}

/** The text literal that a place is in; null = none. */
function openString(text: string): { start: number } | null {
  let quote = '';
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (quote === '') {
      if (text[i] === '"' || text[i] === "'") {
        quote = text[i]!;
        start = i;
      }
    } else if (text[i] === '\\') i++;
    else if (text[i] === quote) quote = '';
  }
  return quote === '' ? null : { start };
}

interface Value {
  value: string;
  detail: string | undefined;
}

/** Values that what stands before a place is compared with. */
function valuesFor(ahead: string, names: Names): Value[] {
  const [, root, name, label, quoted] = COMPARED.exec(ahead) ?? [];
  if (root === undefined || name === undefined) return [];
  const key = label ?? quoted;
  if (name === 'labels')
    return (key === undefined ? [] : (names.labels[key] ?? [])).map((value) => ({
      value,
      detail: undefined,
    }));
  return names.of(name, root as Root).map((value) => ({ value, detail: names.describe(name, value) }));
}

function valueItem({ value, detail }: Value, quoted = false): CompletionItem {
  const text = quoted ? JSON.stringify(value) : value;
  // Values come first: where they are known, they are what is looked for.
  return { label: text, kind: CompletionItemKind.Value, sortText: `0${value}`, ...(detail && { detail }) };
}

function members(
  of: string,
  { meaning, part }: ExpressionAt,
  labelKeys: () => Iterable<string>,
): CompletionItem[] {
  const path = of.split('.');
  const [root] = path;
  if (root === 'variables' && path.length === 1)
    return variablesOf(part)
      .filter(({ value }) => value !== meaning.node)
      .map(({ name, type, text }) => ({
        label: name,
        kind: CompletionItemKind.Variable,
        detail: type,
        documentation: { kind: 'markdown', value: code(text) },
      }));
  if (isRoot(root)) {
    if (path.length === 1) return readable(root, meaning.options) ? attributes(root) : [];
    if (path[1] === 'labels' && path.length === 2)
      return [
        ...[...new Set(labelKeys())]
          .filter((key) => /^[A-Za-z_]\w*$/.test(key))
          .map((key) => ({ label: key, kind: CompletionItemKind.Property, sortText: `0${key}` })),
        ...methods('map<string, string>'),
      ];
    return methods(path.length === 2 ? ATTRIBUTES[root][path[1]!] : 'string');
  }
  if (root === 'variables') return methods(variablesOf(part).find(({ name }) => name === path[1])?.type);
  return methods(of === '"' ? 'string' : undefined);
}

export function isRoot(word: string | undefined): word is Root {
  return word === 'request' || word === 'offer' || word === 'resource';
}

function readable(root: Root, options: { offer?: boolean; resource?: boolean }): boolean {
  return root === 'request' || options[root] === true;
}

function attributes(root: Root): CompletionItem[] {
  return Object.entries(ATTRIBUTES[root]).map(([name, type]) => ({
    label: name,
    kind: CompletionItemKind.Field,
    detail: type,
    documentation: { kind: 'markdown', value: attributeText(root, name) },
  }));
}

/** What an attribute is, with an example. */
export function attributeText(root: Root, name: string): string {
  const { about, example } = DESCRIPTIONS[root][name]!;
  return `${about}\n\n${code(`${root}.${name}  // ${example}`)}`;
}

export function code(text: string): string {
  return `\`\`\`cel\n${text}\n\`\`\``;
}

/** Functions called on a value of a type; of every type where it is not known. */
function methods(type: string | undefined): CompletionItem[] {
  const kind = type === undefined || type === 'dyn' ? undefined : /^\w+/.exec(type)![0];
  return CEL_FUNCTIONS.filter(({ receiver }) => {
    if (receiver === null) return false;
    if (kind === undefined) return true;
    if (receiver === 'any') return kind === 'string' || kind === 'list' || kind === 'map';
    return receiver.split(' or ').includes(kind);
  }).map(functionItem);
}

function functionItem(one: CelFunction): CompletionItem {
  const { name, arguments: names } = one;
  const places = names.map((argument, i) => `\${${i + 1}:${argument}}`).join(', ');
  return {
    label: name,
    kind: one.receiver === null ? CompletionItemKind.Function : CompletionItemKind.Method,
    detail: signatureOf(one),
    documentation: { kind: 'markdown', value: functionText(one) },
    insertText: `${name}(${places})`,
    insertTextFormat: InsertTextFormat.Snippet,
    sortText: `2${name}`,
  };
}

/** `string.startsWith(prefix): bool` */
export function signatureOf({ name, receiver, arguments: names, returns }: CelFunction): string {
  const on = receiver === null || receiver === 'any' ? '' : `${receiver}.`;
  return `${on}${name}(${names.join(', ')}): ${returns}`;
}

export function functionText({ about, example }: CelFunction): string {
  return `${about}\n\n${code(example)}`;
}

/** What can stand by itself. */
function standing({ meaning, part }: ExpressionAt): CompletionItem[] {
  const roots = Object.entries(ROOTS).filter(([root]) =>
    root === 'variables' ? variablesOf(part).length > 0 : readable(root as Root, meaning.options),
  );
  return [
    ...roots.map(([label, about]) => ({
      label,
      kind: CompletionItemKind.Variable,
      documentation: about,
      sortText: `1${label}`,
    })),
    ...CEL_FUNCTIONS.filter(({ receiver }) => receiver === null).map(functionItem),
    ...['true', 'false'].map((label) => ({
      label,
      kind: CompletionItemKind.Constant,
      sortText: `3${label}`,
    })),
  ];
}
