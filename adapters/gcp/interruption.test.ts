import type { Account } from './clients.ts';
import { interruptionOf } from './interruption.ts';

/** An account whose zone noted these preemptions, page by page. */
const noting = (...pages: { name: string; at: string }[][]) =>
  ({
    project: async () => 'p',
    call: {},
    clients: {
      zoneOperations: {
        list: async ({ pageToken = '0' }: { pageToken?: string }) => {
          const at = Number(pageToken);
          const operations = pages[at]!.map(({ name, at: insertTime }) => ({
            targetLink: `https://compute.test/projects/p/zones/z/instances/${name}`,
            insertTime,
          }));
          return [operations, null, at + 1 < pages.length ? { nextPageToken: String(at + 1) } : {}];
        },
      },
    },
  }) as unknown as Account;

const taken = { reason: 'compute.instances.preempted' };

test('a machine that was taken away since it last started was; one that was started again since is stopped by somebody else', async () => {
  const account = noting(
    [{ name: 'other', at: '2026-01-02T10:00:00.000-08:00' }],
    [{ name: 'web', at: '2026-01-02T10:00:00.000-08:00' }],
  );
  expect(await interruptionOf(account, 'z', 'web', '2026-01-02T17:00:00.000Z')).toEqual(taken);
  expect(await interruptionOf(account, 'z', 'web', '2026-01-02T19:00:00.000Z')).toBeUndefined();
  // Of one that is gone nobody knows when it started.
  expect(await interruptionOf(account, 'z', 'web')).toEqual(taken);
  expect(await interruptionOf(account, 'z', 'never')).toBeUndefined();
});
