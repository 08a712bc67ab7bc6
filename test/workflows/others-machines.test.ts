import { TestBroker } from '@landfall/broker/testing/test-broker.ts';
import { decisions } from '@landfall/workflows/decide.ts';
import { placer } from '@landfall/workflows/place.ts';

/** Over the API, with each decision made as a workflow makes it: what a token of one project is told of the machines of others. */
let broker: TestBroker;
/** The operation of a request that found no place. */
let made: { id: string; resource: { id: string } };
const apart = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: apart}
spec:
  rules:
    - name: quiet
      when: '!has(request.labels.app) || request.labels.app != "quiet"'
      antiAffinity: {to: 'has(resource.labels.app) && resource.labels.app == "quiet"', by: host}
    - name: loners
      when: has(request.labels.app) && request.labels.app == "loner"
      antiAffinity: {to: resource.name != "", by: host}
`;

beforeAll(async () => {
  broker = await TestBroker.start();
  const host = { capacity: { vcpus: 8, memoryGiB: 16, diskGiB: 200 }, accel: 'kvm', images: ['tiny'] };
  for (const name of ['h1', 'h2'])
    await broker.call('PUT', `/v1/sites/local/hosts/${name}`, {
      token: broker.agentToken,
      body: { ...host, architecture: 'x86_64' },
    });
  for (const name of ['hidden', 'nosy']) await broker.call('POST', '/v1/projects', { body: { name } });
  const { decide } = decisions(broker.store.db, broker.broker.parts.installation, placer());
  for (const [name, app, at] of [
    ['ssh-vault', 'quiet', 'h1'],
    ['hermit', 'loner', 'h2'],
  ] as const) {
    const body = { name, labels: { app }, spec: { ...tiny, placement: { hosts: [at] } } };
    const made = await broker.call('POST', '/v1/projects/hidden/instances', { body });
    expect(made.status).toBe(202);
    expect(await decide({ instance: made.body.resource.id })).toMatchObject({ do: 'ensure' });
  }
  const put = await broker.call('PUT', '/v1/policies/apart', { body: { source: apart } });
  if (put.status !== 201) throw new Error(JSON.stringify(put.body));
  made = (await broker.call('POST', '/v1/projects/nosy/instances', { body: asked('made') })).body;
  expect(await decide({ instance: made.resource.id })).toEqual({ do: 'done' });
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const tiny = { image: 'tiny', vcpus: 1, memoryGiB: 0.5 };
const asked = (name: string) => ({ name, spec: { ...tiny, placement: { hosts: ['h1', 'h2'] } } });
const names = /ssh-vault|hermit|hidden/;
const others = 'a machine of another project';

test('a token of one project is told that machines of another stand in the way, and not which; one of all is told which', async () => {
  const { secret: token } = await broker.token('operator', { project: 'nosy' });
  const path = '/v1/projects/nosy';
  const plan = await broker.call('POST', `${path}/placements`, { body: asked('planned'), token });
  expect(plan.body.outcome).toBe('unplaceable');
  expect(plan.body.rules.map(({ message }: { message: string | null }) => message)).toEqual(
    expect.arrayContaining([
      `${others} stands in host local/h1`,
      `it is the rule of ${others}, to be in no host with what is asked for`,
    ]),
  );

  const seen = async (by: { token?: string }) => {
    const read = async (at: string) => {
      const { status, body } = await broker.call('GET', at, by);
      expect(status).toBe(200);
      return body;
    };
    const instance = await read(`${path}/instances/made`);
    return [
      instance,
      await read(`/v1/operations/${made.id}`),
      await read(`${path}/decisions`),
      await read(`${path}/decisions/${instance.status.decision}`),
      await read('/v1/events?filter=project=nosy'),
    ].map((body) => JSON.stringify(body));
  };
  for (const told of await seen({ token })) {
    expect(told).not.toMatch(names);
    expect(told).toContain(others);
  }
  for (const told of await seen({})) {
    expect(told).toContain('machine ssh-vault of project hidden');
    expect(told).not.toContain(others);
  }
});

test('its own project’s machines are named to it', async () => {
  const { secret: token } = await broker.token('viewer', { project: 'hidden' });
  const plan = await broker.call('POST', '/v1/projects/hidden/placements', { body: asked('mine'), token });
  const told = JSON.stringify(plan.body);
  expect(told).toContain('machine ssh-vault of project hidden stands in host');
  expect(told).not.toContain(others);
});

test('a watch hides them, too', async () => {
  const { secret: token } = await broker.token('viewer', { project: 'nosy' });
  const response = await fetch(`${broker.url}/v1/watch`, {
    headers: { authorization: `Bearer ${token}`, 'last-event-id': '1-0' },
  });
  expect(response.status).toBe(200);
  const reader = response.body!.getReader();
  let text = '';
  while (!text.includes('instance.failed')) {
    const { value, done } = await reader.read();
    expect(done).toBe(false);
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  expect(text).toContain(others);
  expect(text).not.toMatch(names);
});
