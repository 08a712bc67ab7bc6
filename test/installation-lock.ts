/** One process at a time installs what tests need into the user's cache folder. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Keeps other processes from installing the same; answers what ends it. A folder is the lock (making one is atomic); a lock whose owner is dead is
 * taken over. `waits` is called once where another has it.
 */
export async function installationLock(path: string, waits: () => void): Promise<() => Promise<void>> {
  let told = false;
  for (;;) {
    try {
      await mkdir(path);
      await writeFile(join(path, 'pid'), String(process.pid));
      return () => rm(path, { recursive: true, force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!told) waits();
    told = true;
    await sleep(500);
    const owner = Number(await readFile(join(path, 'pid'), 'utf8').catch(() => ''));
    if (owner > 0 && !alive(owner)) await rm(path, { recursive: true, force: true });
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
