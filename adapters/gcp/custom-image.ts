import { cloudStorageUrl } from '@landfall/model/image-sources.ts';
import type { CustomImageWant, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { checkImport, sourceOf } from '../kinds.ts';
import type { Account } from './clients.ts';
import { read, refOfLink, wantedRef, writeLabels } from './collections.ts';
import { betterLabels, differsInLabels, kindLabels } from './labels.ts';
import type { KindLife } from './life.ts';

/**
 * An image is Google's global one, its contents kept in the region. Of a running machine it is made by `forceCreate`: what the disk
 * has at that moment, as after a power cut; stopping a machine is its owner's decision.
 */
export const customImageLife: KindLife<'Image', 'images'> = {
  kind: 'Image',
  collection: 'images',
  standsOn: '/source',
  adoptable: true,
  check({ spec }) {
    kindLabels(spec);
    const { source } = spec;
    // One that was adopted is never made.
    if (!source) return;
    if ('url' in source) checkImport('gcp', source);
    else if ('snapshot' in source) wantedRef('snapshots', source.snapshot, '/source/snapshot');
    else wantedRef('instances', source.instance, '/source/instance');
  },
  insert: (account, want, { name, requestId }) =>
    account.inProject(async (project) => {
      const { spec, stamp, location } = want;
      const imageResource = {
        name,
        labels: kindLabels(spec, stamp),
        architecture: spec.architecture === 'arm64' ? 'ARM64' : 'X86_64',
        storageLocations: [location.region],
        // No machine for arm64 boots otherwise. What comes of a disk of Google's brings what it can.
        ...(spec.architecture === 'arm64' && isImported(want)
          ? { guestOsFeatures: [{ type: 'UEFI_COMPATIBLE' }] }
          : {}),
        ...(await googleSourceOf(account, project, sourceOf(want))),
      };
      return account.clients.images.insert(
        { project, requestId, forceCreate: true, imageResource },
        account.call,
      );
    }),
  async step(account, { spec }, { main }) {
    const labels = betterLabels(main, spec);
    return labels ? writeLabels(account, main, labels) : 'converged';
  },
  details: ({ main }) => ({
    sizeGiB: main.body.diskSizeGb ? Number(main.body.diskSizeGb) : undefined,
    children: [],
  }),
  diff: ({ main }, { spec }) => differsInLabels(main, spec),
};

const isImported = (want: Want<'Image'>): boolean => 'url' in sourceOf(want);

async function googleSourceOf(
  account: Account,
  project: string,
  source: NonNullable<CustomImageWant['source']>,
): Promise<{ sourceSnapshot: string } | { sourceDisk: string } | { rawDisk: { source: string } }> {
  if ('url' in source) return { rawDisk: { source: cloudStorageUrl(source.url) ?? '' } };
  if ('snapshot' in source) return { sourceSnapshot: `projects/${project}/${source.snapshot}` };
  const ref = source.instance;
  const { scope, name } = wantedRef('instances', ref, '/source/instance');
  const machine = await read(account, { collection: 'instances', scope, name });
  const disk = machine?.body.disks?.find(({ boot }) => boot)?.source;
  if (!disk)
    throw new ProviderError('Invalid', `there is no ${ref}, or it has no boot disk`, {
      field: '/source/instance',
    });
  return { sourceDisk: `projects/${project}/${refOfLink(disk)}` };
}
