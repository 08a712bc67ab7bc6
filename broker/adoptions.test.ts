import {
  closeIntent,
  compareInventory,
  getInstance,
  liveResourceIntents,
  moveResourceIntent,
  writeInventory,
} from '@landfall/store';
import { resourceWantFor } from '@landfall/store/resource-wants.ts';
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
const other = { ...machine, ref: 'i-7' } as const;
const items = [machine, managed, sizeless, other];

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
    // As an adapter whose provider takes a reference in any case.
    if (ref !== undefined)
      return { items: items.filter((item) => item.ref === ref.toLowerCase()), complete: true };
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

test('a reference written in another case than the provider’s adapter does is kept as the adapter writes it', async () => {
  const made = await adopt(input('I-7', 'cased'));
  expect(made.status).toBe(202);
  const { status } = await getInstance(broker.store.db, 'default', made.body.resource.name);
  expect(status.message).toContain('adopting i-7 ');
  expect((await adopt(input('i-7', 'again'))).status).toBe(409);
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
  expect((await adopt({ ...input('i-1', 'x'), kind: 'Project' })).status).toBe(400);
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

/** As its workflow does once the machine carries our stamp. */
async function settled(name: string, ref: string): Promise<string> {
  const { body } = await broker.call('GET', `/v1/projects/default/instances/${name}`);
  await broker.store.pool.query(
    `update instances set state = 'Running',
            status = status || jsonb_build_object('state', 'Running', 'readyAt', now(), 'externalReference', $2::text) where id = $1`,
    [body.id, ref],
  );
  await broker.store.pool.query(`update operations set state = 'Succeeded' where resource_id = $1`, [
    body.id,
  ]);
  return body.id;
}

test('releasing commits its operation once, is asked for by an operator, and says why it cannot be', async () => {
  const path = '/v1/projects/default/instances/freed/release';
  broker.signals.discover = async () => ({ items: [{ ...machine, ref: 'i-20' }], complete: true });
  expect((await broker.call('POST', path)).status).toBe(404);
  expect((await adopt(input('i-20', 'freed'))).status).toBe(202);
  const early = await broker.call('POST', path);
  expect(early).toMatchObject({ status: 409, body: { type: 'https://landfall.dev/problems/conflict' } });
  expect(early.body.detail).toContain('its adopt is under way');
  const id = await settled('freed', 'i-20');

  expect((await broker.call('POST', `${path}?validateOnly=true`)).status).toBe(204);
  const stale = await broker.call('POST', path, { headers: { 'if-match': '"99"' } });
  expect(stale.status).toBe(412);
  const viewer = await broker.call('POST', '/v1/tokens', { body: { name: 'looker', role: 'viewer' } });
  expect((await broker.call('POST', path, { token: viewer.body.secret })).status).toBe(403);
  const asked = await broker.call('POST', path);
  expect(asked).toMatchObject({ status: 202, body: { verb: 'release', resource: { name: 'freed' } } });
  const again = await broker.call('POST', `/v1/projects/default/instances/${id}/release`);
  expect(again).toMatchObject({ status: 202, body: { id: asked.body.id } });
  const stop = await broker.call('POST', '/v1/projects/default/instances/freed/stop');
  expect(stop).toMatchObject({ status: 409, body: { detail: 'Instance freed is being released.' } });
  const operations = await broker.call('GET', '/v1/operations?filter=verb%3Drelease');
  expect(operations.body.items).toHaveLength(1);
});

const disk = {
  kind: 'Volume',
  ref: 'vol-1',
  name: 'data',
  location: { region: 'us-east-1', zone: 'us-east-1a' },
  state: 'ready',
  diskGiB: 20,
  type: 'gp3',
  addresses: [],
  labels: {},
} as const;
const finds = (...found: object[]) => {
  broker.signals.discover = async () => ({ items: found as never, complete: true });
};
const ofKind = (kind: string, externalReference: string, name: string) => ({
  ...input(externalReference, name),
  kind,
});
const read = (plural: string, name: string) => broker.call('GET', `/v1/projects/default/${plural}/${name}`);

test('a volume is adopted as it was found, under one name, by one; until it is settled nothing else is asked of it', async () => {
  finds(disk);
  const body = ofKind('Volume', 'vol-1', 'data');
  expect((await adopt(body, {}, '?validateOnly=true')).status).toBe(204);
  expect((await read('volumes', 'data')).status).toBe(404);
  const all = await Promise.all(['data', 'data-2', 'data-3'].map((name) => adopt({ ...body, name })));
  expect(all.map(({ status }) => status).sort()).toEqual([202, 409, 409]);
  const made = all.find(({ status }) => status === 202)!;
  const { name } = made.body.resource;
  expect(made.body).toMatchObject({ verb: 'adopt', resource: { kind: 'Volume' } });
  const volume = await read('volumes', name);
  expect(volume.body).toMatchObject({
    spec: { site: 'cloud', region: 'us-east-1', zone: 'us-east-1a', sizeGiB: 20 },
    status: { state: 'Adopting', adopted: true, site: 'cloud', provider: 'aws' },
  });
  // What the provider calls `gp3` is neither of the types that can be asked for.
  expect(volume.body.spec).not.toHaveProperty('type');
  const intents = broker.store.db.selectFrom('resource_intents').selectAll();
  expect(await intents.where('resource', '=', volume.body.id).execute()).toMatchObject([
    { state: 'open', ref: null, kind: 'Volume', attempt: 1 },
  ]);
  const again = await adopt({ ...body, name: 'other' });
  expect(again).toMatchObject({
    status: 409,
    body: { detail: `vol-1 is volume ${name} of project default already.` },
  });
  const any = { headers: { 'if-match': '*' } };
  const patch = { body: { spec: { sizeGiB: 30 } }, ...any };
  expect(await broker.call('PATCH', `/v1/projects/default/volumes/${name}`, patch)).toMatchObject({
    status: 409,
    body: { detail: `Volume ${name} is being adopted: wait until that is done.` },
  });
  // Its site may never answer.
  const cancelled = await broker.call('POST', `/v1/operations/${made.body.id}/cancel?validateOnly=true`);
  expect(cancelled.status).toBe(204);
  const away = await broker.call('DELETE', `/v1/projects/default/volumes/${name}`, any);
  expect(away).toMatchObject({ status: 202, body: { verb: 'delete' } });
});

test('a volume that is attached is adopted as attached to the project’s instance, and refused on any other machine', async () => {
  finds({ ...disk, ref: 'vol-2', attachedTo: 'i-30' });
  const body = ofKind('Volume', 'vol-2', 'logs');
  for (const query of ['', '?validateOnly=true'])
    expect(await adopt(body, {}, query)).toMatchObject({
      status: 409,
      body: {
        detail:
          "Volume vol-2 is attached to i-30, which is not Landfall's: adopt that first (landfall adopt instance i-30 --as NAME --site cloud), or detach the volume there.",
        errors: [{ pointer: '/externalReference' }],
      },
    });
  finds({ ...machine, ref: 'i-30' });
  expect((await adopt(input('i-30', 'host'))).status).toBe(202);
  finds({ ...disk, ref: 'vol-2', attachedTo: 'i-30' });
  await broker.call('POST', '/v1/projects', { body: { name: 'elsewhere' } });
  const astray = await broker.call('POST', '/v1/projects/elsewhere/adoptions', { body });
  expect(astray).toMatchObject({ status: 409 });
  expect(astray.body.detail).toContain('instance host of project default: adopt it into that project');
  expect((await adopt(body)).status).toBe(202);
  expect((await read('volumes', 'logs')).body.spec).toMatchObject({ attachedTo: 'host' });
});

test('a snapshot names its volume where that is the project’s, and takes the class of its data; an address is adopted; a kind that the site does not adopt says why', async () => {
  await broker.store.pool.query(
    `update resources set spec = spec || '{"dataClass":"restricted"}' where kind = 'Volume' and adopted = 'vol-1'`,
  );
  const snapshot = { ...disk, kind: 'Snapshot', ref: 'snap-1', volume: 'vol-1' };
  finds(snapshot, { ...snapshot, ref: 'snap-2', volume: 'vol-99' });
  expect((await adopt(ofKind('Snapshot', 'snap-1', 'of-ours'))).status).toBe(202);
  const { name } = (await broker.call('GET', '/v1/projects/default/volumes')).body.items[0];
  expect((await read('snapshots', 'of-ours')).body.spec).toMatchObject({
    volume: name,
    dataClass: 'restricted',
  });
  finds({ ...snapshot, ref: 'snap-2', volume: 'vol-99' });
  expect((await adopt(ofKind('Snapshot', 'snap-2', 'of-none'))).status).toBe(202);
  expect((await read('snapshots', 'of-none')).body.spec).not.toHaveProperty('volume');
  finds({ ...disk, kind: 'Address', ref: 'eip-1', diskGiB: undefined });
  expect((await adopt(ofKind('Address', 'eip-1', 'front'))).status).toBe(202);
  expect((await read('addresses', 'front')).body).toMatchObject({ status: { state: 'Adopting' } });
  finds({ ...disk, ref: 'vol-3', diskGiB: undefined });
  expect((await adopt(ofKind('Volume', 'vol-3', 'vague'))).body.detail).toContain('how large it is');
  broker.signals.discover = async () => {
    throw new DiscoveryFailed('Invalid', 'a Firewall cannot be adopted: its rules are nobody’s', undefined);
  };
  const firewall = await adopt(ofKind('Firewall', 'sg-1', 'web'));
  expect(firewall).toMatchObject({ status: 422 });
  expect(firewall.body.detail).toContain('its rules are nobody’s');
  finds({ ...disk, kind: 'Firewall', ref: 'sg-1' });
  expect(await adopt(ofKind('Firewall', 'sg-1', 'web'))).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/kind' }] },
  });
});

