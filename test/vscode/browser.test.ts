/**
 * The extension in a browser's own extension host, with no process behind it: its language server is a web worker, and
 * brokers are of another origin than the page.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseOrigins } from '@landfall/broker/cross-origin.ts';
import type { Locator } from 'playwright-core';
import { type Requested, WorkedBroker } from '../worked-broker.ts';
import { Editor } from './editor.ts';

const repository = join(import.meta.dirname, '../..');

const policy = (name: string, rule: string) => `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: ${name}}
spec:
  rules:
    - {name: cheap, require: '${rule}'}
tests:
  - name: costs less than three
    request: {vcpus: 2, memoryGiB: 4.0}
    expect: {placed: {provider: [aws, azure, gcp]}}
`;

const instance = (name: string, image: string) => `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: ${name}}
spec: {image: ${image}, vcpus: 2, memoryGiB: 4}
`;

let editor: Editor;
let shut: WorkedBroker;
let broker: WorkedBroker;
let heart: NodeJS.Timeout;
beforeAll(async () => {
  shut = await WorkedBroker.start();
  editor = await Editor.open({
    files: {
      'eu.yaml': policy('eu', 'offer.prise < 3.0'),
      // Never opened: the server has it from the editor.
      'policies/us.yaml': policy('us', 'offer.pricePerHour < 9.0'),
      'web.yaml': instance('web', 'debian-12'),
      'local.yaml': instance('local', 'tiny'),
      'second.yaml': instance('second', 'tiny'),
    },
    // As where there is only a browser: not in the extension host of the machine.
    settings: {
      'remote.extensionKind': { 'landfall.landfall-vscode': ['web'] },
      'landfall.brokers': [{ name: 'shut', url: shut.api.url }],
    },
  });
  broker = await WorkedBroker.start({ allowedOrigins: parseOrigins(new URL(editor.page.url()).origin) });
  const capacity = { vcpus: 8, memoryGiB: 32, diskGiB: 500 };
  const host = { capacity, accel: 'kvm', architecture: 'x86_64', images: ['tiny'] };
  const live = () =>
    broker.api.call('PUT', '/v1/sites/local/hosts/h1', { token: broker.api.agentToken, body: host });
  await live();
  heart = setInterval(live, 10_000);
}, 300_000);
afterAll(async () => {
  clearInterval(heart);
  await editor?.close();
  await broker?.stop();
  await shut?.stop();
}, 60_000);

const toast = (text: string): Locator =>
  editor.page.locator('.notification-toast', { hasText: text }).first();
const lens = (text: string | RegExp): Locator =>
  editor.page.locator('.codelens-decoration a', { hasText: text }).last();
const explained = () => editor.page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');

/** A row of a view's tree, by a text in it. */
const row = (view: string, text: string | RegExp): Locator =>
  editor.page
    .locator('.pane', { has: editor.page.locator(`.pane-header[aria-label^="${view} Section"]`) })
    .locator('.monaco-list-row', { hasText: text })
    .first();

/** `Landfall: Add a Broker`, as a person goes through its four questions. */
async function addBroker({ api }: WorkedBroker, name: string): Promise<void> {
  await editor.command('Landfall: Add a Broker');
  const input = editor.page.locator('.quick-input-widget input.input');
  for (const [step, answer] of [api.url, name, 'default', api.adminToken].entries()) {
    await editor.page.locator('.quick-input-title', { hasText: `(${step + 1}/4)` }).waitFor();
    await input.fill(answer);
    await editor.page.keyboard.press('Enter');
  }
}

test('a mistake in a policy is underlined by the language server in its worker, and gone when it is put right', async () => {
  await editor.openFile('eu.yaml');
  const problems = await editor.problems();
  await problems.filter({ hasText: "'prise' is not a known attribute" }).waitFor();
  // Its own host has no other process: the server is a worker of the page.
  await editor.screenshot('browser-problems');
  await editor.goTo(6, 40);
  await editor.page.keyboard.press('End');
  await editor.page.keyboard.press('Shift+Home');
  await editor.page.keyboard.type("    - {name: cheap, require: 'offer.pricePerHour < 3.0'}");
  await problems.first().waitFor({ state: 'detached' });
  await editor.page.keyboard.press('Control+S');
}, 120_000);

test('of a broker that lets no page of this origin in, it is said what to set', async () => {
  const told = toast(
    `${shut.api.url} does not let this editor read its answers: start it with LANDFALL_ALLOWED_ORIGINS=${new URL(editor.page.url()).origin}`,
  );
  await told.getByText('Copy Setting').waitFor();
  await editor.page.locator('.activitybar [aria-label="Landfall"]').first().click();
  await editor.page.getByText('or does not let editors of this origin in').first().waitFor();
  await editor.screenshot('browser-refused');
  await editor.command('Notifications: Clear All Notifications');
}, 120_000);

test('tests of policies stand in the Test Explorer, and run in the worker', async () => {
  await editor.command('Testing: Focus on Test Explorer View');
  const tree = editor.page.locator('.test-explorer .monaco-list-row');
  await tree.filter({ hasText: 'eu.yaml' }).first().waitFor();
  await tree.filter({ hasText: 'us.yaml' }).first().waitFor();
  await editor.command('Test: Run All Tests');
  await editor.page.locator('.test-explorer', { hasText: '2/2' }).first().waitFor();
  await editor.screenshot('browser-tests');
}, 120_000);

