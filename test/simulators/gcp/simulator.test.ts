import { type GcpSimulator, startGcpSimulator } from './index.ts';
import type { Json } from './world.ts';

let gcp: GcpSimulator;
const zone = 'projects/p1/zones/us-central1-a';

beforeAll(async () => {
  gcp = await startGcpSimulator();
}, 300_000);
afterEach(() => gcp.faults.clear());
afterAll(() => gcp?.close());

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: Json }> {
  const answer = await fetch(`${gcp.endpoint}/compute/v1/${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Json };
}

const machine = (name: string, change: Json = {}): Json => ({
  name,
  machineType: 'zones/us-central1-a/machineTypes/e2-micro',
  disks: [{ boot: true, autoDelete: true, initializeParams: { diskSizeGb: '10' } }],
  networkInterfaces: [{ network: 'global/networks/default' }],
  ...change,
});
const insert = (body: Json, query = '') => ask('POST', `${zone}/instances${query}`, body);
const finished = async (operation: Json) =>
  (await ask('POST', `${zone}/operations/${operation.name}/wait`)).json;

describe('the simulated Compute Engine holds requests to what Google publishes', () => {
  test.each<[string, string, Json]>([
    ['Must be a match of regex', '', machine('Not-A-Name')],
    ['Cannot find field', '', machine('a', { colour: 'red' })],
    ['is not one of its values', '', machine('a', { scheduling: { provisioningModel: 'CHEAP' } })],
    ['must be a boolean', '', machine('a', { deletionProtection: 'yes' })],
    ['Must be a valid UUID', '?requestId=one', machine('a')],
    ['Unknown query parameter', '?token=one', machine('a')],
    ['does not exist in zone', '', machine('a', { machineType: 'zones/us-central1-a/machineTypes/huge' })],
  ])('a request against it is refused: %s', async (words, query, body) => {
    const { status, json } = await insert(body, query);
    expect(status).toBe(400);
    expect(json.error.message).toContain(words);
    expect(gcp.truth()).toEqual([]);
  });

  test('a method that it does not have is said to be missing, not answered', async () => {
    const { status, json } = await ask('GET', 'projects/p1/global/snapshots');
    expect(status).toBe(501);
    expect(json.error.message).toContain('compute.snapshots.list');
  });
});

describe('the simulated Compute Engine behaves as Google documents', () => {
  test('an insert is an operation; the machine and its disk come and go together', async () => {
    const { json } = await insert(machine('one'));
    expect(json).toMatchObject({ kind: 'compute#operation', status: 'PENDING' });
    expect((await ask('GET', `${zone}/instances/one`)).json.status).toBe('PROVISIONING');
    expect(await finished(json)).toMatchObject({ status: 'DONE' });
    expect((await ask('GET', `${zone}/instances/one`)).json.status).toBe('RUNNING');
    expect((await ask('DELETE', `${zone}/disks/one`)).json.error.errors[0].reason).toBe(
      'resourceInUseByAnotherResource',
    );
    await finished((await ask('DELETE', `${zone}/instances/one`)).json);
    expect(gcp.truth()).toEqual([]);
  });

  test('a request id makes one machine; without it the name is taken', async () => {
    const id = '?requestId=00000000-0000-4000-8000-000000000001';
    const first = await insert(machine('two'), id);
    const again = await insert(machine('two'), id);
    expect(again.json.name).toBe(first.json.name);
    expect((await insert(machine('two'))).json.error).toMatchObject({ code: 409 });
    await gcp.destroy('zones/us-central1-a/instances/two');
  });

  test('no capacity is told by the operation, and leaves nothing', async () => {
    gcp.faults.set({ kind: 'pool', machineType: 'e2-micro', free: 0 });
    const { status, json } = await insert(machine('three'));
    expect(status).toBe(200);
    const ended = await finished(json);
    expect(ended.error.errors[0].code).toBe('ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS');
    expect(gcp.truth()).toEqual([]);
  });

  test('labels with an old fingerprint are refused, and only a stopped machine changes its type', async () => {
    await finished((await insert(machine('four'))).json);
    const at = `${zone}/instances/four`;
    const labels = { labels: { a: 'b' }, labelFingerprint: 'AAAA' };
    expect((await ask('POST', `${at}/setLabels`, labels)).status).toBe(412);
    const type = { machineType: 'zones/us-central1-a/machineTypes/e2-small' };
    expect((await ask('POST', `${at}/setMachineType`, type)).status).toBe(400);
    await finished((await ask('POST', `${at}/stop`)).json);
    expect((await ask('GET', at)).json.status).toBe('TERMINATED');
    await finished((await ask('POST', `${at}/setMachineType`, type)).json);
    expect((await ask('GET', at)).json.machineType).toContain('e2-small');
    await gcp.destroy('zones/us-central1-a/instances/four');
  });

  test('what was just made is not seen for as many looks as the lag says', async () => {
    gcp.faults.set({ kind: 'lag', lists: 2 });
    await insert(machine('five'));
    const looks = [1, 2, 3].map(() => ask('GET', `${zone}/instances/five`));
    const seen = (await Promise.all(looks)).map(({ status }) => status).sort();
    expect(seen).toEqual([200, 404, 404]);
    await gcp.destroy('zones/us-central1-a/instances/five');
  });

  test('a throttle names its time where it is told to', async () => {
    gcp.faults.set({ kind: 'throttle', retryAfterMs: 3000 });
    const answer = await fetch(`${gcp.endpoint}/compute/v1/${zone}/instances/none`);
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('3');
  });
});
