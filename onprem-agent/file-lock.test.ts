import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withFileLock } from './file-lock.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-lock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('work under one lock never overlaps', async () => {
  let inside = 0;
  let most = 0;
  const work = () =>
    withFileLock(join(folder, 'a.lock'), async () => {
      inside += 1;
      most = Math.max(most, inside);
      await sleep(20);
      inside -= 1;
    });
  await Promise.all([work(), work(), work()]);
  expect(most).toBe(1);
});

test('a lock is free again after work that failed', async () => {
  const path = join(folder, 'a.lock');
  await expect(withFileLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(withFileLock(path, async () => 'yes')).resolves.toBe('yes');
});

test('a holder killed with SIGKILL leaves no stale lock', async () => {
  const path = join(folder, 'a.lock');
  const module = join(import.meta.dirname, 'file-lock.ts');
  const program = `import { withFileLock } from ${JSON.stringify(module)}; await withFileLock(${JSON.stringify(path)}, () => { console.log('held'); return new Promise(() => setInterval(() => {}, 1000)); });`;
  const holder = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const waiting = withFileLock(path, async () => 'mine');
  holder.kill('SIGKILL');
  await expect(waiting).resolves.toBe('mine');
}, 20_000);

test('waiting can be cancelled', async () => {
  const path = join(folder, 'a.lock');
  await withFileLock(path, async () => {
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(new Error('no longer wanted')), 50);
    await expect(withFileLock(path, async () => 'never', cancel.signal)).rejects.toThrow('no longer wanted');
  });
});
