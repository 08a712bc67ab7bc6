import { chmod, copyFile, cp, lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from '../host/command.ts';
import { type CpioEntry, packCpio } from './cpio.ts';
import { unpackPackages, withLibraries } from './debian-packages.ts';
import type { Recipe } from './recipe.ts';

const rootTemplate = join(import.meta.dirname, 'tiny-root');
const initrdTemplate = join(import.meta.dirname, 'tiny-initrd');

const programs = [
  { from: 'sbin/dropbear', package: 'dropbear-bin' },
  { from: 'bin/dropbearkey', package: 'dropbear-bin' },
  { from: 'sbin/qemu-ga', package: 'qemu-guest-agent' },
  { from: 'sbin/resize2fs', package: 'e2fsprogs' },
];

/** Drivers the ramdisk needs for its root disk, and those the guest loads later. */
const earlyModules = ['virtio_pci', 'virtio_blk', 'ext4'];
const lateModules = [
  'evdev',
  'button',
  'virtio_net',
  'virtio_rng',
  'virtio_console',
  'virtio_balloon',
  'isofs',
];

/** The tiny guest: Debian's cloud kernel, busybox, dropbear, qemu-guest-agent; about 10 s and no root needed. */
export const tinyRecipe: Recipe = {
  name: 'tiny',
  version: '1',
  user: 'root',
  sources: [import.meta.filename, rootTemplate, initrdTemplate],
  async build({ folder, progress, signal }) {
    const work = join(folder, 'work');
    const files = join(work, 'packages');
    progress('tiny: downloading the Debian packages');
    const kernelPackage = await kernelPackageName(signal);
    const userland = await withLibraries(
      ['busybox-static', ...programs.map((program) => program.package)],
      signal,
    );
    await unpackPackages([...new Set([...userland, kernelPackage])], files, signal);

    progress('tiny: assembling the file system');
    const root = join(work, 'root');
    await cp(rootTemplate, root, { recursive: true });
    for (const name of [
      'bin',
      'sbin',
      'usr/bin',
      'usr/sbin',
      'etc/dropbear',
      'proc',
      'sys',
      'dev',
      'run',
      'tmp',
      'root/.ssh',
    ]) {
      await mkdir(join(root, name), { recursive: true });
    }
    for (const name of ['lib64', 'lib', 'var/lib/cloud', 'var/log', 'var/run', 'mnt']) {
      await mkdir(join(root, name), { recursive: true });
    }
    await chmod(join(root, 'root/.ssh'), 0o700);
    const busybox = await unpacked(files, 'bin/busybox');
    await installBusybox(busybox, root, signal);
    await installPrograms(files, root, signal);

    const everyRelease = await unpacked(files, 'lib/modules');
    const release = (await readdir(everyRelease))[0];
    if (release === undefined) throw new Error(`the package ${kernelPackage} has no modules`);
    const modules = join(everyRelease, release);
    await run(busybox, ['depmod', '-b', dirname(dirname(everyRelease)), release], { signal });
    const dependencies = await readModuleOrder(modules);
    for (const module of new Set([...earlyModules, ...lateModules].flatMap((name) => dependencies(name)))) {
      await mkdir(dirname(join(root, 'lib/modules', release, module)), { recursive: true });
      await copyFile(join(modules, module), join(root, 'lib/modules', release, module));
    }
    await run(busybox, ['depmod', '-b', root, release], { signal });

    await copyFile(join(files, `boot/vmlinuz-${release}`), join(folder, 'vmlinuz'));
    const early = earlyModules.flatMap((name) => dependencies(name));
    await writeFile(join(folder, 'initrd'), await packRamdisk(busybox, modules, [...new Set(early)]));

    progress('tiny: making the disk');
    const raw = join(work, 'root.raw');
    const features = '^has_journal,^metadata_csum_seed,resize_inode';
    await run('truncate', ['-s', '64M', raw], { signal });
    // Room for the file system to grow to a terabyte with the disk.
    const extended = 'root_owner=0:0,resize=268435456';
    await run(
      'mke2fs',
      ['-q', '-t', 'ext4', '-b', '4096', '-O', features, '-E', extended, '-L', 'landfall', '-d', root, raw],
      { signal },
    );
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, join(folder, 'root.qcow2')], {
      signal,
    });
    return {
      boot: {
        kernel: 'vmlinuz',
        initrd: 'initrd',
        commandLine: 'root=/dev/vda console=ttyS0 quiet panic=5 net.ifnames=0',
      },
    };
  },
};

