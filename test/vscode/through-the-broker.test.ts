/** Files in a real VS Code with a real broker connected: what its names, its what-if and its dry runs say of them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Locator } from 'playwright-core';
import { WorkedBroker } from '../worked-broker.ts';
import { Editor } from './editor.ts';

const shop = `apiVersion: landfall.dev/v1
kind: SshKey
metadata: {name: ann}
spec: {publicKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9mxmHb1wzLdVlVYp0hS5Z6Zk0QxvO2Zb4S2yq1Q7aB ann}
---
apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: shop}
spec:
  image: tiny
  vcpus: 1
  memoryGiB: 1 # enough
  placement: {sites: []}
`;

const policy = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: small}
spec:
  rules:
    - name: no-two
      deny: offer.provider == "onprem" && request.vcpus > 1
tests:
  - name: lands in a cloud
    request: {vcpus: 2, memoryGiB: 4.0}
    expect: {placed: {provider: [aws, azure, gcp]}}
`;

let broker: WorkedBroker;
let editor: Editor;
let data: string;
let heart: NodeJS.Timeout;

const host = {
  capacity: { vcpus: 8, memoryGiB: 32, diskGiB: 500 },
  accel: 'kvm',
  architecture: 'x86_64',
  images: ['tiny'],
};
/** As its agent says every ten seconds; a host that falls silent is given nothing. */
const live = () =>
  broker.api.call('PUT', '/v1/sites/local/hosts/h1', { token: broker.api.agentToken, body: host });

beforeAll(async () => {
  broker = await WorkedBroker.start();
  await live();
  heart = setInterval(live, 10_000);
  for (const name of ['one', 'two']) await broker.decided(await broker.request(name));
  data = mkdtempSync(join(tmpdir(), 'landfall-vscode-data-'));
  writeFileSync(join(data, 'admin.token'), `${broker.api.adminToken}\n`);
  writeFileSync(join(data, 'supervisor.json'), JSON.stringify({ url: broker.api.url }));
  editor = await Editor.open({
    files: { 'shop.yaml': shop, 'small.yaml': policy },
    env: { LANDFALL_DATA_DIR: data },
  });
}, 300_000);

afterAll(async () => {
  clearInterval(heart);
  await editor?.close();
  await broker?.stop();
  if (data) rmSync(data, { recursive: true, force: true });
}, 60_000);

/** A lens by its text; of several the last. */
const lens = (text: string | RegExp): Locator =>
  editor.page.locator('.codelens-decoration a', { hasText: text }).last();
const lines = (): Locator => editor.page.locator('.editor-instance .view-lines');
const dialog = (): Locator => editor.page.locator('.monaco-dialog-box');

/** Closes what was opened beside the file, and waits until it is gone. */
async function closeBeside(): Promise<void> {
  await editor.command('View: Close Editors in Other Groups');
  await editor.page.locator('.editor-group-container').nth(1).waitFor({ state: 'detached' });
}

/**
 * Follows a link of a report. A link is one only once the editor has seen the key held down above it, so that on a busy machine a
 * click may be too early; and what it opens may cover it before the click is over.
 */
async function follow(words: RegExp, there: Locator): Promise<void> {
  const link = editor.page.locator('.detected-link', { hasText: words }).first();
  await link.waitFor();
  for (let tries = 0; tries < 4 && !(await there.isVisible()); tries++) {
    await link.click({ modifiers: ['ControlOrMeta'], timeout: 4_000 }).catch(() => undefined);
    await there.waitFor({ timeout: 4_000 }).catch(() => undefined);
  }
  await there.waitFor({ timeout: 10_000 });
}

/** What says where the cursor is. */
const cursorAt = (place: string): Locator =>
  editor.page.locator('.statusbar-item', { hasText: `${place}, Col 1` });

test('a site of the connected broker is offered where one is named', async () => {
  await editor.openFile('shop.yaml');
  await lens('apply').waitFor();
  await editor.goTo(13, 23);
  await editor.page.keyboard.press('Control+Space');
  const offered = editor.page.locator('.suggest-widget .monaco-list-row', { hasText: 'local' }).first();
  await offered.waitFor();
  await editor.screenshot('broker-completion');
  await offered.click();
  await lines().getByText('[local]').first().waitFor();
  await editor.page.keyboard.press('Control+S');
}, 120_000);

