import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { simulatedAws, wantOf } from '../../test/simulators/aws/subject.ts';
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
import type { Adapter, Present, Want } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { createAwsAdapter } from './index.ts';

jest.setTimeout(60_000);

let aws: Awaited<ReturnType<typeof simulatedAws>>;
let adapter: Adapter;
let count = 0;
const fresh = () => {
  count += 1;
  return `resource-${count}`;
};
const callsOf = (action: string) => aws.simulator.calls.filter((call) => call.action === action);

beforeAll(async () => {
  aws = await simulatedAws();
  adapter = await aws.adapter();
}, 300_000);
afterEach(() => aws.faults.clear());
afterAll(() => aws?.close());

describe('creating on AWS', () => {
  test('a lost answer is OutcomeUnknown at once: the adapter does not retry by itself', async () => {
    const resource = fresh();
    const before = callsOf('RunInstances').length;
    aws.faults.set({ kind: 'responseLost' });
    const error = await errorOf(adapter.ensure(aws.want(resource, 1), context()), 'OutcomeUnknown');
    expect(error.message).toContain('socket hang up');
    expect(error.cause).toBeDefined();
    expect(callsOf('RunInstances').length - before).toBe(1);
    expect(error.details.made).toEqual([expect.stringMatching(/^sg-/)]);
  });

  test('a request that is delivered twice makes one machine', async () => {
    const resource = fresh();
    aws.simulator.faults.set({ kind: 'duplicate' });
    await ensureReady(adapter, aws.want(resource, 1));
    expect(await machinesOf(aws, resource)).toHaveLength(1);
  });

  test('R4: an attempt whose machine is terminated says so, and only a new attempt makes another', async () => {
    const resource = fresh();
    const first = await ensureReady(adapter, aws.want(resource, 1));
    await aws.simulator.direct('us-east-1', 'TerminateInstances', { 'InstanceId.1': first.ref });
    const error = await errorOf(adapter.ensure(aws.want(resource, 1), context()), 'Conflict');
    expect(error.details).toMatchObject({
      providerCode: 'InstanceTerminated',
      made: expect.arrayContaining([first.ref]),
    });
    expect(await adapter.observe({ ...aws.target(resource, 1), ref: first.ref })).toEqual({
      presence: 'absent',
    });
    const second = await ensureReady(adapter, aws.want(resource, 2));
    expect(second.ref).not.toBe(first.ref);
  });

  test('R4: a token that answers with a dead machine nobody can see any more does not bring it back', async () => {
    const resource = fresh();
    aws.faults.set({ kind: 'lag', lists: 5 });
    aws.faults.set({ kind: 'responseLost' });
    await errorOf(adapter.ensure(aws.want(resource, 1), context()), 'OutcomeUnknown');
    const [machine] = await machinesOf(aws, resource);
    await aws.simulator.direct('us-east-1', 'TerminateInstances', { 'InstanceId.1': machine?.ref ?? '' });
    await sleep(200);
    const error = await errorOf(adapter.ensure(aws.want(resource, 1), context()), 'Conflict');
    expect(error.details.providerCode).toBe('InstanceTerminated');
    expect(await machinesOf(aws, resource)).toEqual([]);
  });

  test('a token that knows an older form of the request leads to the machine it made', async () => {
    const resource = fresh();
    aws.faults.set({ kind: 'lag', lists: 3 });
    aws.faults.set({ kind: 'responseLost' });
    await errorOf(adapter.ensure(aws.want(resource, 1), context()), 'OutcomeUnknown');
    const changed = aws.want(resource, 1, { labels: { purpose: 'something else' } });
    const present = await ensureReady(adapter, changed);
    expect(callsOf('RunInstances').at(-1)).toMatchObject({ status: 400 });
    expect(present.diff).toEqual([]);
    expect((await machinesOf(aws, resource)).map(({ ref }) => ref)).toEqual([present.ref]);
  });

  test('a retried call goes on with the machine that its heartbeat named', async () => {
    const resource = fresh();
    aws.simulator.faults.set({ kind: 'transitions', startMs: 1000 });
    const cancel = new AbortController();
    const { call, waiting } = ensureUntilItWaits(aws.want(resource, 1), cancel.signal);
    const details = await waiting;
    cancel.abort(new Error('worker is going'));
    await expect(call).rejects.toThrow('worker is going');
    const before = callsOf('RunInstances').length;
    aws.simulator.faults.set({ kind: 'transitions', startMs: 0 });
    const present = await adapter.ensure(aws.want(resource, 1), { ...context(), resumed: details });
    expect(details).toEqual({ ref: present.ref });
    expect(callsOf('RunInstances').length).toBe(before);
  });

  test('A10: a cancelled wait ends with the caller’s own reason, long before the machine is up', async () => {
    aws.simulator.faults.set({ kind: 'transitions', startMs: 20_000 });
    const resource = fresh();
    const cancel = new AbortController();
    const slow = await simulatedAdapter({ pollMs: 10_000 });
    const { call, waiting } = ensureUntilItWaits(aws.want(resource, 1), cancel.signal, slow);
    await waiting;
    // In the middle of a long pause between two looks.
    await sleep(500);
    const asked = Date.now();
    cancel.abort(new Error('enough'));
    await expect(call).rejects.toBe(cancel.signal.reason);
    // Without an end of its own it looks again after ten seconds, and the machine is up after twenty.
    expect(Date.now() - asked).toBeLessThan(5_000);
    expect(await adapter.observe(aws.target(resource, 1))).toMatchObject({
      presence: 'present',
      state: 'creating',
    });
  });

  test('ensure answers creating when its own time is over', async () => {
    aws.simulator.faults.set({ kind: 'transitions', startMs: 20_000 });
    const impatient = await simulatedAdapter({ ensureWaitMs: 200 });
    const present = await impatient.ensure(aws.want(fresh(), 1), context());
    expect(present).toMatchObject({ state: 'creating', details: { power: 'pending' }, diff: ['power'] });
  });

  test.each([
    ['Server.InsufficientInstanceCapacity', 'CapacityExhausted'],
    ['Client.VolumeLimitExceeded', 'QuotaExceeded'],
  ] as const)(
    'an accepted machine that ends while it starts for %s is %s, and leaves nothing',
    async (code, meaning) => {
      const resource = fresh();
      aws.simulator.faults.set({ kind: 'launchFails', code });
      const error = await errorOf(adapter.ensure(aws.want(resource, 1), context()), meaning);
      expect(error.message).toContain(code);
      await removeFully(adapter, aws.target(resource, 1));
      expect(await truthOf(aws, resource)).toEqual([]);
    },
  );

  test('a spot machine is asked for once, terminated when interrupted, and cannot be stopped', async () => {
    const resource = fresh();
    await ensureReady(adapter, aws.want(resource, 1, { market: 'spot' }));
    expect(callsOf('RunInstances').at(-1)?.parameters).toMatchObject({
      'InstanceMarketOptions.MarketType': 'spot',
      'InstanceMarketOptions.SpotOptions.SpotInstanceType': 'one-time',
      'InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior': 'terminate',
    });
    await errorOf(
      adapter.ensure(aws.want(resource, 1, { market: 'spot', power: 'stopped' }), context()),
      'Invalid',
    );
  });

  test('a machine without a public address gets no rule that lets anyone in', async () => {
    const before = callsOf('AuthorizeSecurityGroupIngress').length;
    const present = await ensureReady(adapter, aws.want(fresh(), 1, { publicAddress: false }));
    expect(callsOf('AuthorizeSecurityGroupIngress').length).toBe(before);
    expect(present.details.addresses.map(({ type }) => type)).toEqual(['internal']);
  });

  test('the newest image of the owner that matches is used', async () => {
    await ensureReady(adapter, aws.want(fresh(), 1));
    const used = callsOf('RunInstances').at(-1)?.parameters.ImageId ?? '';
    const images = await aws.simulator.direct('us-east-1', 'DescribeImages', { 'ImageId.1': used });
    expect(JSON.stringify(images)).toContain('debian-12-amd64-20261020-2242');
  });
});

