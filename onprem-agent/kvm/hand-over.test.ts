import type { Adapter, InstanceWant, Present, Target, Want } from '@landfall/adapters/contract.ts';
import { run } from '../host/command.ts';
import type { Gpu } from '../host/gpus.ts';
import { createKvmAdapter } from './adapter.ts';
import type { Domain } from './domain-xml.ts';
import { gpusFor, gpusForGuests } from './hand-over.ts';
import type { Setting } from './setting.ts';
import { raiseTestHost, type TestHost, testOptions, tinySpec } from './subject.ts';
import { libvirtOver, virshRunner } from './virsh.ts';

/**
 * Made-up GPUs that no machine has, on a real libvirt: it checks and keeps the definitions, and nothing is started with a
 * device, except to see it refused. The steps build on each other.
 */
const gpus: Gpu[] = [
  { address: '0000:fd:00.0', model: 'T4', functions: ['0000:fd:00.0', '0000:fd:00.1'] },
  { address: '0000:fe:00.0', model: 'T4', functions: ['0000:fe:00.0'] },
];
let lab: TestHost;
let adapter: Adapter;

const location = { region: 'lab', host: 'host-1' };
const stampOf = (resource: string) => ({ broker: 'b-gpu', project: 'p', resource, attempt: 1 });
const context = () => ({ signal: new AbortController().signal, heartbeat: () => {} });
const virsh = (...args: string[]) => run('virsh', ['-q', '-c', lab.host.uri, ...args]);

function want(resource: string, change: Partial<InstanceWant> = {}): Want<'Instance'> {
  const spec = tinySpec({ power: 'stopped', gpu: { name: 'T4', count: 1 }, ...change });
  return { kind: 'Instance', spec, stamp: stampOf(resource), location };
}

const target = (resource: string): Target<'Instance'> => ({
  kind: 'Instance',
  stamp: stampOf(resource),
  location,
});
const remove = (resource: string) => adapter.remove(target(resource), context());

async function devicesOf(resource: string): Promise<string[]> {
  const { ref } = (await adapter.observe(target(resource))) as Present;
  return (await libvirtOver(virshRunner(lab.host.uri)).find(ref))!.hostDevices;
}

beforeAll(async () => {
  lab = await raiseTestHost();
  adapter = createKvmAdapter({ ...testOptions(lab.host), gpus });
}, 120_000);
afterAll(() => lab?.close(), 60_000);

test('libvirt takes the definition of a machine with a GPU, and what it has is read back', async () => {
  const made = await adapter.ensure(want('one'), context());
  expect(made).toMatchObject({ state: 'ready', diff: [], details: { gpus: 1 } });
  expect(await devicesOf('one')).toEqual(['0000:fd:00.0', '0000:fd:00.1']);
  const xml = await virsh('dumpxml', made.ref, '--inactive');
  expect(xml.match(/<hostdev mode='subsystem' type='pci' managed='yes'>/g)).toHaveLength(2);
  // What QEMU would be started with, each device behind a port of its own.
  const qemu = await virsh('domxml-to-native', 'qemu-argv', '--domain', made.ref);
  const handed = [...qemu.matchAll(/"vfio-pci","host":"([^"]+)","id":"[^"]+","bus":"(pci\.[0-9]+)"/g)];
  expect(handed.map(([, host]) => host)).toEqual(['0000:fd:00.0', '0000:fd:00.1']);
  expect(new Set(handed.map(([, , bus]) => bus)).size).toBe(2);
  const seen = await adapter.observe(target('one'), want('one'));
  expect(seen).toMatchObject({ diff: [], details: { gpus: 1 } });
  const { items } = await adapter.list('b-gpu');
  expect(items.find(({ child }) => !child)?.details).toMatchObject({ gpus: 1 });
}, 120_000);

test('each machine has its own, of many that are made at once', async () => {
  await remove('one');
  const names = ['a', 'b', 'c', 'd'];
  const ends = await Promise.allSettled(names.map((name) => adapter.ensure(want(name), context())));
  const made = names.filter((_, n) => ends[n]!.status === 'fulfilled');
  expect(made).toHaveLength(2);
  for (const end of ends)
    if (end.status === 'rejected')
      expect(end.reason).toMatchObject({
        code: 'CapacityExhausted',
        message: 'this host has 0 of 2 GPUs free, and 1 of model T4 are wanted',
      });
  const devices = (await Promise.all(made.map(devicesOf))).flat();
  expect(devices.sort()).toEqual(['0000:fd:00.0', '0000:fd:00.1', '0000:fe:00.0']);
  await expect(adapter.validate(want('e'))).rejects.toMatchObject({ code: 'CapacityExhausted' });
  await Promise.all(names.map(remove));
}, 120_000);

