import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Runs `work` while this process alone holds the lock file at `path`; others wait. The kernel holds the lock (flock), in
 * a child whose standard input ends with us: a killed holder leaves nothing stale behind. The holder's pid is in the file.
 * Cancelling `signal` stops the waiting, not the work.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const release = await acquire(path, signal);
  try {
    return await work();
  } finally {
    release();
  }
}

function acquire(path: string, signal?: AbortSignal): Promise<() => void> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const holder = `echo ${process.pid} > "$0"; echo held; exec cat`;
    const child = spawn('flock', ['--no-fork', path, 'sh', '-c', holder, path], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    let words = '';
    const cancel = () => {
      child.kill('SIGKILL');
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    child.stderr.on('data', (data) => {
      words += data;
    });
    child.on('error', (cause) =>
      reject(new Error(`cannot lock ${path}: flock (util-linux) is missing`, { cause })),
    );
    child.on('exit', (code) =>
      reject(new Error(`cannot lock ${path}: flock ended with ${code} ${words.trim()}`)),
    );
    child.stdin.on('error', () => {});
    child.stdout.once('data', () => {
      signal?.removeEventListener('abort', cancel);
      resolve(() => child.stdin.end());
    });
  });
}
