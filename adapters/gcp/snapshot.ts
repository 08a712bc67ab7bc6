import { wantedRef, writeLabels } from './collections.ts';
import { betterLabels, differsInLabels, kindLabels } from './labels.ts';
import type { KindLife } from './life.ts';

/** A snapshot is Google's global one, its contents kept in the region of the volume. */
export const snapshotLife: KindLife<'Snapshot', 'snapshots'> = {
  kind: 'Snapshot',
  collection: 'snapshots',
  adoptable: true,
  standsOn: '/volume',
  check({ spec, adopted }) {
    kindLabels(spec);
    // What it is of may be unknown, and nothing is made of it.
    if (adopted) return;
    wantedRef('disks', spec.volume, '/volume');
  },
  insert: (account, { spec, stamp, location }, { name, requestId }) =>
    account.inProject(async (project) =>
      account.clients.snapshots.insert(
        {
          project,
          requestId,
          snapshotResource: {
            name,
            labels: kindLabels(spec, stamp),
            sourceDisk: `projects/${project}/${spec.volume}`,
            storageLocations: [location.region],
          },
        },
        account.call,
      ),
    ),
  async step(account, { spec }, { main }) {
    const labels = betterLabels(main, spec);
    return labels ? writeLabels(account, main, labels) : 'converged';
  },
  details: ({ main }) => ({ sizeGiB: Number(main.body.diskSizeGb), children: [] }),
  diff: ({ main }, { spec }) => differsInLabels(main, spec),
};
