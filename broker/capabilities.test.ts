import { keepDescription, siteCapability } from '@landfall/store';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 120_000);
afterAll(() => broker?.stop());

const site = async (name: string) => (await broker.call('GET', `/v1/sites/${name}`)).body;
const can = (name: string, host: string | null, kind: string, verb: string) =>
  siteCapability(broker.store.db, name, host, kind, verb);

async function register(host: string, capabilities?: unknown) {
  const body = {
    capacity: { vcpus: 4, memoryGiB: 8, diskGiB: 50 },
    accel: 'kvm',
    architecture: 'x86_64',
    capabilities,
  };
  const path = `/v1/sites/local/hosts/${host}`;
  return broker.call('PUT', path, { body, token: broker.agentToken });
}
const instance = (verbs: unknown) => [{ kind: 'Instance', verbs }];

test('a cloud site shows what its adapter said, once it has said it, and its revision grows only with news', async () => {
  await broker.call('POST', '/v1/sites', {
    body: { name: 'aws', spec: { provider: 'aws', regions: ['us-east-1'] } },
  });
  expect((await site('aws')).status).toMatchObject({ capabilities: [], facts: {} });
  expect(await can('aws', null, 'Instance', 'create')).toBeUndefined();
  const said = {
    capabilities: [
      {
        kind: 'Instance',
        verbs: { create: true as const, resize: { reason: 'spot machines keep their size' } },
      },
    ],
    facts: { endpoint: 'AWS' },
  };
  await keepDescription(broker.store.db, 'aws', said);
  const shown = await site('aws');
  expect(shown.status).toMatchObject(said);
  await keepDescription(broker.store.db, 'aws', said);
  expect((await site('aws')).revision).toBe(shown.revision);
  await keepDescription(broker.store.db, 'aws', { ...said, facts: { endpoint: 'elsewhere' } });
  expect((await site('aws')).revision).toBe(shown.revision + 1);
  expect(await can('aws', null, 'Instance', 'create')).toBe(true);
  expect(await can('aws', null, 'Instance', 'resize')).toEqual({ reason: 'spot machines keep their size' });
  expect(await can('aws', null, 'Instance', 'dance')).toBeUndefined();
  expect(await can('aws', null, 'Volume', 'create')).toBeUndefined();
  expect(await can('nowhere', null, 'Instance', 'create')).toBeUndefined();
  const { items } = (await broker.call('GET', '/v1/sites')).body;
  expect(items.map(({ status }: { status: object }) => 'capabilities' in status)).toEqual([false, false]);
});

test('an on-prem site can what any of its hosts can; a host alone only what it can itself', async () => {
  const no = (reason: string) => ({ reason });
  await register('h1', instance({ create: true, resize: no('h1 cannot'), console: no('h1 has none') }));
  await register('h2', instance({ create: true, resize: true, console: no('h2 has none') }));
  expect((await site('local')).status.capabilities).toEqual(
    instance({ create: true, resize: true, console: no('h1 has none') }),
  );
  expect((await broker.call('GET', '/v1/sites/local/hosts/h1')).body.capabilities).toEqual(
    instance({ create: true, resize: no('h1 cannot'), console: no('h1 has none') }),
  );
  expect(await can('local', null, 'Instance', 'resize')).toBe(true);
  expect(await can('local', 'h1', 'Instance', 'resize')).toEqual(no('h1 cannot'));
  expect(await can('local', 'h2', 'Instance', 'resize')).toBe(true);
  expect(await can('local', 'h3', 'Instance', 'resize')).toBeUndefined();
});

test('an agent that says nothing of it, as older ones do, is registered; what is no capability is refused', async () => {
  expect((await register('old')).body).toMatchObject({ name: 'old', capabilities: [] });
  expect(await can('local', 'old', 'Instance', 'create')).toBeUndefined();
  const refused = await register('wrong', instance({ create: false }));
  expect(refused).toMatchObject({ status: 400 });
  expect(refused.body.errors[0].pointer).toMatch(/^\/capabilities\/0\/verbs\/create/);
});
