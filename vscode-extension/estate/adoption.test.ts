import type { Instance } from '@landfall/model';
import { WorkedBroker } from '@landfall/test/worked-broker.ts';
import { candidatesOf, readPrices, requestRelease } from 'landfall/client.ts';
import { BrokerConnection, body } from '../broker/connection.ts';
import {
  adopt,
  adoptionQuestion,
  releaseQuestion,
  replace,
  replaceQuestion,
  type Unmanaged,
} from './adoption.ts';
import { Estate } from './estate.ts';
import { ProjectsTree } from './projects-tree.ts';
import { SitesTree } from './sites-tree.ts';
import type { TreeNode } from './tree.ts';

let broker: WorkedBroker;
let estate: Estate;
let connection: BrokerConnection;
/** The pages that the site was asked for. */
let asked: (string | undefined)[] = [];

const machine = (ref: string, more: object = {}) => ({
  ...{ kind: 'Instance' as const, ref, location: { region: 'us-east-1' }, state: 'ready' as const },
  ...{ power: 'running' as const, instanceType: 't3.micro', market: 'onDemand' as const },
  ...{ vcpus: 2, memoryGiB: 1, diskGiB: 8, addresses: [], labels: {}, ...more },
});
const pages = {
  first: [machine('i-1', { name: 'Shop DB' }), machine('i-2', { refused: 'it is managed by Kubernetes' })],
  two: [machine('i-3', { name: 'web' })],
};

beforeAll(async () => {
  broker = await WorkedBroker.start();
  const spec = { provider: 'aws', regions: ['us-east-1'], credentials: { source: 'default' } };
  await broker.api.call('POST', '/v1/sites', { body: { name: 'cloud', spec } });
  const simulated = { ...spec, endpoint: 'http://127.0.0.1:9' };
  await broker.api.call('POST', '/v1/sites', { body: { name: 'simulated', spec: simulated } });
  broker.api.signals.discover = async ({ query: { page, ref } }) => {
    if (ref !== undefined)
      return { items: [...pages.first, ...pages.two].filter((each) => each.ref === ref), complete: true };
    asked.push(page);
    return page
      ? { items: pages.two, complete: false }
      : { items: pages.first, nextPage: 'two', complete: true };
  };
  connection = new BrokerConnection(
    { name: 'test', url: broker.api.url, project: 'default', from: 'settings' },
    { token: async () => broker.api.adminToken, refused: () => undefined },
  );
  estate = new Estate(connection);
}, 60_000);
afterAll(async () => {
  estate?.close();
  await broker?.stop();
}, 20_000);

const read = (name: string): Promise<Instance> =>
  body(
    connection.client.GET('/v1/projects/{project}/instances/{instance}', {
      params: { path: { project: 'default', instance: name } },
    }),
  );

test('what a site has without Landfall is a level under it, asked of the site a page at a time, with why something cannot be adopted', async () => {
  asked = [];
  const tree = new SitesTree(estate);
  const cloud = (await tree.children()).find(({ label }) => label === 'cloud')!;
  const level = (await tree.children(cloud)).find(({ label }) => label === 'Unmanaged')!;
  expect(asked).toEqual([]);
  const first = await tree.children(level);
  expect(first.map(({ label, context }) => [label, context])).toEqual([
    ['Shop DB', 'unmanaged'],
    ['i-2', 'refused'],
    ['Load more…', 'more'],
  ]);
  expect(first[1]!.description).toBe('it is managed by Kubernetes');
  await tree.children(level);
  expect(asked).toEqual([undefined]);
  await first[2]!.more!();
  const all = await tree.children(level);
  expect(asked).toEqual([undefined, expect.any(String)]);
  // The second page was not the whole of its part.
  expect(all.map(({ label }) => label)).toEqual([
    'A part of the site could not be read',
    'Shop DB',
    'i-2',
    'web',
  ]);
});

