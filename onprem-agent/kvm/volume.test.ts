import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Adapter, InstanceWant, Kind, Present, Specs, Want } from '@landfall/adapters/contract.ts';
import { run } from '../host/command.ts';
import { createKvmAdapter } from './adapter.ts';
import { diskForGuestsGiB } from './capacity.ts';
import { type GuestShell, guestShell } from './guest-shell.ts';
import { heldDisk, heldFolder } from './held.ts';
import { freeDiskGiB } from './machine-files.ts';
import { raiseTestHost, type TestHost, testOptions, tinySpec } from './subject.ts';

/** Volumes, snapshots and images as a real guest sees them from inside. The steps build on each other. */
let lab: TestHost;
let adapter: Adapter;
let shell: GuestShell;
let machine: Present;
let data: Present<'Volume'>;
let snapshot: Present<'Snapshot'>;
let server: Server | undefined;

const location = { region: 'lab', host: 'host-1' };
const stampOf = (resource: string) => ({ broker: 'b-disks', project: 'p', resource, attempt: 1 });
const context = () => ({ signal: AbortSignal.timeout(230_000), heartbeat: () => {} });

function make<K extends Kind>(kind: K, resource: string, spec: Specs[K]): Promise<Present<K>> {
  return adapter.ensure({ kind, spec, stamp: stampOf(resource), location } as Want<K>, context());
}
const volume = (resource: string, change: Partial<Specs['Volume']> = {}) =>
  make('Volume', resource, { name: resource, labels: {}, sizeGiB: 1, type: 'ssd', ...change });
const remove = (kind: Kind, resource: string) =>
  adapter.remove({ kind, stamp: stampOf(resource), location }, context());
const machineSpec = (change: Partial<InstanceWant> = {}) =>
  tinySpec({ name: 'db', sshKeys: [shell.publicKey], ...change });
const inGuest = (command: string) => shell.run(machine, command);

/** The guest's own name of the volume's disk, found as the contract says. */
async function deviceOf({ details }: Present<'Volume'>): Promise<string> {
  const serial = details.device?.replace('/dev/disk/by-id/virtio-', '');
  const find = `for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" = "${serial}" ] && echo /dev/\${disk##*/}; done`;
  return (await inGuest(`${find}; true`)).trim();
}
const write = async (to: Present<'Volume'>, text: string) =>
  inGuest(`echo "${text}" | dd of=${await deviceOf(to)} conv=notrunc 2>/dev/null; sync`);
const read = async (from: Present<'Volume'>) => inGuest(`head -n 1 ${await deviceOf(from)}`);

beforeAll(async () => {
  lab = await raiseTestHost();
  shell = await guestShell(lab.folder);
  adapter = createKvmAdapter(testOptions(lab.host));
  machine = await make('Instance', 'db', machineSpec());
}, 240_000);
afterAll(async () => {
  server?.close();
  await lab?.close();
}, 60_000);

const step = (title: string, check: () => Promise<void>) => test(title, check, 240_000);

step('a running guest finds an attached volume by its serial, and sees it grow', async () => {
  data = await volume('data', { attachedTo: machine.ref });
  const device = await deviceOf(data);
  expect(device).toMatch(/^\/dev\/vd[a-z]$/);
  await write(data, 'first');
  await volume('data', { attachedTo: machine.ref, sizeGiB: 2 });
  expect(await inGuest(`cat /sys/block/${device.slice(5)}/size`)).toBe(`${2 * 2 ** 21}\n`);
});

step('a snapshot keeps what was there at its time, in a file that needs no other', async () => {
  snapshot = await make('Snapshot', 'before', { name: 'before', labels: {}, volume: data.ref });
  expect(snapshot.details.sizeGiB).toBe(2);
  await write(data, 'second');
  const file = join(heldFolder(lab.host.storage.here, 'Snapshot', snapshot.ref), heldDisk);
  const info = await run('qemu-img', ['info', '-f', 'qcow2', '--output=json', file]);
  expect(JSON.parse(info)).not.toHaveProperty('backing-filename');
  const restored = await volume('restored', {
    snapshot: snapshot.ref,
    sizeGiB: 2,
    attachedTo: machine.ref,
  });
  expect(await read(restored)).toBe('first\n');
  expect(await read(data)).toBe('second\n');
});

step('a volume smaller than its snapshot is refused', async () => {
  const refused = volume('small', { snapshot: snapshot.ref, sizeGiB: 1 });
  await expect(refused).rejects.toMatchObject({ code: 'Invalid', details: { field: '/sizeGiB' } });
});

step('a reboot with a new size keeps every volume', async () => {
  machine = await make('Instance', 'db', machineSpec({ reboots: 1, memoryGiB: 0.25 }));
  expect(machine).toMatchObject({ state: 'ready', diff: [] });
  expect(await read(data)).toBe('second\n');
});

