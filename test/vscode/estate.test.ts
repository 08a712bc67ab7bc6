/** The estate in a real VS Code, with a real broker whose workers the test is. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { type Requested, WorkedBroker } from '../worked-broker.ts';
import { Editor } from './editor.ts';

let broker: WorkedBroker;
let editor: Editor;
let web: Requested;
/** The hosts that the window asked for anything. */
const asked = new Set<string>();

beforeAll(async () => {
  broker = await WorkedBroker.start();
  web = await broker.request('web');
  await broker.api.call('PUT', '/v1/sites/local/hosts/h1', {
    token: broker.api.agentToken,
    body: { capacity: { vcpus: 8, memoryGiB: 32, diskGiB: 500 }, accel: 'kvm', architecture: 'x86_64' },
  });
  // As `npm run up` leaves its data folder.
  const data = mkdtempSync(join(tmpdir(), 'landfall-vscode-data-'));
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'admin.token'), `${broker.api.adminToken}\n`);
  writeFileSync(join(data, 'supervisor.json'), JSON.stringify({ url: broker.api.url }));
  editor = await Editor.open({
    files: { 'notes.yaml': 'a: 1\n' },
    env: { LANDFALL_DATA_DIR: data },
  });
  editor.page.context().on('request', (request) => asked.add(new URL(request.url()).host));
}, 300_000);

afterAll(async () => {
  await editor?.close();
  await broker?.stop();
}, 60_000);

const price = { pricePerHour: 0.5, pricePerMonth: 365, currency: 'USD' };

/** A row of a view's tree, by a text in it. */
const row = (view: string, text: string | RegExp): Locator =>
  editor.page
    .locator('.pane', { has: editor.page.locator(`.pane-header[aria-label^="${view} Section"]`) })
    .locator('.monaco-list-row', { hasText: text })
    .first();

test('the local broker is found, and its sites, hosts and instances are shown', async () => {
  await editor.page.locator('.activitybar [aria-label="Landfall"]').first().click();
  await row('Sites', 'h1').waitFor();
  await row('Projects', /web\s*Pending/).waitFor();
  await editor.screenshot('estate');
}, 120_000);

test('what happens elsewhere is shown within a second', async () => {
  await broker.report(web, { state: 'Running', provider: 'onprem', host: 'h1', ...price });
  await row('Projects', /web\s*Running · onprem · h1/).waitFor({ timeout: 1_500 });
  await editor.page.locator('.statusbar-item', { hasText: '$12.00/day' }).waitFor();
  await editor.screenshot('estate-live');
}, 120_000);

test('what a site has without Landfall is listed with why it cannot be adopted, and adopted under a name after a question', async () => {
  const spec = { provider: 'aws', regions: ['us-east-1'], credentials: { source: 'default' } };
  const found = (ref: string, more: object) => ({
    ...{ kind: 'Instance' as const, ref, location: { region: 'us-east-1' }, state: 'ready' as const },
    ...{ power: 'running' as const, instanceType: 't3.micro', market: 'onDemand' as const },
    ...{ vcpus: 2, memoryGiB: 1, diskGiB: 8, addresses: [], labels: {}, ...more },
  });
  const items = [
    found('i-1', { name: 'Shop DB' }),
    found('i-2', { name: 'node', refused: 'it is managed by Kubernetes' }),
    found('i-3', { name: 'mail' }),
    found('i-4', { name: 'wiki' }),
  ];
  broker.api.signals.discover = async ({ query: { ref } }) => ({
    items: items.filter((each) => ref === undefined || each.ref === ref),
    complete: true,
  });
  await broker.api.call('POST', '/v1/sites', { body: { name: 'cloud', spec } });
  const dialog = editor.page.locator('.monaco-dialog-box');
  await row('Sites', /^cloud/).click();
  await row('Sites', /Unmanaged.*asked of cloud/).click();
  await editor.screenshot('estate-site');
  await row('Sites', /node.*managed by Kubernetes/).waitFor();
  await row('Sites', 'Shop DB').hover();
  await editor.screenshot('estate-unmanaged');
  await row('Sites', 'Shop DB').getByLabel('Adopt', { exact: false }).click();
  const input = editor.page.locator('.quick-input-widget input.input');
  await input.waitFor({ state: 'visible' });
  expect(await input.inputValue()).toBe('shop-db');
  await editor.page.keyboard.press('Enter');
  await dialog.waitFor();
  await editor.screenshot('estate-adopt');
  expect(await dialog.textContent()).toMatch(/as shop-db\?.*i-1 at cloud, \$\d+\.\d\d a month/s);
  await dialog.getByRole('button', { name: 'Adopt' }).click();
  await row('Operations', /adopt shop-db/).waitFor();
  await row('Sites', 'Shop DB').waitFor({ state: 'detached' });
  // All that is selected, at once.
  await row('Sites', 'mail').click();
  await row('Sites', 'wiki').click({ modifiers: ['Control'] });
  await row('Sites', 'wiki').getByLabel('Adopt', { exact: false }).click();
  await dialog.waitFor();
  expect(await dialog.textContent()).toMatch(/Adopt 2 resources.*mail: .*wiki: /s);
  await dialog.getByRole('button', { name: 'Adopt' }).click();
  await row('Operations', /adopt wiki/).waitFor();
  await row('Operations', /adopt mail/).waitFor();
}, 120_000);

