/** One record of a CSV text; `problem` = why its fields cannot be trusted. */
export interface CsvRecord {
  /** Line the record starts on, from 1. */
  line: number;
  fields: string[];
  problem: string | null;
}

/** Reads CSV (RFC 4180): quoted fields, doubled quotes, CRLF or LF; blank lines are skipped. */
export function* readCsv(text: string): Generator<CsvRecord> {
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let line = 1;
  // Nearly all lines have no quote, and need no more than splitting.
  let nextQuote = text.indexOf('"');
  while (at < text.length) {
    const start = line;
    const lineEnd = text.indexOf('\n', at);
    if (nextQuote >= 0 && nextQuote < at) nextQuote = text.indexOf('"', at);
    if (lineEnd >= 0 && (nextQuote < 0 || nextQuote > lineEnd)) {
      const plain = text.slice(at, text[lineEnd - 1] === '\r' && lineEnd > at ? lineEnd - 1 : lineEnd);
      at = lineEnd + 1;
      line++;
      if (plain.trim() !== '') yield { line: start, fields: plain.split(','), problem: null };
      continue;
    }
    const fields: string[] = [];
    let problem: string | null = null;
    let more = true;
    while (more) {
      let field = '';
      if (text[at] === '"') {
        const read = quoted(text, at + 1);
        field = read.value;
        line += read.newlines;
        at = read.end;
        if (!read.closed) problem = 'a quoted field is not closed';
        else if (at < text.length && !',\r\n'.includes(text[at]!)) problem = 'text after a quoted field';
      }
      const end = fieldEnd(text, at);
      if (problem === null && field === '') field = text.slice(at, end);
      else if (problem === null && end > at) problem = 'text after a quoted field';
      fields.push(field);
      at = end;
      more = text[at] === ',';
      if (more) at++;
    }
    if (text[at] === '\r' && text[at + 1] === '\n') at++;
    at++;
    line++;
    if (problem === null && fields.length === 1 && fields[0]!.trim() === '') continue;
    yield { line: start, fields, problem };
  }
}

function quoted(
  text: string,
  from: number,
): { value: string; end: number; newlines: number; closed: boolean } {
  let value = '';
  let at = from;
  let newlines = 0;
  while (at < text.length) {
    const ch = text[at]!;
    if (ch === '"') {
      if (text[at + 1] !== '"') return { value, end: at + 1, newlines, closed: true };
      at++;
    }
    if (ch === '\n') newlines++;
    value += ch;
    at++;
  }
  return { value, end: at, newlines, closed: false };
}

function fieldEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 44 || code === 10 || (code === 13 && text.charCodeAt(at + 1) === 10)) break;
    at++;
  }
  return at;
}