async function kernelPackageName(signal: AbortSignal | undefined): Promise<string> {
  const text = await run('apt-cache', ['depends', 'linux-image-cloud-amd64'], { signal });
  const name = /Depends: (linux-image-\S+)/.exec(text)?.[1];
  if (name === undefined)
    throw new Error('apt knows no linux-image-cloud-amd64: run `apt-get update` on this host');
  return name;
}

async function installBusybox(busybox: string, root: string, signal: AbortSignal | undefined): Promise<void> {
  await copyFile(busybox, join(root, 'bin/busybox'));
  const applets = await run(busybox, ['--list'], { signal });
  for (const applet of applets.split('\n')) {
    if (applet && applet !== 'busybox') await symlink('/bin/busybox', join(root, 'bin', applet));
  }
  for (const name of ['init', 'poweroff', 'reboot', 'halt', 'modprobe'])
    await symlink('/bin/busybox', join(root, 'sbin', name));
}

/** Copies the programs with every library they load, as the packages' own dynamic loader finds them. */
async function installPrograms(files: string, root: string, signal: AbortSignal | undefined): Promise<void> {
  const places = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((place) => join(files, place));
  const loader = await unpacked(files, 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2');
  const libraries = join(root, 'lib/x86_64-linux-gnu');
  await mkdir(libraries, { recursive: true });
  await copyFile(loader, join(root, 'lib64/ld-linux-x86-64.so.2'));
  for (const program of programs) {
    const from = await unpacked(files, program.from);
    await copyFile(from, join(root, 'usr/sbin', basename(from)));
    const listing = await run(loader, ['--library-path', places.join(':'), '--list', from], { signal });
    for (const [, soname, path] of listing.matchAll(/^\s*(\S+) => (\S+)/gm)) {
      if (soname === undefined || path === undefined || soname.startsWith('/')) continue;
      if (!path.startsWith(files))
        throw new Error(`${basename(from)} needs ${soname}, which no downloaded package has`);
      await copyFile(path, join(libraries, soname));
    }
  }
}

/** A file of the unpacked packages: newer releases keep everything below usr/. */
async function unpacked(files: string, path: string): Promise<string> {
  for (const candidate of [join(files, path), join(files, 'usr', path)]) {
    // Not access(): the loader's link is absolute and would be followed out of the folder.
    const found = await lstat(candidate).catch(() => undefined);
    if (found && !found.isSymbolicLink()) return candidate;
  }
  throw new Error(`the downloaded packages have no ${path}`);
}

/** Answers a lookup: a module's files, those it depends on first; none for what is built into the kernel. */
async function readModuleOrder(modules: string): Promise<(name: string) => string[]> {
  const files = new Map<string, string[]>();
  for (const file of (await readFile(join(modules, 'modules.builtin'), 'utf8')).split('\n')) {
    if (file) files.set(moduleName(file), []);
  }
  for (const line of (await readFile(join(modules, 'modules.dep'), 'utf8')).split('\n')) {
    const [file, needs = ''] = line.split(':');
    if (file) files.set(moduleName(file), [...needs.trim().split(/\s+/).filter(Boolean).reverse(), file]);
  }
  return (name) => {
    const found = files.get(name);
    if (!found) throw new Error(`the kernel package has no module ${name}`);
    return found;
  };
}

function moduleName(file: string): string {
  return basename(file)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_');
}

async function packRamdisk(busybox: string, modules: string, order: string[]): Promise<Buffer> {
  const folder = (path: string): CpioEntry => ({ path, mode: 0o040755 });
  const entries = ['bin', 'modules', 'proc', 'dev', 'root'].map(folder);
  entries.push({ path: 'init', mode: 0o100755, data: await readFile(join(initrdTemplate, 'init')) });
  entries.push({ path: 'bin/busybox', mode: 0o100755, data: await readFile(busybox) });
  for (const file of order) {
    entries.push({
      path: `modules/${basename(file)}`,
      mode: 0o100644,
      data: await readFile(join(modules, file)),
    });
  }
  const list = `${order.map((file) => basename(file)).join('\n')}\n`;
  entries.push({ path: 'modules/order', mode: 0o100644, data: Buffer.from(list) });
  return packCpio(entries);
}
