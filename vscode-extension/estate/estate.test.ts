import { Gate } from '@landfall/test/gate.ts';
import { type Requested, WorkedBroker } from '@landfall/test/worked-broker.ts';
import { BrokerConnection } from '../broker/connection.ts';
import type { WatchState } from '../broker/watch.ts';
import { readDocument } from './documents.ts';
import { Estate } from './estate.ts';
import { readNames } from './names.ts';
import { ProjectsTree } from './projects-tree.ts';
import { SitesTree } from './sites-tree.ts';
import type { Tree, TreeNode } from './tree.ts';
import { approvalsTree, operationsTree, violationsTree } from './work-trees.ts';

let broker: WorkedBroker;
const estates: Estate[] = [];
const gates: Gate[] = [];

beforeAll(async () => {
  broker = await WorkedBroker.start();
}, 60_000);
afterEach(() => {
  for (const estate of estates.splice(0)) estate.close();
  for (const gate of gates.splice(0)) gate.close();
});
afterAll(() => broker?.stop(), 20_000);

/** An estate that watches, as an editor's. */
async function opened(url = broker.api.url, token: () => string = () => broker.api.adminToken) {
  const refusals: string[] = [];
  const connection = new BrokerConnection(
    { name: 'test', url, project: 'default', from: 'settings' },
    { token: async () => token(), refused: () => refusals.push(token()) },
  );
  const estate = new Estate(connection);
  estates.push(estate);
  const states: WatchState[] = [];
  estate.listen({ state: (state) => states.push(state) });
  estate.open();
  await until(() => states.length > 0);
  return { estate, states, refusals };
}

async function gateBefore(url: string): Promise<Gate> {
  const gate = await Gate.before(url);
  gates.push(gate);
  return gate;
}

