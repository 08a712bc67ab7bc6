/** The estate in a real VS Code, with a real broker whose workers the test is. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { Locator } from 'playwright-core';
import { Gate } from '../gate.ts';
import { type Requested, WorkedBroker } from '../worked-broker.ts';
import { Editor } from './editor.ts';

let broker: WorkedBroker;
/** Through it the extension reaches the broker. */
let gate: Gate;
let editor: Editor;
let web: Requested;
/** The hosts that the window asked for anything. */
const asked = new Set<string>();

beforeAll(async () => {
  broker = await WorkedBroker.start();
  gate = await Gate.before(broker.api.url);
  web = await broker.request('web');
  await broker.api.call('PUT', '/v1/sites/local/hosts/h1', {
    token: broker.api.agentToken,
    body: { capacity: { vcpus: 8, memoryGiB: 32, diskGiB: 500 }, accel: 'kvm', architecture: 'x86_64' },
  });
  // As `npm run up` leaves its data folder.
  const data = mkdtempSync(join(tmpdir(), 'landfall-vscode-data-'));
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'admin.token'), `${broker.api.adminToken}\n`);
  writeFileSync(join(data, 'supervisor.json'), JSON.stringify({ url: gate.url }));
  editor = await Editor.open({
    files: { 'notes.yaml': 'a: 1\n' },
    env: { LANDFALL_DATA_DIR: data },
  });
  // Every row that a test is about is in sight.
  await editor.page.setViewportSize({ width: 1440, height: 1500 });
  await editor.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  editor.page.context().on('request', (request) => asked.add(new URL(request.url()).host));
}, 300_000);

afterAll(async () => {
  await editor?.close();
  gate?.close();
  await broker?.stop();
}, 60_000);

const price = { pricePerHour: 0.5, pricePerMonth: 365, currency: 'USD' };
const onH1 = { provider: 'onprem', site: 'local', region: 'local', host: 'h1', instanceType: 'kvm' } as const;

/** A row of a view's tree, by a text in it. */
const row = (view: string, text: string | RegExp): Locator =>
  editor.page
    .locator('.pane', { has: editor.page.locator(`.pane-header[aria-label^="${view} Section"]`) })
    .locator('.monaco-list-row', { hasText: text })
    .first();
const dialog = (): Locator => editor.page.locator('.monaco-dialog-box');

/** Chooses from a row's context menu. */
async function choose(of: Locator, title: string): Promise<void> {
  await of.click({ button: 'right' });
  const item = editor.page.locator('.monaco-menu .action-menu-item', { hasText: title }).first();
  await item.waitFor({ state: 'visible' });
  // A menu does not hear a button that comes up within a tenth of a second of its opening.
  await item.click({ delay: 150 });
  await item.waitFor({ state: 'hidden' });
}

/** Answers the box that asks. */
async function answer(text: string): Promise<void> {
  const input = editor.page.locator('.quick-input-widget input.input');
  await input.waitFor({ state: 'visible' });
  await input.fill(text);
  await editor.page.keyboard.press('Enter');
  await input.waitFor({ state: 'hidden' });
}

/** Says yes to the question; answers what it asked. */
async function confirm(button: string): Promise<string> {
  await dialog().waitFor();
  const asked = (await dialog().textContent()) ?? '';
  await dialog().getByRole('button', { name: button }).click();
  await dialog().waitFor({ state: 'detached' });
  return asked;
}

test('the local broker is found, and its sites, hosts and instances are shown', async () => {
  await editor.page.locator('.activitybar [aria-label="Landfall"]').first().click();
  await row('Sites', 'h1').waitFor();
  await row('Projects', /web\s*Pending/).waitFor();
  await editor.screenshot('estate');
  // They are closed at first: there are seldom any.
  for (const view of ['Approvals', 'Violations'])
    await editor.page.locator(`.pane-header[aria-label^="${view} Section"]`).click();
}, 120_000);

