import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import type { Collection, Json } from '../../test/simulators/gcp/world.ts';
import { context, ensureReady, errorOf, removeFully } from '../conformance/probe.ts';
import { releaseFully } from '../conformance/releasing.ts';
import type { Kind, Specs, Want } from '../contract.ts';
import { stampLabels } from './stamp.ts';

jest.setTimeout(60_000);

const project = 'simulated-project';
const zone = 'us-central1-b';
let gcp: Awaited<ReturnType<typeof simulatedGcp>>;
let planted = 0;

beforeAll(async () => {
  gcp = await simulatedGcp();
}, 300_000);
afterAll(() => gcp?.close());

async function plant(scope: string, collection: Collection, body: Json = {}): Promise<string> {
  planted += 1;
  return gcp.simulator.plantOther(project, scope, collection, { name: `theirs-${planted}`, ...body });
}
const plantDisk = (body: Json = {}) => plant(`zones/${zone}`, 'disks', { sizeGb: '10', ...body });

/** A machine of somebody else, to which they attach this disk, where one is given. */
async function plantMachine(disk?: Json): Promise<string> {
  planted += 1;
  const machine = gcp.simulator.plant(project, zone, `web-${planted}`, {});
  if (!disk) return machine;
  const call = async (path: string, body?: Json): Promise<Json> => {
    const answer = await fetch(`${gcp.simulator.endpoint}/compute/v1/projects/${project}/${path}`, {
      headers: { authorization: 'Bearer theirs', 'content-type': 'application/json' },
      ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
    });
    return (await answer.json()) as Json;
  };
  await call(`${machine}/attachDisk`, disk);
  while (!(await call(disk.source)).users?.length) await sleep(20);
  return machine;
}

async function discovered(kind: Kind, ref?: string, broker = gcp.broker) {
  const adapter = await gcp.adapter();
  const { items } = await adapter.discover({ kind, broker, ...(ref ? { ref } : {}) }, context());
  return items;
}

type Other = 'Volume' | 'Snapshot' | 'Address';

function want<K extends Other>(kind: K, ref: string | undefined, spec: Partial<Specs[K]>): Want<K> {
  return {
    kind,
    spec: { name: 'adopted', labels: {}, ...spec },
    stamp: { broker: gcp.broker, project: 'test', resource: randomUUID(), attempt: 1 },
    location: { region: 'us-central1', ...(kind === 'Volume' ? { zone } : {}) },
    ...(ref ? { adopted: { ref, settled: false } } : {}),
  } as unknown as Want<K>;
}
const volume = (ref: string | undefined, spec: Partial<Specs['Volume']> = {}) =>
  want('Volume', ref, { sizeGiB: 10, type: 'standard', ...spec });
const adopted = async <K extends Other>(wanted: Want<K>) => (await gcp.adapter()).adopt(wanted, context());
const changed = (wanted: Want<'Volume'>, spec: Partial<Specs['Volume']>): Want<'Volume'> => ({
  ...wanted,
  spec: { ...wanted.spec, ...spec },
  adopted: { ref: wanted.adopted?.ref ?? '', settled: true },
});
const existing = (ref: string) => gcp.simulator.truth().find((thing) => thing.ref === ref);

test('the disk that a machine starts from is a part of it: not listed, and refused where it is asked for', async () => {
  const machine = await plantMachine();
  const root = `zones/${zone}/disks/${machine.split('/').at(-1)}`;
  expect(existing(root)).toBeDefined();
  expect((await discovered('Volume')).map(({ ref }) => ref)).not.toContain(root);
  expect(await discovered('Volume', root)).toMatchObject([{ refused: `it is the root disk of ${machine}` }]);
  const error = await errorOf(adopted(volume(root, { attachedTo: machine })), 'Conflict');
  expect(error.message).toContain('root disk');
  expect(existing(root)?.labels).toEqual({});
});

test('a disk that goes with its machine is refused, with what to do', async () => {
  const disk = await plantDisk();
  await plantMachine({ source: disk, autoDelete: true, deviceName: 'data' });
  expect((await discovered('Volume', disk))[0]?.refused).toContain('switch its auto-delete off');
});

test('a disk of Kubernetes, by label or by description, is refused', async () => {
  const labelled = await plantDisk({ labels: { 'goog-gke-volume': '' } });
  const described = await plantDisk({ description: '{"storage.gke.io/created-by":"pd.csi.storage.gke.io"}' });
  for (const ref of [labelled, described])
    expect((await discovered('Volume', ref))[0]?.refused).toContain('Kubernetes');
});