step('a detached volume is gone from the guest, and a volume in use is not removed', async () => {
  expect(await remove('Volume', 'restored').catch((error: unknown) => error)).toMatchObject({
    code: 'Conflict',
  });
  const restored = await volume('restored', { snapshot: snapshot.ref, sizeGiB: 2 });
  expect(restored.details.attachedTo).toBeUndefined();
  expect(await inGuest('ls /sys/block | grep -c ^vd')).toBe('3\n');
  expect(await remove('Volume', 'restored')).toEqual({ done: true });
});

step('what volumes and snapshots hold counts as space for guests once', async () => {
  const { storage } = lab.host;
  const before = (await diskForGuestsGiB(storage)) - (await freeDiskGiB(storage));
  await inGuest(`dd if=/dev/zero of=${await deviceOf(data)} bs=1M seek=100 count=100 2>/dev/null; sync`);
  const after = (await diskForGuestsGiB(storage)) - (await freeDiskGiB(storage));
  // Others write to this file system meanwhile.
  expect(after - before).toBeGreaterThan(0.06);
  expect(after - before).toBeLessThan(0.16);
});

step('more than the host has free is CapacityExhausted, and nothing is made', async () => {
  await expect(volume('huge', { sizeGiB: 1_000_000 })).rejects.toMatchObject({ code: 'CapacityExhausted' });
  const { items } = await adapter.list('b-disks');
  expect(items.map(({ stamp }) => stamp.resource)).not.toContain('huge');
});

step(
  'an image of a running machine has its files, and is not removed while a machine stands on it',
  async () => {
    // Not synced: the copy is right because the guest's agent flushes its file systems for it.
    await inGuest('echo made here > /root/note');
    const image = await make('Image', 'golden', {
      name: 'golden',
      labels: {},
      source: { instance: machine.ref },
      architecture: 'x86_64',
    });
    expect(await remove('Volume', 'data').catch((error: unknown) => error)).toMatchObject({
      code: 'Conflict',
    });
    await adapter.remove({ kind: 'Instance', stamp: stampOf('db'), location }, context());
    const custom = { name: 'golden', architecture: 'x86_64', user: 'root', custom: image.ref } as const;
    machine = await make('Instance', 'copy', machineSpec({ name: 'copy', image: custom }));
    expect(await inGuest('cat /root/note; hostname')).toBe('made here\ncopy\n');
    expect(await remove('Image', 'golden').catch((error: unknown) => error)).toMatchObject({
      code: 'Conflict',
    });
  },
);

step('a volume outlives its machine, and goes on with another one', async () => {
  const loose = (await adapter.observe({
    kind: 'Volume',
    stamp: stampOf('data'),
    location,
  })) as Present<'Volume'>;
  expect(loose).toMatchObject({ ref: data.ref, state: 'ready', details: { sizeGiB: 2 } });
  expect(loose.details.attachedTo).toBeUndefined();
  data = await volume('data', { sizeGiB: 2, attachedTo: machine.ref });
  expect(await read(data)).toBe('second\n');
});

step('an image comes from a URL in its format, and another checksum or format is refused', async () => {
  const raw = join(lab.folder, 'disk.raw');
  const vhd = join(lab.folder, 'disk.vhd');
  await writeFile(raw, Buffer.alloc(1024 * 1024, 'landfall'));
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vpc', raw, vhd]);
  const bytes = await readFile(vhd);
  server = createServer((_, response) => response.end(bytes)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.vhd`;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const imported = (resource: string, source: Specs['Image']['source']) =>
    make('Image', resource, { name: resource, labels: {}, source, architecture: 'x86_64' });
  const image = await imported('vhd', { url, sha256, format: 'vhd' });
  const disk = join(heldFolder(lab.host.storage.here, 'Image', image.ref), heldDisk);
  const copy = join(lab.folder, 'copy.raw');
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', disk, copy]);
  expect((await readFile(copy)).subarray(0, 1024 * 1024).equals(await readFile(raw))).toBe(true);

  const wrongSum = imported('sum', { url, sha256: '0'.repeat(64), format: 'vhd' });
  await expect(wrongSum).rejects.toMatchObject({ code: 'Invalid', details: { field: '/source/sha256' } });
  const wrongFormat = imported('format', { url, sha256, format: 'qcow2' });
  await expect(wrongFormat).rejects.toMatchObject({ code: 'Invalid', details: { field: '/source/format' } });
  const local = imported('local', { url: `file://${vhd}`, sha256, format: 'vhd' });
  await expect(local).rejects.toMatchObject({ code: 'Invalid', details: { field: '/source/url' } });
});
