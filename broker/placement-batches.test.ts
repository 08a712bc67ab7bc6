import type { InstanceSpec } from '@landfall/model';
import { planBatch } from '@landfall/workflows/placement.ts';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const at = '/v1/projects/default/placementBatches';
const plan = (body: unknown, token?: string) =>
  broker.call('POST', at, { body, ...(token === undefined ? {} : { token }) });
const clouds = { providers: ['aws', 'azure', 'gcp'] };
const small = { image: 'debian-12', vcpus: 2, memoryGiB: 4, placement: clouds };
const onPrem = { image: 'tiny', vcpus: 1, memoryGiB: 5, placement: { providers: ['onprem'] } };

const policy = (name: string, rules: string) => `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata:
  name: ${name}
spec:
  rules:
    - ${rules}
`;

async function put(name: string, rules: string): Promise<void> {
  const { status, body } = await broker.call('PUT', `/v1/policies/${name}`, {
    body: { source: policy(name, rules) },
  });
  if (status !== 201) throw new Error(JSON.stringify(body));
}
const drop = (name: string) =>
  broker.call('DELETE', `/v1/policies/${name}`, { headers: { 'if-match': '*' } });

test('a batch lands at the cheapest, as each request by itself, where nothing is shared', async () => {
  const { secret } = await broker.token('viewer', { project: 'default' });
  const { status, body } = await plan(
    { requests: [{ name: 'web', spec: small, count: 3 }, { spec: { ...small, memoryGiB: 16 } }] },
    secret,
  );
  expect(status).toBe(200);
  const alone = await broker.call('POST', '/v1/projects/default/placements', { body: { spec: small } });
  expect(body).toMatchObject({ unplaced: [], conflicts: [], unplacedBound: 0, classes: 2, currency: 'USD' });
  expect(body.placements[0]).toMatchObject({ request: 0, count: 3 });
  expect(body.placements[0].offer.pricePerHour).toBe(alone.body.winner.pricePerHour);
  expect(body.gap).toBeLessThan(1e-6);
  expect(body.catalogue).toEqual(alone.body.catalogue);
  const listed = await broker.call('GET', '/v1/projects/default/decisions');
  expect(listed.body.items).toEqual([]);
});

test('the last room of a host goes to one of two that want it; the other is named with what is in the way', async () => {
  await broker.call('PUT', '/v1/sites/local/hosts/h1', {
    token: broker.agentToken,
    body: {
      capacity: { vcpus: 4, memoryGiB: 8, diskGiB: 100 },
      accel: 'kvm',
      architecture: 'x86_64',
      images: ['tiny'],
    },
  });
  const { body } = await plan({
    requests: [
      { name: 'far', spec: small },
      { name: 'one', spec: onPrem },
      { name: 'two', spec: onPrem },
    ],
  });
  expect(body.placements.map((p: { request: number }) => p.request)).toHaveLength(2);
  expect(body.placements).toContainEqual(
    expect.objectContaining({ count: 1, offer: expect.objectContaining({ site: 'local', host: 'h1' }) }),
  );
  expect(body.unplaced).toEqual([{ request: 2, count: 1 }]);
  expect(body.conflicts).toMatchObject([{ because: [expect.stringContaining('host h1')] }]);
  expect(body.conflicts[0].requests).toContain(2);
});

test('a quota is shared by the batch, and the answer says what one more would save', async () => {
  await put('few', '{name: gcp, quota: {resource: instances, limit: 2, group: [provider]}}');
  const free = 4;
  const { body } = await plan({ requests: [{ name: 'web', spec: small, count: free }], gap: 0 });
  const byProvider = new Map<string, number>();
  for (const { count, offer } of body.placements)
    byProvider.set(offer.provider, (byProvider.get(offer.provider) ?? 0) + count);
  expect([...byProvider.values()].reduce((a, b) => a + b, 0)).toBe(free);
  expect(Math.max(...byProvider.values())).toBe(2);
  expect(body.shadowPrices[0]).toMatchObject({ unit: 'instance' });
  expect(body.shadowPrices[0].words).toContain('quota few/gcp: 2 instances');
  const many = await plan({ requests: [{ name: 'web', spec: small, count: 9 }] });
  expect(many.body.unplaced).toEqual([{ request: 0, count: 3 }]);
  expect(many.body.unplacedBound).toBe(3);
  expect(many.body.conflicts[0].because).toContainEqual(expect.stringContaining('quota few/gcp'));
  await drop('few');
});

