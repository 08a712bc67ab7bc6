/**
 * What Remote-SSH does, on two machines: the files, the extension and the broker are on one of their own (see remote-machine.ts), the window
 * is here, and SSH is all that is between them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { type Requested, WorkedBroker } from '../worked-broker.ts';
import { Editor } from './editor.ts';
import { freePort } from './editor-machine.ts';
import { EditorOverSsh } from './editor-over-ssh.ts';

const policy = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: eu}
spec:
  rules:
    - {name: cheap, require: 'offer.prise < 3.0'}
`;

const instance = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec: {image: tiny, vcpus: 1, memoryGiB: 1}
`;

let host: EditorOverSsh;
let broker: WorkedBroker;
let editor: Editor;
/** Of the broker, at the remote machine's loopback. */
let port: number;
let door: Door;
let made: Requested;
let heart: NodeJS.Timeout;
/** Hosts that the window asked for anything. */
const asked = new Set<string>();

/** A port of the remote machine's loopback, and who answers there. */
class Door {
  readonly #listener: Server;
  readonly #open = new Set<Socket>();

  constructor(
    listener: Server,
    { server }: { server: { emit(event: 'connection', socket: Socket): unknown } },
  ) {
    this.#listener = listener;
    listener.on('connection', (socket: Socket) => {
      this.#open.add(socket.once('close', () => this.#open.delete(socket)));
      server.emit('connection', socket);
    });
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#open) socket.destroy();
  }
}

beforeAll(async () => {
  host = await EditorOverSsh.make('export TZ=Asia/Tokyo\n');
  // One that is free here too: at the same address of the window's machine nothing answers.
  port = await freePort();
  broker = await WorkedBroker.start();
  door = new Door(await host.remote.listen(port), broker.api.broker.app);
  const capacity = { vcpus: 8, memoryGiB: 32, diskGiB: 500 };
  const body = { capacity, accel: 'kvm', architecture: 'x86_64', images: ['tiny'] };
  const live = () =>
    broker.api.call('PUT', '/v1/sites/local/hosts/h1', { token: broker.api.agentToken, body });
  await live();
  heart = setInterval(live, 10_000);
  editor = await Editor.open({
    machine: host,
    files: { 'eu.yaml': policy, 'web.yaml': instance },
    // Without them there is no list of MCP servers either.
    settings: { 'chat.disableAIFeatures': false, 'terminal.integrated.gpuAcceleration': 'off' },
  });
  editor.page.setDefaultTimeout(60_000);
  editor.page.context().on('request', (request) => asked.add(new URL(request.url()).host));
}, 400_000);

afterAll(async () => {
  clearInterval(heart);
  await editor?.close();
  await host?.close();
  door?.close();
  await broker?.stop();
}, 60_000);

/** A row of a view's tree, by a text in it. */
const row = (view: string, text: string | RegExp): Locator =>
  editor.page
    .locator('.pane', { has: editor.page.locator(`.pane-header[aria-label^="${view} Section"]`) })
    .locator('.monaco-list-row', { hasText: text })
    .first();
const pick = (text: string | RegExp): Locator =>
  editor.page.locator('.quick-input-list .monaco-list-row', { hasText: text }).first();
const dialog = (): Locator => editor.page.locator('.monaco-dialog-box');
const toast = (text: string | RegExp): Locator =>
  editor.page.locator('.notification-toast', { hasText: text }).first();
/** Programs of the remote machine, by their arguments. */
const programs = (): Promise<string> => host.remote.run('ps -e -o args=');

test('a mistake in a policy is underlined, by a language server that runs on the remote machine', async () => {
  await editor.openFile('eu.yaml');
  const problems = await editor.problems();
  await problems.filter({ hasText: "'prise' is not a known attribute" }).waitFor();
  await editor.screenshot('over-ssh-problems');
  expect(await programs()).toMatch(/dist\/server\.mjs/);
}, 120_000);

