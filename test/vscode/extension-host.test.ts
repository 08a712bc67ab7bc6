/** The extension in VS Code's extension host. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkedBroker } from '../worked-broker.ts';
import { figures, type Probed, probeExtensionHost } from './extension-host.ts';

const manifest = JSON.parse(
  readFileSync(new URL('../../vscode-extension/package.json', import.meta.url), 'utf8'),
) as {
  contributes: {
    commands: { command: string }[];
    views: { landfall: { id: string }[] };
    languageModelTools: object[];
  };
};

let probed: Probed;
let broker: WorkedBroker;
let data: string;

beforeAll(async () => {
  broker = await WorkedBroker.start();
  const web = await broker.request('web');
  const price = { pricePerHour: 0.5, pricePerMonth: 365, currency: 'USD' };
  await broker.report(web, { state: 'Running', ...price });
  data = mkdtempSync(join(tmpdir(), 'landfall-vscode-data-'));
  writeFileSync(join(data, 'admin.token'), `${broker.api.adminToken}\n`);
  writeFileSync(join(data, 'supervisor.json'), JSON.stringify({ url: broker.api.url }));
  probed = await probeExtensionHost(data);
  process.stderr.write(`${figures(probed)}\n`);
}, 300_000);
afterAll(async () => {
  await broker?.stop();
  if (data) rmSync(data, { recursive: true });
}, 60_000);

test('it does not run before anything asks for it', () => {
  expect(probed.activeBefore).toBe(false);
});

test('every command that the manifest names is registered once it is active', () => {
  const named = manifest.contributes.commands.map(({ command }) => command);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((command) => !probed.commands.includes(command))).toEqual([]);
});

test('every command that it registers is one of the manifest’s, but for those behind links and lenses', () => {
  const { commands, views } = manifest.contributes;
  const named = new Set(commands.map(({ command }) => command));
  // The editor makes some for each view, such as to focus it.
  const ofViews = views.landfall.map(({ id }) => `${id}.`);
  const others = probed.commands.filter(
    (command) => !named.has(command) && !ofViews.some((view) => command.startsWith(view)),
  );
  expect(others.sort()).toEqual([
    'landfall.explainChange',
    'landfall.explainDecision',
    'landfall.openLine',
    'landfall.openRule',
    'landfall.ruleRejections',
    'landfall.runPolicyTests',
  ]);
});

test('a language model reads and changes by the tools that the editor has of it', async () => {
  const { names, list, changed } = probed.tools!;
  expect(names).toHaveLength(manifest.contributes.languageModelTools.length);
  expect(JSON.parse(list)).toMatchObject({ instances: [{ name: 'web', state: 'Running' }] });
  // What asks first, and what is asked, is in `estate/tools.test.ts`: with a probe the editor shows no question.
  expect(changed).toContain('stop');
  const { items } = (await broker.api.call('GET', '/v1/operations?filter=verb=stop')).body;
  expect(items).toMatchObject([{ resource: { name: 'web' } }]);
});

test('in a remote window it runs beside the files, with the home and the files of that machine', () => {
  const { name, isWorkspaceExtension, folderScheme, home } = probed.remote;
  expect(name).toBeTruthy();
  expect(isWorkspaceExtension).toBe(true);
  expect(folderScheme).toBe('file');
  expect(home).not.toBe(homedir());
});

test('a policy is read by the language server, which says what is wrong with it', () => {
  expect(probed.diagnostics.join('\n')).toMatch(/Did you mean offer\.jurisdiction\?/);
});

test('activation does not wait for the language server', () => {
  expect(probed.activationMs).toBeLessThan(probed.firstDiagnosticMs);
});
