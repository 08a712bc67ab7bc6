import { TestBroker } from '@landfall/broker/testing/test-broker.ts';
import { decisions } from '@landfall/workflows/decide.ts';
import { placer } from '@landfall/workflows/place.ts';

/** Over the API, with each decision made as a workflow makes it: nothing is created. */
let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

test('the rule that a standing machine brought keeps others off its host, one by one and together', async () => {
  const { capacity, ...host } = { capacity: { vcpus: 8, memoryGiB: 16, diskGiB: 200 }, accel: 'kvm' };
  for (const name of ['quiet-1', 'quiet-2'])
    await broker.call('PUT', `/v1/sites/local/hosts/${name}`, {
      token: broker.agentToken,
      body: { ...host, capacity, architecture: 'x86_64', images: ['tiny'] },
    });
  const { decide } = decisions(broker.store.db, broker.broker.parts.installation, placer());
  const hosts = ['quiet-1', 'quiet-2'];
  const noisy = { image: 'tiny', vcpus: 1, memoryGiB: 1, placement: { hosts } };
  const rules = [{ name: 'alone', antiAffinity: { to: 'resource.labels.app == "noisy"', by: 'host' } }];
  const asked = async (name: string, app: string, placement: object) => {
    const spec = { ...noisy, placement };
    const body = { name, labels: { app }, spec };
    const { status, body: made } = await broker.call('POST', '/v1/projects/default/instances', { body });
    expect(status).toBe(202);
    await decide({ instance: made.resource.id });
    const of = [made.resource.id];
    const { rows } = await broker.store.pool.query('select host from intents where resource = $1', of);
    return rows[0]?.host;
  };
  const body = { name: 'next', labels: { app: 'noisy' }, spec: noisy };
  const before = await broker.call('POST', '/v1/projects/default/placements', { body });
  const free = before.body.winner.host;
  expect(await asked('still', 'still', { hosts: [free], rules })).toBe(free);
  const other = hosts.find((name) => name !== free);
  const alone = await broker.call('POST', '/v1/projects/default/placements', { body });
  expect(alone.body.winner.host).toBe(other);
  expect(alone.body.rules).toMatchObject([{ policy: 'request', rule: 'alone', rejected: 1 }]);
  const together = await broker.call('POST', '/v1/projects/default/placementBatches', {
    body: {
      requests: [
        { ...body, count: 2 },
        { ...body, labels: {}, name: 'calm' },
      ],
    },
  });
  const at = (request: number) =>
    together.body.placements
      .filter((p: { request: number }) => p.request === request)
      .map((p: { offer: { host: string } }) => p.offer.host);
  expect(new Set(at(0))).toEqual(new Set([other]));
  expect(await asked('next', 'noisy', { hosts })).toBe(other);
});