describe('changing on AWS', () => {
  test('no capacity to start a stopped machine names the machine: it is not to be replaced', async () => {
    const resource = fresh();
    const born = await ensureReady(adapter, aws.want(resource, 1, { power: 'stopped' }));
    aws.faults.set({ kind: 'capacity' });
    const error = await errorOf(adapter.ensure(aws.want(resource, 1), context()), 'CapacityExhausted');
    expect(error.details.made).toContain(born.ref);
    expect(await machinesOf(aws, resource)).toHaveLength(1);
  });

  test('a new name and new labels reach the machine', async () => {
    const resource = fresh();
    await ensureReady(adapter, aws.want(resource, 1));
    const want = aws.want(resource, 1, { name: 'renamed', labels: { tier: 'gold' } });
    expect((await adapter.observe(aws.target(resource), want)) as Present).toMatchObject({
      diff: ['name', 'labels'],
    });
    expect(await ensureReady(adapter, want)).toMatchObject({ diff: [] });
  });

  test('a reboot is carried out once for each number', async () => {
    const resource = fresh();
    await ensureReady(adapter, aws.want(resource, 1));
    const before = callsOf('RebootInstances').length;
    await ensureReady(adapter, aws.want(resource, 1, { reboots: 2 }));
    await ensureReady(adapter, aws.want(resource, 1, { reboots: 2 }));
    expect(callsOf('RebootInstances').length - before).toBe(1);
  });
});