test('a request whose image no allowed provider has is without a place; the others keep their numbers', async () => {
  const { body } = await plan({
    requests: [
      { spec: { ...small, image: 'tiny', placement: { providers: ['azure'] } }, count: 2 },
      { spec: small },
    ],
  });
  expect(body.unplaced).toEqual([{ request: 0, count: 2 }]);
  expect(body.unplacedBound).toBe(2);
  expect(body.conflicts).toEqual([
    {
      requests: [0],
      because: [expect.stringContaining('the image tiny is to be had on')],
      irreducible: true,
    },
  ]);
  expect(body.placements).toMatchObject([{ request: 1, count: 1 }]);
});

test('under a policy that can no longer be read, nothing finds a place, and the policy is named', async () => {
  await put('odd', "{name: r, deny: 'false'}");
  await broker.store.pool.query(`update policies set source = 'gone', version = 'x' where name = 'odd'`);
  const { body } = await plan({ requests: [{ spec: small, count: 2 }] });
  expect(body).toMatchObject({ placements: [], unplaced: [{ request: 0, count: 2 }] });
  expect(body.conflicts[0].because[0]).toMatch(/policy odd cannot be read/);
  await drop('odd');
});

test.each([
  ['a size that is none', { vcpus: 0 }, 400, '/requests/3/spec/vcpus'],
  ['an image that is not there', { image: 'debian-13' }, 422, '/requests/3/spec/image'],
  [
    'a site that is not there',
    { placement: { sites: ['nowhere'] } },
    422,
    '/requests/3/spec/placement/sites/0',
  ],
  [
    'rules of its own',
    { placement: { rules: [{ deny: 'false' }] } },
    422,
    '/requests/3/spec/placement/rules',
  ],
])('%s is refused at its place in the batch', async (_what, wrong, status, pointer) => {
  const requests = [small, small, small, { ...small, ...wrong }].map((spec) => ({ spec }));
  const refused = await plan({ requests });
  expect(refused.status).toBe(status);
  expect(refused.body.errors).toContainEqual(expect.objectContaining({ pointer }));
});

test('what a policy refuses at the door is told at its place', async () => {
  await put('named', '{name: owner, labels: {required: [owner]}}');
  const refused = await plan({ requests: [{ labels: { owner: 'ann' }, spec: small }, { spec: small }] });
  expect(refused.status).toBe(422);
  expect(refused.body.errors).toMatchObject([{ pointer: '/requests/1/labels' }]);
  expect(refused.body.type).toBe('https://landfall.dev/problems/policy-refused');
  const wrongToo = await plan({ requests: [{ spec: small }, { spec: { ...small, image: 'nothing' } }] });
  expect(wrongToo.body.type).toBe('https://landfall.dev/problems/unprocessable');
  await drop('named');
});

test('an empty batch, too many requests and too many machines are refused', async () => {
  expect((await plan({ requests: [] })).body.errors).toMatchObject([{ pointer: '/requests' }]);
  const requests = new Array(10_001).fill({ spec: small });
  expect((await plan({ requests })).body.errors).toMatchObject([{ pointer: '/requests' }]);
  const many = await plan({ requests: [{ spec: small, count: 10_000 }, { spec: small }] });
  expect(many.status).toBe(422);
  expect(many.body.errors).toMatchObject([{ pointer: '/requests', value: 10_001 }]);
  const hosts = Array.from({ length: 101 }, (_, i) => `h${i}`);
  const long = await plan({ requests: [{ spec: { ...small, placement: { hosts } } }] });
  expect(long.body.errors).toMatchObject([{ pointer: '/requests/0/spec/placement/hosts' }]);
});

test('ten thousand requests are larger than other bodies may be, and are answered', async () => {
  const requests = Array.from({ length: 10_000 }, (_, i) => ({
    name: `web-${i}`,
    labels: { app: `app-${i % 50}`, purpose: 'a label to make the body larger than 1 MiB' },
    spec: { ...small, vcpus: 1 + (i % 8), memoryGiB: 4 * (1 + (i % 4)) },
  }));
  const { status, body } = await plan({ requests });
  expect(status).toBe(200);
  expect(body.placements.reduce((t: number, p: { count: number }) => t + p.count, 0)).toBe(10_000);
  expect(body.unplaced).toEqual([]);
}, 60_000);

test('a caller that has gone ends the search', async () => {
  const subject = {
    organization: 'default',
    project: 'default',
    name: '',
    labels: {},
    spec: small as InstanceSpec,
  };
  const gone = planBatch(broker.store.db, 'default', [{ subject, count: 1 }], {
    signal: AbortSignal.abort(new Error('hung up')),
  });
  await expect(gone).rejects.toThrow('hung up');
});
