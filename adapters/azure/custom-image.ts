import type { Image } from '@azure/arm-compute';
import type { KindAdapter } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { sourceOf } from '../kinds.ts';
import { type Account, reading } from './clients.ts';
import { needSource } from './objects.ts';
import { type Adopted, kindAdapter } from './resource.ts';
import { tagsToWrite } from './stamp.ts';

/** Why only a snapshot becomes an image, for the person who asked. */
export const imageReasons = {
  publish:
    'Azure makes an image only of a machine that was generalized, which ends its life; make one from a snapshot of a volume that holds a generalized system',
  import:
    'Azure reads images only from its own storage; write the system to a volume, take a snapshot, and make the image from that',
};

/**
 * A managed image of a snapshot, which has to hold a generalized Linux: what boots from it is set up by cloud-init as from any
 * other image. Specialized images (of a gallery) would take no user, keys or user data. Managed images are x86_64 only.
 */
export function images(account: Account): KindAdapter<'Image'> & Adopted<'Image', Image> {
  const objects = account.compute.images;
  return kindAdapter<'Image', Image>(account, {
    kind: 'Image',
    came: () => false,
    async check(want) {
      const { architecture } = want.spec;
      const source = sourceOf(want);
      if (!('snapshot' in source)) {
        const [field, reason] =
          'instance' in source
            ? ['/source/instance', imageReasons.publish]
            : ['/source/url', imageReasons.import];
        throw new ProviderError('Invalid', reason, { field });
      }
      if (architecture !== 'x86_64')
        throw new ProviderError('Invalid', `Azure has managed images for x86_64 only, not ${architecture}`, {
          field: '/architecture',
        });
      await needSource(account, want, 'snapshot', source.snapshot, '/source/snapshot');
    },

    async create(want, { group, name }, tags, make) {
      const { location } = want;
      const from = sourceOf(want);
      const snapshot = 'snapshot' in from ? from.snapshot : '';
      const source = await needSource(account, want, 'snapshot', snapshot, '/source/snapshot');
      const { hyperVGeneration = 'V2' } = await reading(
        account.compute.snapshots.get(source.group, source.name),
      );
      await make(
        ['image'],
        () =>
          objects.createOrUpdate(group, name, {
            location: location.region,
            tags,
            hyperVGeneration,
            storageProfile: {
              osDisk: { osType: 'Linux', osState: 'Generalized', snapshot: { id: snapshot } },
            },
          }),
        true,
      );
    },

    async step(image, { spec }, { group, name }, run) {
      const tags = tagsToWrite(image.tags, spec);
      return tags ? run(() => objects.update(group, name, { tags })) : true;
    },
    details: async ({ storageProfile }) => ({ sizeGiB: storageProfile?.osDisk?.diskSizeGB, children: [] }),
    differences: () => [],
  });
}