test('an explanation’s links open files of the remote machine', async () => {
  writeFileSync(join(editor.folder, 'eu.yaml'), policy.replace('prise', 'pricePerHour'));
  await (await editor.problems()).first().waitFor({ state: 'detached' });
  await editor.openFile('web.yaml');
  await editor.goTo(3, 1);
  await editor.command('Landfall: Explain Placement');
  const page = editor.page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');
  const link = page.locator('a', { hasText: 'eu/cheap' }).first();
  await link.waitFor();
  await editor.screenshot('over-ssh-explain');
  await link.click();
  await editor.page.locator('.tab.active[data-resource-name="eu.yaml"]').waitFor({ state: 'attached' });
}, 120_000);

test('a context of the command line there is taken over: its broker is at a loopback that the window cannot reach', async () => {
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(join(host.seen, 'token'), broker.api.adminToken);
  expect(await host.remote.run(`cd ${host.folder} && landfall login ${url} <token && rm token`)).toMatch(
    /context "local" is current/,
  );
  await editor.page.locator('.activitybar [aria-label="Landfall"]').first().click();
  await editor.command('Landfall: Switch Context');
  await pick(/local.*127\.0\.0\.1/).click();
  await row('Sites', 'h1').waitFor();
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  const settings = readFileSync(join(host.seen, 'user/User/settings.json'), 'utf8');
  expect(JSON.parse(settings)['landfall.brokers']).toEqual([
    { name: `127.0.0.1:${port}`, url, project: 'default', machine: 'remote' },
  ]);
  expect(settings).not.toContain(broker.api.adminToken);
}, 120_000);

test('a machine that the command line made there stands in the tree, and is stopped from it', async () => {
  await host.remote.run(`landfall apply --no-default-key -f ${join(host.folder, 'work', 'web.yaml')}`);
  await row('Projects', /web\s*Pending/).waitFor();
  const { id, name } = (await broker.api.call('GET', '/v1/projects/default/instances')).body.items[0];
  const [operation] = (await broker.api.call('GET', '/v1/operations')).body.items;
  made = { id, operation: operation.id, name, project: 'default' };
  await broker.report(made, { state: 'Running', provider: 'onprem', host: 'h1' });
  await row('Projects', /web\s*Running/).hover();
  await row('Projects', /web/).getByLabel('Stop', { exact: false }).click();
  await dialog().getByRole('button', { name: 'Stop' }).click();
  await row('Operations', /stop web/).waitFor();
  const { body } = await broker.api.call('GET', `/v1/projects/default/instances/${id}`);
  expect(body.spec.power).toBe('stopped');
  await editor.screenshot('over-ssh-stopped');
}, 120_000);

test('the MCP server runs there, and asks that machine’s broker', async () => {
  for (const action of ['Show Output', 'Start Server']) {
    await editor.command('MCP: List Servers');
    await pick('Landfall (').click();
    await pick(action).click();
    await editor.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }
  await editor.page.locator('.part.panel .view-line', { hasText: /Discovered.4.tools/ }).waitFor();
  expect(await programs()).toMatch(/dist\/mcp\.mjs/);
}, 120_000);

test('the page of the web console opens where the window is', async () => {
  const spec = { provider: 'aws', regions: ['eu-central-1'], credentials: { source: 'default' } };
  await broker.api.call('POST', '/v1/sites', { body: { name: 'cloud', spec } });
  const externalReference = 'i-0ab';
  await broker.report(made, { provider: 'aws', site: 'cloud', region: 'eu-central-1', externalReference });
  const context = editor.page.context();
  await context.route('https://eu-central-1.console.aws.amazon.com/**', (route) =>
    route.fulfill({ body: 'the console' }),
  );
  const opened = context.waitForEvent('page');
  await editor.command('Landfall: Open in Web Console');
  await pick(/^web/).click();
  await dialog().getByRole('button', { name: 'Open', exact: true }).click();
  const page = await opened;
  await page.waitForLoadState();
  expect(page.url()).toBe(
    'https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#InstanceDetails:instanceId=i-0ab',
  );
  await page.close();
}, 60_000);

