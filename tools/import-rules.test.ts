import { importsOf, violationsIn } from './import-rules.ts';

const rulesBroken = (file: string, source: string) =>
  violationsIn(file, source).map(({ line, specifier }) => `${line} ${specifier}`);

test('an import of an upper room is found, with its line', () => {
  const source = "import { a } from '@landfall/model';\n\nimport { open } from '@landfall/store/open.ts';\n";
  const [violation, ...others] = violationsIn('policies/place.ts', source);
  expect(others).toEqual([]);
  expect(violation).toMatchObject({
    file: 'policies/place.ts',
    line: 3,
    specifier: '@landfall/store/open.ts',
  });
  expect(violation?.rule).toContain('policies may import only model');
});

test('every form of import counts', () => {
  const source = [
    "import '@landfall/broker';",
    "import type { A } from '@landfall/broker/a.ts';",
    "export * from '@landfall/broker/b.ts';",
    "export { c } from '@landfall/broker/c.ts';",
    "const d = await import('@landfall/broker/d.ts');",
    "type E = import('@landfall/broker/e.ts').E;",
    'import {\n  f,\n} from "@landfall/broker/f.ts";',
  ].join('\n');
  expect(rulesBroken('model/x.ts', source)).toEqual([
    '1 @landfall/broker',
    '2 @landfall/broker/a.ts',
    '3 @landfall/broker/b.ts',
    '4 @landfall/broker/c.ts',
    '5 @landfall/broker/d.ts',
    '6 @landfall/broker/e.ts',
    '9 @landfall/broker/f.ts',
  ]);
});

test('what only looks like an import does not count', () => {
  const source = [
    "// import '@landfall/broker';",
    "/* import a from '@landfall/broker'; */",
    'const text = "import a from \'@landfall/broker\'";',
    "const page = `\nimport a from '@landfall/broker';\n`;",
    'const quote = /["\']/; const other = "x";',
    "export const from = 'elsewhere';",
    'export function imported() { return "@landfall/broker"; }',
  ].join('\n');
  expect(importsOf(source)).toEqual([]);
});

test('the broker sees the client side of the workflows only', () => {
  const of = (path: string) => rulesBroken('broker/main.ts', `import { a } from '${path}';`);
  expect(of('@landfall/workflows/client.ts')).toEqual([]);
  expect(of('@landfall/workflows/placement.ts')).toEqual([]);
  expect(of('@landfall/workflows/instance.ts')).toHaveLength(1);
  expect(of('@landfall/workflows')).toHaveLength(1);
  expect(of('@landfall/adapters')).toHaveLength(1);
});

test('the extension sees of the command line what is for other clients', () => {
  const of = (path: string) => rulesBroken('vscode-extension/a.ts', `import { a } from '${path}';`);
  expect(of('landfall/client.ts')).toEqual([]);
  expect(of('landfall/session.ts')).toHaveLength(1);
  expect(rulesBroken('broker/a.ts', "import { a } from 'landfall/client.ts';")).toHaveLength(1);
});

test('a relative import stays in its workspace', () => {
  expect(rulesBroken('store/a/b.ts', "import '../../model/index.ts';")).toEqual(['1 ../../model/index.ts']);
  expect(rulesBroken('store/a/b.ts', "import '../c.ts';")).toEqual([]);
  expect(rulesBroken('cli/bin/landfall.mjs', "import { execNode24 } from '../../tools/node24.mjs';")).toEqual(
    [],
  );
  expect(rulesBroken('cli/main.ts', "import '../tools/stack.ts';")).toHaveLength(1);
});

test('tests may use the simulators and the stack, nothing else more', () => {
  expect(
    rulesBroken('store/a.test.ts', "import '@landfall/tools/stack.ts'; import '@landfall/test/x.ts';"),
  ).toEqual([]);
  expect(rulesBroken('store/a.test.ts', "import '@landfall/broker';")).toHaveLength(1);
  expect(rulesBroken('store/testing/a.ts', "import '@landfall/tools/stack.ts';")).toEqual([]);
  expect(rulesBroken('store/b.ts', "import './testing/a.ts';")).toHaveLength(1);
  expect(rulesBroken('test/a.test.ts', "import '@landfall/broker';")).toEqual([]);
});