test('what happens elsewhere is shown by itself', async () => {
  const reported = performance.now();
  await broker.report(web, { state: 'Running', externalReference: 'web-1', ...onH1, ...price });
  await row('Projects', /web\s*Running · onprem · h1/).waitFor();
  process.stderr.write(`a change elsewhere was shown after ${Math.round(performance.now() - reported)} ms\n`);
  await editor.screenshot('estate-live');
}, 120_000);

test('an operation opens its timeline, which goes on while it is looked at', async () => {
  await row('Operations', /create web/).click();
  const lines = editor.page.locator('.editor-instance .view-lines');
  await lines
    .getByText(/asked\sfor\sit/)
    .first()
    .waitFor();
  await sql`
    insert into intents (resource, attempt, site, region, zone, host, offer, sized_for, state)
    values (${web.id}, 1, 'local', 'local', 'default', 'h1', '{}', '{}', 'removed')`.execute(
    broker.api.store.db,
  );
  // The host's agent took a step twice.
  for (const [tried, how] of [{ code: 'timedOut' }, {}].entries()) {
    const calls = [{ call: 'virsh define', afterMs: 20, ms: 40, count: 1, lastAfterMs: 20, ...how }];
    const step = { resource: web.id, attempt: 1, step: 'ensure', try: tried + 1, ms: 90, callsLeftOut: 0 };
    const token = broker.api.agentToken;
    const { status } = await broker.api.call('POST', '/v1/sites/local/steps', {
      body: { ...step, calls },
      token,
    });
    expect(status).toBe(204);
  }
  await broker.report(web, { state: 'Running', message: 'web runs on' });
  for (const shown of [
    /web\sruns\son/,
    /ensure,\stry\s2,\s0\.09s\s+local,\sattempt\s1/,
    /virsh\sdefine\stimedOut,\s0\.04s/,
    /virsh\sdefine,\s0\.04s,\sretry\s1/,
  ])
    await lines.getByText(shown).first().waitFor();
  await editor.screenshot('estate-timeline');
}, 60_000);

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
    found('i-5', { name: 'cart' }),
    found('i-6', { name: 'queue' }),
  ];
  broker.api.signals.discover = async ({ query: { ref } }) => ({
    items: items.filter((each) => ref === undefined || each.ref === ref),
    complete: true,
  });
  await broker.api.call('POST', '/v1/sites', { body: { name: 'cloud', spec } });
  await row('Sites', /^cloud/).click();
  await row('Sites', /Unmanaged.*at cloud/).click();
  await editor.screenshot('estate-site');
  await row('Sites', /node.*managed by Kubernetes/).waitFor();
  await row('Sites', 'Shop DB').hover();
  await editor.screenshot('estate-unmanaged');
  await row('Sites', 'Shop DB').getByLabel('Adopt', { exact: false }).click();
  const input = editor.page.locator('.quick-input-widget input.input');
  await input.waitFor({ state: 'visible' });
  expect(await input.inputValue()).toBe('shop-db');
  await editor.page.keyboard.press('Enter');
  await dialog().waitFor();
  await editor.screenshot('estate-adopt');
  expect(await dialog().textContent()).toMatch(/as shop-db\?.*i-1 at cloud, \$\d+\.\d\d a month/s);
  await dialog().getByRole('button', { name: 'Adopt' }).click();
  await row('Operations', /adopt shop-db/).waitFor();
  await row('Sites', 'Shop DB').waitFor({ state: 'detached' });
  // All that is selected, at once.
  await row('Sites', 'mail').click();
  await row('Sites', 'wiki').click({ modifiers: ['Control'] });
  await row('Sites', 'wiki').getByLabel('Adopt', { exact: false }).click();
  await dialog().waitFor();
  expect(await dialog().textContent()).toMatch(/Adopt 2 resources.*mail: .*wiki: /s);
  await dialog().getByRole('button', { name: 'Adopt' }).click();
  await row('Operations', /adopt wiki/).waitFor();
  await row('Operations', /adopt mail/).waitFor();
  await choose(row('Sites', /Unmanaged.*at cloud/), 'Adopt All…');
  expect(await confirm('Adopt')).toMatch(
    /Adopt 2 resources.*cart: .*queue: .*1 that cannot be adopted is left out/s,
  );
  await row('Operations', /adopt cart/).waitFor();
  await row('Operations', /adopt queue/).waitFor();
  await row('Sites', 'queue').waitFor({ state: 'detached' });
  expect(await row('Sites', /node.*managed by Kubernetes/).count()).toBe(1);
}, 120_000);