test('a local Landfall is started, and an SSH terminal opened, in terminals of the remote machine, with its keys and network', async () => {
  const terminal = editor.page.locator('.terminal-wrapper.active .xterm-rows');
  // The folder is a checkout of Landfall there: it has its program.
  await host.remote.run(
    `cd ${join(host.folder, 'work')} && mkdir -p cli/bin && ln -s "$(command -v landfall)" cli/bin/landfall.mjs`,
  );
  await editor.command('Landfall: Start a Local Landfall');
  await terminal
    .getByText(`root@remote:${join(host.folder, 'work')}# npm run up`)
    .first()
    .waitFor();
  const ssh = { host: '127.0.0.1', port: 22, user: 'root' };
  await broker.report(made, { state: 'Running', ssh });
  await row('Projects', /web/).hover();
  await row('Projects', /web/).getByLabel('Open SSH Terminal', { exact: false }).click();
  // The machine's own SSH server is what is reached at its loopback: the shell that it starts is at home.
  await terminal.getByText('root@remote:~#').first().waitFor();
  await editor.page.keyboard.type('echo "from=$SSH_CONNECTION on=$(hostname)"\n');
  await terminal
    .getByText(/from=127\.0\.0\.1 \d+ 127\.0\.0\.1 22 on=remote/)
    .first()
    .waitFor();
  await editor.screenshot('over-ssh-terminal');
}, 120_000);

test('while the link is cut the window keeps what it shows; when it is back, what happened meanwhile is there and actions work', async () => {
  await host.remote.cut();
  try {
    await host.lost();
    await expect(fetch(editor.page.url())).rejects.toThrow();
    await broker.report(made, { state: 'Stopped' });
    await row('Projects', /web\s*Running/).waitFor();
    await editor.screenshot('over-ssh-cut');
  } finally {
    await host.remote.mend();
  }
  await host.reconnect();
  await row('Projects', /web\s*Stopped/).waitFor({ timeout: 90_000 });
  await row('Projects', /web/).hover();
  await row('Projects', /web/).getByLabel('Start', { exact: false }).click();
  await dialog().getByRole('button', { name: 'Start' }).click();
  await row('Operations', /start web/).waitFor();
  await editor.screenshot('over-ssh-back');
}, 180_000);

test('when the broker there is lost its age is told with the zone of that machine’s clock, until it is back', async () => {
  door.close();
  const message = editor.page
    .locator('.tree-explorer-viewlet-tree-view .message', { hasText: /This is from .* GMT\+9/ })
    .first();
  await message.waitFor();
  await editor.screenshot('over-ssh-broker-lost');
  door = new Door(await host.remote.listen(port), broker.api.broker.app);
  await message.waitFor({ state: 'hidden' });
}, 120_000);

test('after a restart of the machine the person is still signed in', async () => {
  await host.restart();
  await editor.page.reload();
  await row('Projects', /web\s*Stopped/).waitFor();
}, 120_000);

test('a window on another machine does not give what answers at the same address the token of this one', async () => {
  door.close();
  const tokens: unknown[] = [];
  const stranger = createServer((request: IncomingMessage, response) => {
    tokens.push(request.headers.authorization);
    response.writeHead(401).end();
  });
  const file = join(host.seen, 'user/User/settings.json');
  const settings = JSON.parse(readFileSync(file, 'utf8'));
  // As someone writes it by hand, for every machine.
  const { machine: _, ...everywhere } = settings['landfall.brokers'][0];
  writeFileSync(file, JSON.stringify({ ...settings, 'landfall.brokers': [everywhere] }));
  await host.restart('rm -r ~/.config/landfall; hostname another');
  // Only now: until then an extension host of the machine that the token is of was asking.
  door = new Door(await host.remote.listen(port), { server: stranger });
  await editor.page.reload();
  await toast('it does not take the token').waitFor();
  await editor.screenshot('over-ssh-another-machine');
  expect(tokens.length).toBeGreaterThan(0);
  expect(tokens.filter((each) => each !== undefined)).toEqual([]);
}, 120_000);

test('the window asked nothing of the broker all the while', () => {
  expect(asked.size).toBeGreaterThan(0);
  expect([...asked]).not.toContain(`127.0.0.1:${port}`);
});
