import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findGpus } from './gpus.ts';

/** A made-up host: a tree of files and links as the kernel's sysfs has them. */
let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'landfall-sysfs-'));
  await write('dev/vfio/vfio', '');
  await write(
    'usr/share/misc/pci.ids',
    [
      '# made up',
      '1002  Advanced Micro Devices, Inc. [AMD/ATI]',
      '\t1eb8  Another [Other 1]',
      '10de  NVIDIA Corporation',
      '\t1eb8  TU104GL [Tesla T4]',
      '\t\t10de 12a2  A subsystem [Tesla X]',
      '\t20b0  GA100 [A100 SXM4 40GB]',
      '\t2330  GH100[H100 SXM5 80GB]',
      '\t2684  AD102 [GeForce RTX 4090]',
      '8086  Intel Corporation',
      '\t2331  Chap Counter',
    ].join('\n'),
  );
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

async function link(path: string, to: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await symlink(to, join(root, path));
}

interface Made {
  /** Vendor and device. */
  id?: string;
  class?: string;
  group?: number;
  driver?: string;
  /** A driver that keeps what it has has no file `unbind`. */
  keeps?: boolean;
  files?: Record<string, string>;
}

async function device(address: string, made: Made = {}): Promise<void> {
  const { id = '10de:1eb8', class: of = '0x030200', group, driver, keeps, files = {} } = made;
  const [vendor, number] = id.split(':');
  const real = `sys/devices/pci0000:00/${address}`;
  await link(`sys/bus/pci/devices/${address}`, `../../../devices/pci0000:00/${address}`);
  const all = { class: `${of}\n`, vendor: `0x${vendor}\n`, device: `0x${number}\n`, ...files };
  for (const [file, content] of Object.entries(all)) await write(`${real}/${file}`, content);
  if (driver !== undefined) {
    await write(`sys/bus/pci/drivers/${driver}/${keeps ? 'bind' : 'unbind'}`, '');
    await link(`${real}/driver`, `../../../bus/pci/drivers/${driver}`);
  }
  if (group === undefined) return;
  await link(`${real}/iommu_group`, `../../../kernel/iommu_groups/${group}`);
  await link(
    `sys/kernel/iommu_groups/${group}/devices/${address}`,
    `../../../../devices/pci0000:00/${address}`,
  );
}

/** Why the only display adapter of the host is not handed over. */
async function reason(): Promise<string> {
  const { gpus, refused } = await findGpus(root);
  expect(gpus).toEqual([]);
  expect(refused).toHaveLength(1);
  return refused[0]!.reason;
}

test('a GPU is handed over with what is in its IOMMU group, bridges apart', async () => {
  await device('0000:00:01.0', { class: '0x060400', id: '8086:1901', group: 7, driver: 'pcieport' });
  await device('0000:06:00.0', { group: 7, driver: 'nvidia' });
  await device('0000:06:00.1', { class: '0x040300', id: '10de:10f8', group: 7, driver: 'snd_hda_intel' });
  await device('0000:00:1f.6', { class: '0x020000', id: '8086:15fa', group: 9, driver: 'e1000e' });
  expect(await findGpus(root)).toEqual({
    gpus: [{ address: '0000:06:00.0', model: 'T4', functions: ['0000:06:00.0', '0000:06:00.1'] }],
    refused: [],
  });
});

test.each(['vfio-pci', 'nvidia', undefined])('the driver %s lets it go', async (driver) => {
  await device('0000:06:00.0', { group: 1, driver });
  expect((await findGpus(root)).gpus).toHaveLength(1);
});

test('without an IOMMU group it stays', async () => {
  await device('0000:06:00.0', { driver: 'vfio-pci' });
  expect(await reason()).toContain('switch the IOMMU on');
});

test.each([
  ['another device', '0000:07:00.0', '0x020000'],
  ['another GPU', '0000:06:00.1', '0x030200'],
])('in one IOMMU group with %s it stays', async (_what, address, of) => {
  await device('0000:06:00.0', { group: 1 });
  await device(address, { class: of, id: '1234:5678', group: 1, driver: 'other' });
  const { gpus, refused } = await findGpus(root);
  expect(gpus).toEqual([]);
  expect(refused[0]).toMatchObject({
    address: '0000:06:00.0',
    reason: `${address} (other) is in its IOMMU group and is no part of it`,
  });
});

