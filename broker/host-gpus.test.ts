import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const at = (name: string) => `/v1/sites/local/hosts/${name}`;

function register(name: string, gpus?: number, gpuName?: string) {
  const capacity = { vcpus: 8, memoryGiB: 32, diskGiB: 500, gpus };
  const body = { capacity, gpuName, accel: 'kvm', architecture: 'x86_64', images: ['tiny'] };
  return broker.call('PUT', at(name), { token: broker.agentToken, body });
}

const spec = (gpu: object) => instanceInput('', { placement: { providers: ['onprem'] }, gpu }).spec;

async function plan(gpu: object) {
  return (await broker.call('POST', '/v1/projects/default/placements', { body: { spec: spec(gpu) } })).body;
}

test('where no host has GPUs, a request for one is refused, and the answer says that GPUs are missing', async () => {
  expect((await register('plain')).body).toMatchObject({ capacity: { gpus: 0 }, gpuName: null });
  const refused = await plan({ count: 1 });
  expect(refused).toMatchObject({ outcome: 'unplaceable', winner: null });
  expect(refused.reasons[0]).toContain('at least 1 GPUs');
  expect(refused.reasons).toContain('on-prem, 1 of 1 hosts have less than 1 GPUs in all');
});

test('GPUs come with their model, and a model with its GPUs', async () => {
  const nameless = await register('rack', 2);
  expect(nameless).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/gpuName', message: expect.stringContaining('the model of the 2 GPUs') }] },
  });
  expect(await register('rack', 0, 'A100')).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/gpuName', message: expect.stringContaining('is A100') }] },
  });
  expect((await register('rack', 1.5, 'A100')).status).toBe(400);
});

test('a host shows its GPUs; its revision grows when they change', async () => {
  const { body } = await register('rack', 4, 'A100');
  expect(body).toMatchObject({ capacity: { gpus: 4 }, claimed: { gpus: 0 }, gpuName: 'A100', revision: 1 });
  expect((await register('rack', 3, 'A100')).body).toMatchObject({ capacity: { gpus: 3 }, revision: 2 });
  expect((await register('rack', 3, 'T4')).body).toMatchObject({ gpuName: 'T4', revision: 3 });
  expect((await register('rack', 3, 'A100')).body).toMatchObject({ gpuName: 'A100', revision: 4 });
  const page = await broker.call('GET', '/v1/hosts');
  expect(page.body.items).toContainEqual(expect.objectContaining({ name: 'rack', gpuName: 'A100' }));
});

test('a request lands on the host with enough GPUs of its model, at the price of the site', async () => {
  const { body: site, headers } = await broker.call('GET', '/v1/sites/local');
  const priced = { ...site.spec, pricing: { ...site.spec.pricing, gpuHour: 0.5 } };
  const put = await broker.call('PUT', '/v1/sites/local', {
    body: { name: 'local', spec: priced },
    headers: { 'if-match': headers.get('etag')! },
  });
  expect(put).toMatchObject({ status: 200, body: { spec: { pricing: { gpuHour: 0.5 } } } });
  const { winner } = await plan({ name: 'a100', count: 2 });
  expect(winner).toMatchObject({ host: 'rack', gpuName: 'A100', gpuCount: 2 });
  expect(winner.pricePerHour).toBeCloseTo(0.006 + 0.5 * 0.0008 + 2 * 0.5, 10);
  expect(await plan({ name: 'H100', count: 1 })).toMatchObject({ outcome: 'unplaceable' });
  expect(await plan({ count: 4 })).toMatchObject({ outcome: 'unplaceable' });
});

test('what a site keeps back of the GPUs of a host is not offered', async () => {
  const { body: site, headers } = await broker.call('GET', '/v1/sites/local');
  const kept = { ...site.spec, hosts: { rack: { gpus: 1 } } };
  const put = await broker.call('PUT', '/v1/sites/local', {
    body: { name: 'local', spec: kept },
    headers: { 'if-match': headers.get('etag')! },
  });
  expect(put.status).toBe(200);
  expect(await plan({ count: 1 })).toMatchObject({ winner: { host: 'rack' } });
  expect(await plan({ count: 2 })).toMatchObject({ winner: null });
  const more = { ...site.spec, hosts: { rack: { gpus: 8 } } };
  await broker.call('PUT', '/v1/sites/local', {
    body: { name: 'local', spec: more },
    headers: { 'if-match': '*' },
  });
  expect(await plan({ count: 3 })).toMatchObject({ winner: { host: 'rack' } });
  expect(await plan({ count: 4 })).toMatchObject({ winner: null });
});

test('a batch fills the GPUs of a host, and names it for the machines without a place', async () => {
  const { body } = await broker.call('POST', '/v1/projects/default/placementBatches', {
    body: { requests: [{ name: 'train', spec: spec({ count: 1 }), count: 5 }] },
  });
  expect(body.placements).toEqual([
    expect.objectContaining({ count: 3, offer: expect.objectContaining({ host: 'rack', gpuCount: 1 }) }),
  ]);
  expect(body.unplaced).toEqual([{ request: 0, count: 2 }]);
  expect(body.conflicts[0].because.join()).toContain('GPUs free');
});