test('a resize keeps the device, and what a removed machine had is free again', async () => {
  await adapter.ensure(want('first'), context());
  await adapter.ensure(want('second'), context());
  expect(await devicesOf('second')).toEqual(['0000:fe:00.0']);
  await remove('first');
  expect(await adapter.ensure(want('second', { vcpus: 2 }), context())).toMatchObject({
    diff: [],
    details: { vcpus: 2, gpus: 1 },
  });
  expect(await devicesOf('second')).toEqual(['0000:fe:00.0']);
  await adapter.ensure(want('third'), context());
  expect(await devicesOf('third')).toEqual(['0000:fd:00.0', '0000:fd:00.1']);
  await remove('second');
  await remove('third');
}, 120_000);

test('what a machine of somebody else has is left to it, and is not counted for guests', async () => {
  const libvirt = libvirtOver(virshRunner(lab.host.uri));
  expect(await gpusForGuests({ gpus, libvirt })).toEqual(gpus);
  await libvirt.define(`<domain type='qemu'><name>theirs</name><memory unit='MiB'>64</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
    <hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0xfd' slot='0' function='1'/></source></hostdev>
    </devices></domain>`);
  expect(await gpusForGuests({ gpus, libvirt })).toEqual([gpus[1]]);
  await adapter.ensure(want('beside'), context());
  expect(await devicesOf('beside')).toEqual(['0000:fe:00.0']);
  expect(await gpusForGuests({ gpus, libvirt })).toEqual([gpus[1]]);
  await virsh('undefine', 'theirs');
  await remove('beside');
}, 120_000);

test('a machine whose GPU has gone from the host stays off without it, and does not start without it', async () => {
  await adapter.ensure(want('left'), context());
  const without = createKvmAdapter({ ...testOptions(lab.host), gpus: [] });
  const off = want('left', { vcpus: 1 });
  expect(await without.ensure(off, context())).toMatchObject({ state: 'ready', diff: [] });
  const on = want('left', { power: 'running' });
  expect(await without.observe(target('left'), on)).toMatchObject({ diff: ['power', 'gpu'] });
  await expect(without.ensure(on, context())).rejects.toMatchObject({
    code: 'CapacityExhausted',
    message: 'this host has 0 of 0 GPUs free, and 1 of model T4 are wanted',
  });
  await remove('left');
}, 120_000);

test('another model than the one of the host is not to be had', async () => {
  await expect(
    adapter.ensure(want('other', { gpu: { name: 'A100', count: 1 } }), context()),
  ).rejects.toMatchObject({ code: 'CapacityExhausted' });
  await remove('other');
});

test('what a machine has until its next start, and what it has from then on, are both taken', async () => {
  const domain = (uuid: string, ...hostDevices: string[]) => ({ uuid, hostDevices }) as unknown as Domain;
  const runs = [domain('m', '0000:fd:00.1'), domain('n')];
  const next = [domain('m'), domain('n', '0000:fe:00.0')];
  const libvirt = { all: async () => runs, allInactive: async () => next } as unknown as Setting['libvirt'];
  const one = { name: 'T4', count: 1 };
  await expect(gpusFor({ gpus, libvirt }, 'x', one)).rejects.toMatchObject({ code: 'CapacityExhausted' });
  expect(await gpusFor({ gpus, libvirt }, 'n', one)).toEqual([gpus[1]]);
  expect(await gpusFor({ gpus, libvirt }, 'x', undefined)).toEqual([]);
});

test('a machine keeps what it has, whatever its model is called by now', async () => {
  const domain = { uuid: 'm', hostDevices: ['0000:fe:00.0'] } as unknown as Domain;
  const libvirt = {
    all: async () => [domain],
    allInactive: async () => [domain],
  } as unknown as Setting['libvirt'];
  expect(await gpusFor({ gpus, libvirt }, 'm', { name: '10de:1eb8', count: 1 })).toEqual([gpus[1]]);
});

test('a machine that libvirt cannot give its device to does not start, and another place is tried', async () => {
  await expect(adapter.ensure(want('gone', { power: 'running' }), context())).rejects.toMatchObject({
    code: 'CapacityExhausted',
    message: expect.stringContaining('VFIO'),
  });
  await remove('gone');
}, 120_000);