test('with the console of the host on it it stays, unless VFIO has it', async () => {
  await device('0000:06:00.0', { group: 1, driver: 'nouveau', files: { boot_vga: '1\n' } });
  expect(await reason()).toContain('the console of the host is on it');
  await device('0000:07:00.0', { group: 2, driver: 'vfio-pci', files: { boot_vga: '1\n' } });
  await device('0000:08:00.0', { group: 3, driver: 'nouveau', files: { boot_vga: '0\n' } });
  expect((await findGpus(root)).gpus.map(({ address }) => address)).toEqual(['0000:07:00.0', '0000:08:00.0']);
});

test('a driver that does not let go of it, or of what goes with it, keeps it', async () => {
  await device('0000:06:00.0', { group: 1, driver: 'vfio-pci' });
  await device('0000:06:00.1', { class: '0x040300', group: 1, driver: 'sticky', keeps: true });
  expect(await reason()).toBe('the driver sticky does not let 0000:06:00.1 go: bind it to vfio-pci at boot');
});

test('a part of a shared GPU stays, and so does a GPU that is shared', async () => {
  await device('0000:06:00.0', { group: 1, files: { sriov_numvfs: '0\n' } });
  expect((await findGpus(root)).gpus).toHaveLength(1);
  await write('sys/devices/pci0000:00/0000:06:00.0/sriov_numvfs', '4\n');
  expect(await reason()).toBe('it has 4 virtual functions');
  await device('0000:06:00.4', { group: 2 });
  await link('sys/devices/pci0000:00/0000:06:00.4/physfn', '../0000:06:00.0');
  expect((await findGpus(root)).refused[1]?.reason).toBe('it is a virtual function of another device');
});

test('the display adapter of a management controller is no GPU', async () => {
  await device('0000:04:00.0', { id: '1a03:2000', class: '0x030000', group: 1, driver: 'ast' });
  expect(await reason()).toContain('1a03');
});

test('where the agent does not see /dev/vfio nothing is handed over', async () => {
  await rm(join(root, 'dev/vfio/vfio'));
  await device('0000:06:00.0', { group: 1 });
  expect(await reason()).toContain('/dev/vfio/vfio');
});

test.each([
  ['10de:1eb8', 'T4'],
  ['10de:20b0', 'A100'],
  ['10de:2330', 'H100'],
  ['10de:2684', 'GeForce RTX 4090'],
  ['8086:2331', 'Chap Counter'],
  ['10de:2331', '10de:2331'],
  ['10de:12a2', '10de:12a2'],
])('the model of %s is %s, as catalogues call it', async (id, model) => {
  await device('0000:06:00.0', { id, group: 1 });
  expect((await findGpus(root)).gpus[0]?.model).toBe(model);
});

test('without a register of PCI ids a model goes by its ids', async () => {
  await rm(join(root, 'usr'), { recursive: true });
  await device('0000:06:00.0', { group: 1 });
  expect((await findGpus(root)).gpus[0]?.model).toBe('10de:1eb8');
});

test('a host without PCI has none', async () => {
  expect(await findGpus(join(root, 'nowhere'))).toEqual({ gpus: [], refused: [] });
});

test('of several models the one that there are most of is offered, of equally many the first by name', async () => {
  await device('0000:06:00.0', { id: '10de:20b0', group: 1 });
  await device('0000:07:00.0', { id: '10de:1eb8', group: 2 });
  const alone = await findGpus(root);
  expect(alone.gpus.map(({ model }) => model)).toEqual(['A100']);
  expect(alone.refused).toEqual([
    { address: '0000:07:00.0', model: 'T4', reason: 'a host offers one model, which is A100 here' },
  ]);
  await device('0000:08:00.0', { id: '10de:1eb8', group: 3 });
  expect((await findGpus(root)).gpus.map(({ address }) => address)).toEqual(['0000:07:00.0', '0000:08:00.0']);
});
