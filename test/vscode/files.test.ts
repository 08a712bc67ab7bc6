/** The extension's part for files, in a real VS Code in a real browser. */
import { parsePolicy } from '@landfall/policies';
import type { Locator } from 'playwright-core';
import { ruleCounts } from '../../vscode-extension/language/rule-counts.ts';
import { Editor } from './editor.ts';

const policy = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: eu-only}
spec:
  rules:
    - name: in-eu
      require: offer.jurisdiction == "EU"
`;

const web = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec:
  image: debian-12
  vcpus: 2
  memoryGiB: 4
`;

const tested = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: no-gcp}
spec:
  rules:
    - name: not-gcp
      deny: offer.provider == "gcp"
tests:
  - name: lands elsewhere
    request: {vcpus: 2, memoryGiB: 4.0}
    expect: {placed: {provider: [aws, azure]}}
  - name: lands on gcp
    request: {vcpus: 2, memoryGiB: 4.0}
    expect: {placed: {provider: gcp}}
`;

const blank = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: cheap}
spec:
  rules:
    - name: cheap
      require: `;

const network = `apiVersion: landfall.dev/v1
kind: Network
metadata: {name: apps}
spec: {cidr: 10.20.0.0/16}
`;

const inside = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: inside}
spec:
  image: debian-12
  vcpus: 2
  memoryGiB: 4
  network: apps
