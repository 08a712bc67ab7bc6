const tails = new Map<string, Promise<unknown>>();

/** Runs `work` after all earlier work under the same key in this process has ended, however it ended. */
export async function exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = tails.get(key) ?? Promise.resolve();
  const running = before.then(work, work);
  const tail = running.catch(() => {});
  tails.set(key, tail);
  try {
    return await running;
  } finally {
    if (tails.get(key) === tail) tails.delete(key);
  }
}
