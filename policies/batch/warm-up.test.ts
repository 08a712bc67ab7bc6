import { Worker } from 'node:worker_threads';
import { jest } from '@jest/globals';
import { loadSnapshot } from '../catalogue/snapshot.ts';
import { NO_POLICIES } from '../place/compiled.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import { bestBatch } from './place-batch.ts';
import { warmUp } from './warm-up.ts';

const catalogue = loadSnapshot();

/** Threads are numbered as they are started. */
async function nextThread(): Promise<number> {
  const thread = new Worker('', { eval: true });
  const { threadId } = thread;
  await thread.terminate();
  return threadId;
}

async function threadsStartedBy(work: () => Promise<unknown>): Promise<number> {
  const before = await nextThread();
  await work();
  return (await nextThread()) - before - 1;
}

describe('a process that has warmed up', () => {
  it('has a thread that solved a batch ready for the first one, however late it comes', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'performance', 'Date', 'queueMicrotask'] });
    try {
      expect(
        await threadsStartedBy(() => warmUp(catalogue, [], NO_POLICIES, new AbortController().signal)),
      ).toBe(1);
      jest.advanceTimersByTime(3_600_000);
    } finally {
      jest.useRealTimers();
    }
    const batch = {
      requests: [{ request: NEUTRAL_REQUEST, count: 3 }],
      catalogue,
      sites: [],
      policies: NO_POLICIES,
      setAside: [],
      includeUnconfigured: true,
    };
    expect(await threadsStartedBy(() => bestBatch(batch))).toBe(0);
  });

  it('ends with the reason when it is to stop', async () => {
    const reason = new Error('the broker stops');
    await expect(warmUp(catalogue, [], NO_POLICIES, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
