import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../host/command.ts';
import { makeBootDisk } from './boot-disk.ts';
import { downloadDebian } from './debian-download.ts';
import type { BuildContext, Recipe } from './recipe.ts';

const customization = join(import.meta.dirname, 'debian-customize.sh');

const packages = [
  'linux-image-cloud-amd64',
  'systemd-sysv',
  'udev',
  'dbus',
  'cloud-init',
  'cloud-guest-utils',
  'qemu-guest-agent',
  'openssh-server',
  'sudo',
  'iproute2',
  'ifupdown',
  'isc-dhcp-client',
  'netbase',
  'lz4',
  'kmod',
  'e2fsprogs',
  'ca-certificates',
];

/**
 * Debian 12 with real cloud-init: the image that Debian publishes, where the network leads there and its checksum holds; else
 * one from the distribution's packages by mmdebstrap, about a minute, as root.
 */
export const debianRecipe: Recipe = {
  name: 'debian-12',
  version: '1',
  user: 'debian',
  sources: [
    import.meta.filename,
    join(import.meta.dirname, 'debian-download.ts'),
    customization,
    join(import.meta.dirname, 'boot-disk.ts'),
  ],
  async build(context) {
    const unavailable = await downloadDebian(context);
    if (unavailable !== null) {
      context.progress(`debian-12: ${unavailable}; building it from packages instead`);
      await buildDebian(context);
    }
    return {};
  },
};

async function buildDebian({ folder, progress, signal }: BuildContext): Promise<void> {
  const work = join(folder, 'work');
  await mkdir(work, { recursive: true });
  const archive = join(work, 'root.tar');
  progress('debian-12: installing packages with mmdebstrap (about a minute)');
  // biome-ignore format: options in pairs
  await run('mmdebstrap', [
    '--variant=minbase', '--mode=root',
    '--aptopt=Acquire::Languages "none"',
    '--dpkgopt=path-exclude=/usr/share/man/*',
    '--dpkgopt=path-exclude=/usr/share/doc/*',
    '--dpkgopt=path-exclude=/usr/share/locale/*',
    `--include=${packages.join(',')}`,
    `--customize-hook=sh ${shellQuoted(customization)} "$1"`,
    'bookworm', archive,
  ], { signal, timeoutMs: 1_800_000 });

  progress('debian-12: making the disk');
  const root = join(work, 'root');
  await mkdir(root);
  await run('tar', ['-C', root, '-xpf', archive, '--exclude=./dev/*'], { signal });
  await rm(archive);
  const release = (await readdir(join(root, 'lib/modules')))[0];
  if (release === undefined) throw new Error('mmdebstrap installed no kernel');
  await mkdir(join(root, 'boot/grub'), { recursive: true });
  await writeFile(
    join(root, 'boot/grub/grub.cfg'),
    [
      `linux /boot/vmlinuz-${release} root=LABEL=landfall ro console=ttyS0 quiet net.ifnames=0`,
      `initrd /boot/initrd.img-${release}`,
      'boot',
      '',
    ].join('\n'),
  );
  const raw = join(work, 'disk.raw');
  await makeBootDisk({ root, disk: raw, work, sizeMiB: 2048, label: 'landfall', signal });
  progress('debian-12: compressing');
  const target = join(work, 'root.qcow2');
  const compression = ['-c', '-o', 'compression_type=zstd'];
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...compression, raw, target], {
    signal,
    timeoutMs: 600_000,
  });
  await cp(target, join(folder, 'root.qcow2'));
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
