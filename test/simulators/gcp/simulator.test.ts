import { jest } from '@jest/globals';
import { createFaultPlan } from './faults.ts';
import { type GcpSimulator, startGcpSimulator } from './index.ts';
import { createWorld, type Json, pathOf } from './world.ts';

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
const finishedGlobal = async (operation: Json) =>
  (await ask('POST', `projects/p1/global/operations/${operation.name}/wait`)).json;

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
    const { status, json } = await ask('GET', 'projects/p1/global/routes');
    expect(status).toBe(501);
    expect(json.error.message).toContain('compute.routes.list');
  });
});

describe('the simulated Compute Engine behaves as Google documents', () => {
  test('an insert is an operation; the machine and its disk come and go together', async () => {
    const { json } = await insert(machine('one'));
    expect(json).toMatchObject({ kind: 'compute#operation', status: 'PENDING' });
    const { status } = (await ask('GET', `${zone}/instances/one`)).json;
    expect(['PROVISIONING', 'STAGING']).toContain(status);
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

  test('an operation that is done stays done, in whatever order late timers come', () => {
    const timers: (() => void)[] = [];
    const spy = jest.spyOn(globalThis, 'setTimeout').mockImplementation(((what: () => void) => {
      timers.push(what);
      return { unref: () => {} };
    }) as unknown as typeof setTimeout);
    try {
      const world = createWorld(createFaultPlan());
      const { selfLink } = world.operate({ project: 'p1', scope: 'global' }, 'insert', 'x', 100, () => {});
      for (const timer of timers.reverse()) timer();
      expect(timers).toHaveLength(2);
      expect(world.operation(pathOf('p1', selfLink))?.status).toBe('DONE');
    } finally {
      spy.mockRestore();
    }
  });

  const reasonOf = ({ json }: { json: Json }) => json.error?.errors[0].reason;
  const network = 'projects/p1/global/networks';

  test('a network is not ready before its operation is over, and stays while something stands on it', async () => {
    const { json } = await ask('POST', network, { name: 'net', autoCreateSubnetworks: false });
    const rule = { name: 'rule', network: 'global/networks/net', allowed: [{ IPProtocol: 'icmp' }] };
    const rules = 'projects/p1/global/firewalls';
    expect(reasonOf(await ask('POST', rules, rule))).toBe('resourceNotReady');
    await finishedGlobal(json);
    await finishedGlobal((await ask('POST', rules, rule)).json);
    expect(reasonOf(await ask('DELETE', `${network}/net`))).toBe('resourceInUseByAnotherResource');
    expect((await ask('PATCH', `${rules}/rule`, { name: 'rule', disabled: true })).status).toBe(200);
    expect((await ask('GET', `${rules}/rule`)).json).toMatchObject({ disabled: true, direction: 'INGRESS' });
    await finishedGlobal((await ask('DELETE', `${rules}/rule`)).json);
    await finishedGlobal((await ask('DELETE', `${network}/net`)).json);
    expect(gcp.truth()).toEqual([]);
  });

  test('subnetworks of one network do not overlap, and labels are not for them', async () => {
    await finishedGlobal((await ask('POST', network, { name: 'net', autoCreateSubnetworks: false })).json);
    const subnets = 'projects/p1/regions/us-central1/subnetworks';
    const subnet = (name: string, ipCidrRange: string, change: Json = {}) =>
      ask('POST', subnets, { name, network: 'global/networks/net', ipCidrRange, ...change });
    expect((await subnet('a', '10.0.0.0/20')).status).toBe(200);
    expect((await subnet('b', '10.0.8.0/24')).json.error.message).toContain('conflicts with existing');
    const labelled = await subnet('c', '10.1.0.0/24', { labels: { a: 'b' } });
    expect(labelled.json.error.message).toContain('Cannot find field');
    expect(reasonOf(await ask('DELETE', `${network}/net`))).toBe('resourceInUseByAnotherResource');
  });

  test('a disk that a machine uses is used by nobody else, and its image needs force', async () => {
    await finished((await insert(machine('six'))).json);
    await finished((await ask('POST', `${zone}/disks`, { name: 'data', sizeGb: '10' })).json);
    const body = { source: `${zone}/disks/data`, deviceName: 'data' };
    await finished((await ask('POST', `${zone}/instances/six/attachDisk`, body)).json);
    expect(reasonOf(await ask('POST', `${zone}/instances/six/attachDisk`, body))).toBe(
      'resourceInUseByAnotherResource',
    );
    const image = { name: 'img', sourceDisk: `${zone}/disks/six` };
    const images = 'projects/p1/global/images';
    expect(reasonOf(await ask('POST', images, image))).toBe('resourceInUseByAnotherResource');
    expect((await ask('POST', `${images}?forceCreate=true`, image)).status).toBe(200);
    expect((await ask('POST', `${zone}/disks/data/resize`, { sizeGb: '10' })).status).toBe(400);
    await gcp.destroy('zones/us-central1-a/instances/six');
    expect((await ask('GET', `${zone}/disks/data`)).json.users).toEqual([]);
  });

  test('an interface has one way out, and a reserved address leads to one machine', async () => {
    await finished((await insert(machine('seven'))).json);
    const addresses = 'projects/p1/regions/us-central1/addresses';
    const { json } = await ask('POST', addresses, { name: 'front', labels: { a: 'b' } });
    await ask('POST', `projects/p1/regions/us-central1/operations/${json.name}/wait`);
    const { address, labels } = (await ask('GET', `${addresses}/front`)).json;
    // They "can only be added or modified by the setLabels method".
    expect(labels).toEqual({});
    const add = (natIP: string) =>
      ask('POST', `${zone}/instances/seven/addAccessConfig?networkInterface=nic0`, { name: 'out', natIP });
    expect((await add('192.0.2.1')).json.error.message).toContain('not reserved');
    await finished((await add(address)).json);
    expect((await add(address)).json.error.message).toContain('At most one access config');
    expect(reasonOf(await ask('DELETE', `${addresses}/front`))).toBe('resourceInUseByAnotherResource');
    await gcp.destroy('zones/us-central1-a/instances/seven');
    expect((await ask('GET', `${addresses}/front`)).json).toMatchObject({ status: 'RESERVED', users: [] });
  });

  test('a filter is one regular expression, or terms; a zone out of reach is named inside a 200 answer', async () => {
    await finished((await insert(machine('eight', { labels: { a: 'b' } }))).json);
    const all = async (filter: string) =>
      (await ask('GET', `projects/p1/aggregated/instances?filter=${encodeURIComponent(filter)}`)).json;
    const found = async (filter: string) => Object.keys((await all(filter)).items ?? {});
    expect(await found('name eq "eig.*"')).toEqual(['zones/us-central1-a']);
    expect(await found('name eq "eig"')).toEqual([]);
    expect((await all('name eq "eig.*" AND labels.a = "b"')).error.code).toBe(400);
    gcp.faults.set({ kind: 'unreachable', zone: 'us-central1-a' });
    const away = await all('labels.a = "b"');
    expect(away.unreachables).toEqual([expect.stringContaining('zones/us-central1-a')]);
    expect((await ask('GET', `${zone}/instances`)).json).toMatchObject({
      items: [],
      warning: { code: 'UNREACHABLE' },
    });
    gcp.faults.clear();
    await gcp.destroy('zones/us-central1-a/instances/eight');
  });

  test('an image is made of a tar.gz in Cloud Storage, if that is there', async () => {
    const images = 'projects/p1/global/images';
    const made = (source: string) => ask('POST', images, { name: 'golden', rawDisk: { source } });
    const source = 'https://storage.googleapis.com/disks/golden.tar.gz';
    for (const [wrong, words] of [
      ['gs://disks/golden.tar.gz', 'was not a valid Google Cloud Storage object reference'],
      [source.replace('.tar.gz', '.vmdk'), 'is not a supported file'],
    ] as const) {
      const { status, json } = await made(wrong);
      expect({ status, message: json.error.message }).toEqual({
        status: 400,
        message: expect.stringContaining(words),
      });
    }
    gcp.faults.set({ kind: 'unreadable' });
    expect((await made(source)).json.error).toMatchObject({
      code: 404,
      message: expect.stringContaining("of type 'Google Cloud Storage object' was not found"),
    });
    const { json } = await made(source);
    expect((await ask('GET', `${images}/golden`)).json.status).toBe('PENDING');
    await finishedGlobal(json);
    expect((await ask('GET', `${images}/golden`)).json).toMatchObject({ status: 'READY', diskSizeGb: '8' });
    await gcp.destroy('global/images/golden');
  });

  test('a throttle names its time where it is told to', async () => {
    gcp.faults.set({ kind: 'throttle', retryAfterMs: 3000 });
    const answer = await fetch(`${gcp.endpoint}/compute/v1/${zone}/instances/none`);
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('3');
  });
});
