/** A machine's whole life from the tree of a real VS Code: a real Landfall, a real guest on this host, and the command line beside it. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance } from '@landfall/model';
import type { Locator } from 'playwright-core';
import { eventually, Installation, repository } from '../e2e/installation.ts';
import { Editor } from './editor.ts';

let installation: Installation;
let editor: Editor;

const manifest = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: own}
spec:
  image: tiny
  vcpus: 1
  memoryGiB: 0.25
  diskGiB: 1
  power: stopped
  placement: {providers: [onprem]}
`;

beforeAll(async () => {
  installation = Installation.prepare();
  // The command line on the path of a login shell, which is where the editor's server takes its own from.
  const bin = join(installation.folder, 'bin');
  mkdirSync(bin);
  symlinkSync(join(repository, 'cli/bin/landfall.mjs'), join(bin, 'landfall'));
  writeFileSync(join(installation.home, '.profile'), `PATH="${bin}:$PATH"\n`);
  editor = await Editor.open({
    // What the extension and npm see of the checkout: its program, and `npm run up`.
    files: {
      'cli/bin/landfall.mjs': `import ${JSON.stringify(join(repository, 'cli/bin/landfall.mjs'))};\n`,
      'package.json': JSON.stringify({ scripts: { up: `npm --prefix ${repository} run up` } }),
    },
    // Terminals drawn as text, not as a picture.
    settings: { 'terminal.integrated.gpuAcceleration': 'off' },
    env: installation.environment({ SHELL: '/bin/sh', TERM: 'xterm-256color' }),
  });
  await editor.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
}, 400_000);

afterAll(async () => {
  await editor?.close();
  await installation?.close();
}, 120_000);

/** A row of a view's tree, by a text in it. */
const row = (view: string, text: RegExp): Locator =>
  editor.page
    .locator('.pane', { has: editor.page.locator(`.pane-header[aria-label^="${view} Section"]`) })
    .locator('.monaco-list-row', { hasText: text })
    .first();
const own = (): Locator => row('Projects', /^own/);
const document = (): Locator => editor.page.locator('.editor-instance .view-lines').first();
const terminal = (): Locator => editor.page.locator('.terminal-wrapper.active .xterm-rows');

/** Chooses from the machine's context menu. */
async function choose(title: string): Promise<void> {
  await own().click({ button: 'right' });
  const item = editor.page.locator('.monaco-menu .action-menu-item', { hasText: title }).first();
  await item.waitFor({ state: 'visible' });
  // A menu does not hear a button that comes up within a tenth of a second of its opening.
  await item.click({ delay: 150 });
  await item.waitFor({ state: 'hidden' });
}

/** Says yes to the question that is shown; answers what it asked. */
async function confirm(button: string): Promise<string> {
  const dialog = editor.page.locator('.monaco-dialog-box');
  await dialog.waitFor();
  const asked = await dialog.textContent();
  await dialog.getByRole('button', { name: button }).click();
  return asked ?? '';
}

/** Waits until the document shows this; the editor writes blanks as no-break spaces. */
const shown = (text: RegExp): Promise<void> =>
  document().getByText(text).first().waitFor({ timeout: 60_000 });

const instance = async (): Promise<Instance> =>
  JSON.parse(await installation.succeed('get instance own -o json')) as Instance;

/** In the guest, past VS Code. */
const inGuest = async (command: string): Promise<string> =>
  (await installation.succeed(['ssh', 'own', '--', command])).trim();
const bootId = 'cat /proc/sys/kernel/random/boot_id';

test('where nothing runs, the button of the empty tree starts a Landfall in the checkout, which is found as soon as it is up', async () => {
  await editor.page.locator('.activitybar [aria-label="Landfall"]').first().click();
  await editor.page.getByText('Start One Here').first().click();
  await terminal()
    .getByText(/Landfall\sis\sup\safter/)
    .first()
    .waitFor({ timeout: 400_000 });
  await row('Sites', /^local\s*onprem · 1 host/).waitFor({ timeout: 60_000 });
  await editor.screenshot('first-start');
}, 500_000);

test('a machine that the command line made stands in the tree, stopped', async () => {
  await installation.succeed(['apply', '-f', installation.file('own.yaml', manifest), '--wait']);
  await row('Projects', /^own\s*Stopped/).waitFor();
}, 120_000);

