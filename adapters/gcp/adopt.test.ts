import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import { context, ensureReady, errorOf, removeFully } from '../conformance/probe.ts';
import type { InstanceWant, Want } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { whyRefused } from './discover.ts';
import { machineOf } from './machine.ts';
import { stampLabels } from './stamp.ts';

jest.setTimeout(60_000);

const zone = 'us-central1-b';
let gcp: Awaited<ReturnType<typeof simulatedGcp>>;
let planted = 0;

beforeAll(async () => {
  gcp = await simulatedGcp({ requestTimeoutMs: 2000 });
}, 300_000);
afterEach(() => gcp.faults.clear());
afterAll(() => gcp?.close());

function plant(labels: Record<string, string> = {}, more: object = {}): string {
  planted += 1;
  return gcp.simulator.plant('simulated-project', zone, `theirs-${planted}`, labels, more);
}

/** What is wanted of a machine that exists: no image, as it is not known. */
function adoption(ref: string, change: Partial<InstanceWant> = {}, isSettled = false): Want<'Instance'> {
  const { spec, ...want } = gcp.want(randomUUID(), 1, { labels: {}, ...change });
  const { image: _, ...rest } = spec;
  return { ...want, spec: { ...rest, sshKeys: [] }, adopted: { ref, settled: isSettled } };
}
const settled = (want: Want<'Instance'>, change: Partial<InstanceWant> = {}): Want<'Instance'> => ({
  ...want,
  spec: { ...want.spec, ...change },
  adopted: { ...want.adopted!, settled: true },
});
const adopted = async (want: Want<'Instance'>) => (await gcp.adapter()).adopt(want, context());
const existing = (ref: string) => gcp.simulator.truth().find((thing) => thing.ref === ref);
const changes = () =>
  gcp.simulator.calls.filter(({ method }) => !/\.(get|list|aggregatedList|getFromFamily)$/i.test(method));

test('the labels of its owner stay beside the stamp, and it keeps its name, also when it is changed later', async () => {
  const ref = plant({ team: 'shop' });
  const want = adoption(ref);
  await adopted(want);
  expect(existing(ref)?.labels).toMatchObject({
    team: 'shop',
    [stampLabels.broker]: gcp.broker,
    [stampLabels.resource]: want.stamp.resource,
  });
  const stopped = settled(want, { power: 'stopped', labels: { env: 'prod' } });
  expect(await ensureReady(await gcp.adapter(), stopped)).toMatchObject({
    ref,
    details: { power: 'stopped' },
    diff: [],
  });
  expect(existing(ref)?.labels).toMatchObject({ team: 'shop', env: 'prod' });
});

test('who wrote labels meanwhile is not overwritten: the machine is looked at again, then stamped', async () => {
  const ref = plant({ team: 'shop' });
  gcp.simulator.faults.set({ kind: 'staleFingerprint' });
  expect(await adopted(adoption(ref))).toMatchObject({ ref });
  expect(existing(ref)?.labels).toMatchObject({ team: 'shop', [stampLabels.broker]: gcp.broker });
});

test('labels that another wrote while ours were on their way tell that it is theirs', async () => {
  const ref = plant();
  const before = changes().length;
  // The write of whoever is first is held up, and the other's comes in between.
  const [first, second] = [adoption(ref), adoption(ref)];
  gcp.simulator.faults.set({ kind: 'slowLabels', ms: 600 });
  const late = errorOf(adopted(first), 'Conflict');
  while (changes().length === before) await sleep(10);
  expect(await adopted(second)).toMatchObject({ ref, stamp: second.stamp });
  expect((await late).message).toContain('another');
  expect(existing(ref)?.labels[stampLabels.resource]).toBe(second.stamp.resource);
});

test('an adopted machine that is public gets no rule for SSH and no network tag: who reaches it stays as it is', async () => {
  const ref = plant(
    {},
    { networkInterfaces: [{ accessConfigs: [{ name: 'theirs' }] }], tags: { items: ['web'] } },
  );
  const want = adoption(ref, { publicAddress: true });
  await adopted(want);
  const before = changes().length;
  const { name } = want.spec;
  await ensureReady(await gcp.adapter(), settled(want, { name: `${name}-2` }));
  expect(
    changes()
      .slice(before)
      .map(({ method }) => method),
  ).toEqual(['compute.instances.setLabels']);
});

test('a machine of ours that was released and adopted again keeps who reaches it, also when it is changed later', async () => {
  const adapter = await gcp.adapter();
  const born = await ensureReady(adapter, gcp.want(randomUUID(), 1, { publicAddress: true }));
  const target = { kind: 'Instance', stamp: born.stamp, location: born.location, ref: born.ref } as const;
  expect(await adapter.release(target, context())).toEqual({ done: true });
  const want = adoption(born.ref, { publicAddress: true });
  await adopted(want);
  const before = changes().length;
  const labelled = settled(want, { labels: { env: 'prod' } });
  expect(await ensureReady(adapter, labelled)).toMatchObject({ ref: born.ref, diff: [] });
  // Not its network tags, by which the rule that lets SSH in finds it.
  const written = changes().slice(before);
  expect(written.map(({ method }) => method)).toEqual(['compute.instances.setLabels']);
  await removeFully(adapter, { ...target, stamp: want.stamp });
});

