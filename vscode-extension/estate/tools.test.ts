import { readFileSync } from 'node:fs';
import { estateTools } from '@landfall/mcp/tools.ts';
import { formatProblem, parsePolicy } from '@landfall/policies';
import { WorkedBroker } from '@landfall/test/worked-broker.ts';
import { parse } from 'yaml';
import { BrokerConnection } from '../broker/connection.ts';
import { AskedChanges } from './asked-changes.ts';
import { sampleInstance, samplePolicy } from './samples.ts';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

let broker: WorkedBroker;
let connection: BrokerConnection;

beforeAll(async () => {
  broker = await WorkedBroker.start();
  connection = new BrokerConnection(
    { name: 'test', url: broker.api.url, project: 'default', from: 'settings' },
    { token: async () => broker.api.adminToken, refused: () => undefined },
  );
}, 60_000);
afterAll(async () => {
  connection?.close();
  await broker?.stop();
}, 20_000);

test('every tool of the manifest is there; those that change something ask first, and no other', () => {
  const named = manifest.contributes.languageModelTools.map(({ name }: { name: string }) => name);
  expect(Object.keys(estateTools)).toEqual(named);
  const asking = Object.entries(estateTools).filter(([, tool]) => 'prepare' in tool);
  expect(asking.map(([name]) => name)).toEqual(['landfall_changePower', 'landfall_deleteInstance']);
});

test('a model reads instances with state, place and price', async () => {
  const web = await broker.request('web');
  await broker.report(web, { state: 'Running', provider: 'aws', pricePerHour: 0.5 });
  expect(await estateTools.landfall_listInstances.run(connection, { filter: 'state=Running' })).toMatchObject(
    {
      instances: [
        { name: 'web', state: 'Running', where: { provider: 'aws' }, price: { pricePerHour: 0.5 } },
      ],
      more: false,
    },
  );
});

test('the question before a deletion names the machine and its price; the deletion is an operation', async () => {
  await broker.request('gone');
  const deletion = await estateTools.landfall_deleteInstance.prepare(connection, { name: 'gone' });
  expect(deletion.question.message).toBe('Delete gone of default?');
  expect(await deletion.run()).toMatchObject({
    verb: 'delete',
    resource: { name: 'gone' },
  });
  await expect(estateTools.landfall_deleteInstance.prepare(connection, { name: 'never' })).rejects.toThrow(
    /never/,
  );
});

test('what a person agreed to is what is done, once, also where its name is another’s by then', async () => {
  const first = await broker.request('renamed');
  const asked = new AskedChanges(estateTools.landfall_deleteInstance);
  const input = { name: 'renamed' };
  await expect(asked.run(input)).rejects.toThrow('Nobody was asked');
  await asked.ask(connection, input);
  await broker.report(first, { state: 'Deleted' }, true);
  const second = await broker.request('renamed');
  await expect(asked.run(input)).rejects.toThrow('was deleted');
  await expect(asked.run(input)).rejects.toThrow('Nobody was asked');
  const now = await broker.api.call('GET', `/v1/projects/default/instances/${second.id}`);
  expect(now.body.deletedAt).toBeNull();
});

test('the samples of the walkthrough are right: the policy has no problem, and the instance can be planned', async () => {
  const { policies, problems } = parsePolicy(samplePolicy, 'sample');
  expect(problems.map(formatProblem)).toEqual([]);
  expect(policies).toHaveLength(1);
  const { spec } = parse(sampleInstance);
  expect(await estateTools.landfall_planPlacement.run(connection, { spec })).toMatchObject({
    considered: expect.any(Number),
    reasons: expect.any(Array),
  });
  await expect(
    estateTools.landfall_planPlacement.run(connection, { spec: { ...spec, vcpus: 0 } }),
  ).rejects.toThrow(/\/spec\/vcpus/);
});

test('what menus and buttons name is a command of the manifest', () => {
  const { commands, menus, viewsWelcome, walkthroughs, views } = manifest.contributes;
  const known = new Set([
    ...commands.map(({ command }: { command: string }) => command),
    ...views.landfall.map(({ id }: { id: string }) => `${id}.focus`),
  ]);
  const named = Object.values(menus as Record<string, { command: string }[]>)
    .flat()
    .map(({ command }) => command);
  const linked = [...JSON.stringify([viewsWelcome, walkthroughs]).matchAll(/command:([\w.]+)/g)].map(
    ([, command]) => command!,
  );
  expect(linked.length).toBeGreaterThan(20);
  expect([...named, ...linked].filter((command) => !known.has(command))).toEqual([]);
});

test('every command stands in the palette under "Landfall:", and is offered only where it can run', () => {
  const { commands, menus } = manifest.contributes;
  const names: string[] = commands.map(({ command }: { command: string }) => command);
  expect(commands.filter(({ category }: { category: string }) => category !== 'Landfall')).toEqual([]);
  const palette = new Map<string, string>(
    menus.commandPalette.map(({ command, when }: { command: string; when: string }) => [command, when]),
  );
  // What needs no broker, no file and no node of a tree.
  expect(names.filter((name) => !palette.has(name)).map((name) => name.replace('landfall.', ''))).toEqual([
    ...['switchContext', 'addBroker', 'signIn', 'signOut', 'refresh'],
    ...['openWalkthrough', 'newPolicy', 'newInstance'],
  ]);
  // What is offered for a thing in a tree only, is in that menu.
  const inTrees = new Set(
    menus['view/item/context'].map(({ command }: { command: string }) => command as string),
  );
  for (const [name, when] of palette)
    if (when === 'false' && name !== 'landfall.loadMore') expect([...inTrees]).toContain(name);
});

test('every view says what to do while it is empty, whatever the connection is', () => {
  const { views, viewsWelcome } = manifest.contributes;
  for (const { id } of views.landfall)
    for (const state of ['none', 'connecting', 'signedOut', 'down', 'live'])
      expect(
        viewsWelcome.filter(
          ({ view, when }: { view: string; when: string }) =>
            view === id && when.includes(`landfall.connection == ${state}`),
        ),
      ).not.toEqual([]);
  // The editor shows code as it is written.
  expect(JSON.stringify(viewsWelcome)).not.toContain('`');
});

test('every setting is described, and stands in the README', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const settings: [string, { description?: string; markdownDescription?: string }][] = Object.entries(
    manifest.contributes.configuration.properties,
  );
  for (const [name, { description, markdownDescription }] of settings) {
    expect(description ?? markdownDescription).toMatch(/\w{3}/);
    expect(readme).toContain(`\`${name}\``);
  }
});
