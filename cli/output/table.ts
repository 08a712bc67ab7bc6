/** Aligned tables. */
import { type Paint, plainPaint, printable, stateColour } from './colours.ts';

/** A column of a table of T. Methods, so that a table of one kind fits where any kind is asked for. */
export interface Column<T> {
  readonly header: string;
  /** Shown by `-o wide` only. */
  readonly wide?: boolean;
  readonly align?: 'right';
  /** The cell is a state and is coloured as one. */
  readonly state?: boolean;
  cell(item: T, now: number): string | undefined | null;
}

/** What stands for a value that is not there. */
export const absent = '-';

/** Rows for a table; `header: false` continues one. Widths are kept by `widths`, so that later rows line up. */
export function renderTable<T>(
  columns: readonly Column<T>[],
  items: readonly T[],
  options: {
    wide?: boolean;
    paint?: Paint;
    now?: number;
    header?: boolean;
    widths?: number[];
    indent?: string;
  } = {},
): string {
  const { paint = plainPaint, now = Date.now(), header = true, widths = [], indent = '' } = options;
  const shown = columns.filter((column) => options.wide || !column.wide);
  const rows = items.map((item) =>
    shown.map((column) => {
      const cell = column.cell(item, now);
      // A line break would tear the row apart.
      return cell === undefined || cell === null || cell === ''
        ? absent
        : printable(cell).replaceAll(/\s*\n\s*/g, ' ');
    }),
  );
  for (const [index, column] of shown.entries()) {
    const lengths = rows.map((row) => row[index]!.length);
    widths[index] = Math.max(widths[index] ?? 0, column.header.length, ...lengths);
  }
  const line = (cells: string[], colour?: (index: number, cell: string) => string): string => {
    const padded = cells.map((cell, index) => {
      const last = index === cells.length - 1;
      const width = widths[index]!;
      const text = shown[index]!.align === 'right' ? cell.padStart(width) : last ? cell : cell.padEnd(width);
      return colour ? colour(index, text) : text;
    });
    return `${indent}${padded.join('   ').trimEnd()}\n`;
  };
  let text = header
    ? line(
        shown.map((column) => column.header),
        (_index, cell) => paint('bold', cell),
      )
    : '';
  for (const row of rows) {
    text += line(row, (index, cell) => (shown[index]!.state ? paint(stateColour(row[index]!), cell) : cell));
  }
  return text;
}

/** `Name: value` lines with the values in one column; absent values are left out. */
export function renderFields(
  fields: [string, string | undefined | null][],
  paint: Paint = plainPaint,
  indent = '  ',
): string {
  const present = fields.filter(
    (field): field is [string, string] => field[1] !== undefined && field[1] !== null && field[1] !== '',
  );
  const width = Math.max(0, ...present.map(([name]) => name.length + 1));
  return present
    .map(([name, value]) => {
      const lines = printable(value).trimEnd().split('\n');
      const continued = lines.slice(1).map((line) => `${indent}${' '.repeat(width + 1)}${line}\n`);
      return `${indent}${paint('dim', `${name}:`.padEnd(width))} ${lines[0]}\n${continued.join('')}`;
    })
    .join('');
}
