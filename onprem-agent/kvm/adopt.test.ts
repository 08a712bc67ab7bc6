import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { context, errorOf, removeFully } from '@landfall/adapters/conformance/probe.ts';
import type { Adapter, Want } from '@landfall/adapters/contract.ts';
import { createKvmAdapter } from './adapter.ts';
import { whyRefused } from './discover.ts';
import { readDomains } from './domain-xml.ts';
import { adopterOf, renderRecord } from './machine-record.ts';
import { raiseTestHost, type TestHost, testOptions, tinySpec } from './subject.ts';
import { libvirtOver, virshRunner } from './virsh.ts';

let testHost: TestHost;
let adapter: Adapter;
const broker = `broker-${randomUUID()}`;
const location = { region: 'lab', zone: 'rack-1', host: 'host-1' };
const virsh = (...args: string[]) => virshRunner(testHost.host.uri)(args);

beforeAll(async () => {
  testHost = await raiseTestHost();
  const options = testOptions(testHost.host);
  adapter = createKvmAdapter({ ...options, timing: { ...options.timing, shutdown: 1000 } });
}, 120_000);
afterAll(() => testHost?.close(), 60_000);

const metadataOf = (inside: string) => (inside === '' ? '' : `<metadata>${inside}</metadata>`);

/** Somebody's own machine: it has a disk of theirs, and no system that would answer to anybody. */
async function plant(metadata = ''): Promise<{ uuid: string; disk: string }> {
  const uuid = randomUUID();
  const { here, there } = testHost.host.storage;
  const disk = join(here, `${uuid}.img`);
  await writeFile(disk, Buffer.alloc(1 << 20));
  await chmod(disk, 0o666);
  const file = join(testHost.folder, `${uuid}.xml`);
  await writeFile(
    file,
    `<domain type='qemu'><name>theirs-${uuid}</name><uuid>${uuid}</uuid>${metadataOf(metadata)}
      <memory unit='KiB'>66000</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>
      <devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${join(there, `${uuid}.img`)}'/>
      <target dev='sda' bus='sata'/></disk></devices></domain>`,
  );
  await virsh('define', file);
  return { uuid, disk };
}

const domainOf = async (uuid: string) => readDomains(await virsh('dumpxml', uuid))[0]!;
/** Its definition without what a tool keeps for itself. */
const definitionOf = async (uuid: string) =>
  (await virsh('dumpxml', '--inactive', uuid)).replace(/\s*<metadata>[\s\S]*<\/metadata>/, '');

async function adoption(
  uuid: string,
  change: Partial<Want<'Instance'>['spec']> = {},
): Promise<Want<'Instance'>> {
  const { items } = await adapter.discover({ kind: 'Instance', broker, ref: uuid }, context());
  const { vcpus = 1, memoryGiB = 0 } = items[0] ?? {};
  const { image: _, ...spec } = tinySpec({ vcpus, memoryGiB, power: 'stopped', ...change });
  const stamp = { broker, project: 'test', resource: randomUUID(), attempt: 1 };
  return { kind: 'Instance', spec, stamp, location, adopted: { ref: uuid, settled: false } };
}
const settled = (want: Want<'Instance'>, change: Partial<Want<'Instance'>['spec']>): Want<'Instance'> => ({
  ...want,
  spec: { ...want.spec, ...change },
  adopted: { ...want.adopted!, settled: true },
});