test('a network is adopted with the subnets that it has, and an instance may name one of them', async () => {
  const subnets = [
    { name: 'front', cidr: '10.7.1.0/24', zone: 'us-east-1a' },
    { name: 'subnet-0a1b', cidr: '10.7.2.0/24' },
  ];
  const network = { ...disk, kind: 'Network', ref: 'vpc-1', name: 'Shop', location: { region: 'us-east-1' } };
  finds({ ...network, cidr: '10.7.0.0/16', subnets });
  const [shown] = (await broker.call('GET', `${unmanaged}?kind=Network`)).body.items;
  expect(shown).toMatchObject({ kind: 'Network', cidr: '10.7.0.0/16', subnets });
  expect((await adopt(ofKind('Network', 'vpc-1', 'shop'))).status).toBe(202);
  expect((await read('networks', 'shop')).body).toMatchObject({
    spec: { site: 'cloud', region: 'us-east-1', cidr: '10.7.0.0/16', subnets },
    status: { state: 'Adopting', adopted: true },
  });
  const inside = (subnet: string) => {
    const { name, spec } = instanceInput(`in-${subnet}`);
    const body = { name, spec: { ...spec, network: 'shop', subnet } };
    return broker.call('POST', '/v1/projects/default/instances', { body });
  };
  expect((await inside('subnet-0a1b')).status).toBe(202);
  expect((await inside('back')).body.errors).toMatchObject([{ pointer: '/spec/subnet' }]);
  const early = await broker.call('POST', '/v1/projects/default/networks/shop/release');
  expect(early).toMatchObject({ status: 409 });
  finds({ ...network, ref: 'vpc-2' });
  expect((await adopt(ofKind('Network', 'vpc-2', 'vague'))).body.detail).toContain('which addresses it has');
});

