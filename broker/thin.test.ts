import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker.stop());

test('an instance is asked for, shown, listed, and its workflow woken', async () => {
  const made = await broker.call('POST', '/v1/projects/default/instances', { body: instanceInput('web') });
  expect(made.body).toMatchObject({ kind: 'Operation', verb: 'create', state: 'Pending' });
  expect(made.status).toBe(202);
  expect(made.headers.get('operation-location')).toBe(`/v1/operations/${made.body.id}`);
  const shown = await broker.call('GET', '/v1/projects/default/instances/web');
  expect(shown.body).toMatchObject({ name: 'web', spec: { diskGiB: 10, power: 'running' }, status: { state: 'Pending' } });
  expect(shown.headers.get('etag')).toBe('"1"');
  const list = await broker.call('GET', '/v1/projects/default/instances');
  expect(list.body.items).toHaveLength(1);
  expect((await broker.call('GET', `/v1/operations/${made.body.id}`)).status).toBe(200);
  for (let i = 0; i < 50 && broker.signals.rows.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(broker.signals.rows).toEqual([{ workflow: 'instance', resource: shown.body.id }]);
});
