import { wakeNeighbours } from '@landfall/store/resource-references.ts';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const at = '/v1/projects/default';
const any = { 'if-match': '*' };
const post = (kind: string, name: string, spec: object, query = '') =>
  broker.call('POST', `${at}/${kind}${query}`, { body: { name, spec } });

test('a resource of each kind is asked for with 202, read back, listed, changed and deleted', async () => {
  const specs: [string, string, object][] = [
    ['networks', 'Network', { cidr: '10.3.0.0/16' }],
    [
      'firewalls',
      'Firewall',
      { network: 'my-networks', rules: [{ protocol: 'tcp', ports: { from: 22, to: 22 } }] },
    ],
    ['volumes', 'Volume', { sizeGiB: 3 }],
    ['snapshots', 'Snapshot', { volume: 'my-volumes' }],
    ['addresses', 'Address', {}],
    ['customImages', 'CustomImage', { from: { snapshot: 'my-snapshots' } }],
  ];
  for (const [plural, kind, spec] of specs) {
    const name = `my-${plural.toLowerCase()}`;
    const made = await post(plural, name, spec);
    expect(made).toMatchObject({
      status: 202,
      body: { kind: 'Operation', verb: 'create', resource: { kind, name } },
    });
    expect(made.headers.get('operation-location')).toBe(`/v1/operations/${made.body.id}`);
    const read = await broker.call('GET', `${at}/${plural}/${name}`);
    expect(read).toMatchObject({
      status: 200,
      body: { kind, name, status: { state: 'Pending' }, generation: 1 },
    });
    expect((await broker.call('GET', `${at}/${plural}?filter=name=${name}`)).body.items).toMatchObject([
      { name },
    ]);
    expect(await post(plural, name, spec)).toMatchObject({
      status: 409,
      body: { errors: [{ pointer: '/name' }] },
    });
    const patch = (headers: Record<string, string>) =>
      broker.call('PATCH', `${at}/${plural}/${name}`, { body: { labels: { a: 'b' } }, headers });
    expect((await patch({})).status).toBe(428);
    expect((await patch({ 'if-match': '"99"' })).status).toBe(412);
    expect(await patch({ 'if-match': read.headers.get('etag')! })).toMatchObject({
      status: 202,
      body: { verb: 'update' },
    });
    expect(await patch(any)).toMatchObject({ status: 200, body: { labels: { a: 'b' }, generation: 2 } });
  }
  for (const [plural, kind] of specs.reverse()) {
    const gone = await broker.call('DELETE', `${at}/${plural}/my-${plural.toLowerCase()}`, { headers: any });
    expect(gone).toMatchObject({ status: 202, body: { verb: 'delete', resource: { kind } } });
    const again = await broker.call('DELETE', `${at}/${plural}/my-${plural.toLowerCase()}`, { headers: any });
    expect(again.body.id).toBe(gone.body.id);
  }
  expect(broker.signals.rows.filter(({ workflow }) => workflow === 'resource').length).toBeGreaterThan(0);
});

test('validateOnly checks everything and keeps nothing', async () => {
  expect((await post('volumes', 'dry', { sizeGiB: 1 }, '?validateOnly=true')).status).toBe(204);
  expect((await broker.call('GET', `${at}/volumes/dry`)).status).toBe(404);
  expect((await post('volumes', 'dry', { snapshot: 'none' }, '?validateOnly=true')).status).toBe(422);
});

test('what cannot be is refused with its field, by the document and by the store alike', async () => {
  expect((await post('volumes', 'v', { sizeGiB: 0 })).body.errors).toMatchObject([
    { pointer: '/spec/sizeGiB' },
  ]);
  expect((await post('volumes', 'v', { size: 1 })).body.errors).toMatchObject([
    { pointer: '/spec/size', suggestion: expect.anything() },
  ]);
  expect((await post('networks', 'n', { cidr: '10.0.0.1/24' })).body.errors).toMatchObject([
    { pointer: '/spec/cidr' },
  ]);
  expect((await post('customImages', 'i', { from: {} })).status).toBe(400);
});

test('an instance may name a network that is there, and keeps it from being deleted', async () => {
  const make = (spec: object) =>
    broker.call('POST', `${at}/instances`, {
      body: instanceInput('inside', spec as Record<string, unknown>),
    });
  expect((await make({ network: 'nowhere' })).body.errors).toMatchObject([
    { pointer: '/spec/network', message: expect.stringContaining('there is no network nowhere') },
  ]);
  await post('networks', 'home', { cidr: '10.4.0.0/16', subnets: [{ name: 'a', cidr: '10.4.1.0/24' }] });
  expect((await make({ network: 'home', subnet: 'b' })).body.errors).toMatchObject([
    { pointer: '/spec/subnet', message: expect.stringContaining('it has a') },
  ]);
  expect((await make({ network: 'home' })).status).toBe(202);
  const refused = await broker.call('DELETE', `${at}/networks/home`, { headers: any });
  expect(refused).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('instance/inside') },
  });
});

test('a viewer reads and does not change; another project’s resources are not there', async () => {
  const { secret: token } = await broker.token('viewer');
  await post('volumes', 'seen', { sizeGiB: 1 });
  expect((await broker.call('GET', `${at}/volumes/seen`, { token })).status).toBe(200);
  expect((await broker.call('DELETE', `${at}/volumes/seen`, { token, headers: any })).status).toBe(403);
  await broker.call('POST', '/v1/projects', { body: { name: 'other' } });
  expect((await broker.call('GET', '/v1/projects/other/volumes/seen')).status).toBe(404);
  await broker.call('POST', '/v1/projects/other/volumes', { body: { name: 'held', spec: { sizeGiB: 1 } } });
  const refused = await broker.call('DELETE', '/v1/projects/other', { headers: any });
  expect(refused).toMatchObject({ status: 409, body: { detail: expect.stringContaining('volume held') } });
});

