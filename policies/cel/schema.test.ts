import { readdirSync, readFileSync } from 'node:fs';
import type { ASTNode } from '@marcbachmann/cel-js';
import { isMap, isScalar, parseAllDocuments } from 'yaml';
import { expressionText } from '../file/expressions.ts';
import { policyMeanings } from '../file/meanings.ts';
import { checkExpression } from './check.ts';
import { printCel } from './print.ts';
import { mayBeTooLarge, withVariables, writtenOut } from './schema.ts';

const folders = ['../packs/', '../../examples/policies/'].map((path) => new URL(path, import.meta.url));
const files = folders.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8')),
);
/** Shapes that the files have none of. */
const OTHERS = `kind: PlacementPolicy
spec:
  variables:
    eu: offer.jurisdiction == "EU"
    cheap: 'variables.eu ? -offer.pricePerHour - (1.0 - -2.0) < 0.5 : !variables.eu'
    zones: '["a", "b"]'
    ports: '{"a": [1, 2], "b": [3]}'
  rules:
  - when: variables.zones.exists(z, z == offer.zone && variables.zones.all(y, y != z))
    require: has(offer.zone) && variables.cheap || offer.zone in variables.zones
    deny: variables.ports["a"][0] == 1 && size(variables.zones.map(z, z + "x")) > 1
    message: '"a" + (variables.zones == ["a"] ? "b" : request.name)'
`;

/** A tree as far as it counts. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'bigint') return `${value}n`;
  return value !== null && typeof value === 'object' && 'op' in value
    ? { op: value.op, args: plain((value as ASTNode).args) }
    : String(value);
}

test('variables in their places are what parsing the expression written out gives', () => {
  let replaced = 0;
  for (const text of [...files, OTHERS])
    for (const document of parseAllDocuments(text)) {
      const trees = new Map<string, ASTNode>();
      const sources = new Map<string, string>();
      const types: Record<string, string> = {};
      const both = (expression: string): { tree: ASTNode; source: string; type: string } | null => {
        const { ast, type } = checkExpression(expression, { offer: true, resource: true, variables: types });
        if (ast === null) return null;
        const tree = withVariables(ast, (name) => trees.get(name)!);
        const source = printCel(ast, (name) => sources.get(name)!);
        expect(mayBeTooLarge(source)).toBe(false);
        expect(plain(tree)).toEqual(plain(writtenOut(source)));
        if (tree !== ast) replaced++;
        return { tree, source, type: type! };
      };
      const variables = document.getIn(['spec', 'variables'], true);
      if (isMap(variables))
        for (const { key, value } of variables.items) {
          const { tree, source, type } = both(expressionText(value as never)!)!;
          const name = isScalar(key) ? String(key.value) : '';
          trees.set(name, tree);
          sources.set(name, source);
          types[name] = type;
        }
      for (const meaning of policyMeanings(document.contents as never))
        if (meaning.kind === 'expression') both(meaning.text);
    }
  // Or this would show nothing.
  expect(replaced).toBeGreaterThan(5);
});

test.each([
  ['parentheses', (n: number) => `${'('.repeat(n)}true${')'.repeat(n)}`],
  ['lists', (n: number) => `${'['.repeat(n)}1${']'.repeat(n)}`],
  ['fields', (n: number) => `request${'.labels'.repeat(n)}`],
  ['indices', (n: number) => `[1]${'[0]'.repeat(n)}`],
  ['conditions', (n: number) => `${'true ? 1 : '.repeat(n)}1`],
  ['negations', (n: number) => `${'!('.repeat(n)}true${')'.repeat(n)}`],
  ['items', (n: number) => `[${'1,'.repeat(n)}1]`],
  ['sums', (n: number) => `1${'+1'.repeat(n)}`],
])('no text that is small enough by its %s is refused for its size', (_what, make) => {
  let tooLarge = 0;
  for (let n = 1; n < 3000; n = Math.ceil(n * 1.05)) {
    if (mayBeTooLarge(make(n))) tooLarge++;
    else expect([n, writtenOut(make(n)) === null]).toEqual([n, false]);
  }
  expect(tooLarge).toBeGreaterThan(0);
});