test('an image is adopted with the user whom its adopter names, and of nothing else is one asked', async () => {
  const image = { ...disk, kind: 'Image', ref: 'ami-1', name: 'base', architecture: 'arm64', diskGiB: 7.5 };
  finds(image);
  const body = ofKind('Image', 'ami-1', 'base');
  const nobody = await adopt(body);
  expect(nobody).toMatchObject({ status: 400, body: { errors: [{ pointer: '/user' }] } });
  expect((await adopt({ ...ofKind('Volume', 'vol-1', 'x'), user: 'admin' })).body.detail).toContain(
    'a Volume has none',
  );
  expect((await adopt({ ...body, user: 'admin' })).status).toBe(202);
  expect((await read('customImages', 'base')).body).toMatchObject({
    spec: { site: 'cloud', region: 'us-east-1', architecture: 'arm64', user: 'admin', minDiskGiB: 8 },
    status: { state: 'Adopting', adopted: true },
  });
  const { body: asked } = await broker.call('GET', '/v1/projects/default/customImages/base');
  const want = await resourceWantFor(broker.store.db, { resource: asked.id, attempt: 1 }, 'b');
  expect(want?.want).toMatchObject({ kind: 'Image', adopted: { ref: 'ami-1', settled: false } });
  expect(want?.want.spec).not.toHaveProperty('source');
  expect((await adopt({ ...body, name: 'again', user: 'admin' })).status).toBe(409);
  const made = { name: 'made', spec: { user: 'admin' } };
  expect(await broker.call('POST', '/v1/projects/default/customImages', { body: made })).toMatchObject({
    status: 400,
    body: { errors: [{ pointer: '/spec/from' }] },
  });
});

