import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../host/command.ts';

export interface BootDiskOptions {
  /** Folder with the file system's content, `boot/grub/grub.cfg` included. */
  root: string;
  /** Raw image to make. */
  disk: string;
  /** Folder for temporary files. */
  work: string;
  sizeMiB: number;
  /** Label of the root file system. */
  label: string;
  signal?: AbortSignal;
}

const sector = 512;
/** GPT: a BIOS boot partition of 1 MiB at 1 MiB, an EFI system partition of 8 MiB, the root from 10 MiB on. */
const biosBoot = { start: 2048, sectors: 2048 };
const efi = { start: 4096, sectors: 16384 };
const rootStart = 20480;
/** Left free at the end for the GPT's copy. */
const tailSectors = 2048;
const grubPlatform = '/usr/lib/grub/i386-pc';

/** Makes a raw disk that boots from BIOS and UEFI, without loop devices or mounts. */
export async function makeBootDisk({
  root,
  disk,
  work,
  sizeMiB,
  label,
  signal,
}: BootDiskOptions): Promise<void> {
  await run('truncate', ['-s', `${sizeMiB}M`, disk], { signal });
  const table = [
    'label: gpt',
    `start=${biosBoot.start},size=${biosBoot.sectors},type=21686148-6449-6E6F-744E-656564454649`,
    `start=${efi.start},size=${efi.sectors},type=U`,
    `start=${rootStart},type=L,name=root`,
    '',
  ].join('\n');
  await run('sfdisk', ['-q', disk], { input: table, signal });

  const partition = join(work, 'partition.raw');
  const rootSectors = sizeMiB * 2048 - tailSectors - rootStart;
  await run('truncate', ['-s', String(rootSectors * sector), partition], { signal });
  const extended = 'root_owner=0:0,lazy_itable_init=1';
  await run('mke2fs', ['-q', '-t', 'ext4', '-E', extended, '-L', label, '-d', root, partition], {
    signal,
    timeoutMs: 600_000,
  });
  await copyInto(partition, disk, rootStart, signal);
  await rm(partition);

  await installBiosLoader(disk, work, signal);
  await installEfiLoader(disk, work, signal);
}

const grubModules = ['ext2', 'normal', 'linux', 'configfile', 'part_gpt'];

/** What grub-install does for a real disk: boot.img into the first sector, the core image into its own partition. */
async function installBiosLoader(disk: string, work: string, signal?: AbortSignal): Promise<void> {
  const corePath = join(work, 'core.img');
  const prefix = ['-p', '(hd0,gpt3)/boot/grub'];
  await run('grub-mkimage', ['-O', 'i386-pc', ...prefix, '-o', corePath, 'biosdisk', ...grubModules], {
    signal,
  });
  const boot = await readFile(join(grubPlatform, 'boot.img'));
  const core = await readFile(corePath);
  const file = await open(disk, 'r+');
  try {
    // boot.img: where the core begins, and (two nops) trust the BIOS's drive number. The partition table stays.
    boot.writeBigUInt64LE(BigInt(biosBoot.start), 0x5c);
    boot.writeUInt16LE(0x9090, 0x66);
    const current = Buffer.alloc(sector);
    await file.read(current, 0, sector, 0);
    current.copy(boot, 0x1b8, 0x1b8, sector);
    // The core's first sector ends with its block list: where the rest is, how long, and the segment it is loaded at.
    core.writeBigUInt64LE(BigInt(biosBoot.start + 1), 0x1f4);
    core.writeUInt16LE(Math.ceil((core.length - sector) / sector), 0x1fc);
    core.writeUInt16LE(0x820, 0x1fe);
    await file.write(boot, 0, sector, 0);
    await file.write(core, 0, core.length, biosBoot.start * sector);
  } finally {
    await file.close();
  }
}

async function installEfiLoader(disk: string, work: string, signal?: AbortSignal): Promise<void> {
  const partition = join(work, 'efi.img');
  const loader = join(work, 'BOOTX64.EFI');
  await run('truncate', ['-s', String(efi.sectors * sector), partition], { signal });
  await run('mkfs.vfat', ['-F12', partition], { signal });
  await run(
    'grub-mkimage',
    ['-O', 'x86_64-efi', '-p', '(hd0,gpt3)/boot/grub', '-o', loader, ...grubModules],
    { signal },
  );
  await run('mmd', ['-i', partition, '::/EFI', '::/EFI/BOOT'], { signal });
  await run('mcopy', ['-i', partition, loader, '::/EFI/BOOT/'], { signal });
  await copyInto(partition, disk, efi.start, signal);
}

async function copyInto(
  partition: string,
  disk: string,
  startSector: number,
  signal?: AbortSignal,
): Promise<void> {
  const seek = `seek=${(startSector * sector) / (1024 * 1024)}`;
  await run('dd', [`if=${partition}`, `of=${disk}`, 'bs=1M', seek, 'conv=notrunc,sparse', 'status=none'], {
    signal,
    timeoutMs: 600_000,
  });
}