test('it is started from the tree after a question, and its operation’s progress is seen until it runs', async () => {
  await own().hover();
  await own().getByLabel('Start', { exact: false }).click();
  expect(await confirm('Start')).toMatch(/Start own\?.*It costs \$0\.\d+ an hour, \$\d/);
  await row('Operations', /start own\s*starting at local/)
    .locator('.codicon-loading')
    .waitFor();
  await editor.screenshot('machine-starting');
  await row('Operations', /start own\s*Succeeded/).waitFor({ timeout: 120_000 });
  await row('Projects', /^own\s*Running/).waitFor();
  expect((await instance()).status.state).toBe('Running');
}, 180_000);

test('its serial console opens and shows the boot of the guest, without the terminal’s control characters', async () => {
  await choose('Show Serial Console');
  await shown(/landfall.tiny:.own.up.after/);
  expect(await document().textContent()).not.toContain('␛');
}, 60_000);

test('a terminal logs in by SSH: what a command prints in the guest is read in it, and the console beside it follows', async () => {
  await own().hover();
  await own().getByLabel('Open SSH Terminal', { exact: false }).click();
  await terminal().getByText('~ #').first().waitFor({ timeout: 60_000 });
  await editor.page.keyboard.type(`echo "cpus=$(nproc) boot=$(${bootId})"\n`);
  await terminal()
    .getByText(`cpus=1 boot=${await inGuest(bootId)}`)
    .first()
    .waitFor();
  await editor.page.keyboard.type('for i in $(seq 200); do echo line $i of many; done > /dev/console\n');
  await shown(/line.200.of.many/);
  await editor.screenshot('machine-ssh');
  await editor.page.keyboard.type('exit\n');
}, 120_000);

test('its id and address are copied, and its events and itself are documents', async () => {
  const { id, status } = await instance();
  const copied = (): Promise<string> => editor.page.evaluate('navigator.clipboard.readText()');
  await choose('Copy Id');
  await expectSoon(copied, id);
  await choose('Copy Address');
  await expectSoon(copied, status.addresses![0]!.address);
  await choose('Show Events');
  await shown(/instance\.createRequested.*admin.asked.to.create/);
  await shown(/instance\.running.*own.is.Running/);
  await editor.screenshot('machine-events');
  await choose('Show as YAML');
  await shown(/power:.running/);
}, 60_000);

test('it is resized after a question with both prices, and the guest has the processors', async () => {
  await choose('Resize');
  await editor.page
    .locator('.quick-input-list .monaco-list-row', { hasText: '2 vCPU, 2 GiB' })
    .first()
    .click();
  expect(await confirm('Resize')).toMatch(
    /Resize own to 2 vCPU, 2 GiB\?It then costs \$0\.\d+ an hour, \$[\d.]+ a month\. Now it costs \$0\.\d+ an hour/,
  );
  await row('Operations', /resize own\s*Succeeded/).waitFor({ timeout: 120_000 });
  expect(await inGuest('nproc')).toBe('2');
}, 180_000);

test('it is rebooted after a question, and its operation’s timeline says so', async () => {
  const before = await inGuest(bootId);
  await choose('Reboot');
  expect(await confirm('Reboot')).toMatch(/Reboot own\?What runs on it is interrupted/);
  await row('Operations', /reboot own\s*rebooting at local/).click();
  await row('Operations', /reboot own\s*Succeeded/).waitFor({ timeout: 120_000 });
  await shown(/own.is.rebooting/);
  await shown(/Succeeded:.Running.at.local/);
  await editor.screenshot('machine-timeline');
  expect(await inGuest(bootId)).not.toBe(before);
}, 180_000);

test('it is deleted after a question, and nothing is left of it', async () => {
  await choose('Delete');
  expect(await confirm('Delete')).toMatch(/Delete own of default\?The machine, its disk .* are lost/);
  await own().waitFor({ state: 'detached', timeout: 120_000 });
  await row('Operations', /delete own\s*Succeeded/).waitFor();
  expect(await installation.succeed('audit')).toMatch(
    /^0 orphans, 0 missing, 0 doubled\n0 instances against 0 machines at 1 site/,
  );
}, 180_000);

async function expectSoon(ask: () => Promise<string>, wanted: string): Promise<void> {
  await eventually(`${wanted} in the clipboard`, async () => (await ask()) === wanted, 5_000);
}
