/** Hover: what an attribute, a function, a variable, a rule or a field is. */
import { explainPolicy } from '@landfall/policies';
import { CEL_FUNCTIONS } from '@landfall/policies/cel/functions.ts';
import type { Hover, Position } from 'vscode-languageserver';
import {
  ATTRIBUTES,
  attributeText,
  code,
  functionText,
  isRoot,
  ROOTS,
  signatureOf,
} from './cel-completion.ts';
import { type ExpressionAt, expressionAt, pathAround, variablesOf } from './expression.ts';
import type { FilePart, LandfallFile } from './file.ts';
import type { Names } from './names.ts';
import { schemaHover } from './yaml.ts';

export async function hover(file: LandfallFile, position: Position, names: Names): Promise<Hover | null> {
  const part = file.partAt(position);
  const at = expressionAt(file, position);
  if (at !== undefined) return celHover(at, names);
  const offset = file.text.offsetAt(position) - part.offset;
  const rule = file
    .meanings(part)
    .find(
      ({ kind, node }) =>
        kind === 'ruleName' && node.range && node.range[0] <= offset && offset <= node.range[1],
    );
  if (rule !== undefined) {
    const value = ruleText(file, part, rule.text);
    if (value !== undefined) return markdown(value, file.rangeOf(part, rule.node));
  }
  return schemaHover(part, position);
}

function celHover({ file, part, text, before, offsets, meaning }: ExpressionAt, names: Names): Hover | null {
  const around = pathAround(text, before.length);
  if (around === undefined) return null;
  const { path, start, end } = around;
  const range = file.rangeOf(part, [offsets[start]!, offsets[end]!]);
  const quoted = /["']/.test(text[start - 1] ?? '') || inString(text, start);
  if (quoted) return valueHover(text, start, names, range);
  const [root, name] = path;
  if (text[end] === '(') {
    const found = CEL_FUNCTIONS.filter(
      (one) =>
        one.name === path.at(-1) &&
        (one.receiver === null) === (path.length === 1 && text[start - 1] !== '.'),
    );
    if (found.length > 0)
      return markdown(
        found.map((one) => `${code(signatureOf(one))}\n${functionText(one)}`).join('\n\n'),
        range,
      );
  }
  if (isRoot(root) && name !== undefined && path.length === 2) {
    const type = ATTRIBUTES[root][name];
    return type === undefined
      ? null
      : markdown(`${code(`${root}.${name}: ${type}`)}\n${attributeText(root, name)}`, range);
  }
  if (root === 'variables' && name !== undefined) {
    const variable = variablesOf(part).find((one) => one.name === name);
    return variable === undefined
      ? null
      : markdown(`${code(`variables.${name}: ${variable.type}`)}\n${code(variable.text)}`, range);
  }
  if (path.length === 1 && root !== undefined && root in ROOTS && meaning.kind === 'expression')
    return markdown(ROOTS[root as keyof typeof ROOTS], range);
  return null;
}

function inString(text: string, at: number): boolean {
  let quote = '';
  for (let i = 0; i < at; i++) {
    if (quote === '') quote = text[i] === '"' || text[i] === "'" ? text[i]! : '';
    else if (text[i] === '\\') i++;
    else if (text[i] === quote) quote = '';
  }
  return quote !== '';
}

/** What is known of a text that an attribute is compared with. */
function valueHover(text: string, at: number, names: Names, range: Hover['range']): Hover | null {
  const start = Math.max(text.lastIndexOf('"', at - 1), text.lastIndexOf("'", at - 1)) + 1;
  const value = /^[^"']*/.exec(text.slice(start))![0];
  const about = names.describe('instanceType', value) ?? names.describe('region', value);
  return about === undefined ? null : markdown(about, range);
}

/** What a rule does, in plain words. */
function ruleText(file: LandfallFile, part: FilePart, name: string): string | undefined {
  const policy = file.policies.policies.find(
    ({ line }) => file.partAt({ line: line - 1, character: 0 }) === part,
  );
  if (policy === undefined) return undefined;
  const rule = explainPolicy(policy, new Date()).find((one) => one.rule === name);
  if (rule === undefined) return undefined;
  return [`**${rule.rule}**`, ...rule.does, rule.applies, ...rule.notes].join('\n\n');
}

function markdown(value: string, range: Hover['range']): Hover {
  return { contents: { kind: 'markdown', value }, ...(range && { range }) };
}