test('what the site has said that it cannot do is refused before anything is made, with its reason', async () => {
  const capabilities = [{ kind: 'Address', verbs: { create: { reason: 'a host has no public addresses' } } }];
  const host = {
    capacity: { vcpus: 4, memoryGiB: 8, diskGiB: 100 },
    accel: 'tcg',
    architecture: 'x86_64',
    images: ['tiny'],
    capabilities,
  };
  const registered = await broker.call('PUT', '/v1/sites/local/hosts/h1', {
    body: host,
    token: broker.agentToken,
  });
  expect(registered.status).toBe(200);
  expect(await post('addresses', 'none', {})).toMatchObject({
    status: 422,
    body: {
      errors: [{ pointer: '/spec/site', message: expect.stringContaining('a host has no public addresses') }],
    },
  });
  expect((await post('volumes', 'some', { sizeGiB: 1 })).status).toBe(202);
});

test('R10: a site that holds a volume is not removed', async () => {
  await post('volumes', 'placed', { sizeGiB: 1 });
  const { id } = (await broker.call('GET', `${at}/volumes/placed`)).body;
  await broker.store.db
    .insertInto('resource_intents')
    .values({ resource: id, attempt: 1, kind: 'Volume', site: 'local', region: 'local' })
    .execute();
  const refused = await broker.call('DELETE', '/v1/sites/local', { headers: any });
  expect(refused).toMatchObject({ status: 409, body: { detail: expect.stringContaining('volume placed') } });
});

test('what a resource wakes beside it is woken by the turn of its own project', async () => {
  await post('networks', 'woken-net', { cidr: '10.9.0.0/16' });
  await broker.call('POST', `${at}/instances`, { body: instanceInput('woken', { network: 'woken-net' }) });
  const { id } = (await broker.call('GET', `${at}/networks/woken-net`)).body;
  const { id: instance } = (await broker.call('GET', `${at}/instances/woken`)).body;
  await broker.store.db.transaction().execute(async (tx) => {
    await wakeNeighbours(tx, id);
    const woken = tx.selectFrom('outbox').select(['workflow', 'project']).where('resource', '=', instance);
    expect(await woken.execute()).toContainEqual({ workflow: 'instance', project: 'default' });
    expect(await woken.where('project', '=', '').execute()).toEqual([]);
  });
});

test('an image comes from a URL that its site reads: another is refused at once by its field, and says where to upload the disk', async () => {
  for (const [name, spec] of [
    ['aws', { provider: 'aws', regions: ['us-east-1'] }],
    ['azure', { provider: 'azure', regions: ['westeurope'], subscription: crypto.randomUUID() }],
    ['gcp', { provider: 'gcp', regions: ['us-central1'], project: 'a-project' }],
  ] as const)
    expect((await broker.call('POST', '/v1/sites', { body: { name, spec } })).status).toBe(201);
  const sha256 = 'a'.repeat(64);
  const foreign = 'https://disks.example/golden.vhd';
  const blob = 'https://account.blob.core.windows.net/vhds/golden.vhd';
  const image = (site: string, url: object) => post('customImages', 'golden', { site, from: { url } });
  for (const [site, url, field, words] of [
    ['aws', { url: foreign, format: 'vhd' }, 'url', 'upload the disk to a bucket'],
    ['azure', { url: foreign, format: 'vhd' }, 'url', 'page blob to a storage account'],
    ['gcp', { url: foreign, format: 'raw' }, 'url', 'upload the disk to a bucket'],
    ['gcp', { url: 'gs://disks/golden.tar.gz', format: 'vmdk' }, 'format', 'imports raw, not vmdk'],
    ['azure', { url: blob, format: 'vhd', sha256 }, 'sha256', 'leave it out here'],
    ['local', { url: foreign, format: 'vhd' }, 'sha256', 'must be given on-prem'],
    ['local', { url: 's3://disks/golden.vhd', format: 'vhd', sha256 }, 'url', 'http or https'],
  ] as const)
    expect(await image(site, url)).toMatchObject({
      status: 422,
      body: {
        errors: [{ pointer: `/spec/from/url/${field}`, message: expect.stringContaining(words) }],
      },
    });
  expect((await broker.call('GET', `${at}/customImages/golden`)).status).toBe(404);
  expect((await image('azure', { url: blob, format: 'vhd' })).status).toBe(202);
});

test.each([
  ['a query', 'https://account.blob.core.windows.net/vhds/golden.vhd?sv=2024-11-04&sig=opensesame'],
  ['a user or password', 'https://somebody:opensesame@disks.example/golden.vhd'],
])(
  '%s in the URL of an image is refused at every site, kept nowhere and not sent back',
  async (what, url) => {
    for (const site of ['azure', 'local']) {
      const spec = { site, from: { url: { url, format: 'vhd', sha256: 'a'.repeat(64) } } };
      const refused = await post('customImages', 'secret', spec);
      expect(refused).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: '/spec/from/url/url', message: expect.stringContaining(what) }] },
      });
      expect(JSON.stringify(refused.body)).not.toContain('opensesame');
    }
    expect((await broker.call('GET', `${at}/customImages/secret`)).status).toBe(404);
    const events = await broker.store.db.selectFrom('events').selectAll().execute();
    expect(JSON.stringify(events)).not.toContain('opensesame');
  },
);