test('a machine’s page in the cloud’s web console is opened by the editor', async () => {
  const { items } = (await broker.api.call('GET', '/v1/projects/default/instances')).body;
  const { id, name } = items.find((each: { name: string }) => each.name === 'shop-db');
  const place = { site: 'cloud', provider: 'aws', region: 'us-east-1', externalReference: 'i-1' } as const;
  await broker.report({ id, name, project: 'default', operation: '' }, { state: 'Running', ...place });
  await row('Projects', /shop-db\s*Running/).waitFor();
  await choose(row('Projects', /shop-db\s*Running/), 'Open in Web Console');
  // The editor asks before it opens an address outside.
  await dialog().waitFor();
  await editor.screenshot('estate-web-console');
  // What it shows of it is shortened.
  expect(await dialog().textContent()).toMatch(
    /open the external website\?https:\/\/us-east-1\.console\.aws/,
  );
  await dialog().getByRole('button', { name: 'Copy' }).click();
  await eventually(
    async () =>
      (await editor.page.evaluate('navigator.clipboard.readText()')) ===
      'https://us-east-1.console.aws.amazon.com/ec2/home?region=us-east-1#InstanceDetails:instanceId=i-1',
  );
  await dialog().waitFor({ state: 'detached' });
}, 60_000);

test('a volume is attached, grown, detached and deleted from its menu', async () => {
  const { body } = await broker.api.call('POST', '/v1/projects/default/volumes', {
    body: { name: 'data', spec: { site: 'local', sizeGiB: 20 } },
  });
  const volume = async () =>
    (await broker.api.call('GET', `/v1/projects/default/volumes/${body.resource.id}`)).body;
  await row('Projects', 'Volumes').click();
  await row('Projects', /^data/).waitFor();
  await row('Projects', /^data/).click({ button: 'right' });
  await editor.screenshot('estate-volume-menu');
  await editor.page.keyboard.press('Escape');
  await choose(row('Projects', /^data/), 'Attach…');
  await editor.page.locator('.quick-input-list .monaco-list-row', { hasText: /^web/ }).first().click();
  await row('Projects', /^data.*on web/).waitFor();
  await choose(row('Projects', /^data/), 'Grow…');
  await answer('40');
  expect(await confirm('Grow')).toMatch(
    /Grow the volume data from 20 GiB to 40 GiB\?It cannot be made smaller/,
  );
  await eventually(async () => (await volume()).spec.sizeGiB === 40);
  await choose(row('Projects', /^data/), 'Detach…');
  expect(await confirm('Detach')).toMatch(/Detach the volume data from web\?/);
  await row('Projects', /^data.*on web/).waitFor({ state: 'detached' });
  await choose(row('Projects', /^data/), 'Delete…');
  await dialog().waitFor();
  await editor.screenshot('estate-volume-delete');
  expect(await confirm('Delete')).toMatch(/Delete the volume data of default\?What is on it is lost/);
  await eventually(
    async () => (await volume()).deletedAt !== undefined || (await volume()).status.state === 'Deleting',
  );
  await row('Projects', 'Volumes').click();
}, 120_000);