test('a snapshot that is asked for needs its volume as before', async () => {
  const body = { name: 'bare', spec: {} };
  const answer = await broker.call('POST', '/v1/projects/default/snapshots', { body });
  expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: '/spec/volume' }] } });
});

test('a volume is released once, by an operator, when nothing else of it is under way; the site’s own reason is said', async () => {
  finds({ ...disk, ref: 'vol-20' });
  expect((await adopt(ofKind('Volume', 'vol-20', 'freed'))).status).toBe(202);
  const path = '/v1/projects/default/volumes/freed/release';
  expect((await broker.call('POST', path)).body.detail).toContain('is being adopted');
  const { id } = (await read('volumes', 'freed')).body;
  await broker.store.pool.query(
    `update resources set state = 'Ready', status = status || jsonb_build_object(
       'state', 'Ready', 'readyAt', now(), 'externalReference', 'vol-20') where id = $1`,
    [id],
  );
  expect((await broker.call('POST', path)).body.detail).toContain('its adopt is under way');
  await broker.store.pool.query(`update operations set state = 'Succeeded' where resource_id = $1`, [id]);
  const said = (can: unknown) =>
    broker.store.pool.query(`update sites set capabilities = $1 where name = 'cloud'`, [
      JSON.stringify([{ kind: 'Volume', verbs: { release: can } }]),
    ]);
  await said({ reason: 'its marks are part of its name' });
  expect(await broker.call('POST', path)).toMatchObject({
    status: 409,
    body: { detail: 'Volume freed cannot be released: its marks are part of its name.' },
  });
  await said(true);
  const viewer = await broker.call('POST', '/v1/tokens', { body: { name: 'watcher', role: 'viewer' } });
  expect((await broker.call('POST', path, { token: viewer.body.secret })).status).toBe(403);
  expect((await broker.call('POST', `${path}?validateOnly=true`)).status).toBe(204);
  const asked = await broker.call('POST', path);
  expect(asked).toMatchObject({ status: 202, body: { verb: 'release', resource: { name: 'freed' } } });
  const again = await broker.call('POST', `/v1/projects/default/volumes/${id}/release`);
  expect(again).toMatchObject({ status: 202, body: { id: asked.body.id } });
  const gone = await broker.call('DELETE', `/v1/projects/default/volumes/freed`, {
    headers: { 'if-match': '*' },
  });
  expect(gone).toMatchObject({ status: 409, body: { detail: 'Volume freed is being released.' } });
});

test('a trial run of an adoption refuses what the adoption would: a name that is taken, a limit', async () => {
  finds({ ...machine, ref: 'i-40' });
  expect((await adopt(input('i-40', 'tried'), {}, '?validateOnly=true')).status).toBe(204);
  expect((await adopt(input('i-40', 'tried'))).status).toBe(202);
  finds({ ...machine, ref: 'i-41' });
  expect(await adopt(input('i-41', 'tried'), {}, '?validateOnly=true')).toMatchObject({
    status: 409,
    body: { errors: [{ pointer: '/name' }] },
  });
  await broker.call('POST', '/v1/projects', { body: { name: 'tiny', limits: { vcpus: 1 } } });
  const beyond = await broker.call('POST', '/v1/projects/tiny/adoptions?validateOnly=true', {
    body: input('i-41', 'big'),
  });
  expect(beyond).toMatchObject({ status: 422, body: { title: 'A limit of the project would be exceeded' } });
});

