import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import {
  context,
  ensureReady,
  errorOf,
  listAll,
  machinesOf,
  now,
  removeFully,
  truthOf,
} from '../conformance/probe.ts';
import type { Adapter, Present } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import type { GcpAdapterOptions } from './index.ts';
import { createGcpAdapter } from './index.ts';
import { stampAsLabels } from './stamp.ts';

jest.setTimeout(60_000);

let gcp: Awaited<ReturnType<typeof simulatedGcp>>;
let adapter: Adapter;
let count = 0;
const fresh = () => {
  count += 1;
  return `resource-${count}`;
};
const callsOf = (method: string) =>
  gcp.simulator.calls.filter((call) => call.method === `compute.instances.${method}`);
const adapterWith = (options: Partial<GcpAdapterOptions>) =>
  createGcpAdapter({
    site: 'simulated',
    regions: ['us-central1'],
    project: 'simulated-project',
    endpoint: gcp.simulator.endpoint,
    credentials: { accessToken: 'simulated' },
    pollMs: 50,
    visibilityGraceMs: 1500,
    ...options,
  });

beforeAll(async () => {
  gcp = await simulatedGcp();
  adapter = await gcp.adapter();
}, 300_000);
afterEach(() => gcp.faults.clear());
afterAll(() => gcp?.close());

