import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { identify, isAlive } from './process-identity.ts';
import { endStrays, runMark } from './strays.ts';

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('what a run left behind is ended, and only that', async () => {
  const mark = randomUUID();
  const start = (value: string) =>
    spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      stdio: 'ignore',
      detached: true,
      env: { ...process.env, [runMark]: value },
    });
  const [mine, other] = [start(mark), start(randomUUID())];
  try {
    const [mineId, otherId] = [identify(mine.pid as number), identify(other.pid as number)];
    expect(await endStrays(mark)).toBe(1);
    expect([isAlive(mineId), isAlive(otherId)]).toEqual([false, true]);
  } finally {
    mine.kill('SIGKILL');
    other.kill('SIGKILL');
  }
});
