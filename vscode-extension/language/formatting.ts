/** A file in one form: policies in that of `landfall policy fmt`, other documents alike, by the order of their schema. */
import { formatPolicy, PolicyProblems } from '@landfall/policies';
import { formatYaml } from '@landfall/policies/file/format.ts';
import type { TextEdit } from 'vscode-languageserver';
import { type FilePart, isEmpty, type LandfallFile } from './file.ts';
import { fieldOrder } from './yaml.ts';

export function formatting(file: LandfallFile): TextEdit[] {
  const { parts, text, uri } = file;
  const whole = text.getText();
  const formatted = parts.every(({ kind }) => kind === 'PlacementPolicy')
    ? asItWas(whole, () => formatPolicy(whole))
    : parts.map((part) => formattedPart(part, uri)).join('');
  if (formatted === whole) return [];
  return [{ range: { start: text.positionAt(0), end: text.positionAt(whole.length) }, newText: formatted }];
}

function formattedPart({ text, kind, document }: FilePart, uri: string): string {
  if (kind === 'PlacementPolicy') return asItWas(text, () => formatPolicy(text));
  if (document === null || isEmpty(document) || document.errors.length > 0) return text;
  return asItWas(text, () => formatYaml(text, fieldOrder(kind), uri));
}

/** What cannot be written stays as it is: it is underlined already. */
function asItWas(text: string, format: () => string): string {
  try {
    return format();
  } catch (error) {
    if (error instanceof PolicyProblems) return text;
    throw error;
  }
}