describe('creating on Google Cloud', () => {
  test('a lost answer is OutcomeUnknown at once: the adapter does not retry by itself', async () => {
    const before = callsOf('insert').length;
    gcp.faults.set({ kind: 'responseLost' });
    const error = await errorOf(adapter.ensure(gcp.want(fresh(), 1), context()), 'OutcomeUnknown');
    expect(error.cause).toBeDefined();
    expect(callsOf('insert').length - before).toBe(1);
  });

  test('a request that is delivered twice makes one machine', async () => {
    const resource = fresh();
    gcp.simulator.faults.set({ kind: 'duplicate' });
    await ensureReady(adapter, gcp.want(resource, 1));
    expect(await machinesOf(gcp, resource)).toHaveLength(1);
  });

  test('R4: an attempt whose machine is deleted says so, and only a new attempt makes another', async () => {
    const resource = fresh();
    const first = await ensureReady(adapter, gcp.want(resource, 1));
    await gcp.simulator.destroy(first.ref);
    const error = await errorOf(adapter.ensure(gcp.want(resource, 1), context()), 'Conflict');
    // The rule that let SSH in to it is left.
    const made = [first.ref, expect.stringMatching(/^global\/firewalls\//)];
    expect(error.details).toMatchObject({ providerCode: 'InstanceTerminated', made });
    const second = await ensureReady(adapter, gcp.want(resource, 2));
    expect(second.ref).not.toBe(first.ref);
  });

  test('R1: a retried call goes on with the operation that its heartbeat named, and creates nothing', async () => {
    const resource = fresh();
    gcp.simulator.faults.set({ kind: 'transitions', startMs: 1000 });
    // Nobody can find the machine by looking: only the operation leads to it.
    gcp.faults.set({ kind: 'lag', lists: 6 });
    const cancel = new AbortController();
    let details: unknown;
    const call = adapter.ensure(gcp.want(resource, 1), {
      signal: cancel.signal,
      heartbeat: (given) => {
        details = given ?? details;
      },
    });
    const ended = call.catch((error: unknown) => error);
    while (details === undefined) await sleep(20);
    cancel.abort(new Error('worker is going'));
    expect(await ended).toBe(cancel.signal.reason);
    const before = callsOf('insert').length;
    const present = await adapter.ensure(gcp.want(resource, 1), { ...context(), resumed: details });
    expect(present.state).toBe('ready');
    expect(callsOf('insert').length).toBe(before);
  });

  test('R1: what failed while nobody listened is told to who goes on with the operation', async () => {
    const resource = fresh();
    gcp.faults.set({ kind: 'capacity' });
    gcp.faults.set({ kind: 'responseLost' });
    await errorOf(adapter.ensure(gcp.want(resource, 1), context()), 'OutcomeUnknown');
    await sleep(300);
    await errorOf(adapter.ensure(gcp.want(resource, 1), context()), 'CapacityExhausted');
    expect(await truthOf(gcp, resource)).toEqual([]);
  });

  test('an operation that failed inside Google does not fail every repetition of the same attempt', async () => {
    const resource = fresh();
    // Not over before the adapter looks at it for the first time, as an old one would be.
    gcp.simulator.faults.set({ kind: 'transitions', startMs: 1500 });
    gcp.faults.set({ kind: 'failChild', n: 1 });
    await errorOf(adapter.ensure(gcp.want(resource, 1), context()), 'Unavailable');
    const present = await adapter.ensure(gcp.want(resource, 1), context());
    expect(present.state).toBe('ready');
    expect(await machinesOf(gcp, resource)).toHaveLength(1);
  });

  test('ensure answers creating when its own time is over', async () => {
    gcp.simulator.faults.set({ kind: 'transitions', startMs: 3000 });
    const present = await adapterWith({ ensureWaitMs: 200 }).ensure(gcp.want(fresh(), 1), context());
    const diff = ['power', 'firewalls'];
    expect(present).toMatchObject({ state: 'creating', details: { power: 'pending' }, diff });
  });

  test('a spot machine is deleted when it is interrupted', async () => {
    await ensureReady(adapter, gcp.want(fresh(), 1, { market: 'spot' }));
    expect(callsOf('insert').at(-1)?.body?.scheduling).toEqual({
      provisioningModel: 'SPOT',
      instanceTerminationAction: 'DELETE',
      automaticRestart: false,
      onHostMaintenance: 'TERMINATE',
    });
  });

  test('a machine without a public address has none', async () => {
    const present = await ensureReady(adapter, gcp.want(fresh(), 1, { publicAddress: false }));
    expect(present.details.addresses.map(({ type }) => type)).toEqual(['internal']);
  });

  test('without a zone the region’s first is used, and found again', async () => {
    const resource = fresh();
    const want = { ...gcp.want(resource, 1), location: { region: 'us-central1' } };
    const first = await ensureReady(adapter, want);
    expect(first.location).toEqual({ region: 'us-central1', zone: 'us-central1-a' });
    expect((await ensureReady(adapter, want)).ref).toBe(first.ref);
    expect(await machinesOf(gcp, resource)).toHaveLength(1);
  });

  test('keys and user data reach the guest, the project’s own keys do not', async () => {
    await ensureReady(adapter, gcp.want(fresh(), 1, { userData: '#cloud-config\n', sshKeys: ['ssh-rsa A'] }));
    expect(callsOf('insert').at(-1)?.body?.metadata.items).toEqual([
      { key: 'ssh-keys', value: 'admin:ssh-rsa A' },
      { key: 'block-project-ssh-keys', value: 'TRUE' },
      { key: 'enable-oslogin', value: 'FALSE' },
      { key: 'user-data', value: '#cloud-config\n' },
    ]);
  });
});

describe('changing on Google Cloud', () => {
  test('no capacity to start a stopped machine names the machine: it is not to be replaced', async () => {
    const resource = fresh();
    await ensureReady(adapter, gcp.want(resource, 1));
    const born = await ensureReady(adapter, gcp.want(resource, 1, { power: 'stopped' }));
    gcp.faults.set({ kind: 'capacity' });
    const error = await errorOf(adapter.ensure(gcp.want(resource, 1), context()), 'CapacityExhausted');
    expect(error.details.made).toContain(born.ref);
    expect(await machinesOf(gcp, resource)).toHaveLength(1);
  });

  test('a new name and new labels reach the machine', async () => {
    const resource = fresh();
    await ensureReady(adapter, gcp.want(resource, 1));
    const want = gcp.want(resource, 1, { name: 'renamed', labels: { tier: 'gold' } });
    expect((await adapter.observe(gcp.target(resource), want)) as Present).toMatchObject({
      diff: ['name', 'labels'],
    });
    expect(await ensureReady(adapter, want)).toMatchObject({ diff: [] });
  });

  test('a reboot is carried out once for each number', async () => {
    const resource = fresh();
    await ensureReady(adapter, gcp.want(resource, 1));
    const before = callsOf('reset').length;
    await ensureReady(adapter, gcp.want(resource, 1, { reboots: 2 }));
    await ensureReady(adapter, gcp.want(resource, 1, { reboots: 2 }));
    expect(callsOf('reset').length - before).toBe(1);
  });
});

describe('errors from Google Cloud', () => {
  test('a quota refused at once is QuotaExceeded, too many calls are Throttled: both come as 403', async () => {
    gcp.simulator.faults.set({ kind: 'quotaStatus' });
    await errorOf(adapter.ensure(gcp.want(fresh(), 1), context()), 'QuotaExceeded');
    gcp.simulator.faults.set({ kind: 'rateLimit' });
    const error = await errorOf(adapter.observe(gcp.target(fresh())), 'Throttled');
    expect(error.details).toEqual({ providerCode: 'rateLimitExceeded', retryAfterMs: 2000 });
  });

  test('a throttle carries the time that Google names', async () => {
    gcp.faults.set({ kind: 'throttle', retryAfterMs: 7000 });
    const error = await errorOf(adapter.observe(gcp.target(fresh())), 'Throttled');
    expect(error.details).toEqual({ providerCode: 'rateLimitExceeded', retryAfterMs: 7000 });
    expect(error.message).toMatch(/^Quota exceeded for quota metric/);
  });

  test('missing permission is Denied', async () => {
    gcp.simulator.faults.set({ kind: 'denied', method: 'compute.instances.insert' });
    const error = await errorOf(adapter.ensure(gcp.want(fresh(), 1), context()), 'Denied');
    expect(error.message).toContain('permission');
  });

  test.each([
    ['/location/region', { location: { region: 'mars-north1' } }],
    ['/location/zone', { location: { region: 'us-central1', zone: 'us-central1-z' } }],
  ])('a place that is not there is Invalid at %s', async (field, change) => {
    const error = await errorOf(adapter.ensure({ ...gcp.want(fresh(), 1), ...change }, context()), 'Invalid');
    expect(error.details.field).toBe(field);
  });

  test('a machine type that the zone does not have is Invalid at /instanceType, in validate too', async () => {
    const want = gcp.want(fresh(), 1, { instanceType: 'e2-gigantic' });
    for (const call of [adapter.validate(want), adapter.ensure(want, context())])
      expect((await errorOf(call, 'Invalid')).details.field).toBe('/instanceType');
  });

  test.each(['landfall-broker', 'Team', 'app.example/part'])(
    'the label %s cannot be one on Google Cloud, and nothing is made',
    async (key) => {
      const resource = fresh();
      const want = gcp.want(resource, 1, { labels: { [key]: 'stolen' } });
      const error = await errorOf(adapter.ensure(want, context()), 'Invalid');
      expect(error.details.field).toBe(`/labels/${key}`);
      expect(await truthOf(gcp, resource)).toEqual([]);
    },
  );

  test('an endpoint that nobody listens on is Unavailable, for creating too: nothing was sent', async () => {
    const nowhere = adapterWith({ endpoint: 'http://127.0.0.1:9' });
    await errorOf(nowhere.observe(gcp.target(fresh())), 'Unavailable');
    await errorOf(nowhere.ensure(gcp.want(fresh(), 1), context()), 'Unavailable');
  });
});

describe('listing and sweeping on Google Cloud', () => {
  test('A11: a list goes over Google’s own pages, and over regions', async () => {
    const broker = 'broker-of-many';
    const planted: string[] = [];
    for (let n = 1; n <= 9; n += 1) {
      const labels = { 'landfall-broker': broker, 'landfall-project': 'test', 'landfall-resource': 'many' };
      const zone = n <= 7 ? 'us-central1-a' : 'europe-west1-b';
      planted.push(
        gcp.simulator.plant('simulated-project', zone, `many-${n}`, {
          ...labels,
          'landfall-attempt': String(n),
        }),
      );
    }
    gcp.simulator.faults.set({ kind: 'pages', size: 5 });
    const { items, complete } = await listAll(
      adapterWith({ regions: ['us-central1', 'europe-west1'] }),
      broker,
    );
    expect(complete).toBe(true);
    expect(items.map(({ ref }) => ref).sort()).toEqual(planted.sort());

    const warnings: string[] = [];
    const warned = adapterWith({ warn: (message) => warnings.push(message) });
    gcp.faults.set({ kind: 'brokenList' });
    expect(await listAll(warned, broker)).toMatchObject({ complete: false });
    expect(warnings).toEqual([expect.stringContaining('Backend Error')]);
  });

  test('a list asks for a machine type once a zone, however many pages the zone has', async () => {
    const zone = 'us-central1-c';
    const labels = (resource: string) =>
      stampAsLabels({ broker: 'paged', project: 'test', resource, attempt: 1 });
    for (const n of [1, 2, 3])
      gcp.simulator.plant('simulated-project', zone, `paged-${n}`, labels(`paged-${n}`));
    gcp.simulator.faults.set({ kind: 'pages', size: 1 });
    const before = gcp.simulator.calls.length;
    const { items } = await listAll(adapter, 'paged');
    gcp.simulator.faults.clear();
    const asked = gcp.simulator.calls
      .slice(before)
      .filter(({ method }) => method === 'compute.machineTypes.get');
    expect(asked).toHaveLength(1);
    const machines = items.filter(({ child }) => !child);
    expect(machines).toHaveLength(3);
    for (const { details } of machines) expect(details?.vcpus).toBeGreaterThan(0);
    for (const { ref } of machines) await gcp.simulator.destroy(ref);
  });

  test('R9: a disk that was left without its machine is removed', async () => {
    const resource = fresh();
    gcp.faults.set({ kind: 'failChild', n: 2 });
    await errorOf(adapter.ensure(gcp.want(resource, 1), context()), 'Unavailable');
    expect((await truthOf(gcp, resource)).map(({ providerKind }) => providerKind)).toEqual(['disk']);
    const error = await errorOf(adapter.ensure(gcp.want(resource, 1), context()), 'Conflict');
    expect(error.details.made).toEqual([expect.stringMatching(/\/disks\//)]);
    await removeFully(adapter, gcp.target(resource, 1));
    expect(await truthOf(gcp, resource)).toEqual([]);
  });

  test('R19: a reference that is another broker’s machine is refused', async () => {
    const resource = fresh();
    const theirs = await gcp.plantForeign(resource, 'another');
    const target = { ...gcp.target(resource), ref: theirs };
    const refusal = await errorOf(adapter.remove(target, context()), 'Conflict');
    expect(refusal.details.providerCode).toBe('NotOurs');
  });

  test('the quota names its use', async () => {
    const [quota] = await adapter.quota('us-central1');
    expect(quota).toMatchObject({ region: 'us-central1', resource: 'CPUS', limit: 200 });
    expect(quota?.used).toBeGreaterThan(0);
  });

  test.each([1, 2, 3])(
    'in storm %i of lost, late and throttled calls there is one machine, then none',
    async (seed) => {
      const resource = fresh();
      const since = now();
      gcp.simulator.faults.set({ kind: 'storm', seed, rate: 0.25 });
      const patient = adapterWith({ requestTimeoutMs: 2000 });
      const weather = ['Throttled', 'Unavailable', 'OutcomeUnknown'] as const;
      const insist = async (call: () => Promise<boolean>): Promise<void> => {
        for (let tries = 0; tries < 100; tries += 1) {
          try {
            if (await call()) return;
          } catch (error) {
            if (!weather.some((code) => isProviderError(error, code))) throw error;
          }
          await sleep(50);
        }
        throw new Error('the storm was too long');
      };
      await insist(async () => (await patient.ensure(gcp.want(resource, 1), context())).state === 'ready');
      expect(await machinesOf(gcp, resource)).toHaveLength(1);
      const target = { ...gcp.target(resource, 1), since };
      await insist(async () => (await patient.remove(target, context())).done);
      expect(await truthOf(gcp, resource)).toEqual([]);
    },
  );
});
