import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../host/command.ts';
import { diskForGuestsGiB } from './capacity.ts';
import { freeDiskGiB, machineFolder, rootDisk } from './machine-files.ts';

test('what the guests’ disks hold counts as space for guests, what they could grow to does not', async () => {
  const here = await mkdtemp(join(tmpdir(), 'landfall-storage-'));
  const storage = { here, there: here, run };
  try {
    const folder = machineFolder(here, '0b6f3c6e-6a43-4c8e-9d5e-2a1f0c9b7d10');
    await mkdir(folder, { recursive: true });
    const disk = join(folder, rootDisk);
    await writeFile(disk, Buffer.alloc(256 * 2 ** 20, 1), { flush: true });
    await truncate(disk, 8 * 2 ** 30);
    const held = (await diskForGuestsGiB(storage)) - (await freeDiskGiB(storage));
    // Others write to this file system meanwhile; a tenth of a GiB is left for that.
    expect(held).toBeGreaterThan(0.15);
    expect(held).toBeLessThan(0.35);
  } finally {
    await rm(here, { recursive: true, force: true });
  }
});