test('of a machine that is being adopted no change is taken: what it is when it gets the stamp becomes what is wanted', async () => {
  finds({ ...machine, ref: 'i-45' });
  expect((await adopt(input('i-45', 'busy'))).status).toBe(202);
  const at = '/v1/projects/default/instances/busy';
  const any = { headers: { 'if-match': '*' } };
  for (const answer of [
    await broker.call('POST', `${at}/stop`),
    await broker.call('POST', `${at}/resize?validateOnly=true`, { body: { vcpus: 4 } }),
    await broker.call('PATCH', at, { body: { labels: { env: 'test' } }, ...any }),
  ])
    expect(answer).toMatchObject({
      status: 409,
      body: { detail: 'Instance busy is being adopted: wait until that is done.' },
    });
  await settled('busy', 'i-45');
  expect((await broker.call('POST', `${at}/stop`)).status).toBe(202);
});

test('what is at a site that is deleted while it is read is not adopted', async () => {
  for (const [found, kind] of [
    [{ ...machine, ref: 'i-50' }, 'Instance'],
    [{ ...disk, ref: 'vol-50' }, 'Volume'],
  ] as const) {
    const spec = { provider: 'aws', regions: ['us-east-1'], credentials: { source: 'default' } };
    expect((await broker.call('POST', '/v1/sites', { body: { name: 'brief', spec } })).status).toBe(201);
    broker.signals.discover = async () => {
      const gone = await broker.call('DELETE', '/v1/sites/brief', { headers: { 'if-match': '*' } });
      expect(gone.status).toBe(204);
      return { items: [found as never], complete: true };
    };
    const answer = await adopt({
      ...ofKind(kind, found.ref, `of-brief-${kind.toLowerCase()}`),
      site: 'brief',
    });
    expect(answer).toMatchObject({ status: 404, body: { detail: 'There is no site brief.' } });
  }
});

test('what was there before us and still carries the stamp of an adoption that was refused is no orphan', async () => {
  const { db } = broker.store;
  const stamped: [string, string, string][] = [];
  finds({ ...machine, ref: 'i-60' });
  const instance = (await adopt(input('i-60', 'refused'))).body.resource.id as string;
  await db.transaction().execute((tx) => closeIntent(tx, instance, 1));
  stamped.push(['Instance', 'i-60', instance]);
  finds({ ...disk, ref: 'vol-60' });
  const volume = (await adopt(ofKind('Volume', 'vol-60', 'refused'))).body.resource.id as string;
  const [intent] = await liveResourceIntents(db, volume);
  await db.transaction().execute((tx) => moveResourceIntent(tx, intent!, { state: 'removed' }));
  stamped.push(['Volume', 'vol-60', volume]);
  await writeInventory(db, {
    site: 'cloud',
    host: '',
    run: '00000000-0000-7000-8000-000000000060',
    items: stamped.map(([kind, ref, resource]) => ({
      ref,
      kind,
      stamp: { broker: 'b', project: 'default', resource, attempt: 1 },
      location: { region: 'us-east-1' },
      state: 'ready',
      providerKind: kind.toLowerCase(),
      child: false,
    })) as never,
    complete: true,
    last: true,
  });
  expect((await compareInventory(db, [{ site: 'cloud', host: '' }], new Date())).orphans).toEqual([]);
});

test('a token of one project is not told what another project has adopted', async () => {
  finds({ ...machine, ref: 'i-70' });
  expect((await adopt(input('i-70', 'secret-name'))).status).toBe(202);
  await broker.call('POST', '/v1/projects', { body: { name: 'nosy' } });
  const { secret: token } = await broker.token('operator', { project: 'nosy' });
  const ask = (body: object) => broker.call('POST', '/v1/projects/nosy/adoptions', { body, token });
  finds({ ...disk, ref: 'vol-70', attachedTo: 'i-70' });
  const answers = [await ask(input('i-70', 'mine')), await ask(ofKind('Volume', 'vol-70', 'mine'))];
  for (const { status, body } of answers) {
    expect(status).toBe(409);
    expect(JSON.stringify(body)).not.toMatch(/secret-name|default/);
  }
  expect(answers[0]!.body.detail).toBe('i-70 is managed by another project already.');
});
