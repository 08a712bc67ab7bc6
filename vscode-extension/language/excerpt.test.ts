import { excerptAround } from './excerpt.ts';

const TEXT = `kind: PlacementPolicy
spec:
  rules:
  - name: a
    require: x
  - name: b
    # about b
    spread:
      by: zone
      group:
      - project
      - site

    deny: y
  - name: c
    require: z
  - name: d
    require: z
  exceptions: []
tests:
- name: t
`;
const lines = TEXT.split('\n');

function excerpt(line: number, character = 4): { lines: string[]; here: string } {
  const { text, linesLeftOut } = excerptAround(TEXT, line, character);
  const found = text.split('\n');
  return { lines: found, here: found[line - linesLeftOut]! };
}

test.each([6, 7, 8, 10, 11, 13])(
  'line %i is kept at its place, with the whole of its rule and none of the others',
  (line) => {
    const { lines: kept, here } = excerpt(line);
    expect(here).toBe(lines[line]);
    expect(kept.filter((text) => text.includes('name:'))).toEqual(['  - name: b', '- name: t']);
    expect(kept).toContain('    deny: y');
    expect(kept).toContain('  exceptions: []');
  },
);

test('an empty line belongs to the rule that it is indented to', () => {
  expect(excerpt(12, 4).lines.filter((text) => text.includes('name:'))).toEqual(['  - name: b', '- name: t']);
});

test('outside of lists nothing is left out', () => {
  expect(excerptAround(TEXT, 2, 3)).toEqual({ text: TEXT, linesLeftOut: 0 });
});

test('of a document that is a list the item is left', () => {
  expect(excerptAround('- name: a\n  x: 1\n- name: b\n  x: 2\n- name: c\n', 3, 2)).toEqual({
    text: '- name: b\n  x: 2',
    linesLeftOut: 2,
  });
});
