import type { ImageWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere, reading } from './clients.ts';
import { needSource } from './objects.ts';

const architectures = { x64: 'x86_64', arm64: 'arm64' } as const;

/** A marketplace image with its version, or an image of our own, as a machine's request names it. */
export type ImageReference =
  | { publisher: string; offer: string; sku: string; version: string }
  | { id: string };

/**
 * An image of our own, or the newest version of a logical image in the region.
 * @throws ProviderError `Invalid` when there is none, or one for another architecture.
 */
export async function resolveImage(
  account: Account,
  region: string,
  broker: string,
  image: ImageWant,
): Promise<ImageReference> {
  if (image.custom !== undefined) {
    const want = { stamp: { broker }, location: { region } };
    await needSource(account, want, 'image', image.custom, '/image/custom');
    if (image.architecture !== 'x86_64')
      throw new ProviderError('Invalid', 'an image of our own is for x86_64 on Azure', {
        field: '/image/architecture',
      });
    return { id: image.custom };
  }
  if (!image.azure)
    throw new ProviderError('Invalid', `the image ${image.name} has no Azure image`, {
      field: '/image/azure',
    });
  const { publisher, offer } = image.azure;
  const images = account.compute.virtualMachineImages;
  const newestOf = async (sku: string) => {
    const options = { top: 1, orderby: 'name desc' };
    const version = (await ifThere(images.list(region, publisher, offer, sku, options)))?.[0]?.name;
    if (version === undefined) return undefined;
    const described = await reading(images.get(region, publisher, offer, sku, version));
    const written = described.architecture?.toLowerCase() ?? '';
    const architecture =
      written in architectures ? architectures[written as keyof typeof architectures] : undefined;
    return { sku, version, architecture };
  };
  const asked = await newestOf(image.azure.sku);
  const other = asked?.architecture && asked.architecture !== image.architecture;
  // Publishers sell the same system for arm64 under a SKU of its own: 12-gen2 and 12-arm64, server and server-arm64.
  const sibling =
    other && image.architecture === 'arm64'
      ? await newestOf(`${image.azure.sku.replace(/-gen[12]$/, '')}-arm64`)
      : undefined;
  const found = sibling?.architecture === image.architecture ? sibling : asked;
  const named = `${publisher}:${offer}:${image.azure.sku}`;
  if (!found)
    throw new ProviderError('Invalid', `Azure has no image ${named} in ${region}`, {
      field: '/image/azure',
      providerCode: 'PlatformImageNotFound',
    });
  const { sku, version, architecture } = found;
  if (architecture && architecture !== image.architecture)
    throw new ProviderError(
      'Invalid',
      `the image ${named} is for ${architecture}, not ${image.architecture}`,
      { field: '/image/azure' },
    );
  return { publisher, offer, sku, version };
}