test('it is found by its reference where no list shows it', async () => {
  const ref = plant();
  const want = adoption(ref);
  await adopted(want);
  gcp.simulator.faults.set({ kind: 'unreachable', zone });
  const stopped = settled(want, { power: 'stopped' });
  expect(await (await gcp.adapter()).ensure(stopped, context())).toMatchObject({ ref });
});

test('a disk that is not to go with the machine is no child of it, and is left when it is deleted', async () => {
  const disks = [{ boot: true, autoDelete: false, initializeParams: { diskName: 'kept' } }];
  const ref = plant({}, { disks });
  const want = adoption(ref);
  expect((await adopted(want)).details.children).toEqual([]);
  await removeFully(await gcp.adapter(), {
    kind: 'Instance',
    stamp: want.stamp,
    location: want.location,
    ref,
  });
  expect(existing(ref)).toBeUndefined();
  expect(existing(`zones/${zone}/disks/kept`)).toBeDefined();
});

test('discovery goes over zones and Google’s own pages; a zone out of reach hides no other, and is told', async () => {
  const adapter = await gcp.adapter();
  const refs = [1, 2, 3, 4, 5].map(() => plant());
  const all = async () => {
    const found: string[] = [];
    let complete = true;
    let page: string | undefined;
    do {
      const answer = await adapter.discover({ kind: 'Instance', broker: gcp.broker, page }, context());
      found.push(...answer.items.map((item) => item.ref));
      complete &&= answer.complete;
      page = answer.nextPage;
    } while (page !== undefined);
    return { found, complete };
  };
  gcp.simulator.faults.set({ kind: 'pages', size: 2 });
  const { found, complete } = await all();
  expect(complete).toBe(true);
  expect(found).toEqual(expect.arrayContaining(refs));
  expect(new Set(found).size).toBe(found.length);

  gcp.simulator.faults.set({ kind: 'unreachable', zone: 'us-central1-a' });
  const partly = await all();
  expect(partly.complete).toBe(false);
  expect(partly.found).toEqual(expect.arrayContaining(refs));
  const query = { kind: 'Instance', broker: gcp.broker } as const;
  for (const page of [
    'nonsense',
    ...['{"left":[]}', '{"left":["../x"]}', '{"left":["us-east1-b"]}'].map((text) =>
      Buffer.from(text).toString('base64url'),
    ),
  ])
    await errorOf(adapter.discover({ ...query, page }, context()), 'Invalid');
  gcp.simulator.faults.set({ kind: 'denied', method: 'compute.instances.list' });
  await errorOf(adapter.discover(query, context()), 'Denied');
});

test.each([1, 2, 3])('in storm %i of lost, late and throttled calls it is adopted once', async (seed) => {
  const ref = plant();
  const want = adoption(ref);
  const before = gcp.simulator.truth().length;
  gcp.simulator.faults.set({ kind: 'storm', seed, rate: 0.3 });
  for (let tries = 0; ; tries += 1) {
    try {
      expect(await adopted(want)).toMatchObject({ ref, stamp: want.stamp });
      break;
    } catch (error) {
      const isWeather = (['Throttled', 'Unavailable', 'OutcomeUnknown'] as const).some((code) =>
        isProviderError(error, code),
      );
      if (!isWeather || tries > 100) throw error;
    }
  }
  gcp.faults.clear();
  expect(gcp.simulator.truth()).toHaveLength(before);
  expect(await (await gcp.adapter()).observe({ ...gcp.target(want.stamp.resource) })).toMatchObject({ ref });
});

const group = 'projects/1/zones/us-central1-b/instanceGroupManagers/web';
test.each([
  [{ labels: { 'goog-k8s-cluster-name': 'prod' } }, 'the Kubernetes cluster prod'],
  [{ labels: { 'goog-dataproc-cluster-name': 'etl' } }, 'the Dataproc cluster etl'],
  [{ labels: { 'goog-terraform-provisioned': 'true' } }, 'Terraform'],
  [{ metadata: { items: [{ key: 'created-by', value: group }] } }, 'the instance group web'],
])('what carries %j is managed by %s', (marks, by) => {
  expect(whyRefused(machineOf({ status: 'RUNNING', ...marks }))).toContain(`it is managed by ${by}`);
});

test('what its owner wrote, and who made it by hand, refuses nothing', () => {
  const metadata = { items: [{ key: 'created-by', value: 'ann' }] };
  expect(whyRefused(machineOf({ status: 'RUNNING', labels: { team: 'shop' }, metadata }))).toBeUndefined();
});