test('a machine is let go of after a question with what stays', async () => {
  await row('Projects', /web\s*Running/).click({ button: 'right' });
  await editor.screenshot('estate-menu');
  await editor.page.keyboard.press('Escape');
  await editor.command('Landfall: Release…');
  await editor.page.locator('.quick-input-list .monaco-list-row', { hasText: /^web/ }).first().click();
  await dialog().waitFor();
  await editor.screenshot('estate-release');
  expect(await dialog().textContent()).toMatch(
    /Release web of default\?.*stays as it is, for \$365\.00 a month/s,
  );
  await dialog().getByRole('button', { name: 'Cancel' }).click();
}, 60_000);

test('what machines have cost since midnight stands in the status bar, by project and with what they cost now where the mouse is', async () => {
  // It is read once a minute, and was read when the window connected.
  const spent = editor.page.locator('.statusbar-item', { hasText: /\$(?!0\.00 )[0-9.]+ today/ });
  await spent.waitFor({ timeout: 100_000 });
  await spent.hover();
  const told = editor.page.locator('.monaco-hover', { hasText: '1 machine at $0.5000 an hour now' });
  await told.waitFor();
  expect(await told.textContent()).toMatch(/spent\son\smachines\ssince\smidnight.*default:\s\$[0-9.]+/s);
  await editor.screenshot('estate-spent');
}, 180_000);

test('a machine is stopped after a question that says what it costs', async () => {
  await row('Projects', /web/).hover();
  await row('Projects', /web/).getByLabel('Stop', { exact: false }).click();
  await dialog().waitFor();
  await editor.screenshot('estate-stop');
  expect(await dialog().textContent()).toMatch(/Stop web\?.*\$0\.5000 an hour, \$365\.00 a month/);
  await dialog().getByRole('button', { name: 'Stop' }).click();
  await row('Operations', /stop web/).waitFor();
}, 60_000);

test('an approval is rejected beside its name, and another approved, with the reasons', async () => {
  const { body } = await broker.api.call('GET', '/v1/whoami');
  for (const [name, verb, state] of [
    ['costly', 'Reject', 'Rejected'],
    ['needed', 'Approve', 'Approved'],
  ] as const) {
    const id = await broker.approval(await broker.request(name), [body.name]);
    const waiting = row('Approvals', new RegExp(`${name}.*spend/big`));
    await waiting.hover();
    await editor.screenshot(`estate-approval-${name}`);
    await waiting.getByLabel(verb, { exact: false }).click();
    await answer(`${verb}: for the shop`);
    await waiting.waitFor({ state: 'detached' });
    expect((await broker.api.call('GET', `/v1/approvals/${id}`)).body).toMatchObject({
      state,
      reason: `${verb}: for the shop`,
    });
  }
}, 60_000);

test('a violation is acknowledged beside its name, with what is done about it', async () => {
  await broker.violations(web);
  const found = row('Violations', /web.*eu\/residency.*must stay in the EU/);
  await found.hover();
  await editor.screenshot('estate-violation');
  await found.getByLabel('Acknowledge', { exact: false }).click();
  await answer('moves on Monday');
  await row('Violations', /web.*Acknowledged/).waitFor();
  const [violation] = (await broker.api.call('GET', '/v1/violations')).body.items;
  expect(violation).toMatchObject({ state: 'Acknowledged', acknowledged: { reason: 'moves on Monday' } });
}, 60_000);

test('a create that has not come far is cancelled after a question', async () => {
  const doomed = await broker.request('doomed');
  const making = row('Operations', /create doomed/);
  await making.hover();
  await making.getByLabel('Cancel Operation', { exact: false }).click();
  expect(await confirm('Cancel Operation')).toMatch(
    /Cancel create doomed\?What it has made so far is removed/,
  );
  await eventually(async () => {
    const { rows } = await sql<{ asked: boolean }>`
      select cancel_requested_at is not null as asked from operations where id = ${doomed.operation}`.execute(
      broker.api.store.db,
    );
    return rows[0]!.asked;
  });
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
}, 120_000);

