import { reportSite, tellSilentHosts, unreachableAfterSeconds } from '@landfall/store/health.ts';
import { sql } from 'kysely';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 120_000);
afterAll(() => broker?.stop(), 20_000);

const body = { capacity: { vcpus: 8, memoryGiB: 32, diskGiB: 500 }, accel: 'kvm', architecture: 'x86_64' };
const register = async (host: string) => {
  const { status } = await broker.call('PUT', `/v1/sites/local/hosts/${host}`, {
    token: broker.agentToken,
    body,
  });
  expect(status).toBe(200);
};
const silence = (...hosts: string[]) =>
  sql`update hosts set last_seen_at = now() - make_interval(secs => ${unreachableAfterSeconds}) where name in (${sql.join(hosts)})`.execute(
    broker.store.db,
  );

/** Events about health since the last call, oldest first, as `type name`. */
let seen = 0;
async function told(): Promise<string[]> {
  const { items } = (await broker.call('GET', '/v1/events?pageSize=500')).body;
  const all = items
    .reverse()
    .map(({ type, resource }: { type: string; resource: { name: string } }) => `${type} ${resource?.name}`)
    .filter((each: string) => /^(host|site)\./.test(each));
  const fresh = all.slice(seen);
  seen = all.length;
  return fresh;
}

/** Until the broker itself has told of them. */
async function toldUntil(last: string): Promise<string[]> {
  const events: string[] = [];
  while (events.at(-1) !== last) {
    events.push(...(await told()));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return events;
}

test('a site is told ready by its first host and unavailable by its last, each change once', async () => {
  await told();
  await register('h1');
  await register('h2');
  await register('h1');
  expect(await told()).toEqual(['host.registered h1', 'site.ready local', 'host.registered h2']);
  await silence('h1');
  expect(await toldUntil('host.unreachable h1')).toEqual(['host.unreachable h1']);
  await silence('h2');
  expect(await toldUntil('site.unavailable local')).toEqual([
    'host.unreachable h2',
    'site.unavailable local',
  ]);
  expect((await broker.call('GET', '/v1/sites/local')).body.status).toMatchObject({ state: 'Unavailable' });
  await register('h2');
  await register('h2');
  expect(await told()).toEqual(['host.ready h2', 'site.ready local']);
  expect((await broker.call('GET', '/v1/sites/local')).body.status).toMatchObject({ state: 'Ready' });
});

test('of several brokers that look at once, one tells', async () => {
  await register('h1');
  await told();
  await silence('h1', 'h2');
  await Promise.all(Array.from({ length: 5 }, () => tellSilentHosts(broker.store.db)));
  expect((await told()).sort()).toEqual([
    'host.unreachable h1',
    'host.unreachable h2',
    'site.unavailable local',
  ]);
});

test('a site whose hosts are all removed is told to wait for one again', async () => {
  await told();
  for (const host of ['h1', 'h2'])
    expect(
      (await broker.call('DELETE', `/v1/sites/local/hosts/${host}`, { headers: { 'If-Match': '*' } })).status,
    ).toBe(204);
  expect(await told()).toEqual(['host.deleted h1', 'host.deleted h2', 'site.pending local']);
});

test('a cloud site is told otherwise when its worker says so, with why, and not again for the same', async () => {
  const spec = { provider: 'aws', regions: ['eu-central-1'] };
  expect((await broker.call('POST', '/v1/sites', { body: { name: 'aws-1', spec } })).status).toBe(201);
  await told();
  const say = (state: 'Ready' | 'Unavailable', why: string) =>
    reportSite(broker.store.db, 'aws-1', state, why);
  await say('Ready', '');
  await say('Ready', '');
  await say('Unavailable', 'the keys are refused');
  await say('Unavailable', 'the keys are refused');
  expect(await told()).toEqual(['site.ready aws-1', 'site.unavailable aws-1']);
  const { items } = (await broker.call('GET', '/v1/events?pageSize=1')).body;
  expect(items[0].message).toBe('site aws-1 is Unavailable: the keys are refused');
});
