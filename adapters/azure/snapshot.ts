import type { Snapshot } from '@azure/arm-compute';
import type { KindAdapter } from '../contract.ts';
import type { Account } from './clients.ts';
import { needSource } from './objects.ts';
import { type Adopted, kindAdapter } from './resource.ts';
import { tagsToWrite } from './stamp.ts';

/** An incremental managed snapshot: Azure stores what differs from the one before, and each stands by itself. */
export function snapshots(account: Account): KindAdapter<'Snapshot'> & Adopted<'Snapshot', Snapshot> {
  const objects = account.compute.snapshots;
  return kindAdapter<'Snapshot', Snapshot>(account, {
    kind: 'Snapshot',
    came: ({ diskSizeBytes }) => diskSizeBytes !== undefined,
    check: async (want) => {
      await needSource(account, want, 'disk', want.spec.volume, '/volume');
    },
    create: ({ spec, location }, { group, name }, tags, make) =>
      make(
        ['snapshot'],
        () =>
          objects.createOrUpdate(group, name, {
            location: location.region,
            tags,
            sku: { name: 'Standard_LRS' },
            creationData: { createOption: 'Copy', sourceResourceId: spec.volume },
            incremental: true,
          }),
        true,
      ),
    async step(snapshot, { spec }, { group, name }, run) {
      const tags = tagsToWrite(snapshot.tags, spec);
      return tags ? run(() => objects.update(group, name, { tags })) : true;
    },
    details: async ({ diskSizeGB }) => ({ sizeGiB: diskSizeGB ?? 0, children: [] }),
    differences: () => [],
  });
}
