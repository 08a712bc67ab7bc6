import type { Image } from '@azure/arm-compute';
import type { KindAdapter, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { checkImport, sourceOf } from '../kinds.ts';
import { type Account, reading } from './clients.ts';
import { needSource } from './objects.ts';
import { type Adopted, kindAdapter } from './resource.ts';
import { tagsToWrite } from './stamp.ts';

/** Why no machine becomes an image, and what does, for the person who asked. */
export const whyNoPublish =
  'Azure makes an image only of a machine that was generalized, which it can never start again. Make one from a snapshot instead: write a generalized system to a volume, take a snapshot of that volume, and give the snapshot in `from`';

/**
 * A managed image of a snapshot or of a VHD in a storage account, which has to hold a generalized Linux: what boots from it is set up by cloud-init as from any
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
      if ('instance' in source)
        throw new ProviderError('Invalid', whyNoPublish, { field: '/source/instance' });
      if ('url' in source) checkImport('azure', source);
      if (architecture !== 'x86_64')
        throw new ProviderError('Invalid', `Azure has managed images for x86_64 only, not ${architecture}`, {
          field: '/architecture',
        });
      if ('snapshot' in source)
        await needSource(account, want, 'snapshot', source.snapshot, '/source/snapshot');
    },

    async create(want, { group, name }, tags, make) {
      const { location } = want;
      const { hyperVGeneration, ...from } = await diskOf(account, want);
      await make(
        ['image'],
        () =>
          objects.createOrUpdate(group, name, {
            location: location.region,
            tags,
            hyperVGeneration,
            storageProfile: {
              osDisk: { osType: 'Linux', osState: 'Generalized', ...from },
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

/** What the image is made of, and how it boots. A VHD does not say that: it is of generation 2, which boots by UEFI. */
async function diskOf(account: Account, want: Want<'Image'>) {
  const source = sourceOf(want);
  if ('url' in source) return { blobUri: source.url, hyperVGeneration: 'V2' };
  const id = 'snapshot' in source ? source.snapshot : '';
  const { group, name } = await needSource(account, want, 'snapshot', id, '/source/snapshot');
  const { hyperVGeneration = 'V2' } = await reading(account.compute.snapshots.get(group, name));
  return { snapshot: { id }, hyperVGeneration };
}