describe('errors from AWS', () => {
  test('missing permission is Denied, in a dry run too', async () => {
    aws.simulator.faults.set({ kind: 'denied', action: 'RunInstances' });
    await errorOf(adapter.validate(aws.want(fresh(), 1)), 'Denied');
    aws.simulator.faults.set({ kind: 'denied', action: 'CreateSecurityGroup' });
    const error = await errorOf(adapter.ensure(aws.want(fresh(), 1), context()), 'Denied');
    expect(error.message).toContain('You are not authorized to perform this operation.');
  });

  test('a throttle carries the time that EC2 names', async () => {
    aws.faults.set({ kind: 'throttle', retryAfterMs: 7000 });
    const error = await errorOf(adapter.observe(aws.target(fresh())), 'Throttled');
    expect(error.details).toEqual({ providerCode: 'RequestLimitExceeded', retryAfterMs: 7000 });
  });

  test.each([
    ['/location/region', { location: { region: 'mars-north-1' } }],
    ['/location/zone', { location: { region: 'us-east-1', zone: 'us-east-1z' } }],
  ])('a place that is not there is Invalid at %s', async (field, change) => {
    const error = await errorOf(adapter.ensure({ ...aws.want(fresh(), 1), ...change }, context()), 'Invalid');
    expect(error.details.field).toBe(field);
  });

  test('a label that looks like a reserved tag is Invalid, before anything is made', async () => {
    const resource = fresh();
    const want = aws.want(resource, 1, { labels: { 'landfall:broker': 'stolen' } });
    const error = await errorOf(adapter.ensure(want, context()), 'Invalid');
    expect(error.details.field).toBe('/labels/landfall:broker');
    expect(await truthOf(aws, resource)).toEqual([]);
  });

  test('an endpoint that nobody listens on is Unavailable, for creating too: nothing was sent', async () => {
    const nowhere = await simulatedAdapter({ endpoint: 'http://127.0.0.1:9' });
    await errorOf(nowhere.observe(aws.target(fresh())), 'Unavailable');
    await errorOf(nowhere.ensure(aws.want(fresh(), 1), context()), 'Unavailable');
  });
});

