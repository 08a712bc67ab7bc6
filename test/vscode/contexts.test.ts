/** Brokers, tokens and the first steps, in a real VS Code in which nothing is known yet. */
import { readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { WorkedBroker } from '../worked-broker.ts';
import { Editor } from './editor.ts';

let broker: WorkedBroker;
let editor: Editor;

beforeAll(async () => {
  broker = await WorkedBroker.start();
  await broker.request('web');
  editor = await Editor.open({
    files: { 'notes.yaml': 'a: 1\n' },
    // Without them there is no list of MCP servers either.
    settings: { 'chat.disableAIFeatures': false },
  });
}, 300_000);

afterAll(async () => {
  await editor?.close();
  await broker?.stop();
}, 60_000);

const view = (name: string): Locator =>
  editor.page.locator('.pane', {
    has: editor.page.locator(`.pane-header[aria-label^="${name} Section"]`),
  });
const notices = (): Locator => editor.page.locator('.notification-toast', { hasText: 'wants a token' });

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
  await editor.page.locator('.part.panel .view-line', { hasText: /Discovered.3.tools/ }).waitFor();
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

test('the walkthrough leads from nothing to a machine', async () => {
  await editor.command('Landfall: The First Ten Minutes');
  await editor.page.getByText('See where a machine would land').first().waitFor();
  await editor.screenshot('walkthrough');
}, 120_000);
