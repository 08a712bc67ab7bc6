import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Adapter, InstanceWant, Present, Target, Want } from '@landfall/adapters/contract.ts';
import { runFolder } from '../host/claim.ts';
import { run } from '../host/command.ts';
import { lowerHost, prepareHost } from '../host/prepare.ts';
import { findPrivateLibvirt } from '../host/private-libvirt.ts';
import { createKvmAdapter } from './adapter.ts';
import { type GuestShell, guestShell } from './guest-shell.ts';
import { raiseTestHost, type TestHost, testOptions, tinySpec } from './subject.ts';

/** A real tiny guest through its whole life, seen from inside over SSH. The steps build on each other. */
let lab: TestHost;
let adapter: Adapter;
let shell: GuestShell;
let born: Present;

const stamp = { broker: 'b-kvm', project: 'p', resource: '5d9d3b0e-54c1-4a6a-8a0c-5b0a3a3f7a10', attempt: 1 };
const location = { region: 'lab', host: 'host-1' };
const target: Target<'Instance'> = { kind: 'Instance', stamp, location };
const userData = `#cloud-config
write_files:
  - path: /etc/motd
    permissions: '0640'
    content: |
      it's "here"
        indented
runcmd:
  - echo first >> /root/ran
  - [touch, "/root/two words"]
`;

function want(change: Partial<InstanceWant> = {}): Want<'Instance'> {
  const spec = tinySpec({
    name: 'Web 1',
    sshKeys: [shell.publicKey],
    userData,
    labels: { 'tier<1>': 'a&b' },
    ...change,
  });
  return { kind: 'Instance', spec, stamp, location };
}

const context = (signal = AbortSignal.timeout(110_000)) => ({ signal, heartbeat: () => {} });

const inGuest = async (command: string) => shell.run((await adapter.observe(target)) as Present, command);

beforeAll(async () => {
  lab = await raiseTestHost();
  shell = await guestShell(lab.folder);
  adapter = createKvmAdapter(testOptions(lab.host));
}, 120_000);
afterAll(() => lab?.close(), 60_000);

const step = (title: string, check: () => Promise<void>) => test(title, check, 120_000);

step('a guest answers over SSH with the injected key, and its user data ran', async () => {
  born = await adapter.ensure(want(), context());
  expect(born).toMatchObject({
    state: 'ready',
    diff: [],
    details: { power: 'running', ssh: { user: 'root', port: 22 } },
  });
  expect(await inGuest('hostname; sed -n s/^NAME=//p /etc/os-release')).toBe('web-1\n"Landfall tiny"\n');
  const done = 'until [ -e /var/lib/cloud/user-data-done ]; do sleep 0.1; done';
  expect(
    await inGuest(`${done}; cat /root/ran; ls "/root/two words"; cat /etc/motd; stat -c %a /etc/motd`),
  ).toBe(`first\n/root/two words\nit's "here"\n  indented\n640\n`);
});

step('counters and the console of a running guest can be read', async () => {
  const { metrics } = ((await adapter.observe(target)) as Present).details;
  expect(metrics?.cpuSeconds).toBeGreaterThan(0);
  expect(metrics?.diskReadBytes).toBeGreaterThan(0);
  expect(await adapter.console(target, 4000)).toContain('landfall tiny: web-1 up after');
});

step('libvirt killed and started again finds the guest running, untouched', async () => {
  const bootId = await inGuest('cat /proc/sys/kernel/random/boot_id');
  const found = await findPrivateLibvirt(lab.folder);
  const pid = Number(await readFile(join(runFolder(found?.index ?? 0), 'libvirtd.pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  await sleep(100);
  await prepareHost({ dataFolder: lab.folder, libvirt: 'auto' });
  expect(await inGuest('cat /proc/sys/kernel/random/boot_id')).toBe(bootId);
  expect(await adapter.observe(target, want())).toMatchObject({ state: 'ready', diff: [] });
});

step(
  'taking the host down without its guests leaves them running, and the next preparation finds them, even if its record is lost',
  async () => {
    const bootId = await inGuest('cat /proc/sys/kernel/random/boot_id');
    await lowerHost(lab.folder, { guests: false });
    await expect(adapter.observe(target)).rejects.toMatchObject({ code: 'Unavailable' });
    await rm(join(lab.folder, 'libvirt/host.json'));
    await prepareHost({ dataFolder: lab.folder, libvirt: 'private' });
    adapter = createKvmAdapter(testOptions(lab.host));
    expect(await adapter.ensure(want(), context())).toMatchObject({ ref: born.ref, diff: [] });
    expect(await inGuest('cat /proc/sys/kernel/random/boot_id')).toBe(bootId);
  },
);

step('a reboot with a resize boots once, keeps the disk, and the guest sees the new sizes', async () => {
  const change = { reboots: 1, vcpus: 2, memoryGiB: 0.25, diskGiB: 2 };
  const changed = await adapter.ensure(want(change), context());
  expect(changed).toMatchObject({
    ref: born.ref,
    diff: [],
    details: { vcpus: 2, memoryGiB: 0.25, reboots: 1 },
  });
  expect(await inGuest('nproc; cat /root/ran')).toBe('2\nfirst\n');
  const size = 'until [ "$(df -m / | awk \'NR==2 {print $2}\')" -gt 1500 ]; do sleep 0.2; done; echo grown';
  expect(await inGuest(size)).toBe('grown\n');
  const boots = (await adapter.console(target, 100_000)).match(/up after/g);
  expect(boots).toHaveLength(2);
});

step('a disk is never shrunk', async () => {
  await expect(
    adapter.ensure(want({ reboots: 1, vcpus: 2, memoryGiB: 0.25 }), context()),
  ).rejects.toMatchObject({
    code: 'Invalid',
    details: { field: '/diskGiB' },
  });
});

step('more than the host has is CapacityExhausted, and nothing is made', async () => {
  const other = { ...want({ memoryGiB: 1000 }), stamp: { ...stamp, resource: 'too-big' } };
  await expect(adapter.ensure(other, context())).rejects.toMatchObject({ code: 'CapacityExhausted' });
  await expect(adapter.validate(other)).rejects.toMatchObject({ code: 'CapacityExhausted' });
  expect((await adapter.list(stamp.broker)).items.map((item) => item.stamp.resource)).not.toContain(
    'too-big',
  );
});

step('after remove no domain and no file is left', async () => {
  expect(await adapter.remove(target, context())).toEqual({ done: true });
  expect(await adapter.observe(target)).toEqual({ presence: 'absent' });
  expect((await adapter.list(stamp.broker)).items).toEqual([]);
  expect((await run('virsh', ['-q', '-c', lab.host.uri, 'list', '--all', '--name'])).trim()).toBe('');
  expect(await readdir(join(lab.host.storage.here, 'machines'))).toEqual([]);
});