test('what a policy would change of what was decided stands above it, as it is typed', async () => {
  await editor.openFile('small.yaml');
  await lens(/what-if: None of 2 requests changes/).waitFor();
  await editor.goTo(7, 60);
  await editor.page.keyboard.press('Backspace');
  await editor.page.keyboard.type('0');
  await lens(/what-if: 2 of 2 requests/).waitFor();
  await editor.screenshot('broker-what-if');
  await lens(/what-if/).click();
  await lines()
    .getByText(/small\/no-two/)
    .first()
    .waitFor();
  await editor.screenshot('broker-what-if-report');
  const page = editor.page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');
  await follow(/default\/one/, page.locator('h1', { hasText: 'instance/one fits nowhere' }));
  await page.locator('h2', { hasText: /Why not onprem .*host h1/ }).waitFor();
  await page.getByText(/small\/no-two rejects the old place, and there is no other/).waitFor();
  await editor.screenshot('broker-what-if-explanation');
  await page.locator('p a', { hasText: 'small/no-two' }).first().click();
  await cursorAt('Ln 6').waitFor();
  await page.locator('a', { hasText: 'as it was decided' }).click();
  await page.locator('h1', { hasText: 'instance/one lands on onprem' }).waitFor();
  await page.getByText(/As local \(http.*decided it for project default/).waitFor();
  await editor.screenshot('broker-what-if-decision');
  // The click was beside the file.
  await editor.command('View: Focus First Editor Group');
  await editor.openFile('small.yaml');
  await editor.page.keyboard.press('Control+S');
  await closeBeside();
}, 240_000);

test('a rule that no file of the workspace has opens as the broker keeps it, at its line', async () => {
  const source = `# Of the board.\n${policy.replace('name: small', 'name: large').replace('vcpus > 1', 'vcpus > 0')}`;
  await broker.api.call('PUT', '/v1/policies/large', { body: { source } });
  await editor.openFile('shop.yaml');
  await editor.command('Landfall: Plan');
  await follow(/large\/no-two/, cursorAt('Ln 7'));
  await editor.page.locator('.tab.active[data-resource-name="large.yaml"]').waitFor({ state: 'attached' });
  await editor.screenshot('broker-stored-rule');
  await closeBeside();
  await broker.api.call('DELETE', '/v1/policies/large', { headers: { 'if-match': '*' } });
}, 120_000);

test('each lens is turned off by its setting, and comes back', async () => {
  const settings = join(editor.folder, '.vscode/settings.json');
  mkdirSync(dirname(settings));
  for (const [name, file, text] of [
    ['actions', 'shop.yaml', 'apply'],
    ['resource', 'shop.yaml', /at local: \$0/],
    ['rule', 'small.yaml', 'rejects'],
    ['policy', 'small.yaml', 'run 1 test'],
    ['whatIf', 'small.yaml', 'what-if'],
  ] as const) {
    await editor.openFile(file);
    await lens(text).waitFor();
    writeFileSync(settings, JSON.stringify({ [`landfall.lenses.${name}`]: false }));
    await lens(text).waitFor({ state: 'detached' });
    // The others stay.
    await editor.page.locator('.codelens-decoration a').first().waitFor();
    writeFileSync(settings, '{}');
    await lens(text).waitFor();
  }
}, 120_000);

test('the plan of a file says what would be made, where, and what it costs', async () => {
  await editor.openFile('shop.yaml');
  await editor.command('Landfall: Plan');
  await lines()
    .getByText(/Nothing\swas\schanged/)
    .first()
    .waitFor();
  await lines()
    .getByText(/Creates\sinstance\/shop/)
    .first()
    .waitFor();
  await editor.screenshot('broker-plan');
  await follow(/instance\/shop/, cursorAt('Ln 8'));
  await closeBeside();
  expect((await broker.api.call('GET', '/v1/projects/default/sshKeys')).body.items).toEqual([]);
}, 60_000);

test('an instance is explained by the broker, which is said', async () => {
  await editor.openFile('shop.yaml');
  await lens(/at local: \$0\.\d+\/h · on-prem local default, host h1/).click();
  const page = editor.page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');
  await page.locator('h1', { hasText: 'instance/shop lands on onprem' }).waitFor();
  await page.getByText(/Asked of local \(http.*policies in force there for project default/).waitFor();
  await editor.screenshot('broker-explain');
  await editor.openFile('shop.yaml');
  await closeBeside();
}, 60_000);

test('a host that goes and comes back is followed by what stands above an instance', async () => {
  const at = '/v1/sites/local/hosts/h1';
  clearInterval(heart);
  const { headers } = await broker.api.call('GET', at);
  const asRead = { 'if-match': headers.get('etag')! };
  const { status } = await broker.api.call('DELETE', at, { headers: asRead });
  expect(status).toBe(204);
  await lens(/no place at local/).waitFor();
  await editor.screenshot('broker-host-gone');
  await live();
  heart = setInterval(live, 10_000);
  await lens(/at local: \$0\.\d+\/h · on-prem local default, host h1/).waitFor();
}, 60_000);

test('what the broker refuses is underlined where it stands', async () => {
  await editor.openFile('shop.yaml');
  await editor.goTo(10, 14);
  await editor.page.keyboard.type('y');
  await lens('plan').click();
  const row = (await editor.problems()).filter({ hasText: 'tinyy' }).first();
  await row.waitFor();
  await editor.screenshot('broker-refused');
  await closeBeside();
  expect(await row.textContent()).toMatch(/spec\.image.*\[Ln 10, Col 10\]/);
  await editor.openFile('shop.yaml');
  await editor.goTo(10, 15);
  await editor.page.keyboard.press('Backspace');
  // Mended, it is underlined no more.
  await row.waitFor({ state: 'detached' });
}, 60_000);

test('a file is applied after a question with what is made and its cost', async () => {
  await editor.openFile('shop.yaml');
  await editor.command('Landfall: Apply…');
  await dialog().waitFor();
  await editor.screenshot('broker-apply');
  const asked = await dialog().textContent();
  expect(asked).toMatch(/Apply shop\.yaml at local, project default\?/);
  expect(asked).toMatch(
    /Creates sshkey\/ann.*Creates instance\/shop on on-prem local default, host h1.*\$0\.\d+ an hour, \$\d+\.\d\d a month/s,
  );
  expect(asked).toMatch(/In all \$0\.\d+ an hour, \$\d+\.\d\d a month more\./);
  await dialog().getByRole('button', { name: 'Apply' }).click();
  // While nobody has made it, it is seen to go on.
  const going = editor.page.locator('.notification-toast', {
    hasText: /applying shop\.yaml.*instance\/shop: pending/,
  });
  await going.waitFor();
  await editor.screenshot('broker-applying');
  const { items } = (await broker.api.call('GET', '/v1/operations?filter=verb=create')).body;
  const { id, resource } = items.find(
    (each: { resource: { name: string } }) => each.resource.name === 'shop',
  );
  await broker.finish({ operation: id, id: resource.id, name: 'shop', project: 'default' });
  const end = editor.page.locator('.notification-toast', { hasText: 'instance/shop created' });
  await end.waitFor();
  await going.waitFor({ state: 'detached' });
  await editor.screenshot('broker-applied');
  await end.getByText('Explain', { exact: true }).waitFor();
  await end.getByText('Show Operation', { exact: true }).click();
  await lines()
    .getByText(/asked\sfor\sit/)
    .first()
    .waitFor();
  await closeBeside();
  const made = await broker.api.call('GET', '/v1/projects/default/instances/shop');
  expect(made.body.spec).toMatchObject({ vcpus: 1, placement: { sites: ['local'] } });
}, 60_000);

test('a file that says something else than what runs is compared with it', async () => {
  await editor.openFile('shop.yaml');
  await editor.goTo(12, 15);
  await editor.page.keyboard.press('Backspace');
  await editor.page.keyboard.type('2');
  await lens('compare with live').click();
  const sides = editor.page.locator(
    '.monaco-diff-editor .editor.original, .monaco-diff-editor .editor.modified',
  );
  await sides
    .first()
    .getByText(/memoryGiB:\s1/)
    .waitFor();
  await sides
    .last()
    .getByText(/memoryGiB:\s2/)
    .waitFor();
  expect(await editor.page.locator('.monaco-diff-editor .original .line-delete').count()).toBe(1);
  await editor.screenshot('broker-compare');
  await editor.command('View: Revert and Close Editor');
  await editor.page.locator('.monaco-diff-editor').waitFor({ state: 'hidden' });
}, 60_000);

test('what a file names is deleted after a question with what goes', async () => {
  await editor.openFile('shop.yaml');
  await lens('delete').click();
  await dialog().waitFor();
  await editor.screenshot('broker-delete');
  expect(await dialog().textContent()).toMatch(
    /Delete instance\/shop of shop\.yaml at local.*Deletes instance\/shop, its disk/s,
  );
  await dialog().getByRole('button', { name: 'Delete' }).click();
  for (;;) {
    const { body } = await broker.api.call('GET', '/v1/projects/default/instances/shop');
    if (body.deletedAt) break;
    await editor.page.waitForTimeout(50);
  }
}, 60_000);

test('a policy is put in force after a question', async () => {
  await editor.openFile('small.yaml');
  await editor.command('Landfall: Apply…');
  await dialog().waitFor();
  expect(await dialog().textContent()).toMatch(/Apply small\.yaml at local.*Creates policy\/small/s);
  await dialog().getByRole('button', { name: 'Apply' }).click();
  await editor.page.locator('.notification-toast', { hasText: 'policy/small created' }).waitFor();
  expect((await broker.api.call('GET', '/v1/policies/small')).body.rules).toEqual(['no-two']);
}, 60_000);

test('without the broker nothing can be done there, and an instance is explained by the files, which is said', async () => {
  clearInterval(heart);
  await broker.api.broker.stop();
  await lens('apply').waitFor({ state: 'detached' });
  await editor.openFile('shop.yaml');
  await editor.goTo(10, 1);
  await editor.command('Landfall: Explain Placement');
  const page = editor.page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');
  await page
    .getByText(/No broker at http.*By the policies of the workspace, over the shipped prices/)
    .waitFor();
  await editor.screenshot('broker-away');
}, 60_000);
