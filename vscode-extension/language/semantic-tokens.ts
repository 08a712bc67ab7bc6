/** Colours inside CEL. */
import { CEL_FUNCTIONS } from '@landfall/policies/cel/functions.ts';
import { valueOffsets } from '@landfall/policies/file/positions.ts';
import { type SemanticTokens, SemanticTokensBuilder, type SemanticTokensLegend } from 'vscode-languageserver';
import type { LandfallFile } from './file.ts';

const TYPES = [
  'namespace',
  'property',
  'variable',
  'function',
  'string',
  'number',
  'keyword',
  'operator',
] as const;
type TokenType = (typeof TYPES)[number];

export const tokensLegend: SemanticTokensLegend = { tokenTypes: [...TYPES], tokenModifiers: [] };

const TOKEN = new RegExp(
  [
    /(?<string>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)/,
    /(?<number>\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/,
    /(?<word>[A-Za-z_]\w*)/,
    /(?<operator>[=!<>]=|&&|\|\||[<>!+\-*/%?:])/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);

const FUNCTIONS = new Set(CEL_FUNCTIONS.map(({ name }) => name));
const ROOTS = new Set(['request', 'offer', 'resource', 'variables']);
const KEYWORDS = new Set(['true', 'false', 'null', 'in']);

export function semanticTokens(file: LandfallFile): SemanticTokens {
  const builder = new SemanticTokensBuilder();
  for (const part of file.parts)
    for (const meaning of file.meanings(part)) {
      if (meaning.kind !== 'expression') continue;
      const offsets = valueOffsets(meaning.node, meaning.text, part.text);
      for (const { start, end, type } of tokensOf(meaning.text)) {
        const from = file.text.positionAt(part.offset + offsets[start]!);
        const length = offsets[end]! - offsets[start]!;
        // A text that is folded over lines keeps the colour of YAML.
        if (part.text.slice(offsets[start], offsets[end]).includes('\n')) continue;
        builder.push(from.line, from.character, length, TYPES.indexOf(type), 0);
      }
    }
  return builder.build();
}

function* tokensOf(text: string): Iterable<{ start: number; end: number; type: TokenType }> {
  for (const match of text.matchAll(TOKEN)) {
    const [whole] = match;
    const { string, number, word } = match.groups!;
    const start = match.index;
    const end = start + whole.length;
    const type: TokenType =
      string !== undefined
        ? 'string'
        : number !== undefined
          ? 'number'
          : word === undefined
            ? 'operator'
            : typeOfWord(word, text[start - 1], text[end]);
    yield { start, end, type };
  }
}

function typeOfWord(word: string, before: string | undefined, after: string | undefined): TokenType {
  if (after === '(' && FUNCTIONS.has(word)) return 'function';
  if (before === '.') return 'property';
  if (KEYWORDS.has(word)) return 'keyword';
  return ROOTS.has(word) ? 'namespace' : 'variable';
}
