import { existsSync } from 'node:fs';
import { commandExamples } from './command-examples.ts';
import { FakeHome } from './fake/terminal.ts';
import { kinds, kindWords } from './kinds.ts';
import { everyCommand, makeProgram, nameOf } from './program.ts';
import type { Terminal } from './terminal.ts';

const home = new FakeHome();
afterAll(() => home.remove());
const program = makeProgram({ columns: 100 } as Terminal, () => {});
const commands = everyCommand(program).filter(({ commands: own }) => own.length === 0);

test('every command has an example, and there is none for a command that is not there', () => {
  expect(Object.keys(commandExamples).sort()).toEqual(commands.map(nameOf).sort());
});

test.each(commands.map((command) => [nameOf(command), command] as const))(
  'the examples of %s are command lines that it takes',
  (name, command) => {
    for (const example of commandExamples[name]!) {
      const words = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
      const start = words.findIndex((word) => word.endsWith('landfall'));
      const end = words.findIndex((word) => word === '|' || word === '>');
      const rest = words.slice(start + 1, end < 0 ? undefined : end).map((word) => word.replace(/\)$/, ''));
      expect(rest.slice(0, name.split(' ').length).join(' ')).toBe(name);
      const { operands, unknown } = command.parseOptions(rest.slice(name.split(' ').length));
      expect([example, unknown]).toEqual([example, []]);
      const { length } = command.registeredArguments.filter(({ required }) => required);
      expect(operands.length).toBeGreaterThanOrEqual(length);
      if (operands[0] !== undefined && command.registeredArguments[0]?.name() === 'kind')
        expect(kinds.flatMap(kindWords)).toContain(operands[0]);
      for (const file of rest.filter((word) => word.startsWith('examples/')))
        expect([file, existsSync(new URL(`../${file}`, import.meta.url))]).toEqual([file, true]);
    }
  },
);

test('help shows them last', async () => {
  const { out } = await home.run('policy what-if --help');
  expect(out).toMatch(/\nExamples:\n {2}landfall policy what-if -f new\.yaml .*\n {2}landfall .*\n$/);
});