test('names are their own where they can be, free ones else; the question says what each costs, and what it means', async () => {
  const items = pages.first
    .concat(pages.two)
    .map(({ ref, location, ...rest }) => ({ ...rest, ...location, externalReference: ref, site: 'cloud' }));
  const candidates = candidatesOf(items as Unmanaged[], (name) => name === 'web');
  expect(candidates.map(({ name }) => name)).toEqual(['shop-db', 'instance', 'web-i-3']);
  await readPrices(connection.client, candidates);
  expect(candidates[0]!.price?.pricePerMonth).toBeGreaterThan(1);
  const [one] = candidates;
  const question = adoptionQuestion([one!], 'default', 0);
  expect(question.message).toBe('Adopt Shop DB into project default as shop-db?');
  expect(question.detail).toMatch(
    /i-1 at cloud, \$\d+\.\d\d a month\nIt costs what it costs now: \$.*deletes the real thing/s,
  );
  const many = adoptionQuestion(
    Array.from({ length: 20 }, (_, n) => ({ item: one!.item, name: `n-${n}` })),
    'default',
    1,
  );
  expect(many.message).toBe('Adopt 20 resources into project default?');
  expect(many.detail).toMatch(
    /… and 5 more\n.*20 without a known price.*\n1 that cannot be adopted is left out/,
  );
});

test('what is adopted becomes an operation, and a reference that is Landfall’s already is refused in the broker’s words', async () => {
  const item = { kind: 'Instance', externalReference: 'i-1', site: 'cloud' } as Unmanaged;
  expect(await adopt(connection, { item, name: 'shop-db' })).toMatchObject({
    verb: 'adopt',
    state: 'Pending',
  });
  await expect(adopt(connection, { item, name: 'again' })).rejects.toThrow(/already/);
});

test('a machine is let go of after a question with what stays', async () => {
  const made = await broker.request('let-go');
  await broker.finish(made);
  await broker.report(made, {
    ...{ state: 'Running', site: 'cloud', provider: 'aws', region: 'us-east-1', externalReference: 'i-8' },
    ...{ children: ['vol-1', 'sg-1'], pricePerMonth: 7.5, currency: 'USD' },
    readyAt: new Date().toISOString(),
  });
  const instance = await read('let-go');
  expect(releaseQuestion(instance)).toMatchObject({
    message: 'Release let-go of default?',
    detail: expect.stringMatching(
      /^i-8 at site\/cloud stays as it is, for \$7\.50 a month.*\nIt keeps vol-1, sg-1: .*\nLandfall made it/,
    ),
  });
  expect(await requestRelease(connection.client, instance)).toMatchObject({ verb: 'release' });
});

test('a lost machine is replaced after a question, one that is not is refused before it', async () => {
  const made = await broker.request('gone');
  await broker.finish(made);
  await broker.report(made, { state: 'Running', site: 'cloud', externalReference: 'i-9' });
  await expect(replace(connection, await read('gone'), {}, true)).rejects.toThrow(/Lost/);
  await broker.report(made, { state: 'Lost', pricePerMonth: 7.5, currency: 'USD' });
  const lost = await read('gone');
  expect(replaceQuestion(lost, 'debian-12').detail).toMatch(
    /made from debian-12.*gone for good.*\$7\.50 a month/s,
  );
  expect(await replace(connection, lost, {}, true)).toBeUndefined();
  expect(await replace(connection, lost, {})).toMatchObject({ verb: 'replace' });
});

test('the web console is offered where the cloud has a page, and not at a simulator or on-prem', async () => {
  for (const [name, site, provider] of [
    ['at-cloud', 'cloud', 'aws'],
    ['at-simulator', 'simulated', 'aws'],
    ['at-home', 'local', 'onprem'],
  ] as const)
    await broker.report(await broker.request(name), {
      ...{ state: 'Running', site, provider, region: 'us-east-1', externalReference: 'i-7' },
    });
  const tree = new ProjectsTree(estate, 'default');
  let nodes: TreeNode[] = await tree.children();
  for (const label of ['default', 'Instances'])
    nodes = await tree.children(nodes.find((node) => node.label === label)!);
  const offered = nodes.filter(({ context }) => / web\b/.test(context)).map(({ label }) => label);
  expect(offered.filter((label) => label.startsWith('at-'))).toEqual(['at-cloud']);
});
