import { getInstance } from '@landfall/store';
import { DiscoveryFailed, type Signals } from '@landfall/workflows/client.ts';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
/** What the site was asked for. */
let asked: Parameters<Signals['discover']>[0][] = [];

const machine = {
  kind: 'Instance',
  ref: 'i-1',
  name: 'legacy',
  location: { region: 'us-east-1', zone: 'us-east-1a' },
  state: 'ready',
  power: 'running',
  instanceType: 't3.micro',
  market: 'onDemand',
  architecture: 'x86_64',
  vcpus: 2,
  memoryGiB: 1,
  diskGiB: 8,
  addresses: [{ type: 'external', address: '192.0.2.7' }] as { type: 'external'; address: string }[],
  labels: { team: 'shop' },
} as const;
const managed = { ...machine, ref: 'i-2', refused: 'it is managed by the Auto Scaling group web' } as const;
const sizeless = { ...machine, ref: 'i-3', vcpus: undefined } as const;
const items = [machine, managed, sizeless];

const unmanaged = '/v1/sites/cloud/unmanaged';
const adoptions = '/v1/projects/default/adoptions';
const input = (externalReference: string, name: string) => ({
  kind: 'Instance',
  site: 'cloud',
  externalReference,
  name,
});
const adopt = (body: object, more: Parameters<TestBroker['call']>[2] = {}, query = '') =>
  broker.call('POST', `${adoptions}${query}`, { body, ...more });

beforeAll(async () => {
  broker = await TestBroker.start();
  const body = {
    name: 'cloud',
    spec: { provider: 'aws', regions: ['us-east-1'], credentials: { source: 'default' } },
  };
  expect((await broker.call('POST', '/v1/sites', { body })).status).toBe(201);
}, 60_000);
afterAll(() => broker?.stop(), 20_000);
beforeEach(() => {
  asked = [];
  broker.signals.away = false;
  broker.signals.discover = async (query) => {
    asked.push(query);
    const { ref, page } = query.query;
    if (ref !== undefined) return { items: items.filter((item) => item.ref === ref), complete: true };
    return page
      ? { items: [managed], complete: true }
      : { items: [machine], nextPage: 'two', complete: true };
  };
});

test('what a site has is shown page by page, as the provider says it, through the site’s own queue', async () => {
  const first = await broker.call('GET', unmanaged);
  const { ref, location, ...rest } = machine;
  expect(first.body.items).toEqual([{ ...rest, ...location, externalReference: ref, site: 'cloud' }]);
  const second = await broker.call('GET', `${unmanaged}?pageToken=${first.body.nextPageToken}`);
  expect(second.body).toMatchObject({
    items: [{ externalReference: 'i-2', refused: managed.refused }],
    complete: true,
  });
  expect(second.body).not.toHaveProperty('nextPageToken');
  expect(asked.map(({ queue, query }) => [queue, query.kind, query.page])).toEqual([
    ['site/cloud', 'Instance', undefined],
    ['site/cloud', 'Instance', 'two'],
  ]);
  expect((await broker.call('GET', `${unmanaged}?pageToken=bad`)).status).toBe(400);
  expect((await broker.call('GET', '/v1/sites/moon/unmanaged')).status).toBe(404);
});

test('a site that cannot be read, and an engine that is away, are told apart from a site that has nothing', async () => {
  for (const [code, status] of [
    ['Unavailable', 503],
    ['Denied', 503],
    ['Invalid', 422],
  ] as const) {
    broker.signals.discover = async () => {
      throw new DiscoveryFailed(code, 'what it said', undefined);
    };
    const answer = await broker.call('GET', unmanaged);
    expect(answer).toMatchObject({ status, body: { detail: 'Site cloud could not be read: what it said.' } });
  }
  broker.signals.away = true;
  expect((await broker.call('GET', unmanaged)).status).toBe(503);
});