test('a domain is adopted by its metadata alone, starts and stops as it is, and goes without its disk', async () => {
  const { uuid, disk } = await plant();
  const before = await definitionOf(uuid);
  const want = await adoption(uuid);
  expect(await adapter.adopt(want, context())).toMatchObject({
    ref: uuid,
    stamp: want.stamp,
    state: 'ready',
    details: { power: 'stopped', children: [] },
  });
  expect(await definitionOf(uuid)).toBe(before);
  expect((await domainOf(uuid)).adopters).toEqual({});

  const running = await adapter.ensure(
    settled(want, { power: 'running', labels: { env: 'prod' } }),
    context(),
  );
  expect(running).toMatchObject({ ref: uuid, state: 'ready', diff: [], details: { power: 'running' } });
  expect(running.details.ssh).toBeUndefined();
  const target = { kind: 'Instance' as const, stamp: want.stamp, location };
  // Not by its UUID, which no stamp makes: its record tells of it.
  expect(await adapter.observe(target)).toMatchObject({ presence: 'present', ref: uuid });
  const bigger = await errorOf(adapter.ensure(settled(want, { vcpus: 2 }), context()), 'Invalid');
  expect(bigger.details.field).toBe('/vcpus');
  expect(await adapter.ensure(settled(want, { labels: { env: 'prod' } }), context())).toMatchObject({
    diff: [],
    details: { power: 'stopped' },
  });
  expect(await definitionOf(uuid)).toBe(before);

  await removeFully(adapter, target);
  expect(await virsh('list', '--all', '--uuid')).not.toContain(uuid);

  expect(statSync(disk).size).toBe(1 << 20);
}, 60_000);

test('who comes after another adopter gives up, and leaves nothing of its own', async () => {
  const { uuid } = await plant();
  const libvirt = libvirtOver(virshRunner(testHost.host.uri));
  const other = adopterOf({ broker: '', project: '', resource: '0', attempt: 1 });
  const at = new Date().toISOString();
  await libvirt.writeAdopter(uuid, other, at, false);
  await errorOf(adapter.adopt(await adoption(uuid), context()), 'Conflict');
  expect(await domainOf(uuid)).toMatchObject({ record: undefined, adopters: { [other]: at } });
  await libvirt.writeAdopter(uuid, other, '2020-01-01T00:00:00.000Z', false);
  expect(await adapter.adopt(await adoption(uuid), context())).toMatchObject({ ref: uuid });
}, 30_000);

test('what another tool manages, what libvirt forgets and what has devices of the host is refused, and why is said', async () => {
  const nova = await plant('<nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"/>');
  expect((await errorOf(adapter.adopt(await adoption(nova.uuid), context()), 'Conflict')).message).toContain(
    'it is managed by OpenStack Nova',
  );
  const harmless = await plant('<os:libosinfo xmlns:os="http://libosinfo.org/xmlns/libvirt/domain/1.0"/>');
  const { items } = await adapter.discover({ kind: 'Instance', broker, ref: harmless.uuid }, context());
  expect(items).toMatchObject([{ ref: harmless.uuid, architecture: 'x86_64' }]);
  expect(items[0]?.refused).toBeUndefined();

  await virsh('start', harmless.uuid);
  await virsh('undefine', harmless.uuid);
  expect(
    (await errorOf(adapter.adopt(await adoption(harmless.uuid), context()), 'Conflict')).message,
  ).toContain('libvirt forgets it');
  const devices = { ...(await domainOf(nova.uuid)), tools: [], hostDevices: ['0000:06:00.0'] };
  expect(whyRefused(devices, new Set())).toContain('devices of the host');
}, 30_000);

test('a machine in a network of ours is not released: nothing could reach it any more, and it stays ours', async () => {
  const stamp = { broker, project: 'test', resource: randomUUID(), attempt: 1 };
  const record = {
    ...{ stamp, name: 'inside', createdAt: new Date().toISOString(), user: 'root', image: 'tiny' },
    ...{ instanceType: 'custom', diskGiB: 1, reboots: 0, firewalls: [], labels: {} },
    network: { ref: randomUUID(), subnet: 'a' },
  };
  const { uuid } = await plant(renderRecord(record).text);
  const target = { kind: 'Instance', stamp, location, ref: uuid } as const;
  const refused = await errorOf(adapter.release(target, context()), 'Invalid');
  expect(refused.message).toContain('packet filter');
  expect((await domainOf(uuid)).record?.stamp).toEqual(stamp);
});