describe('listing and sweeping on AWS', () => {
  test('A11: a list goes over EC2’s own pages, and over regions', async () => {
    const broker = 'broker-of-many';
    const stamp = (attempt: number) => ({
      'landfall:broker': broker,
      'landfall:project': 'test',
      'landfall:resource': 'many',
      'landfall:attempt': String(attempt),
    });
    const planted: string[] = [];
    for (let n = 1; n <= 7; n += 1) planted.push(await aws.simulator.plant('us-east-1', stamp(n)));
    for (let n = 8; n <= 9; n += 1) planted.push(await aws.simulator.plant('eu-west-1', stamp(n)));
    aws.simulator.faults.set({ kind: 'pages', size: 5 });
    const wide = await simulatedAdapter({ regions: ['us-east-1', 'eu-west-1'] });
    const { items, complete } = await listAll(wide, broker);
    expect(complete).toBe(true);
    expect(items.map(({ ref }) => ref).sort()).toEqual(planted.sort());
    expect(
      items.map(({ location }) => location.region).filter((region) => region === 'eu-west-1'),
    ).toHaveLength(2);

    const warnings: string[] = [];
    const warned = await simulatedAdapter({ warn: (message) => warnings.push(message) });
    aws.faults.set({ kind: 'brokenList' });
    expect(await listAll(warned, broker)).toMatchObject({ complete: false });
    expect(warnings).toEqual([expect.stringContaining('list of us-east-1 failed')]);
  });

  test('R19: of two brokers on one account each lists and removes its own', async () => {
    const resource = fresh();
    const location = { region: 'us-east-1', zone: 'us-east-1c' };
    const other = wantOf({ broker: 'another', project: 'test', resource, attempt: 1 }, location);
    const ours = await ensureReady(adapter, aws.want(resource, 1));
    const theirs = await ensureReady(adapter, other);
    await removeFully(adapter, { ...aws.target(resource), since: now() });
    const left = (await machinesOf(aws, resource)).map(({ ref }) => ref);
    expect(left).toEqual([theirs.ref]);
    expect((await listAll(adapter, aws.broker)).items.map(({ ref }) => ref)).not.toContain(ours.ref);
    const refusal = await errorOf(
      adapter.remove({ ...aws.target(resource), ref: theirs.ref }, context()),
      'Conflict',
    );
    expect(refusal.details.providerCode).toBe('NotOurs');
  });

  test('R10: what is in a region that the site no longer has can still be seen and removed', async () => {
    const resource = fresh();
    await ensureReady(adapter, aws.want(resource, 1));
    const moved = await simulatedAdapter({ regions: ['eu-west-1'] });
    expect(await moved.observe(aws.target(resource))).toMatchObject({ presence: 'present' });
    await errorOf(moved.ensure(aws.want(resource, 2), context()), 'Invalid');
    await removeFully(moved, aws.target(resource));
    expect(await truthOf(aws, resource)).toEqual([]);
  });

  test('R9: a security group that is still in use is tried again after its machine has gone', async () => {
    const resource = fresh();
    await ensureReady(adapter, aws.want(resource, 1));
    aws.faults.set({ kind: 'slowDelete', ms: 1500 });
    const hasty = await simulatedAdapter({ removeWaitMs: 500 });
    expect(await hasty.remove(aws.target(resource, 1), context())).toMatchObject({ done: false });
    await removeFully(hasty, aws.target(resource, 1));
    expect(await truthOf(aws, resource)).toEqual([]);
  });

  test.each([1, 2, 3])(
    'in storm %i of lost, late and throttled calls there is one machine, then none',
    async (seed) => {
      const resource = fresh();
      const since = now();
      aws.simulator.faults.set({ kind: 'storm', seed, rate: 0.25 });
      const target = { ...aws.target(resource, 1), since };
      const weather = ['Throttled', 'Unavailable', 'OutcomeUnknown'] as const;
      const insist = async <T>(call: () => Promise<T | undefined>): Promise<T> => {
        for (let tries = 0; tries < 100; tries += 1) {
          try {
            const answer = await call();
            if (answer !== undefined) return answer;
          } catch (error) {
            if (!weather.some((code) => isProviderError(error, code))) throw error;
          }
          await sleep(20);
        }
        throw new Error('the storm never let it through');
      };
      const present = await insist(async () => adapter.ensure(aws.want(resource, 1), context()));
      expect((await machinesOf(aws, resource)).map(({ ref }) => ref)).toEqual([present.ref]);
      await insist(async () => (await adapter.remove(target, context())).done || undefined);
      expect(await truthOf(aws, resource)).toEqual([]);
    },
  );
});

test('every request met what AWS publishes about its API', () => {
  const wrong = aws.simulator.calls.filter(({ problems }) => problems.length > 0);
  expect(aws.simulator.calls.length).toBeGreaterThan(100);
  expect(wrong).toEqual([]);
});

/** Starts an ensure; `waiting` is the heartbeat that names the machine, once it only waits for it to start. */
function ensureUntilItWaits(want: Want<'Instance'>, signal: AbortSignal, asked = adapter) {
  let call: Promise<Present> | undefined;
  const waiting = new Promise<unknown>((resolve, reject) => {
    const heartbeat = (details?: unknown) => details && resolve(details);
    call = asked.ensure(want, { signal, heartbeat });
    call.catch(reject);
  });
  return { call, waiting };
}

/** The adapter under test with other options. */
function simulatedAdapter(options: Partial<Parameters<typeof createAwsAdapter>[0]>): Promise<Adapter> {
  return Promise.resolve(
    createAwsAdapter({
      site: 'simulated',
      regions: ['us-east-1'],
      endpoint: aws.simulator.endpoint,
      credentials: { accessKeyId: 'simulated', secretAccessKey: 'simulated' },
      pollMs: 50,
      visibilityGraceMs: 1500,
      warn: () => {},
      ...options,
    }),
  );
}