test('adopting commits an instance that is wanted as it was found; nothing that is not known is made up', async () => {
  expect((await adopt(input('i-1', 'legacy'), {}, '?validateOnly=true')).status).toBe(204);
  expect((await broker.call('GET', '/v1/projects/default/instances/legacy')).status).toBe(404);
  const made = await adopt({ ...input('i-1', 'legacy'), labels: { env: 'prod' } });
  expect(made).toMatchObject({
    status: 202,
    body: { verb: 'adopt', state: 'Pending', resource: { name: 'legacy' } },
  });
  const { body } = await broker.call('GET', '/v1/projects/default/instances/legacy');
  const { market, architecture, vcpus, memoryGiB, diskGiB } = machine;
  expect(body.spec).toEqual({
    ...{ market, architecture, vcpus, memoryGiB, diskGiB },
    power: 'running',
    publicAddress: true,
    reboots: 0,
  });
  expect(body).toMatchObject({
    labels: { env: 'prod' },
    status: {
      state: 'Adopting',
      adopted: true,
      site: 'cloud',
      region: 'us-east-1',
      instanceType: 't3.micro',
    },
  });
  const { db } = broker.store;
  const intent = await db
    .selectFrom('intents')
    .selectAll()
    .where('resource', '=', body.id)
    .executeTakeFirst();
  // The reference is the machine's only once it was seen with our stamp: nothing is removed by it before.
  expect(intent).toMatchObject({ state: 'open', ref: null, site: 'cloud', zone: 'us-east-1a' });
  expect(intent?.offer.pricePerHour).toBeGreaterThan(0);
  const want = await getInstance(db, 'default', 'legacy');
  expect(want.spec).not.toHaveProperty('image');

  const again = await adopt(input('i-1', 'other'));
  expect(again).toMatchObject({
    status: 409,
    body: { detail: 'i-1 is instance legacy of project default already.' },
  });
  expect((await adopt(input('i-4', 'legacy'))).status).toBe(422);
});

test('of many who adopt one machine at once, one does', async () => {
  broker.signals.discover = async () => ({ items: [{ ...machine, ref: 'i-9' }], complete: true });
  const all = await Promise.all([1, 2, 3, 4].map((n) => adopt(input('i-9', `racer-${n}`))));
  expect(all.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409]);
});

test('what is refused, is not there, or says no size is not adopted, and why is said', async () => {
  const refused = await adopt(input('i-2', 'node'));
  expect(refused).toMatchObject({
    status: 409,
    body: {
      detail: `i-2 cannot be adopted: ${managed.refused}.`,
      errors: [{ pointer: '/externalReference' }],
    },
  });
  expect((await adopt(input('i-3', 'sizeless'))).body.detail).toContain('does not say how many vCPUs');
  const none = await adopt(input('i-4', 'none'));
  expect(none).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/externalReference', value: 'i-4' }] },
  });
  broker.signals.discover = async () => ({ items: [], complete: false });
  expect((await adopt(input('i-4', 'none'))).status).toBe(503);
  expect((await adopt({ ...input('i-1', 'x'), kind: 'Volume' })).status).toBe(400);
});

test('reading needs a viewer, adopting an operator; another project’s token adopts nothing here', async () => {
  const token = async (role: string, project?: string) => {
    const body = { name: `${role}-${project ?? 'all'}`, role, ...(project ? { project } : {}) };
    return (await broker.call('POST', '/v1/tokens', { body })).body.secret as string;
  };
  await broker.call('POST', '/v1/projects', { body: { name: 'web' } });
  const viewer = await token('viewer');
  expect((await broker.call('GET', unmanaged, { token: viewer })).status).toBe(200);
  expect((await adopt(input('i-5', 'mine'), { token: viewer })).status).toBe(403);
  expect((await adopt(input('i-5', 'mine'), { token: await token('operator', 'web') })).status).toBe(404);
  expect((await broker.call('GET', unmanaged, { token: broker.agentToken })).status).toBe(403);
});

test('a limit of the project holds for what is adopted, too', async () => {
  await broker.call('POST', '/v1/projects', { body: { name: 'small', limits: { vcpus: 1 } } });
  broker.signals.discover = async () => ({ items: [{ ...machine, ref: 'i-6' }], complete: true });
  const answer = await broker.call('POST', '/v1/projects/small/adoptions', { body: input('i-6', 'big') });
  expect(answer).toMatchObject({ status: 422, body: { title: 'A limit of the project would be exceeded' } });
});

test('an instance that is asked for needs an image as before', async () => {
  const { image: _, ...spec } = instanceInput('web').spec as { image: string };
  const answer = await broker.call('POST', '/v1/projects/default/instances', { body: { name: 'web', spec } });
  expect(answer.status).toBe(400);
  expect(JSON.stringify(answer.body.errors)).toContain('image');
});