test('without a broker that answers, lens and explanation are by the shipped prices, with links to the rules of the workspace', async () => {
  await editor.openFile('web.yaml');
  await lens(/\$0\.\d+\/h/).waitFor();
  await editor.screenshot('browser-lens');
  await editor.command('Landfall: Explain Placement');
  await explained().locator('h1', { hasText: 'instance/web lands on' }).waitFor();
  await explained()
    .getByText(/does not let this editor read.*By the policies of the workspace, over the shipped prices/)
    .waitFor();
  await editor.screenshot('browser-explain');
  await explained().locator('a', { hasText: 'eu/cheap' }).first().click();
  await editor.page.locator('.tab.active[data-resource-name="eu.yaml"]').waitFor({ state: 'attached' });
}, 120_000);

let made: Requested;

test('of one that lets it in the estate is shown, and what the command line makes appears by itself', async () => {
  await editor.page.locator('.activitybar [aria-label="Landfall"]').first().click();
  await addBroker(broker, 'far');
  await row('Sites', 'h1').waitFor();
  await promisify(execFile)(
    process.execPath,
    [
      join(repository, 'cli/bin/landfall.mjs'),
      'apply',
      '--no-default-key',
      '-f',
      join(editor.folder, 'local.yaml'),
    ],
    { env: { ...process.env, LANDFALL_URL: broker.api.url, LANDFALL_TOKEN: broker.api.adminToken } },
  );
  await row('Projects', /local\s*Pending/).waitFor();
  const { id, name } = (await broker.api.call('GET', '/v1/projects/default/instances')).body.items[0];
  const [operation] = (await broker.api.call('GET', '/v1/operations')).body.items;
  made = { id, operation: operation.id, name, project: 'default' };
  const price = { pricePerHour: 0.5, pricePerMonth: 365, currency: 'USD' };
  await broker.report(made, { state: 'Running', provider: 'onprem', host: 'h1', ...price });
  await row('Projects', /local\s*Running · onprem · h1/).waitFor();
  await editor.screenshot('browser-estate');
}, 120_000);

test('a machine is stopped from the tree after a question, and its events are read', async () => {
  await row('Projects', /local/).hover();
  await row('Projects', /local/).getByLabel('Stop', { exact: false }).click();
  const dialog = editor.page.locator('.monaco-dialog-box');
  await dialog.waitFor();
  expect(await dialog.textContent()).toMatch(/Stop local\?.*\$0\.5000 an hour/);
  await dialog.getByRole('button', { name: 'Stop' }).click();
  await row('Operations', /stop local/).click();
  await editor.page
    .locator('.editor-instance .view-lines')
    .getByText(/asked\sfor\sit/)
    .first()
    .waitFor();
  await editor.screenshot('browser-timeline');
}, 60_000);

test('the broker answers lens, explanation and plan of a file, and applies it without a shell', async () => {
  await editor.openFile('local.yaml');
  await lens(/at far: \$0\.\d+\/h · on-prem local default, host h1/).waitFor();
  await editor.command('Landfall: Explain Placement');
  await explained()
    .getByText(/Asked of far \(http/)
    .waitFor();
  await editor.screenshot('browser-broker-explain');
  await editor.openFile('local.yaml');
  await editor.command('View: Close Editors in Other Groups');
  await editor.openFile('second.yaml');
  await lens('plan').click();
  await editor.page
    .locator('.editor-instance .view-lines')
    .getByText(/Creates\sinstance\/second/)
    .first()
    .waitFor();
  await editor.openFile('second.yaml');
  await lens('apply').click();
  await editor.page.locator('.monaco-dialog-box').getByRole('button', { name: 'Apply' }).click();
  await row('Projects', /second\s*Pending/).waitFor();
  await editor.screenshot('browser-applied');
  const { items } = (await broker.api.call('GET', '/v1/projects/default/sshKeys')).body;
  expect(items).toEqual([]);
  await editor.openFile('eu.yaml');
  await lens(/what-if: No request to replay/).waitFor();
  await lens('apply').click();
  await editor.page.locator('.monaco-dialog-box').getByRole('button', { name: 'Apply' }).click();
  await toast('eu created').waitFor();
}, 120_000);

test('what needs a machine is not offered', async () => {
  const ssh = { host: '127.0.0.1', port: 9, user: 'root' };
  await broker.report(made, { state: 'Running', host: 'h2', ssh });
  // What is shown now knows that it can be reached by SSH.
  await row('Projects', /local\s*Running · onprem · h2/).hover();
  await row('Projects', /local\s*Running/)
    .getByLabel('Stop', { exact: false })
    .waitFor();
  expect(await row('Projects', /local/).getByLabel('Open SSH Terminal', { exact: false }).count()).toBe(0);
  await editor.quickInput('F1', '>Landfall: S');
  const offered = editor.page.locator('.quick-input-list .monaco-list-row');
  await offered.filter({ hasText: 'Landfall: Sign In' }).waitFor();
  expect(await offered.filter({ hasText: 'Start a Local Landfall' }).count()).toBe(0);
  await editor.page.keyboard.press('Escape');
}, 60_000);
