import { randomUUID } from 'node:crypto';
import { simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { context, ensureReady, errorOf, listAll, removeFully, truthOf } from '../conformance/probe.ts';
import type { Adapter } from '../contract.ts';
import { createAzureAdapter } from './index.ts';

describe('the Azure adapter before the simulated Azure', () => {
  let subject: Awaited<ReturnType<typeof simulatedAzure>>;
  let adapter: Adapter;

  beforeAll(async () => {
    subject = await simulatedAzure();
    adapter = await subject.adapter();
  }, 300_000);
  afterEach(() => subject.faults.clear());
  afterAll(() => subject.close());

  const creates = () =>
    subject.simulator.calls.filter(({ operation }) => operation === 'virtual_machines_create_or_update')
      .length;

  test.each(['AllocationFailed', 'ZonalAllocationFailed', 'OverconstrainedAllocationRequest'])(
    'no capacity told by the operation as %s is CapacityExhausted, and what stayed behind is named and removable',
    async (code) => {
      const resource = randomUUID();
      subject.simulator.faults.set({ kind: 'allocation', code });
      const error = await errorOf(adapter.ensure(subject.want(resource, 1), context()), 'CapacityExhausted');
      expect(error.details.providerCode).toBe(code);
      const left = await truthOf(subject, resource);
      expect(left.some(({ machine }) => machine)).toBe(true);
      for (const { ref } of left) expect(error.details.made).toContain(ref);
      expect(await adapter.observe(subject.target(resource, 1))).toMatchObject({ state: 'failed' });
      const listed = (await listAll(adapter, subject.broker)).items.find(
        (one) => one.stamp.resource === resource && !one.child,
      );
      expect(listed?.state).toBe('failed');
      // Asked again after a restart, when nobody knows the operation any more: the same answer, from the machine itself.
      const again = await errorOf((await subject.adapter()).ensure(subject.want(resource, 1), context()));
      expect(again).toMatchObject({ code: 'CapacityExhausted', details: { providerCode: code } });
      await removeFully(adapter, subject.target(resource, 1));
      expect(await truthOf(subject, resource)).toEqual([]);
    },
    30_000,
  );

  test('a machine that cannot be started again is stopped, not failed, and starts when there is room (R11)', async () => {
    const resource = randomUUID();
    const { ref } = await ensureReady(adapter, subject.want(resource, 1));
    await ensureReady(adapter, subject.want(resource, 1, { power: 'stopped' }));
    subject.simulator.faults.set({ kind: 'allocation', of: 'start' });
    const error = await errorOf(adapter.ensure(subject.want(resource, 1), context()), 'CapacityExhausted');
    expect(error.details.made).toContain(ref);
    expect(await adapter.observe(subject.target(resource, 1), subject.want(resource, 1))).toMatchObject({
      presence: 'present',
      state: 'ready',
      details: { power: 'stopped' },
      diff: ['power'],
    });
    expect(await ensureReady(adapter, subject.want(resource, 1))).toMatchObject({
      ref,
      details: { power: 'running' },
    });
    await removeFully(adapter, subject.target(resource, 1));
  }, 30_000);

  test('a create goes on from the operation in the heartbeat, and asks for no second machine', async () => {
    const resource = randomUUID();
    subject.simulator.faults.set({ kind: 'transitions', machineMs: 1000 });
    subject.simulator.faults.set({ kind: 'lag', lists: 2 });
    const beats: unknown[] = [];
    const cancel = new AbortController();
    const before = creates();
    const first = adapter.ensure(
      subject.want(resource, 1),
      context(cancel.signal, ((details: unknown) => {
        if (details === undefined) return;
        beats.push(details);
        cancel.abort(new Error('the worker is going'));
      }) as () => void),
    );
    await expect(first).rejects.toThrow('the worker is going');
    const resumed = JSON.parse(JSON.stringify(beats.at(-1))) as unknown;
    expect(JSON.stringify(resumed)).not.toContain('Bearer');
    const looks = () =>
      subject.simulator.calls.filter(({ operation }) => operation === 'virtual_machines_get').length;
    const looked = looks();
    const present = await (await subject.adapter()).ensure(subject.want(resource, 1), {
      ...context(),
      resumed,
    });
    expect(present).toMatchObject({ state: 'ready', diff: [] });
    expect(creates() - before).toBe(1);
    // It waited for the operation, not by looking at the machine all the time.
    expect(looks() - looked).toBeLessThan(5);
    await removeFully(adapter, subject.target(resource, 1));
  }, 30_000);

  test('the failure of an operation that was going on at a restart is told as such', async () => {
    const resource = randomUUID();
    subject.simulator.faults.set({ kind: 'transitions', machineMs: 500 });
    subject.simulator.faults.set({ kind: 'allocation' });
    let resumed: unknown;
    const cancel = new AbortController();
    const heartbeat = ((details: unknown) => {
      resumed = details ?? resumed;
      if (details) cancel.abort(new Error('the worker is going'));
    }) as () => void;
    await adapter.ensure(subject.want(resource, 1), context(cancel.signal, heartbeat)).catch(() => {});
    const error = await errorOf(
      adapter.ensure(subject.want(resource, 1), { ...context(), resumed }),
      'CapacityExhausted',
    );
    for (const { ref } of await truthOf(subject, resource)) expect(error.details.made).toContain(ref);
    await removeFully(adapter, subject.target(resource, 1));
  }, 30_000);

  test('a list over many pages names every thing once', async () => {
    const resources = [randomUUID(), randomUUID()];
    await Promise.all(resources.map((resource) => ensureReady(adapter, subject.want(resource, 1))));
    subject.simulator.faults.set({ kind: 'pages', size: 3 });
    const { items, complete } = await listAll(adapter, subject.broker);
    expect(complete).toBe(true);
    const refs = items.map(({ ref }) => ref).sort();
    expect(refs).toEqual([...new Set(refs)]);
    const truth = (await subject.truth()).filter(({ broker }) => broker === subject.broker);
    expect(refs).toEqual(truth.map(({ ref }) => ref).sort());
    // All attempts of a resource are found without naming one, over pages too.
    for (const resource of resources) await removeFully(adapter, subject.target(resource));
    expect(await subject.truth()).toEqual([]);
  }, 30_000);

  test('a list asks for the power of all machines once, however many pages it has', async () => {
    const [running, resting] = [randomUUID(), randomUUID()];
    await ensureReady(adapter, subject.want(running, 1));
    await ensureReady(adapter, subject.want(resting, 1));
    await ensureReady(adapter, subject.want(resting, 1, { power: 'stopped' }));
    // So small that the machines are on pages of their own; the list of powers has one page for both.
    subject.simulator.faults.set({ kind: 'pages', size: 2 });
    const before = subject.simulator.calls.length;
    const { items } = await listAll(adapter, subject.broker);
    const asked = subject.simulator.calls
      .slice(before)
      .filter(({ path }) => path.endsWith('/virtualMachines'));
    expect(asked).toHaveLength(1);
    const powerOf = (resource: string) =>
      items.find((one) => one.stamp.resource === resource && !one.child)?.power;
    expect([powerOf(running), powerOf(resting)]).toEqual(['running', 'stopped']);
    for (const child of items.filter((one) => one.child)) expect(child.power).toBeUndefined();
    subject.faults.clear();
    for (const resource of [running, resting]) await removeFully(adapter, subject.target(resource, 1));
  });

  test('a machine with our name and without our stamp is neither adopted nor removed', async () => {
    const resource = randomUUID();
    const { ref } = await ensureReady(adapter, subject.want(resource, 1));
    const machine = subject.simulator.truth().find(({ id }) => id === ref);
    if (!machine) throw new Error('the machine is not there');
    const tags = machine.tags;
    machine.tags = {};
    await errorOf(adapter.ensure(subject.want(resource, 1), context()), 'Conflict');
    await adapter.remove(subject.target(resource, 1), context(AbortSignal.timeout(300))).catch(() => {});
    expect(subject.simulator.truth().some(({ id }) => id === ref)).toBe(true);
    machine.tags = tags;
    await removeFully(adapter, subject.target(resource, 1));
    expect(await truthOf(subject, resource)).toEqual([]);
  }, 30_000);

  test('spot machines are asked for as such; without a public address there is none', async () => {
    const resource = randomUUID();
    const size = { instanceType: 'Standard_D2s_v5', vcpus: 2, memoryGiB: 8 };
    const want = subject.want(resource, 1, {
      ...size,
      market: 'spot',
      publicAddress: false,
      userData: '#!/bin/sh\n',
    });
    const present = await ensureReady(adapter, want);
    expect(present.details.addresses.map(({ type }) => type)).toEqual(['internal']);
    const body = subject.simulator.calls.findLast(
      ({ operation }) => operation === 'virtual_machines_create_or_update',
    )?.body;
    expect(body).toMatchObject({
      properties: {
        priority: 'Spot',
        evictionPolicy: 'Delete',
        osProfile: { customData: 'IyEvYmluL3NoCg==' },
      },
    });
    const kinds = (await truthOf(subject, resource)).map(({ providerKind }) => providerKind).sort();
    expect(kinds).toEqual(['disk', 'networkInterface', 'networkSecurityGroup', 'virtualMachine']);
    await removeFully(adapter, subject.target(resource, 1));
  }, 30_000);

  test('a size that the region lacks is one of which there is none: the next offer is tried, and nothing is left', async () => {
    const resource = randomUUID();
    const lacking = subject.want(resource, 1, { instanceType: 'Standard_Nothing' });
    const error = await errorOf(adapter.ensure(lacking, context()), 'CapacityExhausted');
    expect(error.message).toBe(
      'InvalidParameter: The value Standard_Nothing provided for the VM size is not valid.',
    );
    await removeFully(adapter, subject.target(resource, 1));
    expect(await truthOf(subject, resource)).toEqual([]);
  });

  test.each([
    ['/labels/team~1a', { labels: { 'team/a': 'x' } }],
    ['/labels/landfall:x', { labels: { 'landfall:x': 'x' } }],
    ['/sshKeys', { sshKeys: [] }],
    ['/userData', { userData: 'x'.repeat(70_000) }],
    ['/instanceType', { instanceType: 'Standard_Nothing' }],
    [
      '/image/azure',
      {
        image: {
          name: 'x',
          architecture: 'arm64',
          azure: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server' },
          user: 'x',
        },
      },
    ],
  ] as const)('what Azure cannot take is refused before anything is made: %s', async (field, change) => {
    const resource = randomUUID();
    const want = subject.want(resource, 1, change as Parameters<typeof subject.want>[2]);
    const error = await errorOf(adapter.validate(want), 'Invalid');
    expect(error.details.field).toBe(field);
    expect(await truthOf(subject, resource)).toEqual([]);
  });

  test('a token is never sent in clear over the net', () => {
    const options = {
      site: 's',
      subscription: randomUUID(),
      regions: ['westeurope'],
      credentials: { token: 't' },
    };
    expect(() => createAzureAdapter({ ...options, endpoint: 'http://azure.example' })).toThrow(/in clear/);
  });

  test('quota is in Azure’s own words, and offers leave out what the subscription may not buy', async () => {
    const quota = await adapter.quota('westeurope');
    expect(quota.find(({ resource }) => resource === 'cores')).toMatchObject({ limit: 100 });
    const types = new Map<string, Set<string>>();
    for await (const { instanceType, market } of adapter.offers(context()))
      types.set(instanceType, (types.get(instanceType) ?? new Set()).add(market));
    expect(types.has('Standard_M416ms_v2')).toBe(false);
    expect(types.get('Standard_B1s')).toEqual(new Set(['onDemand']));
    expect(types.get('Standard_D2s_v5')).toEqual(new Set(['onDemand', 'spot']));
  });

  test('a call that is not answered in time is Unavailable when it reads, OutcomeUnknown when it changes', async () => {
    const resource = randomUUID();
    await ensureReady(adapter, subject.want(resource, 1));
    const hasty = await simulatedAzure({ requestTimeoutMs: 100 });
    try {
      hasty.simulator.faults.set({ kind: 'latency', ms: 1000, times: 1 });
      const impatient = await hasty.adapter();
      await errorOf(impatient.observe(hasty.target(resource, 1)), 'Unavailable');
      await ensureReady(impatient, hasty.want(resource, 1));
      hasty.simulator.faults.set({ kind: 'slowAnswers', method: 'PUT', ms: 1000 });
      await errorOf(impatient.ensure(hasty.want(randomUUID(), 1), context()), 'OutcomeUnknown');
    } finally {
      await hasty.close();
    }
    await removeFully(adapter, subject.target(resource, 1));
  }, 30_000);

  test('what may not be done is Denied; nobody there is Unavailable', async () => {
    subject.simulator.faults.set({ kind: 'denied', times: 10 });
    await errorOf(adapter.observe(subject.target(randomUUID(), 1)), 'Denied');
    const other = await simulatedAzure();
    const gone = await other.adapter();
    await other.close();
    await errorOf(gone.observe(subject.target(randomUUID(), 1)), 'Unavailable');
  });
});
