import { headOf, headsIn, renderMatrix, rowsOf } from '../../test/conformance/matrix.ts';
import type { Entry } from './journal.ts';

const entry = (suite: string, change: Partial<Entry> = {}): Entry => ({
  suite,
  kind: 'Volume',
  rules: ['A4'],
  title: 'goes',
  outcome: 'passed',
  checked: true,
  knobs: [],
  refused: [],
  ...change,
});
const lacking = [{ knob: 'quota', unsupported: 'there are none' }];
/** The cells of the only row of a document about one entry. */
const cellOf = (change: Partial<Entry>) =>
  /^\| A4 \| goes \| [^|]* \| (.*) \|$/m.exec(renderMatrix([entry('one', change)]))?.[1];

describe('the matrix of conformance', () => {
  test('says of each test and knob how it went', () => {
    expect(cellOf({})).toBe('passed');
    expect(cellOf({ knobs: [{ knob: 'quota' }] })).toBe('passed');
    expect(cellOf({ outcome: 'failed' })).toBe('**failed**');
    expect(cellOf({ knobs: lacking })).toBe('without [1]');
    expect(cellOf({ knobs: lacking, checked: false })).toBe('not possible [1]');
    expect(cellOf({ refused: [{ verb: 'grow', reason: 'fixed' }] })).toBe('in part [1]');
  });

  test('takes a test that never came to its end for a failed one', () => {
    expect(cellOf({ outcome: undefined, knobs: undefined, checked: undefined })).toBe('**failed**');
  });

  test('gives each gap its reason, also where a test ended before it came to the knob', () => {
    const text = renderMatrix([
      entry('one', { knobs: lacking, checked: false }),
      entry('two', { knobs: [{ knob: 'lag' }, { knob: 'quota' }] }),
    ]);
    expect(text).toContain('| A4 | goes | lag | not possible [1] | passed |');
    expect(text).toContain('| A4 | goes | quota | not possible [1] | passed |');
    expect(text).toContain('1. one: Volume, quota: there are none.');
  });

  test('is the same in whatever order the providers ran, and its rows can be read back', () => {
    const entries = [
      entry('two', { knobs: [{ knob: 'lag' }] }),
      entry('one'),
      entry('one', { kind: 'Image' }),
    ];
    const text = renderMatrix(entries);
    expect(renderMatrix(entries.toReversed())).toBe(text);
    const rows = rowsOf(entries).map((row) => ({ kind: row.kind as string, head: headOf(row) }));
    expect(headsIn(text)).toEqual(rows);
    expect(text).toMatch(/not run \[\d+\]/);
  });
});
