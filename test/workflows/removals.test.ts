import { TestBroker } from '@landfall/broker/testing/test-broker.ts';
import { decisions } from '@landfall/workflows/decide.ts';
import { placer } from '@landfall/workflows/place.ts';
import { resourceDecisions } from '@landfall/workflows/resource-decisions.ts';
import type { Failure, Outcome, Step } from '@landfall/workflows/steps.ts';

/** Over the API, with each decision made as a workflow makes it, and told what a provider would have answered. */
let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
  const host = { capacity: { vcpus: 8, memoryGiB: 16, diskGiB: 200 }, accel: 'kvm', images: ['tiny'] };
  const body = { ...host, architecture: 'x86_64' };
  const added = await broker.call('PUT', '/v1/sites/local/hosts/h1', { token: broker.agentToken, body });
  expect(added.status).toBeLessThan(300);
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const hour = 3_600_000;
const denied: Failure = { code: 'Denied', message: 'not allowed' };

/** What a resource is asked for by, and the decisions about it. */
const kinds = {
  instance: {
    path: 'instances',
    spec: { image: 'tiny', vcpus: 1, memoryGiB: 0.5 },
    intents: 'intents',
    rows: 'instances',
    decide: (id: string, outcome?: Outcome) =>
      decisions(broker.store.db, broker.broker.parts.installation, placer()).decide({
        instance: id,
        outcome,
      }),
    details: { power: 'running', vcpus: 1, memoryGiB: 0.5, instanceType: 'custom', reboots: 0 },
  },
  volume: {
    path: 'volumes',
    spec: { sizeGiB: 1, site: 'local', host: 'h1' },
    intents: 'resource_intents',
    rows: 'resources',
    decide: (id: string, outcome?: Outcome) =>
      resourceDecisions(broker.store.db, broker.broker.parts.installation).decideResource({
        resource: id,
        outcome,
      }),
    details: { sizeGiB: 1, type: 'ssd' },
  },
} as const;

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])('%s', (kind) => {
  const { path, spec, intents, rows, decide, details } = kinds[kind];

  /** Asked for, placed, and asked for so long ago. */
  async function begun(name: string, agoMs = 0): Promise<string> {
    const { status, body } = await broker.call('POST', `/v1/projects/default/${path}`, {
      body: { name, spec },
    });
    expect(status).toBe(202);
    const { id } = body.resource;
    expect(await decide(id)).toMatchObject({ do: 'ensure' });
    const started = new Date(Date.now() - agoMs);
    await broker.store.pool.query(`update ${intents} set created_at = $2 where resource = $1`, [id, started]);
    return id;
  }

  const isReady = (id: string): Promise<Step> =>
    decide(id, {
      of: 'ensure',
      attempt: 1,
      generation: 1,
      seen: {
        presence: 'present',
        ref: `ref-of-${id}`,
        stamp: { broker: 'b', project: 'default', resource: id, attempt: 1 },
        location: { region: 'local', host: 'h1' },
        state: 'ready',
        details: { ...details, addresses: [], children: [] } as never,
        diff: [],
      },
    });
  const deleted = (name: string) =>
    broker.call('DELETE', `/v1/projects/default/${path}/${name}`, { headers: { 'if-match': '*' } });

  /** From when the removal counts, as milliseconds before now. */
  function ageOf(step: Step): number {
    expect(step.do).toBe('remove');
    return Date.now() - Date.parse((step as Extract<Step, { do: 'remove' }>).target.since!);
  }

  test('a create that was held up for long and then refused counts from its refusal, however often it is looked at', async () => {
    const id = await begun(`refused-${kind}`, hour);
    const refusal = { of: 'ensure', attempt: 1, generation: 1, failed: denied } as const;
    const first = await decide(id, refusal);
    expect(ageOf(first)).toBeLessThan(hour / 2);
    const again = await decide(id, { of: 'remove', attempt: 1, failed: denied });
    expect(again.do).toBe('wait');
    const { target } = first as Extract<Step, { do: 'remove' }>;
    expect(await decide(id)).toMatchObject({ do: 'remove', target: { since: target.since } });
  });

  test('one that is deleted while it is made counts from then', async () => {
    const id = await begun(`early-${kind}`, hour);
    expect((await deleted(`early-${kind}`)).status).toBe(202);
    expect(ageOf(await decide(id))).toBeLessThan(hour / 2);
  });

  test('one that was ready counts from when it was: the deletion of an old one waits for nothing', async () => {
    const id = await begun(`old-${kind}`, 3 * hour);
    await isReady(id);
    const wasReady = JSON.stringify(new Date(Date.now() - 2 * hour));
    const set = `update ${rows} set status = jsonb_set(status, '{readyAt}', $2) where id = $1`;
    await broker.store.pool.query(set, [id, wasReady]);
    expect((await deleted(`old-${kind}`)).status).toBe(202);
    const age = ageOf(await decide(id));
    expect(age).toBeGreaterThan(1.5 * hour);
    expect(age).toBeLessThan(2.5 * hour);
  });

  test('what was to be removed before the time was kept counts from its beginning', async () => {
    const id = await begun(`before-${kind}`, hour);
    expect((await deleted(`before-${kind}`)).status).toBe(202);
    await decide(id);
    await broker.store.pool.query(`update ${intents} set removing_at = null where resource = $1`, [id]);
    expect(ageOf(await decide(id))).toBeGreaterThan(hour / 2);
  });

  test.each(['cancelled', 'deleted'])(
    'an adoption that comes about just as it is %s is let go of, not removed',
    async (end) => {
      const ref = `${kind}-${end}`;
      broker.signals.discover = async () => ({
        items: [
          {
            ...{
              kind: kind === 'volume' ? 'Volume' : 'Instance',
              ref,
              location: { region: 'local', host: 'h1' },
            },
            ...{
              state: 'ready',
              power: 'running',
              vcpus: 1,
              memoryGiB: 0.5,
              diskGiB: 1,
              addresses: [],
              labels: {},
            },
          },
        ] as never,
        complete: true,
      });
      const { status, body } = await broker.call('POST', '/v1/projects/default/adoptions', {
        body: {
          kind: kind === 'volume' ? 'Volume' : 'Instance',
          site: 'local',
          externalReference: ref,
          name: ref,
        },
      });
      expect(status).toBe(202);
      const { id } = body.resource;
      expect(await decide(id)).toMatchObject({ do: 'ensure' });
      const asked =
        end === 'deleted'
          ? await deleted(ref)
          : await broker.call('POST', `/v1/operations/${body.id}/cancel`);
      expect(asked.status).toBe(202);
      const step = await isReady(id);
      expect(step).toMatchObject({ do: 'release', attempt: 1, target: { ref, since: expect.any(String) } });
      expect(await decide(id, { of: 'release', attempt: 1, removal: { done: true } })).toEqual({
        do: 'done',
      });
      const after = await broker.call('GET', `/v1/projects/default/${path}/${id}`);
      expect(after.body.status.state).toBe(end === 'deleted' ? 'Deleted' : 'Failed');
    },
  );
});
