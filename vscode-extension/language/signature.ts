/** Signature help of the functions and macros of CEL. */
import { CEL_FUNCTIONS } from '@landfall/policies/cel/functions.ts';
import type { Position, SignatureHelp } from 'vscode-languageserver';
import { functionText, signatureOf } from './cel-completion.ts';
import { expressionAt } from './expression.ts';
import type { LandfallFile } from './file.ts';

export function signatureHelp(file: LandfallFile, position: Position): SignatureHelp | null {
  const at = expressionAt(file, position);
  const call = at === undefined ? null : openCall(at.before);
  if (call === null) return null;
  const found = CEL_FUNCTIONS.filter(
    ({ name, receiver }) => name === call.name && (receiver === null) === !call.onValue,
  );
  if (found.length === 0) return null;
  return {
    signatures: found.map((one) => ({
      label: signatureOf(one),
      documentation: { kind: 'markdown', value: functionText(one) },
      parameters: one.arguments.map((label) => ({ label })),
    })),
    activeSignature: 0,
    activeParameter: call.argument,
  };
}

/** The call whose brackets a text ends in, and the place among its arguments. */
function openCall(text: string): { name: string; onValue: boolean; argument: number } | null {
  const open: { at: number; commas: number }[] = [];
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const ch = text[i]!;
    if (quote !== '') {
      if (ch === '\\') i++;
      else if (ch === quote) quote = '';
    } else if (ch === '"' || ch === "'") quote = ch;
    else if ('([{'.includes(ch)) open.push({ at: i, commas: 0 });
    else if (')]}'.includes(ch)) open.pop();
    else if (ch === ',' && open.length > 0) open.at(-1)!.commas++;
  }
  const last = open.at(-1);
  const [, dot, name] =
    last === undefined ? [] : (/(\.?)\s*([A-Za-z_]\w*)$/.exec(text.slice(0, last.at)) ?? []);
  return name === undefined || text[last!.at] !== '('
    ? null
    : { name, onValue: dot === '.', argument: last!.commas };
}
