/** Brokers, tokens and the first steps, in a real VS Code in which nothing is known yet. */
import { readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { WorkedBroker } from '../worked-broker.ts';
import { Editor } from './editor.ts';

let broker: WorkedBroker;
let other: WorkedBroker;
let heart: NodeJS.Timeout;
let editor: Editor;

beforeAll(async () => {
  broker = await WorkedBroker.start();
  await broker.request('web');
  // As its agent says every ten seconds: a machine of the walkthrough has somewhere to land.
  const body = {
    ...{ capacity: { vcpus: 8, memoryGiB: 32, diskGiB: 500 }, accel: 'kvm' },
    ...{ architecture: 'x86_64', images: ['tiny'] },
  };
  const live = () =>
    broker.api.call('PUT', '/v1/sites/local/hosts/h1', { token: broker.api.agentToken, body });
  await live();
  heart = setInterval(live, 10_000);
  other = await WorkedBroker.start();
  await other.request('elsewhere');
  editor = await Editor.open({
    files: { 'notes.yaml': 'a: 1\n' },
    // Without them there is no list of MCP servers either.
    settings: { 'chat.disableAIFeatures': false },
  });
}, 300_000);

afterAll(async () => {
  clearInterval(heart);
  await editor?.close();
  await other?.stop();
  await broker?.stop();
}, 60_000);

const view = (name: string): Locator =>
  editor.page.locator('.pane', {
    has: editor.page.locator(`.pane-header[aria-label^="${name} Section"]`),
  });
const notices = (): Locator =>
  editor.page.locator('.notification-toast', { hasText: 'sign in to the broker' });

/** Types into the box that asks, after what it asks. */
async function answer(prompt: string, text: string): Promise<void> {
  const box = editor.page.locator('.quick-input-widget', { hasText: prompt });
  await box.waitFor({ state: 'visible' });
  await box.locator('input.input').fill(text);
  await editor.page.keyboard.press('Enter');
}

/** Processes that run the extension's MCP server, by their arguments and environment. */
function mcpServers(): { command: string; environment: string }[] {
  const read = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return ''; // it has ended meanwhile
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map((pid) => ({ command: read(`/proc/${pid}/cmdline`), environment: read(`/proc/${pid}/environ`) }))
    .filter(
      ({ command, environment }) =>
        command.includes('dist/mcp.mjs') && environment.includes(editor.folder.replace(/work$/, '')),
    );
}

test('where no broker is known, the views say what to do', async () => {
  await editor.page.locator('.activitybar [aria-label="Landfall"]').first().click();
  await view('Sites').getByText('Start One Here').waitFor();
  await editor.screenshot('estate-welcome');
}, 120_000);

test('a broker is added with its token, which goes nowhere but into the secret storage', async () => {
  await editor.command('Landfall: Add a Broker');
  await answer('Its address', broker.api.url);
  await answer('A name to show', 'team');
  await answer('The project', 'default');
  await answer('Your token', broker.api.adminToken);
  await view('Projects').locator('.monaco-list-row', { hasText: 'web' }).waitFor();
  const settings = readFileSync(join(editor.folder, '../user/User/settings.json'), 'utf8');
  expect(JSON.parse(settings)['landfall.brokers']).toEqual([
    { name: 'team', url: broker.api.url, project: 'default', machine: hostname().split('.')[0] },
  ]);
  expect(settings).not.toContain(broker.api.adminToken);
}, 120_000);

test("the editor knows the context's MCP server, and starts it with the token in the environment only", async () => {
  const row = (text: string): Locator =>
    editor.page.locator('.quick-input-list .monaco-list-row', { hasText: text }).first();
  for (const action of ['Show Output', 'Start Server']) {
    await editor.command('MCP: List Servers');
    await row('Landfall (team)').click();
    await row(action).click();
    await editor.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }
  // The editor writes figures in an element of their own.
  await editor.page.locator('.part.panel .view-line', { hasText: /Discovered.4.tools/ }).waitFor();
  await editor.screenshot('mcp-server');
  const [server, ...others] = mcpServers();
  expect(others).toEqual([]);
  expect(server!.environment).toContain(`LANDFALL_TOKEN=${broker.api.adminToken}`);
  expect(server!.command).not.toContain(broker.api.adminToken);
}, 120_000);

test('without the token one notice asks for another, whatever the views ask', async () => {
  await editor.command('Landfall: Sign Out');
  await notices().waitFor();
  await view('Sites').getByText('The broker does not take the token').first().waitFor();
  await editor.command('Landfall: Refresh');
  await editor.page.waitForTimeout(1_500);
  expect(await notices().count()).toBe(1);
  await editor.screenshot('estate-signed-out');
}, 120_000);

test('a wrong token is refused in words, a right one brings the trees back', async () => {
  await editor.command('Landfall: Sign In');
  await answer('A token of the broker', 'lf_wrong');
  await editor.page.locator('.notification-toast', { hasText: 'does not take this token' }).waitFor();
  await editor.command('Landfall: Sign In');
  await answer('A token of the broker', broker.api.adminToken);
  await view('Projects').locator('.monaco-list-row', { hasText: 'web' }).waitFor();
}, 120_000);

test('a token that ends while it is used is asked for once, and the trees keep what they had', async () => {
  const { secret } = await broker.api.token('viewer');
  await editor.command('Landfall: Sign In');
  await answer('A token of the broker', secret);
  await view('Projects').locator('.monaco-list-row', { hasText: 'web' }).waitFor();
  await editor.command('Notifications: Clear All Notifications');
  const { items } = (await broker.api.call('GET', '/v1/tokens')).body;
  const { id } = items.find(({ name }: { name: string }) => name === 'viewer-token');
  await broker.api.call('DELETE', `/v1/tokens/${id}`, { headers: { 'if-match': '*' } });
  await editor.command('Landfall: Refresh');
  await notices().waitFor();
  await editor.screenshot('estate-token-ended');
  expect(await notices().count()).toBe(1);
  expect(await view('Projects').locator('.monaco-list-row', { hasText: 'web' }).count()).toBe(1);
  await editor.page.locator('.statusbar-item.warning-kind', { hasText: 'team' }).waitFor();
  await editor.command('Landfall: Sign In');
  await answer('A token of the broker', broker.api.adminToken);
  await notices().waitFor({ state: 'detached' });
}, 120_000);

test('another broker shows its own estate, and nothing of the one before', async () => {
  await editor.command('Landfall: Add a Broker');
  await answer('Its address', other.api.url);
  await answer('A name to show', 'branch');
  await answer('The project', 'default');
  await answer('Your token', other.api.adminToken);
  const machine = (name: string): Locator =>
    view('Projects').locator('.monaco-list-row', { hasText: new RegExp(`^${name}\\s*Pending`) });
  await machine('elsewhere').waitFor();
  expect(await machine('web').count()).toBe(0);
  await view('Operations').locator('.monaco-list-row', { hasText: 'create elsewhere' }).waitFor();
  expect(await view('Operations').locator('.monaco-list-row', { hasText: 'create web' }).count()).toBe(0);
  await editor.command('Landfall: Switch Context');
  await editor.screenshot('contexts');
  await editor.page.locator('.quick-input-list .monaco-list-row', { hasText: /^team/ }).click();
  await machine('web').waitFor();
  await machine('elsewhere').waitFor({ state: 'detached' });
  await editor.page.locator('.statusbar-item', { hasText: 'team' }).waitFor();
}, 120_000);

test('the walkthrough leads from nothing to a machine: each of its buttons does what it says', async () => {
  const step = async (title: string): Promise<void> => {
    await editor.command('Landfall: The First Ten Minutes');
    await editor.page.locator('.step-title', { hasText: title }).click();
  };
  const press = (button: string): Promise<void> =>
    editor.page.locator('.gettingStartedContainer').getByRole('button', { name: button }).click();
  const lines = editor.page.locator('.editor-instance .view-lines');
  await step('Start a Landfall where your files are');
  await editor.screenshot('walkthrough');
  await press('Start a Local Landfall');
  // This folder is no checkout of Landfall.
  await editor.page.locator('.notification-toast', { hasText: 'open its folder first' }).waitFor();
  await step('Write a policy');
  await press('New Policy');
  await lines.getByText(/kind:\sPlacementPolicy/).waitFor();
  await editor.screenshot('walkthrough-policy');
  await step('See where a machine would land');
  await press('New Instance');
  await lines.getByText(/kind:\sInstance/).waitFor();
  // The walkthrough is in front then: the file that was is meant.
  await step('See where a machine would land');
  await press('Explain Placement');
  // The walkthrough has such a frame too.
  const page = editor.page
    .frameLocator('iframe.webview[src*="landfall-vscode"]')
    .frameLocator('iframe#active-frame');
  await page.locator('h1', { hasText: 'instance/first' }).waitFor();
  await editor.screenshot('walkthrough-placement');
  await editor.command('View: Close Editors in Other Groups');
  await step('Run it');
  await editor.screenshot('walkthrough-run');
  await press('Apply This File');
  const dialog = editor.page.locator('.monaco-dialog-box');
  await dialog.waitFor();
  await editor.screenshot('walkthrough-apply');
  expect(await dialog.textContent()).toMatch(/Creates instance\/first.*an hour, \$/s);
  await dialog.getByRole('button', { name: 'Apply' }).click();
  await view('Projects')
    .locator('.monaco-list-row', { hasText: /^first\s*Pending/ })
    .waitFor();
}, 180_000);