/** Within a second, unless told otherwise: that is what the trees promise. */
async function until(holds: () => boolean | Promise<boolean>, limitMs = 1_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not so after ${limitMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Opens nodes by their labels, from the root; answers the children of the last. */
async function children(tree: Tree, ...labels: string[]): Promise<TreeNode[]> {
  let nodes = await tree.children();
  for (const label of labels) {
    const node = nodes.find((each) => each.label === label);
    if (!node) throw new Error(`no ${label} among ${nodes.map((each) => each.label).join(', ')}`);
    nodes = await tree.children(node);
  }
  return nodes;
}

/** The same after `Load more` until there is no more. */
async function openAll(tree: Tree, ...labels: string[]): Promise<TreeNode[]> {
  for (;;) {
    const nodes = await children(tree, ...labels);
    const more = nodes.at(-1)?.more;
    if (more === undefined) return nodes;
    await more();
  }
}

/** What a view keeps: the labels and descriptions by id, changed as the tree says. */
async function shown(tree: Tree, ...labels: string[]) {
  let nodes = new Map((await children(tree, ...labels)).map((node) => [node.id, node]));
  const told = { nodes: [] as string[], parents: 0 };
  tree.listen(async ({ nodes: changed, parents }) => {
    told.nodes.push(...changed.map(({ label }) => label));
    told.parents += parents.length;
    for (const node of changed) if (nodes.has(node.id)) nodes.set(node.id, node);
    if (parents.length > 0) nodes = new Map((await children(tree, ...labels)).map((node) => [node.id, node]));
  });
  return { told, of: (label: string) => [...nodes.values()].find((node) => node.label === label) };
}

test('an instance that is asked for, made and deleted elsewhere is shown so within a second each time', async () => {
  const { estate } = await opened();
  const view = await shown(new ProjectsTree(estate, 'default'), 'default', 'Instances');
  const web = await broker.request('web');
  await until(() => view.of('web')?.context === 'instance Pending');
  await broker.report(web, { state: 'Running', provider: 'aws', region: 'us-east-1', pricePerMonth: 7.592 });
  await until(() => view.of('web')?.context === 'instance Running');
  expect(view.of('web')).toMatchObject({
    description: 'Running · aws · us-east-1 · $7.59/month',
    icon: 'vm-running',
  });
  await broker.report(web, { state: 'Deleted' }, true);
  await until(() => view.of('web') === undefined);
}, 30_000);

test('a change of one instance is told of that one: the others are not drawn again', async () => {
  await broker.request('still');
  const moved = await broker.request('moved');
  await new Promise((resolve) => setTimeout(resolve, 500)); // their own events are past
  const { estate } = await opened();
  const view = await shown(new ProjectsTree(estate, 'default'), 'default', 'Instances');
  await broker.report(moved, { state: 'Running' });
  await until(() => view.of('moved')?.context === 'instance Running');
  expect(new Set(view.told.nodes)).toEqual(new Set(['moved']));
  expect(view.told.parents).toBe(0);
}, 30_000);

test('an operation shows what it does while it goes on, and how it ended', async () => {
  const { estate } = await opened();
  const view = await shown(operationsTree(estate));
  const web = await broker.request('worked');
  await until(() => view.of('create worked')?.context.startsWith('operation Pending') === true);
  await broker.progress(web, 'waits for a slot on h1');
  await until(() => view.of('create worked')?.description?.startsWith('waits for a slot') === true, 3_000);
  await broker.finish(web);
  await until(() => view.of('create worked')?.description === 'Succeeded · Succeeded', 3_000);
}, 30_000);

test('violations come and go by themselves', async () => {
  const { estate } = await opened();
  const view = await shown(violationsTree(estate));
  const drifted = await broker.request('drifted');
  await broker.violations(drifted);
  await until(() => view.of('drifted')?.description === 'eu/residency · must stay in the EU');
  await broker.violations();
  await until(() => view.of('drifted') === undefined);
}, 30_000);

test('an approval is shown while it is waited for', async () => {
  const { estate } = await opened();
  const view = await shown(approvalsTree(estate));
  const costly = await broker.request('costly');
  const id = await broker.approval(costly, ['admin', 'boss']);
  await until(() => view.of('costly')?.description === 'spend/big · $73.00/month · asked by asker');
  await broker.api.call('POST', `/v1/approvals/${id}/reject`, { body: { reason: 'too much' } });
  await until(() => view.of('costly') === undefined);
}, 30_000);

test('a host shows what is taken of it; one that registers appears', async () => {
  const { estate } = await opened();
  const view = await shown(new SitesTree(estate), 'local');
  await broker.api.call('PUT', '/v1/sites/local/hosts/h1', {
    token: broker.api.agentToken,
    body: { capacity: { vcpus: 8, memoryGiB: 32, diskGiB: 500 }, accel: 'kvm', architecture: 'x86_64' },
  });
  await until(() => view.of('h1')?.description === '0/8 vCPU · 0/32 GiB memory · 0/500 GiB disk');
}, 30_000);

test('a host that falls silent, and its site with it, are shown so within a second; so is its return', async () => {
  const { estate } = await opened();
  const sites = await shown(new SitesTree(estate));
  const hosts = await shown(new SitesTree(estate), 'local');
  const register = () =>
    broker.api.call('PUT', '/v1/sites/local/hosts/h1', {
      token: broker.api.agentToken,
      body: { capacity: { vcpus: 8, memoryGiB: 32, diskGiB: 500 }, accel: 'kvm', architecture: 'x86_64' },
    });
  await register();
  await until(() => sites.of('local')?.icon === 'server-environment' && hosts.of('h1')?.icon === 'server');
  await broker.silence('h1');
  await until(() => hosts.of('h1')?.description?.startsWith('Unreachable') === true);
  await until(() => sites.of('local')?.description?.includes('no host has been heard of') === true);
  await register();
  await until(() => hosts.of('h1')?.icon === 'server' && sites.of('local')?.icon === 'server-environment');
}, 30_000);

test('lists are read a page at a time, and a name beyond the last page waits for its page', async () => {
  await broker.api.call('POST', '/v1/projects', { body: { name: 'many' } });
  await broker.fill('many', 1_200);
  const { estate } = await opened();
  const tree = new ProjectsTree(estate, 'default');
  let nodes = await children(tree, 'many', 'Instances');
  expect(nodes).toHaveLength(501);
  expect(nodes.at(-1)).toMatchObject({ label: 'Load more…', description: '500 shown' });
  const early = await broker.request('vm-00000', 'many');
  await broker.request('zz', 'many');
  await until(() => estate.instances('many').get(early.id) !== undefined);
  nodes = await children(tree, 'many', 'Instances');
  expect(nodes[0]?.label).toBe('vm-00000');
  expect(nodes.map(({ label }) => label)).not.toContain('zz');
  nodes = await openAll(tree, 'many', 'Instances');
  expect(nodes).toHaveLength(1_202);
  expect(new Set(nodes.map(({ id }) => id)).size).toBe(1_202);
}, 30_000);

test('under an instance are its place, addresses and the volumes attached to it, as they come and go', async () => {
  const { estate } = await opened();
  const owner = await broker.request('owner');
  await broker.report(owner, {
    state: 'Running',
    site: 'local',
    region: 'local',
    addresses: [{ type: 'internal', address: '10.0.0.5' }],
  });
  const tree = new ProjectsTree(estate, 'default');
  const view = await shown(tree, 'default', 'Instances', 'owner');
  expect(view.of('local · local')).toBeDefined();
  expect(view.of('10.0.0.5')?.description).toBe('internal address');
  const made = await broker.api.call('POST', '/v1/projects/default/volumes', {
    body: { name: 'data', spec: { sizeGiB: 10, attachedTo: 'owner' } },
  });
  expect(made.status).toBe(202);
  await until(() => view.of('data')?.description === 'Pending · on owner');
  const volumes = () => children(tree, 'default', 'Volumes');
  expect((await volumes()).map(({ label }) => label)).toEqual(['data']);
  await broker.released(made.body.resource);
  await until(async () => (await volumes()).length === 0, 10_000);
}, 30_000);

test('SSH keys, images and policies come and go where they belong, and open as YAML', async () => {
  const { estate } = await opened();
  const tree = new ProjectsTree(estate, 'default');
  const keys = await shown(tree, 'default', 'SSH Keys');
  const images = await shown(tree, 'Images');
  const everywhere = await shown(tree, 'Policies');
  const ofProject = await shown(tree, 'default', 'Policies');
  expect(images.of('debian-12')?.description).toMatch(/^built in · aws, azure, gcp, onprem$/);
  const publicKey =
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFyPLmvUX9GO1nHQMkKSqFYb6cnDVY2xN7YvYVLIRgLs ada@example';
  const post = async (path: string, body: object) => {
    const made = await broker.api.call('POST', path, { body });
    expect([made.status, made.body]).toEqual([201, expect.anything()]);
  };
  await post('/v1/projects/default/sshKeys', { name: 'laptop', publicKey });
  await until(() => keys.of('laptop')?.description === 'ssh-ed25519');
  await post('/v1/images', { name: 'golden', user: 'ops', onprem: { builtin: 'tiny' } });
  await until(() => images.of('golden')?.description === 'onprem');
  const put = async (name: string, scope: string, mode: string) => {
    const source = `# why: ${name}
apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: ${name}, scope: ${scope}}
spec:
  mode: ${mode}
  rules:
    - {name: cheap, require: 'offer.pricePerHour < 9.0'}
`;
    const { status } = await broker.api.call('PUT', `/v1/policies/${name}`, {
      body: { source },
      headers: { 'If-Match': '*' },
    });
    return status < 300
      ? status
      : (await broker.api.call('PUT', `/v1/policies/${name}`, { body: { source } })).status;
  };
  expect(await put('all', 'organizations/default', 'audit')).toBe(201);
  expect(await put('own', 'projects/default', 'audit')).toBe(201);
  await until(() => everywhere.of('all')?.description === 'audit · organizations/default');
  await until(() => everywhere.of('own') !== undefined && ofProject.of('own') !== undefined);
  expect(ofProject.of('all')).toBeUndefined();
  expect(everywhere.of('own')!.id).not.toBe(ofProject.of('own')!.id);
  expect(await put('own', 'projects/default', 'enforce')).toBe(200);
  await until(() => ofProject.of('own')?.description === 'projects/default');

  const read = (kind: string, id: string, within = '') =>
    readDocument(estate.connection, { what: 'yaml', kind, within, id });
  expect(await read('PlacementPolicy', 'own')).toMatch(/^# why: own\napiVersion/);
  expect(await read('SshKey', 'laptop', 'default')).toContain(`publicKey: ${publicKey}`);
  expect(await read('Image', 'golden')).toContain('user: ops');

  for (const path of ['projects/default/sshKeys/laptop', 'images/golden', 'policies/own', 'policies/all'])
    await broker.api.call('DELETE', `/v1/${path}`, { headers: { 'If-Match': '*' } });
  await until(() => [keys.of('laptop'), images.of('golden'), ofProject.of('own')].every((one) => !one));
  await until(() => everywhere.of('all') === undefined && everywhere.of('own') === undefined);
}, 30_000);

test('a change that cannot be read at once is read when it can be', async () => {
  const gate = await gateBefore(broker.api.url);
  const { estate } = await opened(gate.url);
  const view = await shown(new ProjectsTree(estate, 'default'), 'default', 'Instances');
  const later = await broker.request('later');
  await until(() => view.of('later') !== undefined);
  gate.answers = (path) => (path.endsWith(later.id) ? 503 : undefined);
  await broker.report(later, { state: 'Running' });
  await until(() => gate.asked.filter((path) => path.endsWith(later.id)).length > 1, 3_000);
  expect(view.of('later')?.context).toBe('instance Pending');
  gate.answers = () => undefined;
  await until(() => view.of('later')?.context === 'instance Running', 3_000);
}, 30_000);

test('of a project of 10,000 instances 500 are shown at first, then all; a change of one draws one row anew', async () => {
  await broker.api.call('POST', '/v1/projects', { body: { name: 'vast' } });
  await broker.fill('vast', 10_000);
  const { estate } = await opened();
  const tree = new ProjectsTree(estate, 'default');
  const list = estate.instances('vast');
  await list.load();
  while (list.more) await list.loadMore();
  expect(await children(tree, 'vast', 'Instances')).toHaveLength(501);
  expect(await openAll(tree, 'vast', 'Instances')).toHaveLength(10_000);
  const view = await shown(tree, 'vast', 'Instances');
  const one = list.items()[5_000]!;
  await broker.report({ ...one, operation: '' }, { state: 'Stopped' });
  await until(() => view.of(one.name)?.context === 'instance Stopped');
  expect(view.told).toEqual({ nodes: [one.name], parents: 0 });
}, 60_000);

test('when the broker falls, the trees keep what they had and say so; when it is back they are true again', async () => {
  const gate = await gateBefore(broker.api.url);
  const { estate, states } = await opened(gate.url);
  const view = await shown(new ProjectsTree(estate, 'default'), 'default', 'Instances');
  const steady: Requested = await broker.request('steady');
  await until(() => view.of('steady') !== undefined);
  gate.close();
  await until(() => states.at(-1)?.kind === 'down');
  expect(states.at(-1)).toMatchObject({ reason: expect.stringMatching(/^No broker at|connection broke/) });
  await broker.report(steady, { state: 'Running' });
  expect(view.of('steady')?.context).toBe('instance Pending');
  await gate.open();
  await until(() => states.at(-1)?.kind === 'live', 12_000);
  await until(() => view.of('steady')?.context === 'instance Running');
}, 30_000);

test('events that the broker no longer keeps are made up for by reading the lists again', async () => {
  const gate = await gateBefore(broker.api.url);
  const { estate, states } = await opened(gate.url);
  const view = await shown(new ProjectsTree(estate, 'default'), 'default', 'Instances');
  const pruned = await broker.request('pruned');
  await until(() => view.of('pruned') !== undefined);
  gate.close();
  await until(() => states.at(-1)?.kind === 'down');
  gate.answers = (path, lastEventId) => (path === '/v1/watch' && lastEventId ? 410 : undefined);
  await broker.report(pruned, { state: 'Running' });
  await gate.open();
  await until(() => view.of('pruned')?.context === 'instance Running', 12_000);
}, 30_000);

test('a list that cannot be read is asked for once by each look, not again and again', async () => {
  const gate = await gateBefore(broker.api.url);
  gate.answers = (path) => (path === '/v1/sites' ? 503 : undefined);
  const { estate } = await opened(gate.url);
  const tree = new SitesTree(estate);
  tree.listen(() => void tree.children());
  await tree.children();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(gate.asked.filter((path) => path === '/v1/sites')).toHaveLength(1);
}, 30_000);

test('a refused token is told once, however much is asked, and a new one is taken at once', async () => {
  let token = 'lf_wrong';
  const { estate, states, refusals } = await opened(broker.api.url, () => token);
  await until(() => states.at(-1)?.kind === 'signedOut');
  const [failed] = await new ProjectsTree(estate, 'default').children();
  expect(failed).toMatchObject({ context: 'failed' });
  await new SitesTree(estate).children();
  await new SitesTree(estate).children();
  expect(refusals).toEqual(['lf_wrong']);
  token = broker.api.adminToken;
  estate.retry();
  await until(() => states.at(-1)?.kind === 'live');
  expect((await new SitesTree(estate).children()).map(({ label }) => label)).toContain('local');
}, 30_000);

test('a token that ends while the estate is watched ends the watching, and what was known stays', async () => {
  let token = broker.api.adminToken;
  const { estate, states, refusals } = await opened(broker.api.url, () => token);
  await until(() => states.at(-1)?.kind === 'live');
  await estate.sites.load();
  token = 'lf_ended';
  await expect(estate.sites.reload()).rejects.toThrow();
  await until(() => states.at(-1)?.kind === 'signedOut');
  expect(refusals).toEqual(['lf_ended']);
  expect(estate.sites.items().map(({ name }) => name)).toContain('local');
  token = broker.api.adminToken;
  estate.retry();
  await until(() => states.at(-1)?.kind === 'live');
}, 30_000);

test('names for completion are those of the broker, and another project’s token is told only its own', async () => {
  const { estate } = await opened();
  await broker.api.call('POST', '/v1/projects/default/instances', {
    body: { name: 'named', labels: { team: 'shop' }, spec: { image: 'tiny', vcpus: 1, memoryGiB: 1 } },
  });
  await broker.api.call('POST', '/v1/images', {
    body: { name: 'base', user: 'root', architectures: ['x86_64'], onprem: { builtin: 'tiny' } },
  });
  const names = await readNames(estate.connection);
  expect(names).toMatchObject({ connected: true, sites: ['local'], labels: { team: ['shop'] } });
  expect(names.images).toEqual(expect.arrayContaining(['base', 'tiny']));
  expect(names.regions).toContain('local');
  await broker.api.call('POST', '/v1/projects', { body: { name: 'elsewhere' } });
  const { secret } = await broker.api.token('viewer', { project: 'elsewhere' });
  const { estate: narrow } = await opened(broker.api.url, () => secret);
  expect(await readNames(narrow.connection)).toMatchObject({
    connected: true,
    projects: ['elsewhere'],
    networks: [],
    labels: {},
  });
});