test('an adopted disk keeps its name and its owner’s labels, and is grown, detached and attached as any other', async () => {
  const disk = await plantDisk({ labels: { team: 'shop' } });
  const machine = await plantMachine({ source: disk, autoDelete: false, deviceName: 'the-data' });
  expect(await discovered('Volume', disk)).toMatchObject([{ attachedTo: machine, diskGiB: 10 }]);
  const wanted = volume(disk, { attachedTo: machine });
  // The name in the guest is the one that somebody else gave it.
  expect(await adopted(wanted)).toMatchObject({ details: { device: '/dev/disk/by-id/google-the-data' } });
  const adapter = await gcp.adapter();
  const loose = changed(wanted, { sizeGiB: 20, attachedTo: undefined, labels: { env: 'prod' } });
  expect(await ensureReady(adapter, loose)).toMatchObject({ ref: disk, diff: [], details: { sizeGiB: 20 } });
  expect(existing(disk)?.labels).toMatchObject({ team: 'shop', env: 'prod' });
  const again = changed(loose, { attachedTo: machine });
  const name = disk.split('/').at(-1);
  expect(await ensureReady(adapter, again)).toMatchObject({
    details: { attachedTo: machine, device: `/dev/disk/by-id/google-${name}` },
  });
});

test('an adopted disk that somebody deleted is absent, and not made anew', async () => {
  const disk = await plantDisk();
  const wanted = volume(disk);
  await adopted(wanted);
  await gcp.simulator.destroy(disk);
  const adapter = await gcp.adapter();
  const { kind, stamp, location } = wanted;
  expect(await adapter.observe({ kind, stamp, location, ref: disk })).toEqual({ presence: 'absent' });
  await errorOf(adapter.ensure(changed(wanted, {}), context()), 'NotFound');
  expect(
    gcp.simulator.truth().filter(({ labels }) => labels[stampLabels.resource] === stamp.resource),
  ).toEqual([]);
});

test('what we make is looked for by its name alone', async () => {
  const before = gcp.simulator.calls.length;
  const wanted = volume(undefined);
  await ensureReady(await gcp.adapter(), wanted);
  const filters = gcp.simulator.calls.slice(before).map(({ query }) => query.filter ?? '');
  expect(filters.some((filter) => filter.startsWith('name eq'))).toBe(true);
  expect(filters.filter((filter) => filter.includes(stampLabels.kind))).toEqual([]);
});

test('a snapshot that is kept in several regions is one of its disk’s region', async () => {
  const disk = await plantDisk();
  const ref = await plant('global', 'snapshots', { sourceDisk: disk, storageLocations: ['us'] });
  expect(await discovered('Snapshot', ref)).toMatchObject([
    { location: { region: 'us-central1' }, volume: disk, diskGiB: 10 },
  ]);
  const wanted = want('Snapshot', ref, { volume: disk });
  expect(await adopted(wanted)).toMatchObject({ ref, location: { region: 'us-central1' } });
  await removeFully(await gcp.adapter(), {
    kind: 'Snapshot',
    stamp: wanted.stamp,
    location: wanted.location,
  });
  expect(existing(ref)).toBeUndefined();
});

test('an internal address is refused', async () => {
  const ref = await plant('regions/us-central1', 'addresses', { addressType: 'INTERNAL' });
  expect(await discovered('Address', ref)).toMatchObject([{ refused: 'it is an internal address' }]);
});

test('an address that we made and released is nobody’s, though its description stays, and another installation can adopt it', async () => {
  const adapter = await gcp.adapter();
  const wanted = want('Address', undefined, {});
  const { ref } = await ensureReady(adapter, wanted);
  await releaseFully(adapter, { kind: 'Address', stamp: wanted.stamp, location: wanted.location, ref });
  expect(existing(ref)?.description).toContain(wanted.stamp.resource);
  const [found] = await discovered('Address', ref, 'another-broker');
  expect(found).toMatchObject({ ref, labels: {} });
  expect(found?.refused).toBeUndefined();
  const theirs = want('Address', ref, {});
  theirs.stamp.broker = 'another-broker';
  expect(await adopted(theirs)).toMatchObject({ ref, stamp: { broker: 'another-broker' } });
  expect(await discovered('Address', ref)).toMatchObject([{ refused: expect.stringContaining('Landfall') }]);
  expect(existing(ref)?.labels[stampLabels.released]).toBeUndefined();
});