test('a machine is let go of after a question with what stays', async () => {
  await row('Projects', /web\s*Running/).click({ button: 'right' });
  await editor.screenshot('estate-menu');
  await editor.page.keyboard.press('Escape');
  await editor.command('Landfall: Release…');
  await editor.page.locator('.quick-input-list .monaco-list-row', { hasText: /^web/ }).first().click();
  const dialog = editor.page.locator('.monaco-dialog-box');
  await dialog.waitFor();
  await editor.screenshot('estate-release');
  expect(await dialog.textContent()).toMatch(
    /Release web of default\?.*stays as it is, for \$365\.00 a month/s,
  );
  await dialog.getByRole('button', { name: 'Cancel' }).click();
}, 60_000);

test('a machine is stopped after a question that says what it costs', async () => {
  await row('Projects', /web/).hover();
  await row('Projects', /web/).getByLabel('Stop', { exact: false }).click();
  const dialog = editor.page.locator('.monaco-dialog-box');
  await dialog.waitFor();
  await editor.screenshot('estate-stop');
  expect(await dialog.textContent()).toMatch(/Stop web\?.*\$0\.5000 an hour, \$365\.00 a month/);
  await dialog.getByRole('button', { name: 'Stop' }).click();
  await row('Operations', /stop web/).waitFor();
}, 60_000);

test('an approval is rejected beside its name, with a reason', async () => {
  const costly = await broker.request('costly');
  const { body } = await broker.api.call('GET', '/v1/whoami');
  const id = await broker.approval(costly, [body.name]);
  await row('Approvals', /costly.*spend\/big/).hover();
  await editor.screenshot('estate-approval');
  await row('Approvals', /costly/)
    .getByLabel('Reject', { exact: false })
    .click();
  const input = editor.page.locator('.quick-input-widget input.input');
  await input.waitFor({ state: 'visible' });
  await input.fill('too much');
  await editor.page.keyboard.press('Enter');
  await row('Approvals', /costly/).waitFor({ state: 'detached' });
  expect((await broker.api.call('GET', `/v1/approvals/${id}`)).body).toMatchObject({
    state: 'Rejected',
    reason: 'too much',
  });
}, 60_000);

test('an operation opens its timeline, which goes on while it is looked at', async () => {
  await row('Operations', /create web/).click();
  const lines = editor.page.locator('.editor-instance .view-lines');
  await lines
    .getByText(/asked\sfor\sit/)
    .first()
    .waitFor();
  await broker.report(web, { state: 'Running', message: 'web runs on' });
  await lines
    .getByText(/web\sruns\son/)
    .first()
    .waitFor();
  await editor.screenshot('estate-timeline');
}, 60_000);

test('an instance is shown as YAML, and a terminal logs in to it', async () => {
  await editor.command('Landfall: Show as YAML');
  const picks = editor.page.locator('.quick-input-list .monaco-list-row', { hasText: /^web/ });
  await picks.first().click();
  await editor.page.locator('.tab.active[data-resource-name="web.yaml"]').waitFor({ state: 'attached' });
  await editor.page
    .locator('.view-line', { hasText: /kind:\sInstance/ })
    .first()
    .waitFor();
  // Nothing listens there: that ssh was asked for is what is looked at.
  await broker.report(web, { state: 'Running', ssh: { host: '127.0.0.1', port: 9, user: 'root' } });
  await row('Projects', /web/).hover();
  await row('Projects', /web/).getByLabel('Open SSH Terminal', { exact: false }).click();
  const terminal = editor.page.locator('.terminal-wrapper.active');
  await terminal.waitFor();
  await editor.page
    .locator('.terminal-tabs-entry, .single-terminal-tab', { hasText: 'ssh' })
    .first()
    .waitFor();
  await editor.screenshot('estate-ssh');
}, 60_000);

test('a project of 10,000 instances opens', async () => {
  await broker.api.call('POST', '/v1/projects', { body: { name: 'vast' } });
  await broker.fill('vast', 10_000);
  await editor.command('Landfall: Refresh');
  await row('Projects', 'default').click(); // closes it
  await row('Projects', 'vast').waitFor();
  // Their prices are read for the status bar: the data is there.
  await editor.page.locator('.statusbar-item', { hasText: '$24012.00/day' }).waitFor();
  await row('Projects', 'vast').click();
  const group = row('Projects', 'Instances');
  await group.waitFor();
  const started = performance.now();
  await group.click();
  await row('Projects', 'vm-00001').waitFor();
  const took = performance.now() - started;
  process.stderr.write(`10,000 instances opened in ${Math.round(took)} ms\n`);
  await editor.screenshot('estate-10000');
  await row('Projects', 'vast').click();
  await row('Projects', 'default').click();
}, 120_000);

test('the window asked nothing of the broker: over a remote connection it may not reach it', () => {
  expect(asked.size).toBeGreaterThan(0);
  expect([...asked]).not.toContain(new URL(broker.api.url).host);
});

test('a broker that is down is said so in every view and the status bar, and what was known stays', async () => {
  await broker.api.broker.stop();
  const message = editor.page.locator('.tree-explorer-viewlet-tree-view .message', {
    hasText: 'No broker at',
  });
  await message.first().waitFor();
  expect(await message.first().textContent()).toMatch(/This is from .*; trying again/);
  await editor.page.locator('.statusbar-item.warning-kind', { hasText: 'local' }).waitFor();
  // Of several machines, whichever is in sight.
  await row('Projects', /(costly|mail|shop-db|web)\s*(Pending|Adopting|Running)/).waitFor();
  await editor.screenshot('estate-down');
}, 60_000);