test('a project of 10,000 instances opens', async () => {
  await broker.api.call('POST', '/v1/projects', { body: { name: 'vast' } });
  await broker.fill('vast', 10_000);
  await editor.command('Landfall: Refresh');
  await row('Projects', 'default').click(); // closes it
  // What is told of it where the mouse is would lie over the next row.
  await editor.page.mouse.move(1_200, 700);
  await row('Projects', 'vast').waitFor();
  await row('Projects', 'vast').click();
  const group = row('Projects', 'Instances');
  await group.waitFor();
  // Once, so that the data is there.
  await group.click();
  await row('Projects', 'vm-00001').waitFor();
  await group.click();
  await row('Projects', 'vm-00001').waitFor({ state: 'detached' });
  const started = performance.now();
  await group.click();
  await row('Projects', 'vm-00001').waitFor();
  const took = performance.now() - started;
  process.stderr.write(`10,000 instances opened in ${Math.round(took)} ms\n`);
  await editor.screenshot('estate-10000');
  // Not all at once: the next ones are asked for at the end of what is shown.
  const end = (shown: string): Promise<void> =>
    eventually(async () => {
      await editor.page.keyboard.press('End');
      return row('Projects', new RegExp(`Load more.*${shown} shown`)).isVisible();
    });
  await end('500');
  await row('Projects', /Load more/).click();
  await end('1,000');
  await editor.screenshot('estate-more');
  // All of them take a while on a slow line, and a button ends it: what was read stays.
  gate.delayMs = 2_000;
  const more = row('Projects', /Load more/);
  await more.hover();
  await more.getByLabel('Load All', { exact: false }).click();
  const loading = editor.page.locator('.notification-toast', { hasText: 'Landfall: loading' });
  await loading.hover();
  await editor.screenshot('estate-load-all');
  await loading.locator('.monaco-button', { hasText: 'Cancel' }).click();
  await loading.waitFor({ state: 'detached' });
  gate.delayMs = 0;
  // The keys are not the tree's any more.
  await editor.command('Focus on Projects View');
  await end('[0-9],[05]00');
  await editor.page.keyboard.press('Home');
  // What is told of a row where the mouse is would lie over the next one.
  await editor.page.mouse.move(1_200, 700);
  await row('Projects', 'vast').click();
  await row('Projects', 'default').click();
}, 120_000);

test('the window asked nothing of the broker: over a remote connection it may not reach it', () => {
  expect(asked.size).toBeGreaterThan(0);
  for (const { url } of [broker.api, gate]) expect([...asked]).not.toContain(new URL(url).host);
});

test('a broker that is down is said so in every view and the status bar, what was known stays, and its return is seen by itself', async () => {
  gate.close();
  const message = editor.page.locator('.tree-explorer-viewlet-tree-view .message', {
    hasText: 'No broker at',
  });
  await message.first().waitFor();
  expect(await message.first().textContent()).toMatch(/This is from .*; trying again/);
  await editor.page.locator('.statusbar-item.warning-kind', { hasText: 'local' }).waitFor();
  // Of several machines, whichever is in sight.
  await row('Projects', /(costly|mail|shop-db|web)\s*(Pending|Adopting|Running)/).waitFor();
  await editor.screenshot('estate-down');
  // What happens meanwhile is shown when it is back, which needs nobody.
  await broker.report(web, { state: 'Stopped', provider: 'onprem', host: 'h9' });
  await gate.open();
  await message.first().waitFor({ state: 'detached' });
  await editor.page
    .locator('.statusbar-item.warning-kind', { hasText: 'local' })
    .waitFor({ state: 'detached' });
  await row('Projects', /web\s*Stopped · onprem · h9/).waitFor();
  await editor.screenshot('estate-back');
}, 60_000);

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not so: ${holds}`);
    await editor.page.waitForTimeout(100);
  }
}
