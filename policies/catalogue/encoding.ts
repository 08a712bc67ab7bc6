import { type Columns, NAMES, NUMBERS } from './merge.ts';
import { type Codes, codesFor } from './rows.ts';

const FORMAT = 'landfall-catalogue/1';

/** What stands before the arrays, as JSON on one line. */
interface Head {
  format: string;
  length: number;
  sources: { name: string; date: string; offers: number; notice?: string }[];
  values: Record<string, string[]>;
}

/** A catalogue as bytes: a line of JSON (sources and dictionaries), then each column's array, little-endian. */
export function encodeColumns(columns: Columns, sources: Head['sources']): Uint8Array {
  const head: Head = {
    format: FORMAT,
    length: columns.pricePerHour.length,
    sources,
    values: Object.fromEntries(NAMES.map((name) => [name, columns[name].values])),
  };
  const arrays = [
    ...NAMES.map((name) => columns[name].codes),
    ...NUMBERS.map((name) => columns[name]),
    columns.burstable,
  ];
  return Buffer.concat([
    Buffer.from(`${JSON.stringify(head)}\n`),
    ...arrays.map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)),
  ]);
}

/** Reads what {@link encodeColumns} wrote. Throws an Error for bytes of another form or another length. */
export function decodeColumns(bytes: Uint8Array): { columns: Columns; sources: Head['sources'] } {
  const end = bytes.indexOf(10);
  const text = end < 0 ? '' : Buffer.from(bytes.subarray(0, end)).toString('utf8');
  if (!text.startsWith(`{"format":"${FORMAT}"`)) throw new Error(`these bytes are no ${FORMAT}`);
  const head = JSON.parse(text) as Head;
  let at = end + 1;
  const fill = <T extends Codes | Float64Array>(array: T): T => {
    const part = bytes.subarray(at, at + array.byteLength);
    if (part.length < array.byteLength) throw new Error('the catalogue is cut off');
    new Uint8Array(array.buffer).set(part);
    at += array.byteLength;
    return array;
  };
  const names = NAMES.map((name) => {
    const values = head.values[name]!;
    return [name, { values, codes: fill(codesFor(head.length, values.length)) }] as const;
  });
  const numbers = NUMBERS.map((name) => [name, fill(new Float64Array(head.length))] as const);
  const burstable = fill(new Uint8Array(head.length));
  if (at !== bytes.length) throw new Error(`the catalogue has ${bytes.length - at} bytes too many`);
  return {
    columns: { ...Object.fromEntries([...names, ...numbers]), burstable } as unknown as Columns,
    sources: head.sources,
  };
}