`;

let editor: Editor;

beforeAll(async () => {
  editor = await Editor.open({
    files: {
      'policies/eu.yaml': policy,
      'policies/no-gcp.yaml': tested,
      'policies/cheap.yaml': blank,
      'web.yaml': web,
      'network.yaml': network,
      'inside.yaml': inside,
    },
  });
}, 300_000);

afterAll(async () => {
  await editor?.close();
}, 60_000);

test('a wrong attribute is underlined as it is typed, and stands in the Problems panel with what is meant', async () => {
  await editor.openFile('policies/eu.yaml');
  await editor.goTo(7, 22);
  await editor.page.keyboard.type('t');
  await editor.page.locator('.cdr.squiggly-error').first().waitFor({ state: 'attached' });
  const problems = await editor.problems();
  const row = problems.filter({ hasText: 'jurisdiction' }).first();
  await row.waitFor({ state: 'attached' });
  await editor.screenshot('problems');
  expect(await row.textContent()).toMatch(/Did you mean offer\.jurisdiction\?/);
}, 120_000);

test('a quick fix puts right what was meant', async () => {
  await editor.goTo(7, 23);
  await editor.page.keyboard.press('Control+.');
  await editor.page
    .locator('.action-widget .monaco-list-row', { hasText: 'Change to jurisdiction' })
    .waitFor();
  await editor.screenshot('quick-fix');
  await editor.page.keyboard.press('Enter');
  await line(/^\s*require:\soffer\.jurisdiction\s==\s"EU"$/).waitFor();
  await editor.page.locator('.cdr.squiggly-error').first().waitFor({ state: 'detached' });
}, 60_000);

test('what an attribute is stands above it: its type, what it means, and an example', async () => {
  await editor.goTo(7, 24);
  await editor.page.keyboard.press('Control+K');
  await editor.page.keyboard.press('Control+I');
  const hover = editor.page.locator('.monaco-hover:not(.hidden) .hover-contents', {
    hasText: 'offer.jurisdiction',
  });
  await hover.first().waitFor();
  await editor.screenshot('hover');
  expect(await hover.first().textContent()).toMatch(
    /offer\.jurisdiction: string.*a country code.*offer\.jurisdiction +\/\/ "EU"/s,
  );
  await editor.page.keyboard.press('Escape');
}, 60_000);

test('an expression has colours of its own', async () => {
  // The editor has one class for each colour.
  const colour = (word: string): Promise<string | null> =>
    line(/require:/)
      .locator('span span', { hasText: new RegExp(`^${word}$`) })
      .first()
      .getAttribute('class');
  // In YAML alone the whole of it is one text of one colour.
  expect(new Set([await colour('offer'), await colour('jurisdiction'), await colour('"EU"')]).size).toBe(3);
}, 60_000);

test('above a rule stands how many offers it rejects', async () => {
  const lens = editor.page.locator('.codelens-decoration', { hasText: 'rejects' }).first();
  await lens.waitFor();
  const { rejected, of, alone } = ruleCounts(parsePolicy(policy, 'eu.yaml').policies[0]!).get('in-eu')!;
  const number = (count: number): string => count.toLocaleString('en-US');
  expect((await lens.textContent())!.replaceAll('\u00a0', ' ')).toContain(
    `rejects ${number(rejected)} of ${number(of)} offers | alone ${number(alone)}`,
  );
  await editor.screenshot('rule-lens');
  await lens.locator('a', { hasText: 'rejects' }).click();
  const page = editor.page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');
  await page.locator('h1', { hasText: `eu-only/in-eu rejects ${number(rejected)} of` }).waitFor();
  expect(await page.locator('h2').first().textContent()).toBe('By provider');
  await editor.screenshot('rule-rejects');
  await lens.locator('a', { hasText: 'alone' }).click();
  // What it costs comes first then: the machine of web.yaml, and the offers.
  await page.locator('h2').first().filter({ hasText: 'Without it, machines of this workspace' }).waitFor();
  await page.locator('h2', { hasText: 'What it alone rejects' }).waitFor();
  await editor.screenshot('rule-alone');
  await page.locator('h1 a').click();
  await editor.page.locator('.tab.active[data-resource-name="eu.yaml"]').waitFor({ state: 'attached' });
  await editor.command('View: Close Editors in Other Groups');
}, 60_000);

test('attributes are offered as an expression is typed, and one that is picked is put in', async () => {
  await editor.openFile('policies/cheap.yaml');
  await editor.page.keyboard.press('Control+End');
  await editor.page.keyboard.type('offer.');
  const offered = editor.page.locator('.suggest-widget.visible .monaco-list-row');
  await offered.filter({ hasText: 'architecture' }).waitFor();
  await editor.page.keyboard.type('pricePerH');
  await offered.first().filter({ hasText: 'pricePerHour' }).waitFor();
  await editor.screenshot('completion');
  await editor.page.keyboard.press('Tab');
  await line(/require:\soffer\.pricePerHour$/).waitFor();
  // For the tests after this one, a whole rule.
  await editor.page.keyboard.type(' < 0.5\n');
}, 60_000);

test('a network that an instance names is gone to in its file, and renamed in both', async () => {
  await editor.openFile('inside.yaml');
  await editor.goTo(8, 13);
  await editor.page.keyboard.press('F12');
  await editor.page.locator('.tab.active[data-resource-name="network.yaml"]').waitFor({ state: 'attached' });
  await editor.goTo(3, 19);
  await editor.page.keyboard.press('F2');
  const input = editor.page.locator('.rename-box input');
  await input.waitFor({ state: 'visible' });
  await input.fill('services');
  await editor.page.keyboard.press('Enter');
  await line(/metadata:\s\{name:\sservices\}/).waitFor();
  await editor.openFile('inside.yaml');
  await line(/network:\sservices$/).waitFor();
}, 60_000);

test('an instance is explained beside its file: where it lands, what it costs, and the rules with their lines', async () => {
  await editor.openFile('web.yaml');
  await editor.command('Landfall: Explain Placement');
  const page = editor.page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');
  await page.locator('h1', { hasText: 'instance/web lands on' }).waitFor();
  expect(await page.locator('.price').textContent()).toMatch(/^\$0\.\d+\/h \$\d+\.\d\d\/month$/);
  expect(await page.locator('.chart tr').count()).toBeGreaterThan(5);
  await editor.screenshot('explain-placement');
  await page.locator('a', { hasText: 'no-gcp/not-gcp' }).first().click();
  await editor.page.locator('.tab.active[data-resource-name="no-gcp.yaml"]').waitFor({ state: 'attached' });
}, 120_000);

test('policy tests stand in the Test Explorer, and a failing one says what was expected', async () => {
  await editor.command('Testing: Focus on Test Explorer View');
  const tree = editor.page.locator('.test-explorer .monaco-list-row');
  await tree.filter({ hasText: 'no-gcp.yaml' }).first().waitFor();
  await editor.command('Test: Run All Tests');
  await editor.page.locator('.test-explorer', { hasText: '1/2' }).first().waitFor();
  await editor.screenshot('test-explorer');
  // What was expected beside what came. (What stands at the line itself is drawn by a style and has no text: see the picture.)
  await editor.openFile('policies/no-gcp.yaml');
  await editor.page.locator('.test-output-peek-tree .monaco-list-row', { hasText: 'lands on gcp' }).click();
  await editor.page.locator('.part.panel .monaco-diff-editor').waitFor();
  await editor.screenshot('test-failure');
}, 120_000);

test('tests run again when their file is saved, while the continuous run is on', async () => {
  await editor.command('Test: Start Continuous Run');
  await editor.openFile('policies/no-gcp.yaml');
  await editor.goTo(14, 1);
  await line(/expect:\s\{placed:\s\{provider:\sgcp/).waitFor();
  await editor.page.keyboard.press('End');
  await editor.page.keyboard.press('Shift+Home');
  await editor.page.keyboard.type('expect: {placed: {provider: [aws, azure]}}');
  await editor.page.keyboard.press('Control+S');
  await editor.page.locator('.test-explorer', { hasText: '2/2' }).first().waitFor();
}, 60_000);

/** A line of the text editor; the editor writes blanks as no-break spaces. */
function line(text: RegExp): Locator {
  return editor.page.locator('.editor-instance .view-line', { hasText: text }).first();
}
