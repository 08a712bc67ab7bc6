import type { Scalar } from 'yaml';

/**
 * Offset in the file of each character of a YAML scalar's value, so that an error inside an expression can
 * be placed exactly. One entry more than the value has characters (the end). Escapes, quotes, folded lines
 * and block indentation are stepped over; if the walk does not reproduce the value, every entry is the
 * scalar's start, which is still the right line for most.
 */
export function valueOffsets(scalar: Scalar, value: string, text: string): number[] {
  const range = scalar.range;
  if (!range) return new Array<number>(value.length + 1).fill(0);
  const [start, end] = range;
  const walked =
    scalar.type === 'QUOTE_DOUBLE'
      ? doubleQuoted(text, start + 1, end - 1, value)
      : scalar.type === 'QUOTE_SINGLE'
        ? aligned(text, start + 1, end - 1, value, true)
        : scalar.type === 'BLOCK_LITERAL' || scalar.type === 'BLOCK_FOLDED'
          ? aligned(text, afterHeader(text, start), end, value, false)
          : aligned(text, start, end, value, false);
  return walked ?? new Array<number>(value.length + 1).fill(start);
}

/** A block scalar's text starts on the line after its `|` or `>`. */
function afterHeader(text: string, start: number): number {
  const newline = text.indexOf('\n', start);
  return newline < 0 ? start : newline + 1;
}

const isSpace = (ch: string | undefined): boolean => ch === ' ' || ch === '\n' || ch === '\t' || ch === '\r';

/** Steps through both texts: equal characters go together, white space of any length stands for white space. */
function aligned(
  text: string,
  start: number,
  end: number,
  value: string,
  doubledQuotes: boolean,
): number[] | null {
  const offsets: number[] = [];
  let at = start;
  for (let i = 0; i < value.length; i++) {
    const ch = value[i]!;
    if (ch !== text[at] || at >= end) {
      if (!isSpace(ch)) {
        // Folding dropped the indentation before this character.
        while (at < end && isSpace(text[at])) at++;
        if (text[at] !== ch) return null;
      } else if (!isSpace(text[at]) && at < end) return null;
    }
    offsets.push(Math.min(at, end));
    if (isSpace(ch) && (text[at] === '\n' || text[at] === '\r' || ch === '\n')) {
      // A line break: the rest of the white space belongs to it, unless the value goes on with more.
      const next = value[i + 1];
      at++;
      if (!isSpace(next)) while (at < end && isSpace(text[at])) at++;
    } else at += doubledQuotes && ch === "'" ? 2 : 1;
  }
  offsets.push(Math.min(at, end));
  return offsets;
}

const ESCAPE_LENGTH: Record<string, number> = { x: 4, u: 6, U: 10 };

function doubleQuoted(text: string, start: number, end: number, value: string): number[] | null {
  const offsets: number[] = [];
  let at = start;
  let i = 0;
  while (i < value.length && at < end) {
    if (text[at] === '\\') {
      if (text[at + 1] === '\n') {
        at += 2;
        while (isSpace(text[at])) at++;
        continue;
      }
      const length = ESCAPE_LENGTH[text[at + 1]!] ?? 2;
      // An escape of a character past the basic plane fills two units of the value.
      const units = length === 10 && (value.codePointAt(i) ?? 0) > 0xffff ? 2 : 1;
      for (let u = 0; u < units; u++) offsets.push(at);
      i += units;
      at += length;
    } else if (isSpace(value[i]) && isSpace(text[at]) && text.slice(at, end).match(/^[ \t]*\r?\n/)) {
      offsets.push(at);
      i++;
      while (isSpace(text[at])) at++;
    } else {
      if (text[at] !== value[i]) return null;
      offsets.push(at++);
      i++;
    }
  }
  if (i < value.length) return null;
  offsets.push(at);
  return offsets;
}
